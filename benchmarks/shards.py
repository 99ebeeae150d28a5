"""A training on webdataset shards, by one process and by two that are stopped and resumed: the same losses.

    python -m benchmarks.shards [--photos 64]

`cutline data build` makes shards of generated photos. `cutline train` then trains recipes/shards.yaml, made
small, once in one process, and once under torchrun in two gloo processes, which get SIGTERM in the middle and
go on with --resume. Without dropout, what is left between the two is rounding. The exit code is 1 where
they differ.
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
from pathlib import Path

ROOT = Path(__file__).parents[1]
RECIPE = ROOT / "recipes" / "shards.yaml"
SMALL = (
    "image={width_px: 64, height_px: 64, variants: 1}",
    "encoder={name: efficientnet-lite0}",
    "text={minimum_count: 1}",
    "decoder={kind: transformer, width: 16, heads: 2, encoder_layers: 0, layers: 1, hidden: 32,"
    " max_tokens: 12, dropout: 0.0}",
    "stages=[{name: captions, objective: captions, epochs: 6, batch_size: 8, learning_rate: 1e-2,"
    " captions_per_image: 2, checkpoint_every: 1}]",
    "export={}",
    "tracking={log_every: 1}",
)
MOST_APART = 1e-4
_COLOURS = {"red": (220, 30, 30), "green": (30, 180, 60), "blue": (40, 60, 220), "white": (250, 250, 250)}


def _photos(folder: Path, count: int) -> None:
    """Photos of coloured circles and squares, each with two captions beside it."""
    import numpy as np
    from PIL import Image, ImageDraw

    rng = np.random.default_rng(0)
    folder.mkdir()
    for number in range(count):
        colour, shape = str(rng.choice(list(_COLOURS))), str(rng.choice(["square", "circle"]))
        noise = rng.integers(60, 160, (8, 10, 3), dtype=np.uint8)  # else photos would be copies to the eye
        picture = Image.fromarray(noise).resize((80, 64))
        left, top = (int(each) for each in rng.integers(4, 24, 2))
        draw = ImageDraw.Draw(picture).rectangle if shape == "square" else ImageDraw.Draw(picture).ellipse
        draw((left, top, left + 36, top + 36), fill=_COLOURS[colour])
        picture.save(folder / f"{number:03}.png")
        (folder / f"{number:03}.txt").write_text(f"a {colour} {shape}\nthere is a {shape} that is {colour}\n")


def _losses(run: Path) -> dict[int, float]:
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return {line["step"]: line["train/loss"] for line in lines if "train/loss" in line}


def _train(run: Path, shards: Path, *more: str, processes: int = 1) -> subprocess.Popen[bytes]:
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    command = [
        *[
            sys.executable,
            *(torchrun if processes > 1 else []),
            "-m",
            "cutline.cli.main",
            "train",
            str(RECIPE),
        ],
        *[f"data.shards.path={shards}", f"output={run}", f"cache={run.parent / 'features'}", *SMALL],
        *["--stage", "captions", "--threads", "1", *more],
    ]
    return subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, cwd=ROOT)


def _stop_at(process: subprocess.Popen[bytes], run: Path, step: int) -> None:
    """SIGTERM, once that many steps are logged."""
    while process.poll() is None:
        if (run / "metrics.jsonl").exists() and len(_losses(run)) >= step:
            process.send_signal(signal.SIGTERM)
            process.wait()
            return
        time.sleep(0.05)


def main() -> int:
    """Train, compare, and say so."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--photos", type=int, default=64)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cutline-shards-") as folder:
        place = Path(folder)
        _photos(place / "photos", asked.photos)
        build = [sys.executable, "-m", "cutline.cli.main", "data", "build"]
        options = ["--shard-size", "16", "--dev-share", "0.1"]
        subprocess.run([*build, str(place / "photos"), str(place / "shards"), *options], check=True)
        if _train(place / "one", place / "shards").wait():
            return 1
        _stop_at(_train(place / "two", place / "shards", processes=2), place / "two", 10)
        stopped = len(_losses(place / "two"))
        if _train(place / "two", place / "shards", "--resume", processes=2).wait():
            return 1
        one, two = _losses(place / "one"), _losses(place / "two")
    apart = max(abs(one[step] - two[step]) for step in one) if one.keys() == two.keys() else float("inf")
    print(f"{len(one)} steps; two processes were stopped after {stopped}, and resumed")
    print(f"losses differ by at most {apart:.2e}; must be below {MOST_APART:g}")
    return int(apart >= MOST_APART)


if __name__ == "__main__":
    sys.exit(main())
