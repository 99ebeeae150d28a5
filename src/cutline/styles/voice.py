"""How a caption should sound: tone, audience, length, and what goes around it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any

from cutline.errors import OptionError

MAX_TONE_CHARS = 200
MAX_FIX_CHARS = 100  # of a prefix or suffix
MAX_HASHTAGS = 10
MAX_AVOIDED = 30


class Audience(StrEnum):
    """Whom a caption speaks to."""

    PERSONAL = "personal"
    PROMOTIONAL = "promotional"
    ACADEMIC = "academic"


class Length(StrEnum):
    """How long a caption is, hashtags not counted."""

    SHORT = "short"
    MEDIUM = "medium"
    LONG = "long"

    @property
    def chars(self) -> tuple[int, int]:
        """The fewest and the most characters."""
        return _CHARS[self]


_TAG = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")  # the form of BCP 47
_CHARS: Mapping[Length, tuple[int, int]] = {
    Length.SHORT: (8, 70),
    Length.MEDIUM: (40, 140),
    Length.LONG: (100, 280),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """What a caption should sound like.

    tone: free text ("dry", "like a haiku"), at most 200 characters. hashtags: how many, 0 to 10. language:
    a BCP 47 tag. prefix and suffix stand around the text, outside of what a model writes. avoid: words that
    must not occur. Invisible and direction-changing characters are removed. Raises OptionError.
    """

    tone: str = "plain"
    audience: Audience = Audience.PERSONAL
    length: Length = Length.MEDIUM
    hashtags: int = 0
    emoji: bool = False
    language: str = "en"
    prefix: str = ""
    suffix: str = ""
    avoid: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        set_field = object.__setattr__  # the dataclass is frozen
        set_field(self, "audience", _member(Audience, "audience", self.audience))
        set_field(self, "length", _member(Length, "length", self.length))
        set_field(self, "tone", _line("tone", self.tone, MAX_TONE_CHARS) or "plain")
        set_field(self, "prefix", _line("prefix", self.prefix, MAX_FIX_CHARS))
        set_field(self, "suffix", _line("suffix", self.suffix, MAX_FIX_CHARS))
        set_field(self, "language", _line("language", self.language, 35) or "en")
        if not _TAG.fullmatch(self.language):
            raise OptionError(f"{self.language!r} is no language.", hint="Give a tag, such as en or pt-BR.")
        avoided = tuple(_line("avoid", word, MAX_FIX_CHARS) for word in self.avoid)
        set_field(self, "avoid", tuple(word for word in avoided if word))
        if not 0 <= self.hashtags <= MAX_HASHTAGS:
            raise OptionError(f"A caption may have 0 to {MAX_HASHTAGS} hashtags, not {self.hashtags}.")
        if len(self.avoid) > MAX_AVOIDED:
            raise OptionError(f"A voice may avoid at most {MAX_AVOIDED} words.")


def visible(text: str) -> str:
    """A text without control, formatting and direction-changing characters, its white space folded to blanks.

    The joiner and the variation selector that emoji are made with stay, but not in words, nor do marks on
    letters that no language puts there.
    """
    kept = (
        character if character in _EMOJI_PARTS or not unicodedata.category(character).startswith("C") else " "
        for character in _HIDES_LETTERS.sub("", unicodedata.normalize("NFC", text))
    )
    return " ".join("".join(kept).split())


_EMOJI_PARTS = "\u200d\ufe0f"
_HIDES_LETTERS = re.compile(
    "(?<=[A-Za-z\u00c0-\u024f])[\u00ad\u0300-\u036f\u200b-\u200d\u2060\u20d0-\u20ff\ufeff]+"
)


def _line(name: str, text: str, max_chars: int) -> str:
    line = visible(text)
    if len(line) > max_chars:
        raise OptionError(f"The {name} has {len(line):,} characters; at most {max_chars} are allowed.")
    return line


def _member(kind: type[StrEnum], name: str, value: str) -> StrEnum:
    try:
        return kind(value)
    except ValueError as error:
        raise OptionError(f"There is no {name} {value!r}.", hint=f"Choose {', '.join(kind)}.") from error


@cache
def presets() -> Mapping[str, Voice]:
    """The named voices of presets.toml, by name."""
    import tomllib

    text = (resources.files("cutline.styles") / "data" / "presets.toml").read_text(encoding="utf-8")
    return MappingProxyType({name: voice_from(values) for name, values in tomllib.loads(text).items()})


def voice_from(values: Mapping[str, Any], *, base: Voice | None = None) -> Voice:
    """A voice from names and values, on top of ``base``. Raises OptionError for an unknown name."""
    known = {field.name for field in fields(Voice)}
    if unknown := values.keys() - known:
        raise OptionError(
            f"A voice has no {', '.join(sorted(unknown))}.", hint=f"It has {', '.join(sorted(known))}."
        )
    start = base or Voice()
    merged = {name: getattr(start, name) for name in known} | dict(values)
    return Voice(**merged | {"avoid": tuple(merged["avoid"])})
