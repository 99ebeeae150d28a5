"""Names that an encoder's ImageNet head knows and captions hardly hold: espresso, tabby cat, pagoda.

Nobody's caption teaches a captioner to say them. So copies of captions without photos have them in the place
of a more general word ("a coffee" -> "an espresso"), and so have the captions of photos in which ImageNet's
head is sure of one (pseudo-labels, as Lee, 2013).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import resources

import numpy as np

_VOWELS = "aeiou"


@dataclass(frozen=True)
class ClassName:
    """One name: what is said, the ImageNet classes that it covers, and the words that people say instead."""

    said: str
    classes: tuple[int, ...]
    instead_of: tuple[str, ...]

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The words of the name."""
        return tuple(self.said.split())

    @cached_property
    def _general(self) -> re.Pattern[str]:
        words = "|".join(map(re.escape, self.instead_of))
        return re.compile(rf"\b(?:(an?)\s+)?(?:{words})\b(?![-'])", re.IGNORECASE)

    def put_into(self, caption: str) -> str | None:
        """The caption, the name in place of its first general word; None where it has none, or the name."""
        found = self._general.search(caption)
        if found is None or set(self.words) & set(caption.lower().split()) - set(self.instead_of):
            return None
        article = found[1]
        if article is None:
            return caption[: found.start()] + self.said + caption[found.end() :]
        right = "an" if self.said[0] in _VOWELS else "a"
        right = right.capitalize() if article[0].isupper() else right
        return f"{caption[: found.start()]}{right} {self.said}{caption[found.end() :]}"

    def put_into_any(self, captions: Sequence[str]) -> tuple[str, ...] | None:
        """The captions, with the name where they have a general word; None where none has one."""
        changed = [self.put_into(caption) for caption in captions]
        if not any(changed):
            return None
        return tuple(new or old for new, old in zip(changed, captions, strict=True))


@lru_cache(maxsize=1)
def class_names() -> tuple[ClassName, ...]:
    """All names, in the order of ImageNet's classes or nearly so."""
    rows = json.loads(resources.files(__package__).joinpath("class_names.json").read_text(encoding="utf-8"))
    return tuple(
        ClassName(said=row["said"], classes=tuple(row["classes"]), instead_of=tuple(row["instead_of"]))
        for row in rows
    )


def class_words(known: Iterable[str] = ()) -> list[str]:
    """The words of all names that are not ``known``, each once."""
    left_out = set(known)
    return [
        word
        for word in dict.fromkeys(w for name in class_names() for w in name.words)
        if word not in left_out
    ]


def classes_of_words(words: Iterable[str]) -> Mapping[str, tuple[int, ...]]:
    """For each of the words that a name contains, the classes of the names that do."""
    wanted = set(words)
    found: dict[str, tuple[int, ...]] = {}
    for name in class_names():
        for word in wanted.intersection(name.words):
            found[word] = (*found.get(word, ()), *name.classes)
    return found


def captions_with_names(
    captions: Sequence[Sequence[str]], *, copies: int, seed: int
) -> list[tuple[int, tuple[str, ...]]]:
    """Captions with a name in the place of a general word: ``copies`` for each name whose words any has.

    captions: of each photo. Returns whose captions each copy has, by place, and the copy.
    """
    rng = np.random.default_rng(seed)
    holding = _photos_by_word(captions)
    made: list[tuple[int, tuple[str, ...]]] = []
    for name in class_names():
        places = sorted({place for word in name.instead_of for place in holding.get(word, ())})
        for place in rng.choice(places, copies, replace=len(places) < copies) if places else ():
            changed = name.put_into_any(captions[place])
            if changed is not None:
                made.append((int(place), changed))
    return made


def _photos_by_word(captions: Sequence[Sequence[str]]) -> Mapping[str, list[int]]:
    """Where each general word stands."""
    general = {word for name in class_names() for word in name.instead_of}
    found: dict[str, list[int]] = {}
    for place, each in enumerate(captions):
        for word in general.intersection(" ".join(each).lower().split()):
            found.setdefault(word, []).append(place)
    return found
