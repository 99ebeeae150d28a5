"""How much the captions of each author count, and no more than so much from anybody."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from cutline.learning.texts import likeness

_ALIKE = 0.4  # how alike two people's captions of one photo usually are, by F1 of their words
_UNKNOWN, _DOUBT = 0.6, 2.0  # what is supposed of those who agreed with nobody yet, and how firmly
_GROWN_DAYS = 30.0
_FEW = 2.0


def trust(
    authors: Sequence[str], photos: Sequence[str], texts: Sequence[str], ages: Mapping[str, float]
) -> dict[str, float]:
    """How much each author is trusted, 0 to 1, by the captions of all: by agreement, age and number.

    Agreement: how alike their captions are to those of others of the same photo, as far as there are any.
    Age: an account has its full weight after a month. Number: one caption alone tells little of somebody.
    """
    by_photo: dict[str, list[int]] = defaultdict(list)
    for place, photo in enumerate(photos):
        by_photo[photo].append(place)
    agreed: dict[str, float] = defaultdict(float)
    compared = Counter[str]()
    for places in by_photo.values():
        for place in places:
            others = [texts[each] for each in places if authors[each] != authors[place]]
            if others:
                best = max(likeness(texts[place], other) for other in others)
                agreed[authors[place]] += min(1.0, best / _ALIKE)
                compared[authors[place]] += 1
    numbers = Counter(authors)
    return {
        author: (_UNKNOWN * _DOUBT + agreed[author])
        / (_DOUBT + compared[author])
        * (0.5 + 0.5 * min(1.0, ages.get(author, _GROWN_DAYS) / _GROWN_DAYS))
        * (number + 1)
        / (number + _FEW)
        for author, number in numbers.items()
    }


def most_from_each(counts: Sequence[int], share: float) -> int:
    """How many each may give, so that nobody gives more than ``share`` of what is then taken."""
    return max(
        (most for most in range(1, max(counts, default=0) + 1) if _fits(counts, most, share)), default=0
    )


def _fits(counts: Sequence[int], most: int, share: float) -> bool:
    return min(most, max(counts)) <= share * sum(min(count, most) for count in counts) + 1e-9


def capped(weights: Sequence[float], owners: Sequence[str], share: float) -> list[float]:
    """Weights, with those of each owner scaled down so that they are at most ``share`` of all.

    With fewer owners than 1 / share, that is not possible: then all owners get the same.
    """
    totals: dict[str, float] = defaultdict(float)
    for owner, weight in zip(owners, weights, strict=True):
        totals[owner] += weight
    if not totals:
        return []
    if len(totals) * share <= 1:
        most = min(totals.values())
    else:
        low, high = 0.0, float(max(totals.values()))
        for _ in range(60):
            most = (low + high) / 2
            fits = most <= share * sum(min(total, most) for total in totals.values())
            low, high = (most, high) if fits else (low, most)
        most = low
        if max(totals.values()) <= share * sum(totals.values()):
            most = max(totals.values())
    return [
        weight * min(1.0, most / totals[owner]) if totals[owner] else 0.0
        for owner, weight in zip(owners, weights, strict=True)
    ]
