"""Where the time of many photos goes: CPU milliseconds of each stage, for one photo, on one thread.

    python -m benchmarks.stages [--model BUNDLE] [--rounds 5]

The photos are those in examples/, as JPEG files. All stages are measured in turn in one process, by CPU time,
so that what else the machine does hardly counts; the share is of the bare encoder. Decoding is divided into
the decoder's graph and what is around it (search, re-ranker), for several numbers of photos that are decoded
together.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cutline.captioning.runtime import Encoded, Runtime, Step

EXAMPLES = Path(__file__).parents[1] / "examples"
PHOTOS = 64
TOGETHER = (8, 16, 32, 64)


@dataclass(slots=True)
class _Timed:
    """A runtime whose steps are timed."""

    runtime: Runtime
    seconds: float = 0.0
    steps: int = 0
    embedding_width: int | None = field(default=None)

    def encode(self, pixels: Any) -> Encoded:
        return self.runtime.encode(pixels)

    def step(self, tokens: Any, memory: Any, state: Any, *, full: bool) -> Step:
        began = time.thread_time()
        step = self.runtime.step(tokens, memory, state, full=full)
        self.seconds += time.thread_time() - began
        self.steps += 1
        return step


def measure(model: str | None, rounds: int) -> list[tuple[str, float]]:
    """Name and CPU milliseconds for one photo, of each stage: the median of the rounds."""
    import cutline
    from cutline.captioning.bundle import read_bundle
    from cutline.captioning.bundle_captioner import ENCODED_AT_ONCE, BundleCaptioner
    from cutline.captioning.runtime import joined, open_runtime
    from cutline.images import open_image, to_pixels

    shipped = Path(cutline.__file__).parent / "bundles" / "cutline-base"
    bundle = read_bundle(Path(model) if model else shipped)
    preprocessing = bundle.manifest.preprocessing
    captioner = BundleCaptioner(bundle, threads=1)
    files = [path.read_bytes() for path in sorted(EXAMPLES.glob("*.jpg"))]
    data = list(islice(cycle(files), PHOTOS))
    opened = [open_image(each, enough_px=preprocessing.enough_px) for each in data]
    runtime = open_runtime(bundle, threads=1)
    timed = _Timed(runtime)
    decoding = captioner._decoding(captioner.defaults, 1)

    import numpy as np

    pixels = [to_pixels(each, preprocessing) for each in opened]
    pieces = [np.stack(pixels[at : at + ENCODED_AT_ONCE]) for at in range(0, PHOTOS, ENCODED_AT_ONCE)]
    encoded = [runtime.encode(piece) for piece in pieces]

    def decoded(together: int) -> Callable[[], object]:
        size = together // ENCODED_AT_ONCE
        batches = [joined(encoded[at : at + size]) for at in range(0, len(encoded), size)]
        return lambda: [captioner._sentences(timed, each, decoding, ()) for each in batches]

    stages: dict[str, Callable[[], object]] = {
        "JPEG: verify and decode": lambda: [
            open_image(each, enough_px=preprocessing.enough_px) for each in data
        ],
        "scale to the model's size": lambda: [to_pixels(each, preprocessing) for each in opened],
        "encoder": lambda: [runtime.encode(piece) for piece in pieces],
    }
    for together in TOGETHER:
        stages[f"decoding, {together} photos together"] = decoded(together)
    taken: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, stage in stages.items():
            timed.seconds = 0.0
            began = time.thread_time()
            stage()
            whole = time.thread_time() - began
            taken.setdefault(name, []).append(whole)
            if timed.seconds:
                taken.setdefault(f"- its graph, {name.split()[1]}", []).append(timed.seconds)
    return [(name, 1000 * sorted(each)[len(each) // 2] / PHOTOS) for name, each in taken.items()]


def main() -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    rows = measure(asked.model, asked.rounds)
    encoder = dict(rows)["encoder"]
    print("| stage | CPU ms for a photo | of the encoder |\n| --- | ---: | ---: |")
    for name, milliseconds in rows:
        print(f"| {name} | {milliseconds:.2f} | {milliseconds / encoder:.0%} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
