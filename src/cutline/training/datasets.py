"""Captioned photos in memory, whatever layout they lie in on disk.

`load_examples` is the entry point: it reads the captions of any layout in `dataset_formats`, gives each photo
its split, and opens no photo. Photos are opened later, one at a time, through `open_example`.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from PIL import Image

from cutline.errors import DataError, ImageError, ImageMissing
from cutline.images import DEFAULT_LIMITS, Limits, open_image
from cutline.training.dataset_formats import read_layout
from cutline.training.examples import (
    DEV,
    KINDS,
    SPLITS,
    TEST,
    TRAIN,
    UNUSED,
    DataConfig,
    Example,
    ImageFile,
    Problem,
    Report,
    TarMember,
    canonical_split,
    refuse,
)

__all__ = [
    "DEV",
    "KINDS",
    "SPLITS",
    "TEST",
    "TRAIN",
    "UNUSED",
    "DataConfig",
    "Example",
    "ImageFile",
    "Problem",
    "TarMember",
    "assign_splits",
    "canonical_split",
    "content_hash",
    "data_hash",
    "describe",
    "load_examples",
    "missing_images",
    "open_example",
    "read_source",
    "split_examples",
    "splits_by_content",
]


def load_examples(config: DataConfig, *, report: Report = refuse) -> list[Example]:
    """Every captioned photo of a data set, in its own order, each with a split.

    Raises DataError when it is missing, malformed or empty, or lacks photos (that are not to be skipped).
    With a `report` of your own, what is wrong inside the files goes there, and nothing is left out.
    """
    examples = list(assign_splits(read_layout(config, report), config))
    if report is refuse:
        examples = _present(list(filter(None, map(_described, examples))), config)
        if not examples:
            raise DataError(
                f"{config.path} has no captions.", hint="Is it the right folder, and the right kind?"
            )
    return examples


def _described(example: Example) -> Example | None:
    """The example without blank captions; None when nothing is left."""
    captions = tuple(caption for caption in example.captions if caption.strip())
    if len(captions) == len(example.captions):
        return example if captions else None
    return replace(example, captions=captions) if captions else None


def split_examples(examples: Iterable[Example], split: str) -> list[Example]:
    """The examples of one split, in their order."""
    return [example for example in examples if example.split == split]


def read_source(image: ImageFile) -> Path | bytes:
    """What `cutline.images.open_image` takes: a path, or the bytes of a photo inside a shard."""
    return image.read_bytes() if isinstance(image, TarMember) else image


def data_hash(examples: Iterable[Example]) -> str:
    """A SHA-256 over keys, splits and captions, independent of order and place: goes into the bundle."""
    rows = sorted("\0".join((e.source, e.split, e.key, *e.captions)) for e in examples)
    return hashlib.sha256("\n".join(rows).encode("utf-8", "surrogatepass")).hexdigest()


def open_example(
    example: Example, *, limits: Limits = DEFAULT_LIMITS, enough_px: int | None = None
) -> Image.Image:
    """The example's photo, upright and RGB, from a file or a shard (see `cutline.images.open_image`).

    Raises ImageError, with the photo's name. Raises ImageMissing for an example of captions alone.
    """
    if example.image is None:
        raise ImageMissing(f"{example.key} has captions only, no photo.")
    try:
        return open_image(read_source(example.image), limits=limits, enough_px=enough_px)
    except ImageError as error:
        if isinstance(example.image, Path):
            raise
        raise type(error)(f"{example.image}: {error.message}", hint=error.hint) from error


# Splits


def assign_splits(examples: Iterable[Example], config: DataConfig) -> Iterator[Example]:
    """Fill in the split where the layout does not say.

    Only in a layout without any splits are photos assigned; where some have a split, the rest are unused.
    """
    if config.split is not None:
        yield from (replace(example, split=config.split) for example in examples)
        return
    found = list(examples)
    if any(example.split for example in found):
        yield from (example if example.split else replace(example, split=UNUSED) for example in found)
        return
    contents = [None if example.image is None else content_hash(example.image) for example in found]
    for example, split in zip(found, splits_by_content(contents, config), strict=True):
        yield replace(example, split=split)


def splits_by_content(contents: Sequence[bytes | None], config: DataConfig) -> list[str]:
    """A split for each photo, by the hash of its file; train for what has no photo.

    Copies of a photo share a split, and new photos never move old ones.
    """
    places = [1.0 if content is None else _place(content, config.split_seed) for content in contents]
    dev_below = config.dev_share
    if dev_below and len(set(places)) > 1:  # of a few photos, chance may leave none to tune on
        dev_below = max(dev_below, math.nextafter(min(places), 1))
    test_below = config.dev_share + config.test_share
    return [DEV if place < dev_below else TEST if place < test_below else TRAIN for place in places]


def _place(content: bytes, seed: int) -> float:
    digest = hashlib.sha256(f"{seed}:".encode() + content).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def content_hash(image: ImageFile) -> bytes:
    """SHA-256 of the file's bytes; of its name where it cannot be read (the check reports that elsewhere)."""
    digest = hashlib.sha256()
    try:
        if isinstance(image, TarMember):
            digest.update(image.read_bytes())
        else:
            with image.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
    except (OSError, ImageMissing):
        digest.update(os.fsencode(str(image)))
    return digest.digest()


def _present(examples: list[Example], config: DataConfig) -> list[Example]:
    missing = {example.key for example in missing_images(examples)}
    used = [e for e in examples if e.split != UNUSED and e.key in missing]
    if used and config.missing_images == "refuse":
        names = ", ".join([*(example.key for example in used[:3]), *["..."] * (len(used) > 3)])
        raise DataError(
            f"{config.path}: {len(used):,} of {len(examples):,} photos are missing ({names}).",
            hint="Set missing_images: skip to train without them.",
        )
    return [example for example in examples if example.key not in missing]


def missing_images(examples: Iterable[Example]) -> list[Example]:
    """Examples whose photo is not where it should be; each folder is listed once."""
    names: dict[Path, frozenset[str]] = {}
    gone: list[Example] = []
    for example in examples:
        if not isinstance(example.image, Path):
            continue
        folder = example.image.parent
        if folder not in names:
            names[folder] = _names_in(folder)
        if example.image.name not in names[folder]:
            gone.append(example)
    return gone


def _names_in(folder: Path) -> frozenset[str]:
    try:
        return frozenset(os.listdir(folder))
    except OSError:
        return frozenset()


def describe(examples: Iterable[Example]) -> str:
    """One line: photos and captions by split."""
    examples = list(examples)
    photos = Counter(example.split for example in examples)
    captions = Counter(dict.fromkeys(photos, 0))
    for example in examples:
        captions[example.split] += len(example.captions)
    order = [split for split in (*SPLITS, UNUSED) if split in photos]
    return "; ".join(f"{split}: {photos[split]:,} photos, {captions[split]:,} captions" for split in order)
