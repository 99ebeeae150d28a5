"""Quantises a bundle again from its own weights, exactly: needs neither the training nor its captions."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx

from cutline.captioning.bundle import (
    CONFIDENCE,
    DECODER,
    ENCODER,
    RERANKER,
    Bundle,
    Manifest,
    write_bundle,
)
from cutline.captioning.bundle_captioner import BundleCaptioner
from cutline.captioning.options import DecodingOptions
from cutline.captioning.tokenizer import Tokenizer
from cutline.errors import CutlineError, DataError
from cutline.images import open_image, to_pixels
from cutline.training.quantise import decoder_feeds, dequantised, quantise_graph

_BATCH = 8
_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


def requantise(
    bundle: Bundle, target: Path, photos: Sequence[Path], *, version: str, keep: int = 3
) -> Manifest:
    """Write ``bundle`` with graphs whose results no CPU changes, calibrated on ``photos``.

    keep: how many of the first convolutions stay in float. The dev scores, the re-ranker and the confidence
    are those of other graphs, so they are left out. Raises DataError without a photo.
    """
    if not photos:
        raise DataError("There is no photo to calibrate with.")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        floats, small = folder / "float", folder / "small"
        for each in (floats, small):
            each.mkdir()
        for name in (ENCODER, DECODER):
            onnx.save(dequantised(onnx.load_from_string(bundle.files[name])), floats / name)
        pixels = list(_batches(bundle, photos))
        captions = _own_captions(bundle, photos)
        quantise_graph(floats / ENCODER, small / ENCODER, [{"pixels": each} for each in pixels], keep=keep)
        # The decoder sees hundreds of steps of a few photos: its inputs vary less than pixels do.
        few = pixels[: max(1, len(pixels) // 4)]
        steps = list(decoder_feeds(floats / ENCODER, floats / DECODER, few, captions))
        quantise_graph(floats / DECODER, small / DECODER, steps)
        others = {
            name: content
            for name, content in bundle.files.items()
            if name not in (ENCODER, DECODER, RERANKER, CONFIDENCE)
        }
        for name, content in others.items():
            (small / name).write_bytes(content)
        manifest = replace(
            bundle.manifest,
            version=version,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            metrics={},
            files={},
        )
        return write_bundle(target, manifest, {name: small / name for name in (ENCODER, DECODER, *others)})


def photos_in(folder: Path, limit: int) -> list[Path]:
    """Photos of a folder, at most so many, evenly drawn from all in the order of their names."""
    found = sorted(each for each in folder.iterdir() if each.suffix.lower() in _SUFFIXES)
    if len(found) <= limit:
        return found
    return [found[int(place)] for place in np.linspace(0, len(found) - 1, limit)]


def _batches(bundle: Bundle, photos: Sequence[Path]) -> Iterator[npt.NDArray[np.uint8]]:
    size = bundle.manifest.preprocessing
    for start in range(0, len(photos), _BATCH):
        opened = [open_image(photo) for photo in photos[start : start + _BATCH]]
        yield np.stack([to_pixels(photo, size) for photo in opened])


def _own_captions(bundle: Bundle, photos: Sequence[Path]) -> npt.NDArray[np.int64]:
    """What the bundle itself says of the photos, as tokens [N, L] from <sos> to <eos>."""
    architecture = bundle.manifest.architecture
    tokenizer = Tokenizer(bundle)
    own = DecodingOptions(safe=False)  # no words that the model might not know
    made = np.full((len(photos), architecture.max_tokens), architecture.pad_id, np.int64)
    for place, outcome in enumerate(BundleCaptioner(bundle).caption_each(photos, options=own)):
        if isinstance(outcome, CutlineError):
            raise outcome
        words = tokenizer.prefix_ids(outcome[0].text.rstrip("."))
        tokens = [architecture.start_id, *words, architecture.end_id][: architecture.max_tokens]
        made[place, : len(tokens)] = tokens
    return made
