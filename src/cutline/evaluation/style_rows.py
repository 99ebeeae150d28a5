"""The corpus of captions in a voice, as `cutline evaluate --styles` reads it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from cutline.errors import CutlineError, DataError
from cutline.styles import Voice
from cutline.training.writer.data import corpus_rows, row_voice


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What was asked for, and what a person wrote. restrained: the tone was better not followed."""

    id: str
    family: str
    description: str
    voice: Voice
    caption: str
    restrained: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """The rows to learn tones from, and the rows to judge by. hash: SHA-256 of all rows."""

    train: tuple[Row, ...]
    held_out: tuple[Row, ...]
    hash: str

    @property
    def trained_tones(self) -> frozenset[str]:
        """The tones of the rows to learn from."""
        return frozenset(row.voice.tone for row in self.train)


def read_corpus(path: Path) -> Corpus:
    """Read a folder of JSON Lines files, one for each family of tones. Raises DataError."""
    try:
        found = [(_row(values), values["split"] == "train") for values in corpus_rows(path)]
    except (OSError, ValueError, KeyError, TypeError, CutlineError) as error:
        raise DataError(f"{path} cannot be read as a corpus of captions in a voice: {error}.") from error
    train = tuple(row for row, is_trained in found if is_trained)
    held_out = tuple(row for row, is_trained in found if not is_trained)
    if not train or not held_out:
        raise DataError(
            f"{path} has {len(train):,} rows to learn from and {len(held_out):,} that are held out;"
            " both kinds are needed."
        )
    return Corpus(train=train, held_out=held_out, hash=hashlib.sha256(repr(found).encode()).hexdigest())


def _row(values: dict[str, str]) -> Row:
    return Row(
        id=values["id"],
        family=values["family"],
        description=values["description"],
        voice=row_voice(values),
        caption=values["caption"],
        restrained=bool(values["restraint"]),
    )
