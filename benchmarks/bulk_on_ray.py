"""`cutline bulk` on Ray, on this machine: is it as fast as without, and is each photo once in the output?

    pip install '.[bulk,ray]'
    python -m benchmarks.bulk_on_ray [--photos 4000] [--model BUNDLE]

The photos are webdataset shards of generated JPEGs. Rates are from the first shard of the output to the last,
so that no start is in them: all cores in one process, then an actor for each. Then the actors are killed in a
run, and in another one the driver, which is started again. The exit code is 1 where Ray has less than 85 % of
the rate without it, or where a photo is missing in an output, or there twice.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from benchmarks.bulk_memory import write_shards

LEAST = 0.85
SHARDS = 40  # of the output
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0"}


class Run:
    """`cutline bulk` of the photos into a folder."""

    def __init__(self, folder: Path, sink: str, photos: int, words: Sequence[str]) -> None:
        self.photos = photos
        self.sink = folder / sink
        self._words = [
            *("bulk", str(folder / "in"), str(self.sink)),
            *("--shard-size", str(max(1, photos // SHARDS)), *words),
        ]

    def start(self) -> subprocess.Popen[bytes]:
        """Begin, or go on."""
        return subprocess.Popen(
            [sys.executable, "-m", "cutline.cli.main", *self._words],
            env={**os.environ, **_QUIET},
            stderr=subprocess.DEVNULL,
        )

    def finish(self) -> None:
        """Run it to its end. Raises SystemExit where it fails."""
        if code := self.start().wait():
            sys.exit(f"cutline {' '.join(self._words)} ended with {code}")

    def parts(self) -> list[Path]:
        """The shards that are written."""
        return sorted(self.sink.glob("part-*.jsonl"))

    def rate(self) -> float:
        """Photos a second, from the first shard to the last."""
        ended = sorted(part.stat().st_mtime for part in self.parts())
        return self.photos * (len(ended) - 1) / len(ended) / (ended[-1] - ended[0])

    def is_exact(self) -> bool:
        """Whether each photo is there once, with its caption."""
        rows = [json.loads(line) for part in self.parts() for line in part.read_text("utf-8").splitlines()]
        counts = Counter(row["file"] for row in rows if row.get("captions"))
        return len(counts) == len(rows) == self.photos

    def wait_for(self, parts: int) -> None:
        """Wait until so many shards are written."""
        while len(self.parts()) < parts:
            time.sleep(0.05)


def killed(run: Run, pattern: str) -> bool:
    """Kill the processes whose command line has the pattern while it runs, run it to its end; is it exact?"""
    process = run.start()
    run.wait_for(SHARDS // 4)
    victims = _pids(pattern) if pattern else [process.pid]
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    if process.wait():
        run.finish()
    return bool(victims) and run.is_exact()


def _pids(pattern: str) -> list[int]:
    found = subprocess.run(["pgrep", "-f", pattern], capture_output=True, text=True, check=False)
    return [int(pid) for pid in found.stdout.split()]


def main() -> int:
    """Measure, and say so."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--photos", type=int, default=4000)
    parser.add_argument("--model")
    asked = parser.parse_args()
    model = ["--model", asked.model] if asked.model else []
    with tempfile.TemporaryDirectory(prefix="cutline-ray-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        write_shards(folder / "in", asked.photos)
        runs = {sink: Run(folder, sink, asked.photos, model) for sink in ("without", "again")}
        on_ray = {
            sink: Run(folder, sink, asked.photos, [*model, "--on", "ray"])
            for sink in ("ray", "actors", "driver")
        }
        runs["without"].finish()
        on_ray["ray"].finish()
        runs["again"].finish()
        without = (runs["without"].rate() + runs["again"].rate()) / 2
        share = on_ray["ray"].rate() / without
        exact = on_ray["ray"].is_exact() and runs["without"].is_exact()
        print(f"in one process {without:.1f} photos/s; on Ray {on_ray['ray'].rate():.1f}, {share:.0%} of it")
        actors = killed(on_ray["actors"], "^ray::MapWorker")
        driver = killed(on_ray["driver"], "")
    for told, right in (("", exact), (", the actors killed", actors), (", the driver killed", driver)):
        print(f"each photo once{told}: {'yes' if right else 'NO'}")
    return int(share < LEAST or not (exact and actors and driver))


if __name__ == "__main__":
    sys.exit(main())
