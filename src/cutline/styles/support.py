"""What a text says that its description does not support: things, numbers, names.

A word is a thing where data/objects.txt lists it. A thing is supported where a description (or another
source, such as a further candidate) names it, or names something that implies it (data/implied.txt).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources

OPENING_WORDS = 4
HASHTAG = re.compile(r"#\w+")
_WORD = re.compile(r"[^\W\d_]+(?:'[a-z]+)?")
_PART_OF_TAG = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


def _words_of(*texts: str) -> frozenset[str]:
    return frozenset(" ".join(texts).split())


_NUMBERS = _words_of(
    "two three four five six seven eight nine ten eleven twelve dozen hundred thousand million",
)
_NAMES_OF_ALL = _words_of(
    "i english monday tuesday wednesday thursday friday saturday sunday january february march",
    "april may june july august september october november december",
)
_IRREGULAR = {
    "men": "man", "women": "woman", "children": "child", "people": "person", "feet": "foot", "teeth": "tooth",
    "geese": "goose", "mice": "mouse", "knives": "knife", "leaves": "leaf", "wolves": "wolf",
    "shelves": "shelf", "scarves": "scarf", "calves": "calf", "hooves": "hoof", "wives": "wife",
    "buses": "bus", "glasses": "glasses", "sunglasses": "sunglasses", "gentlemen": "gentleman",
    "policemen": "policeman", "firemen": "fireman", "skis": "ski", "taxis": "taxi", "cookies": "cookie",
    "movies": "movie", "pies": "pie", "ties": "tie", "zombies": "zombie", "shoes": "shoe",
    "canoes": "canoe", "clothes": "clothes", "goggles": "goggles",
}  # fmt: skip


def unsupported(text: str, sources: Iterable[str]) -> tuple[str, ...]:
    """The things, numbers and names of ``text`` that no source supports, sorted; hashtags part by part."""
    given = list(sources)
    stated = {word for source in given for word in words(source)}
    stated |= {number for source in given for number in re.findall(r"\d+", source)}
    things = _things(text) - supported(given)
    numbers = _numbers(text) - stated
    return tuple(sorted(things | numbers | (_names(text) - stated)))


def unsupported_in(text: str, language: str, sources: Iterable[str]) -> tuple[str, ...]:
    """As `unsupported`; of a text in another language than English the figures alone."""
    if is_english(language):
        return unsupported(text, sources)
    stated = {number for source in sources for number in re.findall(r"\d+", source)}
    return tuple(sorted(set(re.findall(r"\d+", text)) - stated))


def is_english(language: str) -> bool:
    """Whether a BCP 47 tag means a kind of English."""
    return language.lower().partition("-")[0] == "en"


def supported(sources: Iterable[str]) -> set[str]:
    """Whatever the sources name or imply, each word as it stands and in its singular."""
    stated = {word for source in sources for word in words(source)}
    stated |= {singular(word) for word in stated}
    return stated.union(*(implied().get(word, ()) for word in stated))


def related(text: str, sources: Iterable[str]) -> bool:
    """Whether a text shares a word with its sources, or with what they imply."""
    return bool(related_words(text, sources))


def related_words(text: str, sources: Iterable[str]) -> set[str]:
    """The words of a text that its sources have or imply; endings do not count, nor do function words."""
    stated = {_stem(word) for word in supported(sources) - function_words()}
    return {word for word in all_words(text) if _stem(singular(word)) in stated}


def words(text: str) -> list[str]:
    """The words of a text in lower case, in order, without 's."""
    return [word.lower().removesuffix("'s") for word in _WORD.findall(text.replace("\u2019", "'"))]


def opening(text: str) -> str:
    """The first four words of a text: captions that share them begin alike."""
    return " ".join(words(text)[:OPENING_WORDS])


def all_words(text: str) -> set[str]:
    """The words of a text, those of its hashtags too."""
    tagged = {part for tag in HASHTAG.findall(text) for part in parts_of_tag(tag)}
    return set(words(HASHTAG.sub(" ", text))) | tagged


def parts_of_tag(tag: str) -> list[str]:
    """The words of a hashtag in camel case, in lower case: #BeachDog has beach and dog."""
    return [part.lower() for part in _PART_OF_TAG.findall(tag)]


def singular(word: str) -> str:
    """The singular of an English noun, by rule."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if re.search(r"(?:ss|x|ch|sh|zz)es$", word) or word.endswith("oes"):
        return word[:-2]
    return (
        word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 3 else word
    )


@cache
def objects() -> frozenset[str]:
    """The words for things that can be seen in a photo, singular."""
    return frozenset(data_lines("objects.txt"))


@cache
def implied() -> Mapping[str, frozenset[str]]:
    """By word: the things that go without saying where it is said."""
    pairs = (line.partition(":") for line in data_lines("implied.txt"))
    return {singular(word): frozenset(map(singular, things.split())) for word, _, things in pairs}


def data_lines(name: str) -> list[str]:
    """The lines of a list in data/, without comments."""
    text = (resources.files("cutline.styles") / "data" / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def _things(text: str) -> set[str]:
    return {singular(word) for word in all_words(text)} & objects()


_ENDING = re.compile(r"(?:ing|ed|es|s|e|ly|y)$")


def _stem(word: str) -> str:
    return _ENDING.sub("", word)


@cache
def function_words() -> frozenset[str]:
    """Words that relate no text to another."""
    return frozenset(data_lines("function_words.txt"))


def _numbers(text: str) -> set[str]:
    return set(words(text)) & _NUMBERS | set(re.findall(r"\d+", text))


def _names(text: str) -> set[str]:
    """Capitalised words that begin no sentence, in lower case."""
    inside = re.findall(r"(?<=[a-z,;] )[A-Z][A-Za-z']+", HASHTAG.sub("", text))
    return {word.split("'")[0].lower() for word in inside}.difference(_NAMES_OF_ALL)
