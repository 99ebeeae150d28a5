"""Vectors in memory, searched exactly: for databases that do not compare vectors themselves.

A shelf has what may be searched together: an owner's photos, or those of the gallery. It follows the database
at each search, and is forgotten when nobody has used it for a while. Whatever is found on one is shown only
if a selector still has it: what is gone may stay on a shelf for a moment, but nobody sees it.
"""

from __future__ import annotations

import base64
import binascii
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from uuid import UUID

import numpy as np
from django.db.models import QuerySet

from cutline.copies import Thumbnail, copies, thumbnail
from cutline.errors import CutlineError
from cutline.images import open_image
from cutline.server.images.models import Image
from cutline.server.likeness.models import Embedding
from cutline.vectors import Floats, nearest, unpacked

_MOST_BYTES = 512 * 2**20  # of all shelves of a process
_IDLE_S = 600.0
_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What changes when rows come or go: their space, how many they are, and the newest of them.

    numbers: all of them, ascending, where these two do not tell; then the rows may be more than those.
    """

    space: str
    number: int
    last: int
    numbers: tuple[int, ...] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Shelf:
    """Rows of one space in the order of their numbers, as they were at one moment."""

    space: str = ""
    numbers: tuple[int, ...] = ()
    image_ids: tuple[UUID, ...] = ()
    rows: Floats = field(default_factory=lambda: np.zeros((0, 0), np.float32))

    def nearest(self, query: Floats, count: int) -> list[tuple[UUID, float]]:
        """The photos nearest to a vector, with their likeness."""
        return [(self.image_ids[at], value) for at, value in nearest(self.rows, query, count)]

    @cached_property
    def copies(self) -> list[list[UUID]]:
        """Groups of photos that are copies of each other, as far as their placeholders tell."""
        groups = copies(self.rows, lambda places: _thumbnails([self.image_ids[at] for at in places]))
        return [[self.image_ids[at] for at in group] for group in groups]


@dataclass(slots=True, kw_only=True)
class _Place:
    """Where a shelf stands. Who holds `lock` may put another one there."""

    shelf: Shelf
    used: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)


class Shelves:
    """The shelves of a process, by a key: those that were used last stay."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._places: OrderedDict[object, _Place] = OrderedDict()

    def of(self, key: object, stamp: Stamp, rows: QuerySet[Embedding]) -> Shelf:
        """A shelf with these rows, as they are now; all are of one space, and stamp is theirs."""
        with self._lock:
            place = self._places.setdefault(key, _Place(shelf=Shelf()))
            self._places.move_to_end(key)
            place.used = time.monotonic()
        with place.lock:
            place.shelf = shelf = _followed(place.shelf, stamp, rows)
        self._make_room(key)
        return shelf

    def forget(self, image_ids: Sequence[UUID]) -> None:
        """Forget photos that are gone for good."""
        gone = set(image_ids)
        with self._lock:
            places = list(self._places.values())
        for place in places:
            with place.lock:
                if not gone.isdisjoint(place.shelf.image_ids):
                    kept = [at for at, each in enumerate(place.shelf.image_ids) if each not in gone]
                    place.shelf = _of(place.shelf, kept)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._places.clear()

    def _make_room(self, kept: object) -> None:
        """Forget what was not used for long, and then the oldest, until the rest fits."""
        with self._lock:
            size = sum(place.shelf.rows.nbytes for place in self._places.values())
            for key, place in list(self._places.items()):
                is_idle = time.monotonic() - place.used > _IDLE_S
                if key != kept and (is_idle or size > _MOST_BYTES):
                    size -= place.shelf.rows.nbytes
                    del self._places[key]


def _followed(shelf: Shelf, stamp: Stamp, rows: QuerySet[Embedding]) -> Shelf:
    """The shelf as the rows are now: what is new is added; where rows went, all numbers are compared."""
    if not stamp.number:
        return Shelf()
    if shelf.space != stamp.space:
        shelf = Shelf(space=stamp.space)
    if stamp.numbers is not None:
        return shelf if shelf.numbers == stamp.numbers else _with_just(shelf, set(stamp.numbers), rows)
    last = shelf.numbers[-1] if shelf.numbers else 0
    if stamp.last > last:
        shelf = _with(shelf, [rows.filter(pk__gt=last)])
    if len(shelf.numbers) == stamp.number:
        return shelf
    return _with_just(shelf, set(rows.values_list("pk", flat=True)), rows)


def _with_just(shelf: Shelf, there: set[int], rows: QuerySet[Embedding]) -> Shelf:
    """The shelf with the rows of these numbers."""
    shelf = _of(shelf, [at for at, number in enumerate(shelf.numbers) if number in there])
    missing = sorted(there.difference(shelf.numbers))  # as another owner's, until they were claimed
    if not missing:
        return shelf
    starts = range(0, len(missing), _AT_ONCE)
    shelf = _with(shelf, [rows.filter(pk__in=missing[start : start + _AT_ONCE]) for start in starts])
    return _of(shelf, sorted(range(len(shelf.numbers)), key=shelf.numbers.__getitem__))


def _with(shelf: Shelf, parts: Sequence[QuerySet[Embedding]]) -> Shelf:
    found = [each for rows in parts for each in rows.order_by("pk").values_list("pk", "image_id", "vector")]
    vectors = [bytes(kept) for _, _, kept in found]
    width = max([2 * shelf.rows.shape[1], *map(len, vectors)])
    if not width:
        return shelf
    fresh = unpacked([each or bytes(width) for each in vectors])  # zeros: the model could not read it
    return Shelf(
        space=shelf.space,
        numbers=(*shelf.numbers, *(number for number, _, _ in found)),
        image_ids=(*shelf.image_ids, *(image_id for _, image_id, _ in found)),
        rows=np.concatenate([shelf.rows, fresh]) if shelf.rows.size else fresh,
    )


def _of(shelf: Shelf, places: Sequence[int]) -> Shelf:
    return Shelf(
        space=shelf.space,
        numbers=tuple(shelf.numbers[at] for at in places),
        image_ids=tuple(shelf.image_ids[at] for at in places),
        rows=shelf.rows[list(places)],
    )


def _thumbnails(image_ids: Sequence[UUID]) -> list[Thumbnail | None]:
    """The placeholders of images, as thumbnails; None for one that has none, or is gone."""
    found: dict[UUID, Thumbnail] = {}
    for start in range(0, len(image_ids), _AT_ONCE):
        some = Image.objects.filter(pk__in=image_ids[start : start + _AT_ONCE])
        for pk, placeholder in some.values_list("pk", "placeholder"):
            with suppress(CutlineError, binascii.Error):
                found[pk] = thumbnail(open_image(base64.b64decode(placeholder.partition(",")[2])))
    return [found.get(image_id) for image_id in image_ids]


shelves = Shelves()


def forget_images(image_ids: Sequence[UUID]) -> None:
    """Photos are gone for good: `images` says so."""
    shelves.forget(image_ids)
