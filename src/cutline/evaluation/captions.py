"""The captions to evaluate: written by a model now, or read from a file."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from cutline.caption_files import FORMATS, read_caption_lines
from cutline.captioning.options import DecodingOptions
from cutline.captioning.streaming import caption_each
from cutline.errors import CutlineError, DataError, ImageError
from cutline.evaluation.selection import Selection
from cutline.metrics.report import System
from cutline.training.datasets import Example, read_source

if TYPE_CHECKING:
    from cutline.captioning.protocol import Captioner
    from cutline.images import Source

Load = Callable[[str | None], "Captioner"]

DEFAULT = "default"


class Progress(Protocol):
    """The part of tqdm's bar that is used."""

    def update(self, n: float = 1) -> bool | None:
        """Advance by n photos."""
        ...


Bar = Callable[[str, int], Progress | None]
"""Makes a progress bar with a title and a total; returns None where none is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """One system's captions by key; failures say why a photo has none."""

    name: str
    captions: Mapping[str, str]
    failures: Mapping[str, str] = field(default_factory=dict)
    decoding: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    trained_on: str = ""  # hash of the training data, where the system says it
    hash: str = ""  # of the bundle's files

    def system(self) -> System:
        """Who wrote, for the report."""
        return System(
            name=self.name,
            decoding=self.decoding,
            failed=len(self.failures),
            note=self.note,
            hash=self.hash,
        )


def captions_of(place: str, selection: Selection, options: DecodingOptions, load: Load, bar: Bar) -> Written:
    """Get captions from a place: a file of them (.jsonl or .csv), or a model that writes them now."""
    if place.lower().endswith(tuple(FORMATS)):
        return read_captions(Path(place), selection.chosen)
    captioner = load(None if place == DEFAULT else place)
    return write_captions(captioner, selection.chosen, options, bar)


def write_captions(
    captioner: Captioner, examples: Sequence[Example], options: DecodingOptions, bar: Bar
) -> Written:
    """Caption photos; a photo that cannot be read fails alone.

    Raises DataError when the data set has no photos, and errors that would fail every photo.
    """
    if any(example.image is None for example in examples):
        raise DataError(
            "These captions come without photos, so no model can caption them.",
            hint="Name the folder of photos with --images.",
        )
    name = f"{captioner.name}@{captioner.version}"
    progress = bar(name, len(examples))
    captions: dict[str, str] = {}
    failures: dict[str, str] = {}
    handed: deque[Example] = deque()

    def count(photos: int) -> None:
        if progress is not None:
            progress.update(photos)

    def sources() -> Iterator[Source]:
        for example in examples:
            assert example.image is not None  # as was checked
            try:
                source = read_source(example.image)
            except ImageError as error:
                failures[example.key] = str(error)
                count(1)
                continue
            handed.append(example)
            yield source

    for outcome in caption_each(captioner, sources(), options=options):
        example = handed.popleft()
        if isinstance(outcome, CutlineError):
            failures[example.key] = str(outcome)
        else:
            captions[example.key] = outcome[0].text
        count(1)
    return Written(
        name=name,
        captions=captions,
        failures=failures,
        decoding=_decoding(captioner, options),
        trained_on=_trained_on(captioner),
        hash=_bundle_hash(captioner),
    )


def _decoding(captioner: Captioner, options: DecodingOptions) -> dict[str, Any]:
    """The options in effect: the caller's over the model's defaults, where these are known."""
    own = getattr(captioner, "defaults", None)
    chosen = options.over(own) if isinstance(own, DecodingOptions) else options
    return {
        name: str(value) if name == "strategy" else value
        for name, value in asdict(chosen).items()
        if value is not None
    }


def _trained_on(captioner: Captioner) -> str:
    training_data = getattr(getattr(captioner, "manifest", None), "training_data", None)
    return str(getattr(training_data, "hash", ""))


def _bundle_hash(captioner: Captioner) -> str:
    files: Mapping[str, Any] = getattr(getattr(captioner, "manifest", None), "files", {})
    if not files:
        return ""
    listing = "\n".join(f"{name} {record.sha256}" for name, record in sorted(files.items()))
    return hashlib.sha256(listing.encode()).hexdigest()


def read_captions(path: Path, examples: Sequence[Example]) -> Written:
    """Read captions as `cutline caption --output` writes them; of each photo the best one counts.

    A line belongs to the photo with its key, its path, or else its file name. Of two lines for one photo
    the later counts. Raises DataError when the file cannot be read, is of another format, or has no caption
    for any of the photos.
    """
    keys = _Keys(examples)
    captions: dict[str, str] = {}
    failures: dict[str, str] = {}
    models: set[str] = set()
    for number, line in read_caption_lines(path):
        key = keys.find(line.file)
        if key is None:
            continue
        captions.pop(key, None)
        failures.pop(key, None)
        if line.failure is not None:
            failures[key] = line.failure.message
            continue
        if not line.captions:
            raise DataError(f"{path}, line {number}: there is no captions.0.text.")
        captions[key] = line.captions[0].text
        models.add(line.model)
    if not captions:
        raise DataError(f"{path} has no caption for any of the {len(examples):,} photos.")
    for example in examples:
        if example.key not in captions:
            failures.setdefault(example.key, f"{path.name} has no caption for it.")
    name = ", ".join(sorted(models - {""})) or path.name
    return Written(name=name, captions=captions, failures=failures, note=f"captions read from {path.name}")


class _Keys:
    """Finds the example that a file name means."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self._exact: dict[str, str] = {}
        self._names: dict[str, str | None] = {}  # None: several photos have that name
        for example in examples:
            self._exact[example.key] = example.key
            if example.image is None:
                continue
            if isinstance(example.image, Path):
                self._exact[str(example.image.absolute())] = example.key
            name = Path(str(example.image)).name
            self._names[name] = None if name in self._names else example.key

    def find(self, file: str) -> str | None:
        whole = self._exact.get(file) or self._exact.get(str(Path(file).absolute()))
        return whole or self._names.get(Path(file).name)
