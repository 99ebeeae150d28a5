"""A bulk run over very many generated photos: how much memory it takes, as it goes on.

    python -m benchmarks.bulk_memory [--photos 100000] [--model BUNDLE]

The photos are webdataset shards of 500 different JPEGs, written to a temporary folder. Memory is that of
`cutline bulk` and of its child together (proportional set size), ten times a second. The first tenth of the
run is a warm-up; from then on the highest must stay within 10 % of the median. The exit code is 1
where it does not, or where a photo is missing in the output.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

DIFFERENT, IN_A_SHARD = 500, 5000
MOST_GROWTH = 1.10


def write_shards(folder: Path, count: int) -> None:
    """So many samples, each with a JPEG of 400 x 300 pixels."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    jpegs = []
    for _ in range(min(DIFFERENT, count)):
        buffer = io.BytesIO()
        noise = rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((400, 300), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=85)
        jpegs.append(buffer.getvalue())
    folder.mkdir()
    for start in range(0, count, IN_A_SHARD):
        with tarfile.open(folder / f"{start // IN_A_SHARD:05}.tar", "w") as tar:
            for number in range(start, min(start + IN_A_SHARD, count)):
                data = jpegs[number % len(jpegs)]
                entry = tarfile.TarInfo(f"{number:07}.jpg")
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))


def _tree(pid: int) -> list[int]:
    found = [pid]
    for each in found:
        children = Path(f"/proc/{each}/task/{each}/children")
        found += map(int, children.read_text().split() if children.exists() else ())
    return found


def _memory_mb(pid: int) -> float:
    """The proportional set size of a process and of what it has started."""
    total = 0
    for each in _tree(pid):
        try:
            text = Path(f"/proc/{each}/smaps_rollup").read_text()
        except OSError:
            continue
        total += int(re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE)[1])  # type: ignore[index]
    return total / 1024


def measure(photos: int, model: str | None) -> tuple[list[float], float, int]:
    """Memory in MB, ten times a second; the seconds it took; photos in the output."""
    with tempfile.TemporaryDirectory(prefix="cutline-bulk-") as folder:
        source, sink = Path(folder, "in"), Path(folder, "out")
        write_shards(source, photos)
        words = ["bulk", str(source), str(sink), *(["--model", model] if model else [])]
        began, seen = time.monotonic(), list[float]()
        process = subprocess.Popen([sys.executable, "-m", "cutline.cli.main", *words])
        while process.poll() is None:
            seen.append(_memory_mb(process.pid))
            time.sleep(0.1)
        took_s = time.monotonic() - began
        shards = json.loads((sink / "manifest.json").read_text())["shards"] if not process.returncode else []
        return seen, took_s, sum(shard["captioned"] for shard in shards)


def main() -> int:
    """Measure, and say so."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--photos", type=int, default=100_000)
    parser.add_argument("--model")
    asked = parser.parse_args()
    seen, took_s, captioned = measure(asked.photos, asked.model)
    settled = seen[len(seen) // 10 : -1] or seen
    median, highest = statistics.median(settled), max(settled)
    tenths = [settled[len(settled) * n // 10 : len(settled) * (n + 1) // 10] for n in range(10)]
    told = ", ".join(f"{statistics.median(each):.0f}" for each in tenths if each)
    print(f"{captioned:,} of {asked.photos:,} photos captioned, {captioned / took_s:.1f} a second")
    print(f"memory by tenths of the run, in MB: {told}")
    print(f"median {median:.0f} MB, highest {highest:.0f}; must be at most {MOST_GROWTH:g} times the median")
    return int(captioned != asked.photos or highest > MOST_GROWTH * median)


if __name__ == "__main__":
    sys.exit(main())
