"""The bundle's own speed: one photo, many photos, and its bare encoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import giants
from benchmarks.timing import in_turn

if TYPE_CHECKING:
    from cutline.captioning.bundle_captioner import BundleCaptioner
    from cutline.images import Pixels

BULK_PHOTOS = 64
LARGE_BATCH = 32


def latency(captioner: BundleCaptioner, photos: list[Path], *, rounds: int) -> dict[str, float]:
    """Seconds for one photo, by median: ours with its default decoding, and the giants, in turn.

    Ours starts from a decoded photo of its natural size, so scaling it is counted; the giants are given
    pixels ready to use.
    """
    from cutline.images import open_image

    opened = cycle([open_image(photo) for photo in photos])
    calls: Mapping[str, Callable[[], object]] = {
        "cutline": lambda: captioner.caption([next(opened)]),
        "blip_base": giants.blip_base(),
        "vit_gpt2": giants.vit_gpt2(),
    }
    return in_turn(calls, rounds=rounds, repeats={"cutline": len(photos)})


def throughput(
    captioner: BundleCaptioner, model: Path, photos: list[Path], *, rounds: int
) -> dict[str, float]:
    """Images a second, by median: many JPEG files, as many decoded photos, and the encoder alone.

    The encoder runs in the same runtime, on pixels ready to use, the quicker of two ways: large batches that
    all threads work on, or small ones side by side, a thread each.
    """
    import numpy as np

    from cutline.captioning.bundle import read_bundle
    from cutline.captioning.bundle_captioner import ENCODED_AT_ONCE
    from cutline.captioning.runtime import default_threads, open_runtime
    from cutline.images import open_image, read_pixels

    files = list(islice(cycle(photos), BULK_PHOTOS))
    opened = [open_image(photo) for photo in files]
    bundle = read_bundle(model)
    together, beside = open_runtime(bundle), open_runtime(bundle, is_shared_out=True)
    pixels = np.stack([read_pixels(photo, bundle.manifest.preprocessing) for photo in files])

    def in_batches(size: int) -> list[Pixels]:
        return [pixels[start : start + size] for start in range(0, BULK_PHOTOS, size)]

    with ThreadPoolExecutor(default_threads()) as pool:
        seconds = in_turn(
            {
                "bulk_files": lambda: captioner.caption(files),
                "bulk": lambda: captioner.caption(opened),
                "together": lambda: [together.encode(batch) for batch in in_batches(LARGE_BATCH)],
                "beside": lambda: list(pool.map(beside.encode, in_batches(ENCODED_AT_ONCE))),
            },
            rounds=rounds,
        )
    seconds["encoder"] = min(seconds.pop("together"), seconds.pop("beside"))
    return {name: BULK_PHOTOS / each for name, each in seconds.items()}
