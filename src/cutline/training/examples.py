"""What a data set is, once read: examples, the settings that find them, and what may be wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from cutline.errors import ConfigError, DataError, ImageMissing

Kind: TypeAlias = Literal[
    "auto", "flickr8k", "coco", "karpathy", "folder", "webdataset", "caption-map", "text-beside"
]
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
        """The photo's bytes. Raises ImageMissing when the shard is gone or was cut short since."""
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
    """One photo with its captions. image None: captions alone, for the decoder's language.

    key is unique within its source; source names the data set. image_id: the number that the data set gives
    the photo beside its name, "" where it gives none. repeats: how often one epoch of a training sees it.
    """

    key: str
    image: ImageFile | None
    captions: tuple[str, ...]
    split: str
    source: str
    image_id: str = ""
    repeats: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """Where a data set lies, and what to do where it leaves things open.

    path: a folder, a JSON, JSONL or CSV file, or a shard (or a shard pattern such as train-*.tar).
    images: the folder of photos, where the layout does not say; "none" reads the captions alone.
    captions: the captions file, where the layout does not say.
    split: puts every photo in this one split. Else the layout's own splits hold; where it has none, photos
    are assigned by their content and split_seed: dev_share and test_share of them (0..1) to dev and test.
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
                f"Shares of {self.dev_share} for dev and {self.test_share} for test leave none to train on."
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
    """The strict report: the first error ends the reading; the rest is for `cutline data check`."""
    if problem.severity == "error":
        raise DataError(
            f"{problem.where}: {problem.message.rstrip('.')}.",
            hint="See everything that is wrong with `cutline data check`.",
        )


def canonical_split(name: str) -> str | None:
    """train, dev or test for any customary name ("val", "restval"); None for an unknown one."""
    return _SPLIT_NAMES.get(name.strip().lower())
