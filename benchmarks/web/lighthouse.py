"""Lighthouse's scores of a page of a running service."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

PACKAGE = "lighthouse@13.5.0"  # npm fetches it; it wants the Node of the virtual environment
CATEGORIES = ("performance", "accessibility", "best-practices")
METRICS = {
    "first-contentful-paint": "first_paint_ms",
    "largest-contentful-paint": "largest_paint_ms",
    "total-blocking-time": "blocked_ms",
    "speed-index": "speed_index_ms",
    "cumulative-layout-shift": "layout_shift",
}


TRIES = 3


class LighthouseFailed(Exception):
    """Lighthouse gave no report; the message is its own last words."""


def score(url: str, form: str, *, chromium: str, rounds: int) -> dict[str, Any]:
    """The run of median performance. Raises LighthouseFailed."""
    runs = sorted(
        (_report(url, form, chromium=chromium) for _ in range(rounds)),
        key=lambda run: run["scores"]["performance"],
    )
    found = runs[len(runs) // 2]
    found["performance_of_all"] = [run["scores"]["performance"] for run in runs]
    found["benchmark_index"] = statistics.median(run["benchmark_index"] for run in runs)
    return found


def _report(url: str, form: str, *, chromium: str) -> dict[str, Any]:
    """One run; another one where Chromium or Lighthouse itself fails, which leaves no figure to hide."""
    for left in reversed(range(TRIES)):
        try:
            return _run(url, form, chromium=chromium)
        except LighthouseFailed as error:
            if not left:
                raise
            print(f"no report, once more: {error}", file=sys.stderr)
    raise AssertionError


def _run(url: str, form: str, *, chromium: str) -> dict[str, Any]:
    words = [
        "npm",
        "exec",
        "--yes",
        f"--package={PACKAGE}",
        "--",
        "lighthouse",
        url,
        "--quiet",
        "--output=json",
    ]
    words += [f"--only-categories={','.join(CATEGORIES)}"]
    words += ["--chrome-flags=--headless=new --no-sandbox --disable-dev-shm-usage"]
    words += ["--preset=desktop"] if form == "desktop" else []
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        words,
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": path, "CHROME_PATH": chromium},
    )
    if done.returncode:
        raise LighthouseFailed(" / ".join(done.stderr.strip().splitlines()[-3:]) or "it said nothing")
    report = json.loads(done.stdout)
    return {
        "scores": {name: round(100 * report["categories"][name]["score"]) for name in CATEGORIES},
        "metrics": {name: round(report["audits"][key]["numericValue"], 3) for key, name in METRICS.items()},
        "benchmark_index": report["environment"]["benchmarkIndex"],
    }
