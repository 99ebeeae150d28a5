"""What captions say of people: words that are never written, guesses that are not, and sexes only where sure.

Whatever may not be written is no candidate in the search. A word that says a sex is found as the model would
say it, and then another word is put in its place: so the rest of the sentence stays what it was.

Shapes: T tokens, V vocabulary.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from cutline.captioning.tokenizer import Words
from cutline.strict import parse_json

Flags: TypeAlias = NDArray[np.bool_]
Floats: TypeAlias = NDArray[np.float32]
TokenOf: TypeAlias = Callable[[str], int | None]

_PRONOUNS = frozenset(("he", "him", "himself", "his", "her", "herself", "she"))
_OBJECT_OF = frozenset(
    ("and", "as", "at", "by", "for", "from", "in", "is", "on", "over", "to", "while", "with")
)
_ANIMALS = frozenset(
    ("animal", "bear", "bird", "cat", "cow", "dog", "dogs", "elephant", "giraffe", "horse", "kitten", "puppy")
)
_FOR_ANIMALS = {"his": "its", "her": "its", "him": "it", "himself": "itself", "herself": "itself"}
_ONE = frozenset(("a", "an", "the"))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lists:
    never_said: tuple[str, ...]
    guesses: tuple[str, ...]
    guesses_of_people: tuple[str, ...]
    people: tuple[str, ...]
    male: Mapping[str, str]
    female: Mapping[str, str]

    def neutral(self, word: str) -> str | None:
        """What is written in place of a word that says a sex; None for other words."""
        return self.male.get(word) or self.female.get(word)


@cache
def _lists() -> _Lists:
    text = (resources.files("cutline.captioning") / "wording.toml").read_text(encoding="utf-8")
    return parse_json(_Lists, tomllib.loads(text))


def words_for_sexes() -> tuple[frozenset[str], frozenset[str]]:
    """The words that say a sex: for males, and for females."""
    lists = _lists()
    return frozenset(lists.male), frozenset(lists.female)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Wording:
    """The lists as tokens of a model, each [V]. A word that the model writes in several tokens is in none.

    ``banned`` are no candidates; a token of ``people`` is none after one of ``guesses_of_people``. ``male``
    and ``female`` say a sex.
    """

    banned: Flags
    guesses_of_people: Flags
    people: Flags
    male: Flags
    female: Flags


def wording_of(
    token_of: TokenOf, vocabulary: int, *, is_safe: bool, never_said: Sequence[str] | None = None
) -> Wording:
    """The lists for a model. token_of: the one token of a word. never_said: in place of our own list."""
    lists = _lists()

    def flags(words: Iterable[str]) -> Flags:
        found = np.zeros(vocabulary, bool)
        found[[token for token in map(token_of, words) if token is not None]] = True
        return found

    nothing: tuple[str, ...] = ()
    never = lists.never_said if never_said is None else never_said
    return Wording(
        banned=flags((*never, *(lists.guesses if is_safe else nothing))),
        guesses_of_people=flags(lists.guesses_of_people if is_safe else nothing),
        people=flags(lists.people if is_safe else nothing),
        male=flags(lists.male if is_safe else nothing),
        female=flags(lists.female if is_safe else nothing),
    )


def without_unsure_sexes(words: Words, sexes: Floats, *, least: float, given: int = 0) -> Words:
    """The words, with others where the model is not sure enough of a sex; the first ``given`` tokens stay.

    sexes [T, 2]: the probability of words for males and for females where each token was written. A sex is
    sure where it has ``least`` of both. A pronoun goes with the sentence's words for people.
    """
    lists = _lists()
    texts = [each.lower() for each in words.words]
    said = [
        place
        for place, (text, (start, _)) in enumerate(zip(texts, words.spans, strict=True))
        if lists.neutral(text) and start >= given
    ]
    nouns = [place for place in said if texts[place] not in _PRONOUNS]
    unsure = {
        place for place in said if not _is_sure(lists, texts[place], sexes[words.spans[place][0]], least)
    }
    for one, other in _pairs(lists, texts, nouns):
        unsure = unsure | {one} if other in unsure else unsure - {one}
    if nouns:
        pronouns = set(said) - set(nouns)
        unsure = unsure | pronouns if unsure.intersection(nouns) else unsure - pronouns
    replaced = list(words.words)
    for place in unsure:
        replaced[place] = _replacement(lists, texts, place, has_people=bool(nouns))
    return _joined_pairs(replaced, words.spans, unsure.intersection(nouns))


def _is_sure(lists: _Lists, word: str, sexes: Floats, least: float) -> bool:
    male, female = (float(each) for each in sexes)
    own = male if word in lists.male else female
    return own >= least * (male + female)


def _pairs(lists: _Lists, texts: Sequence[str], nouns: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The places of "a man and a woman": which of both comes first says nothing, the second one tells."""
    for one, other in pairwise(nouns):
        are_two = (texts[one] in lists.male) != (texts[other] in lists.male)
        if are_two and other - one <= 3 and "and" in texts[one:other]:
            yield one, other


def _replacement(lists: _Lists, texts: Sequence[str], place: int, *, has_people: bool) -> str:
    text = texts[place]
    following = texts[place + 1] if place + 1 < len(texts) else ""
    if text in _PRONOUNS and not has_people and _ANIMALS.intersection(texts):
        return _FOR_ANIMALS.get(text, "it")
    if text == "her" and (not following or following in _OBJECT_OF):
        return "them"
    return lists.neutral(text) or text


def _joined_pairs(words: list[str], spans: Sequence[tuple[int, int]], changed: set[int]) -> Words:
    """Make "two people" of "a person and a person", and "people" of "people and people"."""
    made: list[tuple[str, tuple[int, int]]] = []
    place = 0
    while place < len(words):
        end, texts = _pair_at(words, place, changed)
        if end == place:
            made.append((words[place], spans[place]))
            place += 1
            continue
        first = [spans[place + number] for number in range(len(texts) - 1)]
        starts = [*first, (spans[place + len(texts) - 1][0], spans[end - 1][1])]
        made += zip(texts, starts, strict=True)
        place = end
    return Words(words=tuple(text for text, _ in made), spans=tuple(span for _, span in made))


_SEVERAL = {"person": "people", "child": "children", "police officer": "police officers"}


def _pair_at(words: Sequence[str], place: int, changed: set[int]) -> tuple[int, tuple[str, ...]]:
    """Where a pair of equals that begins here ends, and what is written for it; here, where none begins."""
    texts = [each.lower() for each in words[place : place + 5]]
    if len(texts) >= 4 and texts[0] in _ONE and texts[2] == "and" and texts[1] in _SEVERAL:
        end = 5 if texts[3] in _ONE else 4
        is_changed = {place + 1, place + end - 1} <= changed
        if len(texts) >= end and texts[end - 1] == texts[1] and is_changed:
            return place + end, ("two", _SEVERAL[texts[1]])
    if len(texts) >= 3 and texts[1] == "and" and texts[0] == texts[2] and {place, place + 2} <= changed:
        return place + 3, (texts[0],)
    return place, ()
