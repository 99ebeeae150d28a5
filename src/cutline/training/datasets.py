"""Captioned photos in memory, whatever layout they lie in on disk.

`load_examples` is the door: it reads the captions of any layout in `dataset_formats`, gives each photo its split,
and never opens a photo. Photos are opened later, one at a time, through `read_source` and `cutline.images`.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from cutline.errors import ConfigError, DataError, ImageMissing

Kind: TypeAlias = Literal["auto", "flickr8k", "coco", "karpathy", "folder", "webdataset", "caption-map"]
KINDS: tuple[str, ...] = get_args(Kind)

TRAIN, DEV, TEST = SPLITS = ("train", "dev", "test")
UNUSED = "unused"  # a photo that a layout's own split files leave out

_SPLIT_NAMES = {
    "train": TRAIN,
    "training": TRAIN,
    "restval": TRAIN,  # Karpathy: COCO's validation photos beyond his dev and test sets
    "dev": DEV,
    "val": DEV,
    "valid": DEV,
    "validation": DEV,
    "test": TEST,
    "testing": TEST,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TarMember:
    """A photo inside an uncompressed tar: read when it is needed, by its place in the file."""

    archive: Path
    name: str
    offset: int
    size: int

    def read_bytes(self) -> bytes:
        """The photo's bytes. Raises ImageMissing when the shard has gone or was cut short since it was listed."""
        try:
            with self.archive.open("rb") as file:
                file.seek(self.offset)
                data = file.read(self.size)
        except OSError as error:
            raise ImageMissing(f"{self} cannot be read ({error.strerror}).") from error
        if len(data) != self.size:
            raise ImageMissing(f"{self} is cut short: {len(data)} of {self.size} bytes.")
        return data

    def __str__(self) -> str:
        return f"{self.archive}!{self.name}"


ImageFile: TypeAlias = Path | TarMember


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One photo with its captions. image None: captions of a photo that nobody has, for the decoder's language.

    key is unique within its source; source names the data set.
    """

    key: str
    image: ImageFile | None
    captions: tuple[str, ...]
    split: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """Where a data set lies, and what to do where it leaves things open.

    path: a folder, a JSON, JSONL or CSV file, or a shard (or a shard pattern such as train-*.tar).
    images: the folder of photos, where the layout does not say; "none" reads the captions alone.
    captions: the captions file, where the layout does not say.
    split: puts every photo in this one split. Else the layout's own splits hold; where it has none, photos are
    dealt by their content: dev_share and test_share of them (0..1) to dev and test, by split_seed.
    missing_images: "refuse" or "skip". source: the data set's name; by default the name of the folder.
    """

    path: str
    kind: Kind = "auto"
    images: str | None = None
    captions: str | None = None
    split: str | None = None
    dev_share: float = 0.05
    test_share: float = 0.05
    split_seed: int = 0
    missing_images: Literal["refuse", "skip"] = "refuse"
    source: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(
                f"Unknown kind of data set {self.kind!r}.", hint=f"Use one of {', '.join(KINDS)}."
            )
        if self.split is not None and self.split not in SPLITS:
            raise ConfigError(f"Unknown split {self.split!r}.", hint=f"Use one of {', '.join(SPLITS)}.")
        if self.missing_images not in ("refuse", "skip"):
            raise ConfigError(f"missing_images is {self.missing_images!r}.", hint="Use refuse or skip.")
        if min(self.dev_share, self.test_share) < 0 or self.dev_share + self.test_share >= 1:
            raise ConfigError(
                f"Shares of {self.dev_share} for dev and {self.test_share} for test leave nothing to train on."
            )

    @property
    def name(self) -> str:
        """What examples give as their source."""
        return self.source or Path(self.path).resolve().stem


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something wrong with a data set. code is stable; where names the file and line, or the photo."""

    code: str
    severity: Literal["error", "warning", "note"]
    message: str
    where: str


Report: TypeAlias = Callable[[Problem], None]


def refuse(problem: Problem) -> None:
    """The strict report: the first error ends the reading; warnings and notes are for `cutline data check`."""
    if problem.severity == "error":
        raise DataError(
            f"{problem.where}: {problem.message}",
            hint="See everything that is wrong with `cutline data check`.",
        )


def load_examples(config: DataConfig, *, report: Report = refuse) -> list[Example]:
    """Every captioned photo of a data set, in its own order, each with a split.

    Raises DataError when it is missing, malformed or empty, or when photos are missing (and not to be skipped).
    With a `report` of your own, what is wrong inside the files goes there, and reading goes on.
    """
    from cutline.training.dataset_formats import read_layout

    examples = list(assign_splits(read_layout(config, report), config))
    if report is refuse:
        examples = _present([example for example in examples if example.captions], config)
        if not examples:
            raise DataError(
                f"{config.path} holds no captions.", hint="Is it the right folder, and the right kind?"
            )
    return examples


def split_examples(examples: Iterable[Example], split: str) -> list[Example]:
    """The examples of one split, in their order."""
    return [example for example in examples if example.split == split]


def read_source(image: ImageFile) -> Path | bytes:
    """What `cutline.images.open_image` takes: a path, or the bytes of a photo inside a shard."""
    return image.read_bytes() if isinstance(image, TarMember) else image


def canonical_split(name: str) -> str | None:
    """train, dev or test for any customary name ("val", "restval"); None for an unknown one."""
    return _SPLIT_NAMES.get(name.strip().lower())


def data_hash(examples: Iterable[Example]) -> str:
    """A SHA-256 over keys, splits and captions, independent of order and place: goes into the bundle."""
    rows = sorted("\0".join((e.source, e.split, e.key, *e.captions)) for e in examples)
    return hashlib.sha256("\n".join(rows).encode("utf-8", "surrogatepass")).hexdigest()


# Splits


def assign_splits(examples: Iterable[Example], config: DataConfig) -> Iterator[Example]:
    """Fill in the split of every example. Readers leave it empty where the layout does not say.

    Only a layout without any splits is dealt out; where some photos have one, the rest are unused.
    """
    if config.split is not None:
        yield from (replace(example, split=config.split) for example in examples)
        return
    found = list(examples)
    if any(example.split for example in found):
        yield from (example if example.split else replace(example, split=UNUSED) for example in found)
        return
    for example in found:
        yield replace(example, split=_dealt_split(example, config))


def _dealt_split(example: Example, config: DataConfig) -> str:
    """By content, so that copies of a photo share a split and new photos never move old ones."""
    if example.image is None:
        return TRAIN
    digest = hashlib.sha256(f"{config.split_seed}:".encode() + content_hash(example.image)).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    if place < config.dev_share:
        return DEV
    return TEST if place < config.dev_share + config.test_share else TRAIN


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
        names = ", ".join(example.key for example in used[:3])
        raise DataError(
            f"{config.path}: {len(used):,} of {len(examples):,} photos are missing ({names}{', ...' * (len(used) > 3)}).",
            hint="Set missing_images to skip to go on without them.",
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
    captions = Counter({split: 0 for split in photos})
    for example in examples:
        captions[example.split] += len(example.captions)
    order = [split for split in (*SPLITS, UNUSED) if split in photos]
    return "; ".join(f"{split}: {photos[split]:,} photos, {captions[split]:,} captions" for split in order)
