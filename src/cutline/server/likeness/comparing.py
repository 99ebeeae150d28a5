"""Copies in a library: of a large one they are looked for in the background, and kept for all processes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from django.core.cache import cache
from django.db import connection

from cutline.server.likeness.shelves import Shelf

logger = logging.getLogger(__name__)

Groups = Sequence[Sequence[UUID]]

_FEW = 5000  # vectors: their copies are found in tenths of a second
_KEPT_S = 24 * 3600
_TURN_S = 300  # then whoever began is taken for dead
_pool = ThreadPoolExecutor(1, thread_name_prefix="cutline-copies")


def copies_of(owner_id: UUID, shelf: Shelf) -> Groups | None:
    """Groups of an owner's photos that are copies of each other; None where nobody has looked yet.

    Of a large library that has changed since, those that were found before, while it is looked at again.
    """
    if len(shelf.numbers) <= _FEW:
        return shelf.copies
    key = f"cutline.likeness.copies:{owner_id.hex}"
    rows = shelf.space, hash(shelf.numbers)  # of numbers: the same in all processes
    kept: tuple[tuple[str, int], Groups] | None = cache.get(key)
    if kept is not None and kept[0] == rows:
        return kept[1]
    if cache.add(_turn(key), 1, timeout=_TURN_S):
        _pool.submit(_compare, key, rows, shelf)
    return kept[1] if kept is not None and kept[0][0] == shelf.space else None


def _turn(key: str) -> str:
    return f"{key}.turn"


def _compare(key: str, rows: tuple[str, int], shelf: Shelf) -> None:
    try:
        cache.set(key, (rows, shelf.copies), timeout=_KEPT_S)
    except Exception:  # of the database or the cache: whoever asks next tries again
        logger.exception("Copies could not be compared.")
    finally:
        cache.delete(_turn(key))
        connection.close()
