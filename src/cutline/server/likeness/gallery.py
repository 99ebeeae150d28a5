"""Which embeddings stand in the gallery: read from the database once, and again where it has changed.

Two short looks tell whether it has: at how many photos it has and the last that was published, and at the
newest embedding of all. What these do not tell, as where one photo is deleted while another comes back, is
seen after a minute. So a search reads all rows of the gallery seldom. What has left it meanwhile is not
shown: whatever is found must pass a selector.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet

from cutline.server.images import selectors
from cutline.server.likeness.models import Embedding

_FRESH_S = 60.0
_AT_ONCE = 500

_Changes = tuple[int, tuple[datetime | None, UUID] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """The gallery as it was. newest: of all embeddings. numbers: by space those in it, ascending."""

    changes: _Changes = (0, None)
    newest: int = 0
    at: float = float("-inf")
    numbers: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


class Gallery:
    """What a process knows of it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen = _Seen()

    def numbers(self) -> Mapping[str, tuple[int, ...]]:
        """By space, the numbers of the embeddings in the gallery, ascending."""
        with self._lock:
            self._seen = _followed(self._seen)
            return self._seen.numbers

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._seen = _Seen()


def rows() -> QuerySet[Embedding]:
    """The embeddings of the gallery."""
    return Embedding.objects.filter(image__in=selectors.gallery())


def _followed(seen: _Seen) -> _Seen:
    photos = selectors.gallery()
    last = photos.order_by("-published_at", "-pk").values_list("published_at", "pk").first()
    changes = photos.count(), last
    newest = Embedding.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    is_known = changes == seen.changes and time.monotonic() - seen.at < _FRESH_S
    if is_known and newest == seen.newest:
        return seen
    if is_known and newest > seen.newest:
        fresh = Embedding.objects.filter(pk__gt=seen.newest, pk__lte=newest)
        some = list(fresh.values_list("pk", "space", "image_id")[: _AT_ONCE + 1])
        if len(some) <= _AT_ONCE:
            images = set(photos.filter(pk__in={image for _, _, image in some}).values_list("pk", flat=True))
            added = [(number, space) for number, space, image in some if image in images]
            return replace(seen, newest=newest, numbers=_with(seen.numbers, added))
    # Without a bound in the database, which would then read the embeddings themselves, and not an index.
    every = photos.filter(embeddings__isnull=False).values_list("embeddings__pk", "embeddings__space")
    there = [(number, space) for number, space in every if number <= newest]
    return _Seen(changes=changes, newest=newest, at=time.monotonic(), numbers=_with({}, there))


def _with(
    numbers: Mapping[str, tuple[int, ...]], added: Iterable[tuple[int, str]]
) -> Mapping[str, tuple[int, ...]]:
    by_space = defaultdict[str, list[int]](list)
    for number, space in added:
        by_space[space].append(number)
    return {**numbers, **{space: (*numbers.get(space, ()), *sorted(own)) for space, own in by_space.items()}}


gallery = Gallery()
