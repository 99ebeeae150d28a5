"""Memory for photos: of their files, and of their pixels. One budget of each for the whole process.

Whatever decodes (uploads, POST /caption, workers, renditions, fetched photos) passes `images.open_image`,
which asks `guard` for room before a pixel is read. Files come first, pixels second: nobody who holds pixels
waits for room for a file.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import ContextVar

from cutline.images import guard_decoding
from cutline.server.config import settings
from cutline.server.shares import FairBudget, Payer
from cutline.server.transactions import lend_connection

_LEAST_PIXELS = 1_000_000  # of what a photo is counted as
_LEAST_BYTES = 2**20
_M_MMAP_THRESHOLD = -3  # of malloc.h
_LARGE_BYTES = 2**20  # what is larger gets pages of its own, which go when it does
_PAYER: ContextVar[Payer] = ContextVar("payer", default=Payer())  # noqa: B039  # it is frozen

_PIXELS = FairBudget(
    "decoding of photos",
    total=lambda: settings().pixels_in_memory,
    at_once=lambda: 2 * max(2, os.cpu_count() or 1),
    before_waiting=lend_connection,
)
_BYTES = FairBudget(
    "reading of photos",
    total=lambda: 4 * settings().max_upload_bytes,
    at_once=lambda: 64,
    before_waiting=lend_connection,
)


class _Holding(threading.local):
    pixels = False


_holding = _Holding()


@contextmanager
def on_behalf_of(payer: Payer) -> Iterator[None]:
    """Whoever reads or decodes a photo in this context does so for this payer."""
    before = _PAYER.set(payer)
    try:
        yield
    finally:
        _PAYER.reset(before)


def payer() -> Payer:
    """On whose behalf this context works."""
    return _PAYER.get()


def room_for_file(size_bytes: int) -> AbstractContextManager[None]:
    """A context in which a file may be in memory. Entering it may wait. Raises ServiceUnavailable."""
    return _BYTES.taken(max(_LEAST_BYTES, size_bytes), _PAYER.get())


@contextmanager
def guard(pixels: int) -> Iterator[None]:
    """Room for so many pixels; a thread that has some gets more within it. Raises ServiceUnavailable."""
    if _holding.pixels:
        yield
        return
    with _PIXELS.taken(max(_LEAST_PIXELS, pixels), _PAYER.get()):
        _holding.pixels = True
        try:
            yield
        finally:
            _holding.pixels = False


def install() -> None:
    """Have every decoder of this process ask for room here, and give it back to the system afterwards."""
    guard_decoding(guard)
    with suppress(OSError, AttributeError):  # another C library than glibc
        # glibc would learn from large photos to keep their memory, in each of many threads' arenas.
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
