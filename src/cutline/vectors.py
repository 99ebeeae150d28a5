"""Vectors of photos and texts: kept small, searched exactly, ranked together.

Legend of shapes: N vectors, E numbers in each. A vector has length 1, or is all zeros, which is like nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]
Ints: TypeAlias = NDArray[np.int64]
Key = TypeVar("Key", bound=Hashable)

_KEPT = np.dtype("<f2")  # two bytes a number: a ten-thousandth of likeness is lost
_FUSION = 60  # of reciprocal rank fusion, as its authors chose it
_ALL_PAIRS = 1000  # rows: fewer are compared each with each
_TABLES, _BITS = 24, 12  # two vectors with a likeness of 0.97 share one of the tables but once in 10,000
_NEIGHBOURS = 8  # in a table, each vector is compared with so many that follow it


def unit(rows: Floats) -> Floats:
    """Bring each row to length 1; zeros, and rows that are no numbers, become zeros. [N, E] -> [N, E]"""
    sane = np.where(np.isfinite(rows).all(axis=-1, keepdims=True), rows, 0)
    lengths = np.linalg.norm(sane, axis=-1, keepdims=True)
    return np.divide(sane, np.where(lengths > 0, lengths, 1), dtype=np.float32)


def packed(vector: Floats) -> bytes:
    """One vector as it is kept, [E]."""
    return vector.astype(_KEPT).tobytes()


def unpacked(kept: Sequence[bytes]) -> Floats:
    """Vectors of one length as they were kept, [N, E]."""
    if not kept:
        return np.zeros((0, 0), np.float32)
    rows = np.frombuffer(b"".join(kept), _KEPT).reshape(len(kept), -1)
    return unit(rows.astype(np.float32))


def nearest(rows: Floats, query: Floats, count: int) -> list[tuple[int, float]]:
    """The indices of the rows that are most like the query, with their likeness (cosine), best first.

    rows [N, E], query [E]
    """
    if not len(rows):
        return []
    likeness = rows @ query
    count = min(count, len(rows))
    best = np.argpartition(-likeness, count - 1)[:count]
    best = best[np.lexsort((best, -likeness[best]))]
    return [(int(index), float(likeness[index])) for index in best]


def fused(rankings: Iterable[Sequence[Key]]) -> list[Key]:
    """One ranking of several: reciprocal rank fusion (Cormack et al., 2009)."""
    scores: dict[Key, float] = defaultdict(float)
    for ranking in rankings:
        for rank, key in enumerate(ranking):
            scores[key] += 1 / (_FUSION + rank)
    return sorted(scores, key=lambda key: -scores[key])


def close_pairs(rows: Floats, least: float) -> Ints:
    """Pairs of rows with at least this likeness, each once, by their places, [P, 2].

    Of a thousand rows, each pair is compared. Of more, they are looked for among vectors that lie on the
    same sides of some planes (random hyperplanes: Charikar, 2002), in several tables, so that a hundred
    thousand take seconds. The closest pairs are all found, of those near ``least`` most. rows [N, E]
    """
    if len(rows) <= _ALL_PAIRS:
        return np.argwhere(np.triu(rows @ rows.T >= least, 1))
    found = [np.stack(pair, axis=1) for pair in _pairs(rows, least)]
    return np.unique(np.concatenate(found), axis=0)


def grouped(pairs: Iterable[Sequence[int]]) -> list[list[int]]:
    """Chains of pairs as groups, each in order, by their first."""
    parents: dict[int, int] = {}

    def root(place: int) -> int:
        while parents.setdefault(place, place) != place:
            parents[place] = place = parents[parents[place]]
        return place

    for one, other in pairs:
        first, second = sorted((root(one), root(other)))
        parents[second] = first
    groups: dict[int, list[int]] = defaultdict(list)
    for place in sorted(parents):
        groups[root(place)].append(place)
    return [groups[first] for first in sorted(groups)]


def _pairs(rows: Floats, least: float) -> Iterator[tuple[Ints, Ints]]:
    """Places of rows that are alike, the smaller first; some occur several times."""
    middle = rows.mean(axis=0)
    random = np.random.default_rng(0)
    bits = 1 << np.arange(_BITS)
    for _ in range(_TABLES):
        planes = random.standard_normal((rows.shape[1], _BITS)).astype(np.float32)
        buckets = ((rows @ planes) > (middle @ planes)) @ bits
        # Within a bucket, along one more direction: what is alike stands close together.
        along = rows @ random.standard_normal((rows.shape[1], 1)).astype(np.float32)[:, 0]
        order = np.lexsort((along, buckets))
        for step in range(1, min(_NEIGHBOURS, len(rows) - 1) + 1):
            one, other = order[:-step], order[step:]
            same = buckets[one] == buckets[other]
            one, other = one[same], other[same]
            close = np.einsum("ij,ij->i", rows[one], rows[other]) >= least
            yield np.minimum(one[close], other[close]), np.maximum(one[close], other[close])
