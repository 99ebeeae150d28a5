"""The captions to evaluate: written by a model now, or read from a file."""

from __future__ import annotations

import hashlib
import itertools
import os
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Protocol

from cutline.caption_files import FORMATS, READABLE_SUFFIXES, is_caption_file, read_caption_lines
from cutline.captioning.options import DecodingOptions
from cutline.captioning.streaming import caption_each
from cutline.errors import CutlineError, DataError, ImageError
from cutline.evaluation.selection import Selection
from cutline.file_names import same_name
from cutline.metrics.report import System
from cutline.training.datasets import TEST, DataConfig, Example, Problem, load_examples, read_source
from cutline.training.photo_files import NO_IMAGES, asked_ids, ids_of, possible_paths
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
        return read_captions(Path(place), selection.chosen, known=selection.known)
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


def read_captions(path: Path, examples: Sequence[Example], *, known: Sequence[Example] = ()) -> Written:
    """Read captions as `cutline caption --output` writes them, or as a data set; of each photo its best.

    A line belongs to the photo with its key, its path, its number in the data set, or else its file name and
    as many of its folders as fit. Of two lines for one photo the later counts. known: all photos of the data
    set, where ``examples`` are some of them: a line for another of them is for no other photo. Raises
    DataError when the file cannot be read, is of no known format, or has no caption for any of the photos.
    """
    if not path.is_file():
        raise DataError(f"There is no file of captions at {path}.")
    keys = _Keys(known or examples, path.parent)
    chosen = {example.key for example in examples}
    matches: dict[str, _Match] = {}
    captions: dict[str, str] = {}
    candidates: dict[str, Sequence[str]] = {}
    failures: dict[str, str] = {}
    models: set[str] = set()
    for each in _predictions(path) if _is_data_set(path) else _own_lines(path):
        match = keys.find(each.file, each.number)
        if match is None or match.key not in chosen:
            continue
        key, before = match.key, matches.get(match.key, match)
        if before.is_surer_than(match):
            continue
        captions.pop(key, None)
        candidates.pop(key, None)
        failures.pop(key, None)
        if match.fit == before.fit and not before.may_be(match):
            matches[key] = replace(before, is_unclear=True)
            failures[key] = f"{path.name} has several photos that it may be, such as {each.file}."
            continue
        matches[key] = max(match, before, key=lambda each: len(each.parts)) if before.may_be(match) else match
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
    return first is not None and first[1].names_a_photo and bool(first[1].captions)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Match:
    """An example that a line means. parts: of the line's file.

    fit: how many of these are the example's, counted from the last; 0 where the line may well mean another
    photo. is_unclear: another line fits as well, and means another photo.
    """

    key: str
    parts: tuple[str, ...]
    fit: int
    is_unclear: bool = False

    def may_be(self, other: _Match) -> bool:
        """Whether the files of both lines may be one: a.jpg and x/a.jpg, but not y/a.jpg and x/a.jpg."""
        shorter = min(len(self.parts), len(other.parts))
        return not self.is_unclear and _overlap(self.parts, other.parts) == shorter

    def is_surer_than(self, other: _Match) -> bool:
        """Whether the other line speaks of another photo, if this one speaks of the example."""
        return self.fit > other.fit and not (other.fit and self.may_be(other))


class _Keys:
    """Finds the example that a line means."""

    def __init__(self, examples: Sequence[Example], folder: Path) -> None:
        self._folder = folder  # of the file of captions
        self._exact: dict[str, tuple[str, tuple[str, ...]]] = {}
        self._by_name: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
        self._by_id: dict[str, tuple[str, tuple[str, ...]]] = {}
        self._by_form: dict[str, list[str]] = {}
        for example in examples:
            parts = _parts(str(example.image or example.key))
            found = (example.key, parts)
            self._exact[same_name(example.key)] = found
            if isinstance(example.image, Path):
                self._exact[same_name(os.path.abspath(example.image))] = found
            elif example.image is not None:
                self._exact[same_name(str(example.image))] = found
            if example.image_id:
                self._by_id.setdefault(_plain_id(example.image_id), found)
            self._by_name.setdefault(parts[-1].casefold(), []).append(found)
            for form in ids_of(parts[-1]):
                self._by_form.setdefault(form, []).append(example.key)

    def find(self, file: str, number: str = "") -> _Match | None:
        """The example with this file, or with this number; None where there is none, or more than one."""
        parts = _parts(file)
        places = [os.path.abspath(self._folder / file), os.path.abspath(file)]
        for name in map(same_name, (file, *places)):
            if found := self._exact.get(name):
                return _Match(key=found[0], parts=parts, fit=max(1, _overlap(parts, found[1])))
        if number and (found := self._by_id.get(_plain_id(number))):
            return _Match(key=found[0], parts=parts, fit=1)
        is_elsewhere = any(map(os.path.isfile, places))
        for variant in map(_parts, possible_paths(file)):
            if match := self._nearest(variant):
                key, fit = match
                return _Match(key=key, parts=parts, fit=0 if is_elsewhere else fit)
        return self._of_id(number or file, parts)

    def _nearest(self, parts: tuple[str, ...]) -> tuple[str, int] | None:
        """The one example of that name of which most folders fit, too, and how many parts fit."""
        fits = [
            (_overlap(parts, theirs), parts[-1] == theirs[-1], key)
            for key, theirs in self._by_name.get(parts[-1].casefold(), ())
        ]
        best = max((fit[:2] for fit in fits), default=None)
        found = [key for *fit, key in fits if tuple(fit) == best]
        return (found[0], best[0]) if best and len(found) == 1 else None

    def _of_id(self, number: str, parts: tuple[str, ...]) -> _Match | None:
        """The example whose file has this name but for its ending; or this number, if none has its own."""
        forms = list(asked_ids(number))
        for form in forms[:1] if self._by_id else forms:
            if keys := self._by_form.get(form):
                return _Match(key=keys[0], parts=parts, fit=int(form == forms[0])) if len(keys) == 1 else None
        return None


def _parts(file: str) -> tuple[str, ...]:
    """A file's folders and its name; a shard is a folder here."""
    path = PurePosixPath(same_name(file).replace("!", "/"))
    return tuple(part for part in path.parts if part != "/") or ("",)


def _overlap(one: Sequence[str], other: Sequence[str]) -> int:
    """How many parts of two files are the same but for capitals, counted from the last."""
    pairs = zip(reversed(one), reversed(other), strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0].casefold() == pair[1].casefold(), pairs))


def _plain_id(image_id: str) -> str:
    return str(int(image_id)) if re.fullmatch("[0-9]{1,99}", image_id) else image_id
