"""Pairs to learn from: the prompt that a writer reads, and the text that it should write."""

from __future__ import annotations

import json
import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cutline.errors import DataError
from cutline.styles.built_in import prompt
from cutline.styles.support import HASHTAG
from cutline.styles.voice import Audience, Length, Voice
from cutline.training.writer.config import PairsConfig, PairsKind

PLAIN_TONES = ("plain", "simple", "descriptive", "matter-of-fact", "neutral", "factual", "straightforward")
_CHARS = (15, 150)  # of a description that is worth rewriting
_SPACED = re.compile(r"\s+([,.!?'])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """What is read, and what is written after it. source: of the recipe."""

    source: str
    prompt: str
    text: str


def read_pairs(sources: Sequence[PairsConfig], *, seed: int) -> tuple[list[Pair], list[Pair]]:
    """The pairs to train on, and those that are held out. Raises DataError."""
    train: list[Pair] = []
    held_out: list[Pair] = []
    for config in sources:
        chance = random.Random(f"{seed} {config.source}")
        try:
            found = list(_KINDS[config.kind](config, chance))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{config.path} cannot be read as {config.kind}: {error}.") from error
        mine = [pair for pair, is_held_out in found if not is_held_out]
        held_out += [pair for pair, is_held_out in found if is_held_out]
        train += chance.sample(mine, config.most) if 0 < config.most < len(mine) else mine
    return train, held_out


def row_pair(row: Mapping[str, Any], source: str = "") -> Pair:
    """A row of the corpus as a pair: hashtags stand in a line of their own."""
    tags = HASHTAG.findall(row["caption"])
    body = " ".join(HASHTAG.sub("", row["caption"]).split())
    text = "\n".join((body, " ".join(tags))) if tags else body
    return Pair(source=source, prompt=prompt(row["description"], row_voice(row)), text=text)


def row_voice(row: Mapping[str, Any]) -> Voice:
    """The voice that a row of the corpus asks for."""
    return Voice(
        tone=row["tone"],
        audience=Audience(row["audience"]),
        length=Length(row["length"]),
        hashtags=row["hashtags"],
        emoji=row["emoji"],
    )


def corpus_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a JSON Lines file, or of all those in a folder; ``family``: the name of a row's file."""
    files = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
    return [
        json.loads(line) | {"family": file.stem}
        for file in files
        for line in file.read_text("utf-8").splitlines()
    ]


_Found = Iterator[tuple[Pair, bool]]


def _corpus(config: PairsConfig, _chance: random.Random) -> _Found:
    for row in corpus_rows(config.path):
        yield row_pair(row, config.source), row["split"] != "train"


def _paraphrases(config: PairsConfig, chance: random.Random) -> _Found:
    for captions in json.loads(config.path.read_text("utf-8")).values():
        tidy = [each for each in map(_tidy, captions) if _CHARS[0] < len(each) < _CHARS[1]]
        if len(tidy) > 1:
            description, text = chance.sample(tidy, 2)
            audience = chance.choice(list(Audience))
            yield _pair(config, description, text, chance.choice(PLAIN_TONES), audience), False


def _flickrstyle(config: PairsConfig, chance: random.Random) -> _Found:
    described = _descriptions(config)
    for row in json.loads(config.path.read_text("utf-8")):
        for column, tone in (("funny", "humorous"), ("romantic", "romantic")):
            if row["image"] in described:
                description = chance.choice(described[row["image"]])
                yield _pair(config, description, _tidy(row[column]), tone, Audience.PERSONAL), False


def _senticap(config: PairsConfig, chance: random.Random) -> _Found:
    described = _descriptions(config)
    for row in json.loads(config.path.read_text("utf-8")):
        for column in ("positive", "negative"):
            for caption in row[column]:
                if str(row["coco_id"]) in described:
                    description = chance.choice(described[str(row["coco_id"])])
                    yield _pair(config, description, _tidy(caption), column, Audience.PERSONAL), False


_KINDS: Mapping[PairsKind, Callable[[PairsConfig, random.Random], _Found]] = {
    "corpus": _corpus,
    "paraphrases": _paraphrases,
    "flickrstyle": _flickrstyle,
    "senticap": _senticap,
}


def _pair(config: PairsConfig, description: str, text: str, tone: str, audience: Audience) -> Pair:
    voice = Voice(tone=tone, audience=audience, length=_length_of(text))
    return Pair(source=config.source, prompt=prompt(description, voice), text=text)


def _descriptions(config: PairsConfig) -> Mapping[str, Sequence[str]]:
    """By photo: its captions, from a JSON file, or from lines of NAME#NUMBER<tab>CAPTION."""
    if config.descriptions is None:
        raise ValueError("it needs descriptions")
    text = config.descriptions.read_text("utf-8")
    if config.descriptions.suffix == ".json":
        return {name: [*map(_tidy, captions)] for name, captions in json.loads(text).items()}
    found: defaultdict[str, list[str]] = defaultdict(list)
    for line in text.splitlines():
        name, _, caption = line.partition("\t")
        found[name.partition("#")[0]].append(_tidy(caption))
    return found


def _tidy(caption: str) -> str:
    """A caption as a sentence: no blank before punctuation, a capital letter, a full stop."""
    bare = _SPACED.sub(r"\1", " ".join(caption.split())).rstrip(". ")
    return f"{bare[:1].upper()}{bare[1:]}." if bare else ""


def _length_of(text: str) -> Length:
    return next((each for each in Length if len(text) <= each.chars[1]), Length.LONG)
