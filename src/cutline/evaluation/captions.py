"""The captions to evaluate: written by a model now, or read from a file."""

from __future__ import annotations

import hashlib
import os
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, Protocol

from cutline.caption_files import FORMATS, READABLE_SUFFIXES, is_caption_file, read_caption_lines
from cutline.captioning.options import DecodingOptions
from cutline.captioning.streaming import caption_each
from cutline.errors import CutlineError, DataError, ImageError
from cutline.evaluation.selection import Selection
from cutline.file_names import same_name
from cutline.metrics.report import System
from cutline.training.datasets import TEST, DataConfig, Example, Problem, load_examples, read_source
from cutline.training.photo_files import NO_IMAGES, possible_paths
from cutline.training.tables import read_records

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
    """One system's captions by key; failures say why a photo has none.

    candidates: all captions of the photos that have several, best first.
    """

    name: str
    captions: Mapping[str, str]
    failures: Mapping[str, str] = field(default_factory=dict)
    candidates: Mapping[str, Sequence[str]] = field(default_factory=dict)
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


def captions_of(
    place: str, selection: Selection, options: DecodingOptions, load: Load, bar: Bar, *, n: int = 1
) -> Written:
    """Get captions from a place: a file of them, or a model that writes them now, n for each photo."""
    if is_captions_file(place):
        return read_captions(Path(place), selection.chosen)
    captioner = load(None if place == DEFAULT else place)
    return write_captions(captioner, selection.chosen, options, bar, n=n)


def write_captions(
    captioner: Captioner, examples: Sequence[Example], options: DecodingOptions, bar: Bar, *, n: int = 1
) -> Written:
    """Write n captions of each photo; a photo that cannot be read fails alone.

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
    candidates: dict[str, Sequence[str]] = {}
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

    for outcome in caption_each(captioner, sources(), n=n, options=options):
        example = handed.popleft()
        if isinstance(outcome, CutlineError):
            failures[example.key] = str(outcome)
        else:
            captions[example.key] = outcome[0].text
            candidates[example.key] = [caption.text for caption in outcome]
        count(1)
    return Written(
        name=name,
        captions=captions,
        failures=failures,
        candidates=candidates,
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


def is_captions_file(place: str) -> bool:
    """Whether a place is a file of captions by its name, and no model."""
    return place.lower().endswith(READABLE_SUFFIXES)


def read_captions(path: Path, examples: Sequence[Example]) -> Written:
    """Read captions as `cutline caption --output` writes them, or as a data set; of each photo its best.

    A line belongs to the photo with its key, its path, its number in the data set, or else its file name. Of
    two lines for one photo the later counts. Raises DataError when the file cannot be read, is of no known
    format, or has no caption for any of the photos.
    """
    if not path.is_file():
        raise DataError(f"There is no file of captions at {path}.")
    keys = _Keys(examples, path.parent)
    captions: dict[str, str] = {}
    candidates: dict[str, Sequence[str]] = {}
    failures: dict[str, str] = {}
    models: set[str] = set()
    for each in _predictions(path) if _is_data_set(path) else _own_lines(path):
        key = keys.find(each.file, each.number)
        if key is None:
            continue
        captions.pop(key, None)
        candidates.pop(key, None)
        failures.pop(key, None)
        if each.failure:
            failures[key] = each.failure
        else:
            captions[key] = each.captions[0]
            candidates[key] = each.captions
            models.add(each.model)
    if not captions:
        raise DataError(f"{path} has no caption for any of the {len(examples):,} photos.")
    for example in examples:
        if example.key not in captions:
            failures.setdefault(example.key, f"{path.name} has no caption for it.")
    name = ", ".join(sorted(models - {""})) or path.name
    note = f"captions read from {path.name}"
    return Written(name=name, captions=captions, failures=failures, candidates=candidates, note=note)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prediction:
    """One photo's captions in a file, or why there is none. number: the data set's number of the photo."""

    file: str
    number: str = ""
    model: str = ""
    captions: Sequence[str] = ()
    failure: str = ""


def _own_lines(path: Path) -> Iterator[_Prediction]:
    for number, line in read_caption_lines(path):
        if line.failure is not None:
            yield _Prediction(file=line.file, model=line.model, failure=line.failure.message)
        elif line.captions:
            yield _Prediction(
                file=line.file, model=line.model, captions=[each.text for each in line.captions]
            )
        else:
            raise DataError(f"{path}, line {number}: there is no captions.0.text.")


def _predictions(path: Path) -> Iterator[_Prediction]:
    config = DataConfig(path=str(path), images=NO_IMAGES, split=TEST)
    for example in load_examples(config):
        yield _Prediction(file=example.key, number=example.image_id, captions=example.captions)


def _is_data_set(path: Path) -> bool:
    """Whether a file holds captions in a data set's format: COCO's results, LLaVA, a table, and so on.

    What is neither ours nor a data set is left to our own reader, which says what is wrong with it.
    """
    if path.suffix.lower() not in FORMATS:
        return True
    if is_caption_file(path):
        return False
    problems: list[Problem] = []
    first = next(read_records(path, problems.append), None)
    return first is not None and not problems and first[1].names_a_photo and bool(first[1].captions)


class _Keys:
    """Finds the example that a line means."""

    def __init__(self, examples: Sequence[Example], folder: Path) -> None:
        self._folder = folder  # of the file of captions
        self._exact: dict[str, str] = {}
        self._names: dict[str, str | None] = {}  # None: several photos have that name
        self._numbers: dict[str, str | None] = {}
        for example in examples:
            self._exact[same_name(example.key)] = example.key
            if example.image_id:
                self._exact.setdefault(f"#{example.image_id}", example.key)
            name = same_name(PurePath(str(example.image or example.key)).name)
            if example.image is not None:
                if isinstance(example.image, Path):
                    self._exact[same_name(os.path.abspath(example.image))] = example.key
                self._names[name] = None if name in self._names else example.key
            if number := _last_number(PurePath(name).stem):
                self._numbers[number] = None if number in self._numbers else example.key

    def find(self, file: str, number: str = "") -> str | None:
        """The key of the example with this file, or with this number; None where there is none."""
        if number and (found := self._exact.get(f"#{number}")):
            return found
        name = same_name(file)
        places = (os.path.abspath(self._folder / file), os.path.abspath(file))
        whole = self._exact.get(name) or next(
            (self._exact[each] for each in map(same_name, places) if each in self._exact), None
        )
        names = (same_name(PurePath(path).name) for path in possible_paths(file))
        by_name = whole or next(filter(None, map(self._names.get, names)), None)
        return by_name or (self._numbers.get(_last_number(number)) if number else None)


def _last_number(text: str) -> str:
    """The number at the end of a text: "42" of COCO_val2014_000000000042; "" where there is none."""
    match = re.search(r"\d+$", text)
    return str(int(match[0])) if match else ""
