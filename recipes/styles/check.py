"""Check the corpus of restyled captions: `make check` runs this, and prints what is wrong with which row.

    python recipes/styles/check.py

A row asks for something (description, tone, audience, length, hashtags, emoji) and has the caption that a
person wrote. What is checked: the form of a row; that the caption keeps what was asked for; that it names no
thing, number or name that its description does not support; that no two rows are alike; that captions of a
tone do not all begin in one way; that nothing that is held out has a description that is trained on, and that
unseen tones are held out only.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import yaml

from cutline.styles.support import unsupported, words
from cutline.styles.voice import MAX_HASHTAGS, Audience, Length

FOLDER = Path(__file__).parent
MIN_ROWS, MIN_RESTRAINED = 6000, 400

EMOJI = re.compile("[\u2190-\u21ff\u2300-\u27bf\u2b00-\u2bff\u3030\u303d\U0001f000-\U0001faff]")
HASHTAG = re.compile(r"#[A-Za-z0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of the corpus. source: of the description; restraint: the tone was better not followed."""

    id: str
    description: str
    source: str
    tone: str
    audience: str
    length: str
    hashtags: int
    emoji: bool
    restraint: bool
    split: str
    caption: str

    @property
    def text(self) -> str:
        """The caption without its hashtags."""
        return " ".join(HASHTAG.sub("", self.caption).split())

    @property
    def tags(self) -> list[str]:
        return HASHTAG.findall(self.caption)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tones:
    """The family of each tone, and the tones that are never trained on."""

    families: Mapping[str, str]
    unseen: frozenset[str]


def main() -> int:
    rows = [row for path in sorted((FOLDER / "corpus").glob("*.jsonl")) for row in read(path)]
    faults = [*corpus_faults(rows, load_tones()), *size_faults(rows)]
    for fault in faults:
        print(fault)
    print(f"{len(rows)} rows, {sum(row.restraint for row in rows)} of restraint, {len(faults)} faults")
    return bool(faults)


def read(path: Path) -> Iterator[Row]:
    names = [field.name for field in fields(Row)]
    for line in path.read_text(encoding="utf-8").splitlines():
        values: dict[str, Any] = json.loads(line)
        yield Row(**{name: values[name] for name in names})


def load_tones(folder: Path = FOLDER) -> Tones:
    tones = yaml.safe_load((folder / "tones.yaml").read_text(encoding="utf-8"))
    return Tones(
        families={
            tone: family for family, kinds in tones.items() for kind in kinds.values() for tone in kind
        },
        unseen=frozenset(tone for kinds in tones.values() for tone in kinds["unseen"]),
    )


def corpus_faults(rows: Sequence[Row], tones: Tones) -> Iterator[str]:
    """Find whatever is wrong with rows, a line each."""
    for row in rows:
        for fault in row_faults(row, tones):
            yield f"{row.id}: {fault}: {row.caption}"
    yield from _alike(rows)
    yield from _openings(rows)
    yield from _leaks(rows, tones)


def size_faults(rows: Sequence[Row]) -> Iterator[str]:
    if len(rows) < MIN_ROWS:
        yield f"The corpus has {len(rows)} rows, fewer than {MIN_ROWS}."
    if (restrained := sum(row.restraint for row in rows)) < MIN_RESTRAINED:
        yield f"{restrained} rows show restraint, fewer than {MIN_RESTRAINED}."


# -- one row ---------------------------------------------------------------------------------------------


def row_faults(row: Row, tones: Tones) -> Iterator[str]:
    """Find what is wrong with one row, whatever the others say."""
    if row.tone not in tones.families:
        yield f"the tone {row.tone} does not stand in tones.yaml"
    if (
        row.audience not in set(Audience)
        or row.length not in set(Length)
        or not 0 <= row.hashtags <= MAX_HASHTAGS
    ):
        yield "audience, length or hashtags are out of range"
        return
    yield from _form_faults(row)
    yield from (f"'{word}' is not in the description" for word in unsupported(row.caption, [row.description]))


def _form_faults(row: Row) -> Iterator[str]:
    shortest, longest = Length(row.length).chars
    if row.restraint:
        shortest, _ = Length.SHORT.chars
    if not shortest <= len(row.text) <= longest:
        yield f"{len(row.text)} letters, {row.length} has {shortest} to {longest}"
    tags = len(row.tags)
    if tags != row.hashtags and not (row.restraint and tags < row.hashtags):
        yield f"{tags} hashtags of {row.hashtags}"
    if row.tags and not re.search(r"(?:^|\s)#[A-Za-z0-9]+(?: #[A-Za-z0-9]+)*$", row.caption):
        yield "hashtags stand at the end, with a blank between"
    if len({tag.lower() for tag in row.tags}) < tags:
        yield "a hashtag twice"
    emoji = len(EMOJI.findall(row.caption))
    if emoji > 2 or (emoji > 0) > row.emoji or (row.emoji and not emoji and not row.restraint):
        yield f"{emoji} emoji"
    if row.caption != row.caption.strip() or "\t" in row.caption or "  " in row.caption:
        yield "white space"
    if not row.restraint and same(row.text) == same(row.description):
        yield "the description itself"


# -- all rows --------------------------------------------------------------------------------------------


def same(text: str) -> str:
    """A text's letters and digits: two texts with the same ones are alike."""
    return re.sub(r"[^a-z0-9]", "", text.lower())


def _alike(rows: Iterable[Row]) -> Iterator[str]:
    texts: dict[str, str] = {}
    asked: dict[str, str] = {}
    for row in rows:
        for seen, key in ((texts, same(row.text)), (asked, f"{row.tone}: {row.description}")):
            if (before := seen.setdefault(key, row.id)) != row.id:
                yield f"{row.id}: as {before}: {row.caption}"


def _openings(rows: Iterable[Row]) -> Iterator[str]:
    """Of 50 captions of a tone, at most 3 begin with the same four words."""
    openings: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        openings[row.tone][" ".join(words(row.text)[:4])] += 1
    for tone, counted in openings.items():
        most = max(3, counted.total() * 3 // 50)
        yield from (f"{tone}: {n} captions begin '{opening}'" for opening, n in counted.items() if n > most)


def _leaks(rows: Iterable[Row], tones: Tones) -> Iterator[str]:
    trained = {row.description for row in rows if row.split == "train"}
    for row in rows:
        if row.split not in ("train", "held-out"):
            yield f"{row.id}: there is no split {row.split}"
        elif row.split == "train" and row.tone in tones.unseen:
            yield f"{row.id}: the tone {row.tone} is not to be trained on"
        elif row.split == "held-out" and row.description in trained:
            yield f"{row.id}: its description is trained on, too"


if __name__ == "__main__":
    sys.exit(main())
