"""Exports of the service as it would write them: photos of nothing, and what people said of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

THINGS = ("dog", "cat", "boat", "tree", "ball", "girl", "horse", "train", "bird", "man")
VERBS = ("runs", "stands", "sits", "lies", "waits", "plays", "rests", "stays")
PLACES = ("on the grass", "by the water", "in a room", "near a house", "on a street", "under the sky")
WORDS = frozenset(
    ["a", "the", "two", "small", "big", "red"]
    + [word for phrase in (*THINGS, *VERBS, *PLACES) for word in phrase.split()]
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A photo, and what its owner wrote instead of what the model wrote. Photos of one look are the same."""

    owner: str
    text: str
    look: int
    author: str = ""
    machine: str = "a man stands in a room"
    ratings: tuple[tuple[str, int, str], ...] = ()  # text, value, voice


def sentence(number: int) -> str:
    """A sentence that no other number below 480 has."""
    thing, verb = THINGS[number % 10], VERBS[number // 10 % 8]
    return f"a {thing} {verb} {PLACES[number // 80 % 6]}"


def edits(owners: int = 30, each: int = 5) -> list[Edit]:
    """What many owners wrote of their photos, each of another."""
    return [
        Edit(owner=f"v{number % owners + 1}", text=sentence(number), look=number)
        for number in range(owners * each)
    ]


def write_photo(path: Path, look: int) -> None:
    """Write a photo that looks like no other of another number."""
    cells = np.random.default_rng(look).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    Image.fromarray(cells).resize((64, 64), Image.Resampling.NEAREST).save(path)


def write_export(folder: Path, said: Sequence[Edit], ages: Mapping[str, float] | None = None) -> Path:
    """Write an export: a row of captions.jsonl and the events of each edit."""
    (folder / "images").mkdir(parents=True)
    captions: list[dict[str, object]] = []
    events: list[dict[str, object]] = []
    owners: dict[str, str] = {}
    for number, edit in enumerate(said):
        name = f"images/{number:04}.png"
        write_photo(folder / name, edit.look)
        owners[name] = edit.owner
        captions.append(
            {"image": name, "captions": [edit.text], "because": ["edited"], "rejected": [edit.machine]}
        )
        events.append(
            {
                "image": name,
                "kind": "edit",
                "candidate": edit.machine,
                "before": edit.machine,
                "after": edit.text,
                "model": "m@1",
                "by": edit.author or edit.owner,
                "at": f"2026-01-{number % 28 + 1:02}T00:00:00+00:00",
            }
        )
        events += [
            {
                "image": name,
                "kind": "rating",
                "candidate": text,
                "value": value,
                "model": "m@1",
                "by": voice,
                "at": "",
            }
            for text, value, voice in edit.ratings
        ]
    _lines(folder / "captions.jsonl", captions)
    _lines(folder / "feedback.jsonl", events)
    people = {"owners": owners, "age_days": dict(ages or {})}
    (folder / "people.json").write_text(json.dumps(people))
    return folder


def _lines(path: Path, rows: Iterable[object]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
