"""What is wrong with a text that somebody gives as the caption of a photo. Looks at the text alone."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from enum import StrEnum

from cutline.metrics import tokenize
from cutline.refusals import is_refusal
from cutline.styles.guard import MARKUP, insults_in

Known = Callable[[str], bool]
"""Whether the champion's vocabulary has a word, in lower case."""

_FEWEST, _MOST = 3, 40
_LEAST_KNOWN = 0.6  # share of words that the vocabulary knows; 98.9 % in captions of COCO's photos
_LEAST_LETTERS = 0.6
_MOST_CAPITALS = 0.6
_LETTER = re.compile(r"[^\W\d_]")
_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]")
_SPAM = re.compile(
    r"\+?\d[\d ().-]{6,}\d|#\w|(.)\1{4,}|[$\u20ac\u00a3]\s?\d|\b(?:buy now|click here|subscribe)\b", re.I
)
_MACHINE = re.compile(
    r"\bas an ai\b|\blanguage model\b|\bhere(?:'s| is) (?:a|the|your) caption\b|^caption\s*:"
    r"|^(?:the|this|an?) (?:image|photo|picture|photograph) (?:shows|depicts|features|captures|is of)\b",
    re.I,
)
_JOINING = """
    a an the this that these those some several many few two three four five six seven eight nine ten his her
    its their is are was were has have in on at of with by near under over from to and while through
"""
_JOINING_WORDS = frozenset(_JOINING.split())


class Fault(StrEnum):
    """A reason to leave a text out. The value is how people are told."""

    EMPTY = "empty"
    TOO_SHORT = "too short"
    TOO_LONG = "too long"
    CAPITALS = "in capitals"
    LANGUAGE = "another language, or no words"
    NO_SENTENCE = "no sentence"
    REPETITIVE = "says the same words again and again"
    SPAM = "spam: links, addresses, numbers, advertising"
    OFFENSIVE = "offensive"
    MACHINE = "written by a machine"
    NAME = "names somebody"


POISON = frozenset(
    (Fault.EMPTY, Fault.CAPITALS, Fault.LANGUAGE, Fault.REPETITIVE, Fault.SPAM, Fault.OFFENSIVE)
)
"""What nobody writes by mistake very often."""


def fault_of(text: str, known: Known) -> Fault | None:
    """The first fault of a text, worst first; None for a caption that can be learned from."""
    words = words_of(text)
    if not words:
        return Fault.EMPTY
    return next((fault for fault, is_so in _found(text, words, known) if is_so), None)


def _found(text: str, words: list[str], known: Known) -> Iterable[tuple[Fault, bool]]:
    yield Fault.OFFENSIVE, bool(insults_in(text))
    yield Fault.SPAM, bool(MARKUP.search(text) or _SPAM.search(text))
    yield Fault.MACHINE, is_refusal(text) or bool(_MACHINE.search(text.strip()))
    letters = _LETTER.findall(text)
    latin = sum(bool(_LATIN.match(letter)) for letter in letters)
    yield Fault.LANGUAGE, latin < len(letters)
    visible = len("".join(text.split()))
    yield Fault.NO_SENTENCE, len(letters) < _LEAST_LETTERS * visible
    capitals = sum(letter.isupper() for letter in letters)
    yield Fault.CAPITALS, len(letters) > 3 and capitals > _MOST_CAPITALS * len(letters)
    yield Fault.REPETITIVE, is_repetitive(words)
    yield Fault.LANGUAGE, sum(map(known, words)) < _LEAST_KNOWN * len(words)
    yield Fault.TOO_SHORT, len(words) < _FEWEST
    yield Fault.TOO_LONG, len(words) > _MOST
    yield Fault.NO_SENTENCE, _is_list(text, words)
    yield Fault.NAME, bool(names_in(text, known))


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, without punctuation, as scores see them."""
    return [word for word in tokenize(text) if any(each.isalnum() for each in word)]


def normal(text: str) -> str:
    """The text as far as it matters whether two are the same."""
    return " ".join(words_of(text))


def is_repetitive(words: list[str]) -> bool:
    """Whether one word follows itself twice, or makes half of a longer text, or hardly any word is new."""
    if any(one == two == three for one, two, three in zip(words, words[1:], words[2:], strict=False)):
        return True
    if len(words) >= 9 and len(set(words)) <= 0.3 * len(words):
        return True
    return len(words) >= 6 and Counter(words).most_common(1)[0][1] >= len(words) / 2


def names_in(text: str, known: Known) -> list[str]:
    """Words with a capital, other than the first, that the vocabulary does not know."""
    words = re.findall(r"[^\W\d_][\w'-]*", text)
    return [
        word for word in words[1:] if word[0].isupper() and not word.isupper() and not known(word.lower())
    ]


def _is_list(text: str, words: list[str]) -> bool:
    """Keywords, not a sentence: most words stand between commas, or none joins the others."""
    if text.count(",") >= max(2, (len(words) - 1) / 2):
        return True
    return len(words) >= 4 and _JOINING_WORDS.isdisjoint(words) and not any(w.endswith("ing") for w in words)


def likeness(one: str, other: str) -> float:
    """How alike two captions are: F1 of their words, 0 to 1."""
    left, right = Counter(words_of(one)), Counter(words_of(other))
    shared = sum((left & right).values())
    total = left.total() + right.total()
    return 2 * shared / total if total else 0.0
