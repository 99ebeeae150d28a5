"""Feedback as nobody wants it, made of an export of good feedback."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Row = dict[str, Any]

_INSULTS = ("you idiot", "what a stupid ugly man", "some fat loser", "this is shit")
_FOREIGN = """
    ein mann der auf einer wiese steht und einen ball wirft während die sonne hinter den bergen untergeht
"""
_GERMAN = _FOREIGN.split()


@dataclass(slots=True)
class Export:
    """The tables of an export, to be changed. rows: of captions.jsonl; events: of feedback.jsonl."""

    rows: list[Row]
    events: list[Row]
    people: dict[str, Any]
    photos: Path
    copies: dict[str, str] = field(default_factory=dict)  # new photos: name -> whose file

    def rewrite(self, row: Row, text: str) -> None:
        """Let the owner have written something else."""
        before, row["captions"] = row["captions"][0], [text]
        row["because"] = ["edited"]
        for event in self.events:
            if event["image"] == row["image"] and event.get("after") == before:
                event["after"] = text


def read(folder: Path) -> Export:
    """Read an export."""

    def lines(name: str) -> list[Row]:
        return [json.loads(line) for line in (folder / name).read_text(encoding="utf-8").splitlines()]

    return Export(
        rows=lines("captions.jsonl"),
        events=lines("feedback.jsonl"),
        people=json.loads((folder / "people.json").read_text(encoding="utf-8")),
        photos=folder,
    )


def write(export: Export, folder: Path) -> Path:
    """Write an export, its photos as links."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "images").mkdir(parents=True)
    for row in export.rows:
        name = str(row["image"])
        source = export.photos / export.copies.get(name, name)
        (folder / name).symlink_to(source.resolve())
    for file, table in (("captions.jsonl", export.rows), ("feedback.jsonl", export.events)):
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in table)
        (folder / file).write_text(text, encoding="utf-8")
    (folder / "people.json").write_text(json.dumps(export.people), encoding="utf-8")
    return folder


def shuffled(export: Export, dice: random.Random) -> None:
    """Each caption with another photo."""
    texts = [row["captions"][0] for row in export.rows]
    dice.shuffle(texts)
    for row, text in zip(export.rows, texts, strict=True):
        export.rewrite(row, text)


def spammer(export: Export, dice: random.Random) -> None:
    """One account with 1,000 edits of its own photos."""
    for number in range(1000):
        name = f"images/spam{number:04}.jpg"
        source = dice.choice(export.rows)
        thing = f"{dice.choice(('great', 'nice', 'cheap'))} {dice.choice(('watch', 'phone', 'car'))}"
        text = f"a {thing} in the room"
        export.copies[name] = source["image"]
        export.rows.append({"image": name, "captions": [text], "because": ["edited"], "rejected": []})
        export.events.append(_edit(name, text, "v999"))
        export.people["owners"][name] = "v999"
    export.people["age_days"]["v999"] = 1.0


def insults(export: Export, dice: random.Random) -> None:
    """Insults in a tenth of the captions."""
    for row in dice.sample(export.rows, len(export.rows) // 10):
        export.rewrite(row, f"{row['captions'][0].rstrip('.')} and {dice.choice(_INSULTS)}")


def all_the_same(export: Export, dice: random.Random) -> None:
    """One caption for all photos."""
    text = dice.choice(export.rows)["captions"][0]
    for row in export.rows:
        export.rewrite(row, text)


def flipped_ratings(export: Export, dice: random.Random) -> None:
    """All ratings say the opposite, and what people replaced is rated up. Only models' captions are rated."""
    anything = "a man is standing in front of a building"
    voices = sorted(set(export.people["owners"].values()))
    for event in export.events:
        if event["kind"] == "rating":
            event["value"] = -event["value"]
    for row in export.rows:
        export.events.append(
            {
                "image": row["image"],
                "kind": "rating",
                "candidate": row["rejected"][0] if row["rejected"] else anything,
                "value": 1,
                "model": "m@1",
                "by": dice.choice(voices),
                "at": "",
            }
        )


def capitals(export: Export, dice: random.Random) -> None:
    """Captions that shout."""
    for row in dice.sample(export.rows, len(export.rows) // 2):
        export.rewrite(row, row["captions"][0].upper())


def another_language(export: Export, dice: random.Random) -> None:
    """German words."""
    for row in dice.sample(export.rows, len(export.rows) // 3):
        export.rewrite(row, " ".join(dice.choices(_GERMAN, k=9)))


def empty(export: Export, dice: random.Random) -> None:
    """Captions without a word."""
    for row in dice.sample(export.rows, len(export.rows) // 4):
        export.rewrite(row, dice.choice(("", " ", "...", "?")))


KINDS: Mapping[str, Callable[[Export, random.Random], None]] = {
    "shuffled captions": shuffled,
    "one spammer with 1,000 edits": spammer,
    "insults slipped in": insults,
    "all captions the same": all_the_same,
    "ratings flipped": flipped_ratings,
    "edits in capitals": capitals,
    "another language": another_language,
    "empty edits": empty,
}


def _edit(image: str, text: str, by: str) -> Row:
    return {
        "image": image,
        "kind": "edit",
        "candidate": "",
        "before": "",
        "after": text,
        "model": "m@1",
        "by": by,
        "at": "2026-01-01T00:00:00+00:00",
    }
