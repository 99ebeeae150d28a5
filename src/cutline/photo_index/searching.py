"""Search an index by words, by meaning and by likeness, and rank what each of them finds together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from cutline.copies import copies
from cutline.photo_index import sentences
from cutline.photo_index.index import Hit, PhotoIndex
from cutline.texts import WORD, plain
from cutline.vectors import Floats, fused, nearest

_LOOKED_AT = 500  # of each ranking
# Words that carry the grammar, and say nothing of a photo.
_GRAMMAR_WORDS = """a an the of on in at with and or to is are was be being its it his her their this that by
from for some there photo picture image"""
_GRAMMAR = frozenset(_GRAMMAR_WORDS.split())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Query:
    """What is looked for: words of captions, vectors in the space of a model, and what captions mean."""

    words: Sequence[str] = ()
    meaning: str = ""  # compared with captions, by the extra
    vectors: Sequence[Floats] = ()
    space: str = ""


def words_of(text: str) -> list[str]:
    """The words of a text that may say something of a photo, without accents; all, where none does."""
    words = list(dict.fromkeys(WORD.findall(plain(text))))
    return [word for word in words if word not in _GRAMMAR] or words


def search(index: PhotoIndex, query: Query, *, count: int, leave_out: str = "") -> list[Hit]:
    """The photos that fit best, at most ``count``. leave_out: the path of a photo that is not one of them."""
    rankings: list[Sequence[int]] = []
    likeness: dict[int, float] = {}
    most = max(_LOOKED_AT, count + 1)
    if query.words:
        rankings.append(index.with_words(query.words, most))
    if query.meaning:
        rankings.append(_meaning(index, query.meaning, most))
    if query.vectors:
        numbers, rows = index.vectors(query.space)
        for vector in query.vectors:
            found = [(numbers[at], value) for at, value in nearest(rows, vector, most)]
            rankings.append([number for number, _ in found])
            likeness = dict(found)
    best = rankings[0] if len(rankings) == 1 else fused(rankings)
    hits = index.hits(best[: count + 1], likeness)
    return [hit for hit in hits if not leave_out or hit.path != leave_out][:count]


def _meaning(index: PhotoIndex, text: str, most: int) -> list[int]:
    found = sentences.load()
    numbers, rows = index.sentences(found.embed, sentences.MODEL)
    near = nearest(rows, found.embed([text])[0], most)
    return [numbers[at] for at, likeness in near if likeness >= sentences.LEAST]


def duplicates(index: PhotoIndex, space: str, *, count: int) -> list[list[Hit]]:
    """Groups of copies, the largest first, at most ``count``. ``likeness`` is to the first of the group."""
    numbers, rows = index.vectors(space)
    groups = copies(rows, lambda places: index.thumbnails([numbers[at] for at in places]))
    groups.sort(key=lambda group: (-len(group), group[0]))
    found = (
        index.hits(
            [numbers[at] for at in group],
            {numbers[at]: float(np.dot(rows[group[0]], rows[at])) for at in group},
        )
        for group in groups
    )
    return list(islice((hits for hits in found if len(hits) > 1), count))
