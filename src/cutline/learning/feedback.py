"""Read what the service exported (`cutline manage export_training_data`), or a folder of captioned photos."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cutline.errors import DataError
from cutline.training.datasets import load_examples
from cutline.training.examples import DataConfig

CAPTIONS, EVENTS, PEOPLE = "captions.jsonl", "feedback.jsonl", "people.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A caption that somebody stands behind. by: a voice without a name, "" where it is unknown."""

    image: str
    text: str
    why: str  # edited or picked
    by: str = ""
    at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """A rating of a caption that a model wrote: 1 or -1."""

    image: str
    text: str
    value: int
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Of two captions of a photo, the one that somebody preferred."""

    image: str
    chosen: str
    rejected: str
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feedback:
    """All that was exported.

    photos: the file of each image, by its name. owners: whose it is, without a name. ages: for how many days
    each voice has had its account. machine: what models wrote of each image.
    """

    photos: Mapping[str, Path]
    texts: tuple[Text, ...]
    opinions: tuple[Opinion, ...] = ()
    pairs: tuple[Pair, ...] = ()
    owners: Mapping[str, str] = field(default_factory=dict)
    ages: Mapping[str, float] = field(default_factory=dict)
    machine: Mapping[str, frozenset[str]] = field(default_factory=dict)


def read_export(folder: Path) -> Feedback:
    """Read an export of the service. Raises DataError."""
    rows = list(_lines(folder / CAPTIONS))
    photos = {row["image"]: folder / row["image"] for row in rows}
    events = [event for event in _lines(folder / EVENTS) if event["image"] in photos]
    people = _people(folder / PEOPLE)
    machine: dict[str, set[str]] = {}
    writers: dict[tuple[str, str], dict[str, Any]] = {}
    for event in events:
        if event["candidate"]:
            machine.setdefault(event["image"], set()).add(event["candidate"])
        if event["kind"] in ("edit", "pick"):
            writers[event["image"], event["after"]] = event
    texts = tuple(
        Text(
            image=row["image"],
            text=text,
            why=why,
            by=writers.get((row["image"], text), {}).get("by", ""),
            at=writers.get((row["image"], text), {}).get("at", ""),
        )
        for row in rows
        for text, why in zip(row["captions"], row["because"], strict=True)
        if why in ("edited", "picked")
    )
    return Feedback(
        photos=photos,
        texts=texts,
        opinions=tuple(
            Opinion(image=each["image"], text=each["candidate"], value=each["value"], by=each.get("by", ""))
            for each in events
            if each["kind"] == "rating"
        ),
        pairs=tuple(_pairs(rows, writers)),
        owners=people.get("owners", {}),
        ages=people.get("age_days", {}),
        machine={image: frozenset(found) for image, found in machine.items()},
    )


def read_photos(config: DataConfig) -> Feedback:
    """Read one's own captioned photos, in any layout that `cutline train` reads. Raises DataError."""
    examples = [each for each in load_examples(config) if isinstance(each.image, Path)]
    if not examples:
        raise DataError(f"{config.path} has no captioned photos.")
    names = {each.key: f"{_name(each.key)}{Path(str(each.image)).suffix.lower()}" for each in examples}
    return Feedback(
        photos={names[each.key]: each.image for each in examples if isinstance(each.image, Path)},
        texts=tuple(
            Text(image=names[each.key], text=text, why="edited")
            for each in examples
            for text in each.captions
        ),
    )


def _name(key: str) -> str:
    """A plain name for a photo, whatever folder it lies in."""
    return f"{Path(key).stem[:40]}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"


def _pairs(rows: list[dict[str, Any]], writers: Mapping[tuple[str, str], dict[str, Any]]) -> Iterator[Pair]:
    """What was edited, picked or rated up beside what was rated down or replaced."""
    for row in rows:
        for chosen in row["captions"]:
            for rejected in row["rejected"]:
                by = writers.get((row["image"], chosen), {}).get("by", "")
                yield Pair(image=row["image"], chosen=chosen, rejected=rejected, by=by)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with path.open(encoding="utf-8") as file:
            for line in file:
                if line.strip():
                    yield json.loads(line)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path} cannot be read ({error}).", hint="Export it with `cutline manage export_training_data`."
        ) from error


def _people(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}).") from error
    return found
