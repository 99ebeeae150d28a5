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


def score(url: str, form: str, *, chromium: str, rounds: int) -> dict[str, Any]:
    """The run of median performance. Raises subprocess.CalledProcessError where Lighthouse fails."""
    runs = sorted(
        (_run(url, form, chromium=chromium) for _ in range(rounds)),
        key=lambda run: run["scores"]["performance"],
    )
    found = runs[len(runs) // 2]
    found["performance_of_all"] = [run["scores"]["performance"] for run in runs]
    found["benchmark_index"] = statistics.median(run["benchmark_index"] for run in runs)
    return found


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
        check=True,
        env={**os.environ, "PATH": path, "CHROME_PATH": chromium},
    )
    report = json.loads(done.stdout)
    return {
        "scores": {name: round(100 * report["categories"][name]["score"]) for name in CATEGORIES},
        "metrics": {name: round(report["audits"][key]["numericValue"], 3) for key, name in METRICS.items()},
        "benchmark_index": report["environment"]["benchmarkIndex"],
    }
