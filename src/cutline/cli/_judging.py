"""One evaluation: examples from a data set, captions from a model or a file, scores of both."""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from cutline.captioning.options import DecodingOptions
from cutline.captioning.streaming import caption_each
from cutline.errors import CutlineError, DataError, ImageError
from cutline.metrics.judgement import Judge, Judgement, TokenizerChoice, compare
from cutline.metrics.report import DataSet, Evaluation, Item, System
from cutline.training.datasets import (
    TRAIN,
    DataConfig,
    Example,
    canonical_split,
    data_hash,
    describe,
    load_examples,
    read_source,
    split_examples,
)

if TYPE_CHECKING:
    from PIL import Image

    from cutline.captioning.protocol import Captioner
    from cutline.images import Source

Load = Callable[[str | None], "Captioner"]

DEFAULT = "default"
FEW_PHOTOS = 100


class Progress(Protocol):
    """What a progress bar must do."""

    def update(self, n: float = 1) -> bool | None:
        """Count photos."""
        ...


Bar = Callable[[str, int], Progress | None]
"""Makes a progress bar with a title and a total; None where nobody looks."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The examples to judge, and the split they are part of."""

    name: str
    split: str
    chosen: Sequence[Example]
    whole: Sequence[Example]

    def data_set(self) -> DataSet:
        """What was judged, for the report."""
        return DataSet(
            name=self.name,
            split=self.split,
            photos=len(self.chosen),
            captions=sum(len(example.captions) for example in self.chosen),
            hash=data_hash(self.chosen),
            whole_split=len(self.whole),
        )


def select(config: DataConfig, split: str, limit: int | None) -> Selection:
    """Read a data set; take the first ``limit`` photos of one split. Raises DataError for an empty one."""
    examples = load_examples(config)
    name = canonical_split(split) or split
    whole = split_examples(examples, name)
    if not whole:
        raise DataError(
            f"{config.name} has no photos in the split {split!r}.", hint=f"It has {describe(examples)}."
        )
    return Selection(name=config.name, split=name, chosen=whole[:limit], whole=whole)


# Captions


def captions_of(place: str, selection: Selection, options: DecodingOptions, load: Load, bar: Bar) -> Written:
    """Get captions from a place: a file of them (.jsonl), or a model that writes them now."""
    if place.lower().endswith(".jsonl"):
        return read_captions(Path(place), selection.chosen)
    captioner = load(None if place == DEFAULT else place)
    return write_captions(captioner, selection.chosen, options, bar)


def write_captions(
    captioner: Captioner, examples: Sequence[Example], options: DecodingOptions, bar: Bar
) -> Written:
    """Caption photos; one that cannot be read fails alone.

    Raises DataError when the data set has no photos, and whatever makes the captioner useless.
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
    """The options that counted: the caller's over the model's own, where the model tells its own."""
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
    the later counts. Raises DataError when the file cannot be read, is not such a file, or fits no photo.
    """
    keys = _Keys(examples)
    captions: dict[str, str] = {}
    failures: dict[str, str] = {}
    models: set[str] = set()
    for number, line in _json_objects(path):
        key = keys.find(str(line["file"]))
        if key is None:
            continue
        captions.pop(key, None)
        failures.pop(key, None)
        if "error" in line:
            failures[key] = _text(line, "error", "message", path=path, number=number)
            continue
        captions[key] = _text(line, "captions", 0, "text", path=path, number=number)
        models.add(str(line.get("model", "")))
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


def _json_objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield number, _json_object(line, path, number)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text.") from error


def _json_object(line: str, path: Path, number: int) -> dict[str, Any]:
    try:
        parsed = json.loads(line)
    except ValueError as error:
        raise DataError(f"{path}, line {number}: not JSON ({error}).") from error
    if not isinstance(parsed, dict) or not isinstance(parsed.get("file"), str):
        raise DataError(
            f"{path}, line {number}: not a caption.",
            hint='A line is {"file": ..., "model": ..., "captions": [{"text": ...}]}.',
        )
    return parsed


def _text(line: dict[str, Any], *steps: str | int, path: Path, number: int) -> str:
    value: Any = line
    try:
        for step in steps:
            value = value[step]
    except (KeyError, IndexError, TypeError) as error:
        raise DataError(f"{path}, line {number}: there is no {'.'.join(map(str, steps))}.") from error
    if not isinstance(value, str):
        raise DataError(f"{path}, line {number}: {'.'.join(map(str, steps))} is not text.")
    return value


# Scores


def evaluate(
    selection: Selection,
    written: Written,
    other: Written | None,
    *,
    tokenizer: TokenizerChoice,
    use_java: bool,
    samples: int,
    seed: int,
) -> Evaluation:
    """Score one system, or two against each other, on the photos of a selection."""
    judge = Judge(
        [example.captions for example in selection.chosen],
        population=[example.captions for example in selection.whole],
        tokenizer=tokenizer,
        use_java=use_java,
    )
    mine = judge.judge(_in_order(written, selection))
    theirs = judge.judge(_in_order(other, selection)) if other is not None else None
    return Evaluation(
        system=written.system(),
        data=selection.data_set(),
        scores=mine.scores,
        items=tuple(_items(selection, written, mine, other, theirs)),
        other=other.system() if other is not None else None,
        other_scores=theirs.scores if theirs is not None else (),
        versus=tuple(compare(mine, theirs, samples=samples, seed=seed)) if theirs is not None else (),
        warnings=tuple(_warnings(selection, written, other)),
    )


def _in_order(written: Written, selection: Selection) -> list[str]:
    return [written.captions.get(example.key, "") for example in selection.chosen]


def _items(
    selection: Selection,
    written: Written,
    judgement: Judgement,
    other: Written | None,
    other_judgement: Judgement | None,
) -> Iterator[Item]:
    for index, example in enumerate(selection.chosen):
        yield Item(
            key=example.key,
            caption=written.captions.get(example.key, ""),
            references=example.captions,
            scores={name: float(values[index]) for name, values in judgement.items.items()},
            other=other.captions.get(example.key, "") if other is not None else None,
            other_scores=(
                {name: float(values[index]) for name, values in other_judgement.items.items()}
                if other_judgement is not None
                else {}
            ),
            failure=written.failures.get(example.key, ""),
        )


def _warnings(selection: Selection, written: Written, other: Written | None) -> Iterator[str]:
    systems = [written] if other is None else [written, other]
    whole_hash = data_hash(selection.whole)
    if selection.split == TRAIN:
        yield (
            "This is a training split. A model that learned from these photos scores better on them than on "
            "new ones: do not report these figures."
        )
    for system in systems:
        if system.trained_on == whole_hash and selection.split != TRAIN:
            yield f"{system.name} was trained on exactly these photos: do not report these figures."
        if system.failures:
            yield (
                f"{system.name} has no caption for {len(system.failures):,} of {len(selection.chosen):,} "
                "photos: they count as empty captions, which score 0."
            )
    if len(selection.chosen) < FEW_PHOTOS:
        yield f"Only {len(selection.chosen)} photos: the figures would differ much on others."
    captions = sum(len(example.captions) for example in selection.chosen)
    if captions < 2 * len(selection.chosen):
        yield "Most photos have a single reference: scores are lower than with the customary five."


def photo_finder(selection: Selection) -> Callable[[str], Image.Image | None]:
    """Give photos by key, for the page; None for one that is not there or cannot be read."""
    from cutline.images import open_image

    images = {example.key: example.image for example in selection.chosen}

    def find(key: str) -> Image.Image | None:
        image = images[key]
        if image is None:
            return None
        try:
            return open_image(read_source(image))
        except ImageError:
            return None

    return find
