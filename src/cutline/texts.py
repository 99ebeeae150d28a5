"""Which characters may stand in what people write: of every script, nothing that misleads; and words."""

from __future__ import annotations

import re
import unicodedata

# Of the characters without a shape of their own, those that words need: joiners hold emoji families and
# Indian and Persian letters together, marks order Hebrew and Arabic, tags make the flags of regions.
_NEEDED = frozenset("\u200c\u200d\u200e\u200f") | frozenset(map(chr, range(0xE0020, 0xE0080)))
# Not "unassigned": each Unicode version has emoji that an older Python does not know.
_REFUSED = frozenset({"Cc", "Cf", "Co", "Cs", "Zl", "Zp"})


def is_readable(text: str) -> bool:
    """Whether no character is a control, half of a pair, private, or turns the text that follows."""
    return text.isprintable() or all(
        letter in _NEEDED or unicodedata.category(letter) not in _REFUSED for letter in text
    )


WORD = re.compile(r"[^\W_]+")
"""A word as searches tell them apart: letters and digits."""


def plain(text: str) -> str:
    """The text in lower case and without accents, as it is searched."""
    parts = unicodedata.normalize("NFKD", text.casefold())
    return "".join(part for part in parts if not unicodedata.combining(part))
