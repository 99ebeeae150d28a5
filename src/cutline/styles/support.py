"""What a text says that its description does not support: things, numbers, names.

A word is a thing where data/objects.txt lists it. A thing is supported where a description (or another
source, such as a further candidate) names it, or names something that implies it (data/implied.txt). What a
name is, is a guess: see `_names`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources

OPENING_WORDS = 4
HASHTAG = re.compile(r"#\w+")
_WORD = re.compile(r"[^\W\d_]+(?:'[a-z]+)?")
_PART_OF_TAG = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


def _words_of(*texts: str) -> frozenset[str]:
    return frozenset(" ".join(texts).split())


_SMALL = (
    *("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty"),
)
_WORDS_OF_A_THING = 2
# A fire, a thought, a crown: they seldom mean the thing.
_FIGURES = frozenset(
    "\U0001f525\U0001f4ad\U0001f451\u2694\U0001f9e1\U0001f338\U0001f32b\U0001f940\U0001f319\U0001f342\U0001f308"
)
_DIGITS = {word: str(value) for value, word in enumerate(_SMALL, 2)}
_NUMBERS = _words_of(*_DIGITS) | _words_of(
    "thirty forty fifty sixty seventy eighty ninety dozen hundred thousand million billion"
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
    given = _given(tuple(sources))
    said = said_words(text, given.words)
    things = {singular(word) for word in said} & objects() - given.supported
    numbers = {number for number in _numbers(text, said) if _value(number) not in given.values}
    return tuple(sorted(things | numbers | (_names(text, given.supported) - given.words)))


def pictures(text: str, sources: Iterable[str]) -> set[str]:
    """The emoji of a text that show a thing which no source supports: an elephant where there is a dog."""
    given = supported(sources)
    shown = {sign: _shown(sign) for sign in set(text) - _FIGURES}
    return {
        sign
        for sign, things in shown.items()
        if not objects().isdisjoint(things) and things.isdisjoint(given)
    }


@cache
def _shown(sign: str) -> frozenset[str]:
    """What an emoji is called: "dog", of the face of a dog. Long names are not those of things."""
    if unicodedata.category(sign) != "So":
        return frozenset()
    name = unicodedata.name(sign, "").lower().removesuffix(" face").split()
    return frozenset(map(singular, name)) if len(name) <= _WORDS_OF_A_THING else frozenset()


def unsupported_in(text: str, language: str, sources: Iterable[str]) -> tuple[str, ...]:
    """As `unsupported`; of a text in another language than English the figures alone."""
    if is_english(language):
        return unsupported(text, sources)
    stated = {number for source in sources for number in re.findall(r"\d+", source)}
    return tuple(sorted(set(re.findall(r"\d+", text)) - stated))


def is_english(language: str) -> bool:
    """Whether a BCP 47 tag means a kind of English."""
    return language.lower().partition("-")[0] == "en"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """What sources say. values: of their numbers. supported: see `supported`; stems: of the like."""

    words: frozenset[str]
    values: frozenset[str]
    supported: frozenset[str]
    stems: frozenset[str]


@lru_cache(maxsize=64)  # a text is looked at word by word
def _given(sources: tuple[str, ...]) -> _Given:
    stated = {word for source in sources for word in words(source)}
    found = stated | {singular(word) for word in stated}
    found = found.union(*(implied().get(word, ()) for word in found))
    return _Given(
        words=frozenset(stated),
        values=frozenset(_value(each) for source in sources for each in _numbers(source, words(source))),
        supported=frozenset(found),
        stems=frozenset(_stem(word) for word in found - function_words()),
    )


def supported(sources: Iterable[str]) -> frozenset[str]:
    """Whatever the sources name or imply, each word as it stands and in its singular."""
    return _given(tuple(sources)).supported


def related(text: str, sources: Iterable[str]) -> bool:
    """Whether a text shares a word with its sources, or with what they imply."""
    return bool(related_words(text, sources))


def related_words(text: str, sources: Iterable[str]) -> set[str]:
    """The words of a text that its sources have or imply; endings do not count, nor do function words."""
    stems = _given(tuple(sources)).stems
    return {word for word in all_words(text) if _stem(singular(word)) in stems}


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


@lru_cache(maxsize=8192)
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


_ENDING = re.compile(r"(?:ing|ed|es|s|e|ly|y)$")


@lru_cache(maxsize=8192)
def _stem(word: str) -> str:
    return _ENDING.sub("", word)


@cache
def function_words() -> frozenset[str]:
    """Words that relate no text to another."""
    return frozenset(data_lines("function_words.txt"))


def _numbers(text: str, said: Iterable[str]) -> set[str]:
    """The numbers of a text and its words, as they are written."""
    return {word for word in said if singular(word) in _NUMBERS} | set(re.findall(r"\d+", text))


def _value(number: str) -> str:
    """What two ways to write a number have in common."""
    word = singular(number)
    return _DIGITS.get(word, word)


# -- names -----------------------------------------------------------------------------------------------

_SHORTEST = 3  # letters by which a word, or a part of one, is known again
_LONGEST_TAG = 40  # letters of one without capitals that is taken apart
_LATIN = re.compile(r"[A-Za-z\u00aa-\u024f\u1e00-\u1eff]+")
_INSIDE = re.compile(r"[a-z,;&]\s+$")
_VERB = re.compile(r"(?:'s)?[\"\u201d]?\s+(?:\w*[^\Ws]s|had|just|loved|ran|sat)\b|'s\b")
_ENGLISH_ENDING = re.compile(
    r"\w{3,}(?:tion|sion|ness|ment|ity|ive|ing|ed|er|est|ful|less|able|ible|ous|ly|ical|ish|ism|ist|ward|ship"
    r"|age|ence|ance|ize|ise)s?"
)


@cache
def names() -> frozenset[str]:
    """Words that name people, places or brands; with a capital those that do so before a verb alone."""
    return frozenset(" ".join(data_lines("names.txt")).split())


@cache
def _ordinary_words() -> frozenset[str]:
    openers = " ".join(data_lines("openers.txt")).split()
    return frozenset((*data_lines("words.txt"), *data_lines("insults.txt"), *openers))


def said_words(text: str, stated: Collection[str] = ()) -> set[str]:
    """As `all_words`, and the words that make up those parts of hashtags that are none: #beachdog.

    stated: what is a word, too.
    """
    return all_words(text) | {
        piece
        for tag in HASHTAG.findall(text)
        for part in parts_of_tag(tag)
        if not (part in stated or part in names() or _is_ordinary(part))
        for piece in _pieces(part)
    }


def _names(text: str, backed: Collection[str]) -> set[str]:
    """Words that name somebody or something, in lower case, but those that belong to one that is backed.

    Such are those of data/names.txt; what has a capital inside of a sentence; and what is no English word, at
    the beginning of a sentence or in a hashtag. backed: what the sources support.
    """
    body = HASHTAG.sub("", text).replace("\u2019", "'")
    found = {name for match in _WORD.finditer(body) if (name := _name_at(match, backed))}
    found |= {
        part
        for tag in HASHTAG.findall(text)
        for part in parts_of_tag(tag)
        if part in names() or not (_is_ordinary(part) or _pieces(part) or _begins_with_one_of(backed, part))
    }
    return {name for name in found if not _is_kin(name, backed)}


def _name_at(match: re.Match[str], backed: Collection[str]) -> str:
    """The word if it is a name, else nothing."""
    whole = match[0].lower()
    word = match[0].split("'")[0]
    lower = word.lower()
    before, after = match.string[: match.start()], match.string[match.end() :]
    if not _LATIN.fullmatch(word):
        return lower
    if lower in names():
        return "" if before.endswith("-") else lower  # a pun: dill-emma
    if not word[0].isupper() or len(word) == 1 or lower in _NAMES_OF_ALL | _NUMBERS:
        return ""
    if _INSIDE.search(before[-_SHORTEST:]) and not match.string.isupper():
        return lower
    if word in names() and _VERB.match(after):
        return lower
    is_known = whole in _ordinary_words() or _is_ordinary(lower) or len(_pieces(lower)) == 2
    return "" if is_known or _begins_with_one_of(backed, lower) else lower


@lru_cache(maxsize=8192)
def _is_ordinary(word: str) -> bool:
    """Whether it is an English word, as far as one can say that of a rare one."""
    forms = (word, singular(word), _stem(word), f"{_stem(word)}e")
    return not _ordinary_words().isdisjoint(forms) or bool(_ENGLISH_ENDING.fullmatch(word))


def _begins_with_one_of(backed: Collection[str], word: str) -> bool:
    """Whether a word plays on one that is supported: Pawsome, where there is a dog."""
    return any(word[:end] in backed for end in range(_SHORTEST, len(word)))


def _is_kin(name: str, backed: Collection[str]) -> bool:
    """Whether a supported word has nearly the same letters: Europe, where something is European."""
    least = max(_SHORTEST + 1, len(name) - 2)
    return any(word[:least] == name[:least] for word in backed if len(word) >= least)


@lru_cache(maxsize=4096)
def _pieces(part: str) -> tuple[str, ...]:
    """The fewest ordinary words that make up a part of a hashtag; none where it is made of something else."""
    if len(part) > _LONGEST_TAG:
        return ()
    best: list[tuple[str, ...] | None] = [(), *[None] * len(part)]
    for end in range(1, len(part) + 1):
        for start in range(end):
            before, piece = best[start], part[start:end]
            if before is None or not _is_piece(piece):
                continue
            known = best[end]
            if known is None or len(before) + 1 < len(known):
                best[end] = (*before, piece)
    return best[-1] or ()


def _is_piece(piece: str) -> bool:
    return piece in (function_words() if len(piece) < _SHORTEST else _ordinary_words())
