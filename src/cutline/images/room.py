"""Room for decoded pixels: whoever decodes takes it before, by the size that the file declares.

A program that decodes for many at once sets a guard of its own, and so bounds the memory of all its decoders.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TypeAlias

Guard: TypeAlias = Callable[[int], AbstractContextManager[object]]
"""From a photo's pixels to the context in which they may be in memory. One thread may enter several."""

_GIANT_PIXELS = 30_000_000
_ONE_GIANT = threading.RLock()


def _giants_in_turn(pixels: int) -> AbstractContextManager[object]:
    """Let threads decode side by side, but photos of hundreds of megabytes one at a time."""
    return _ONE_GIANT if pixels > _GIANT_PIXELS else nullcontext()


_guard: Guard = _giants_in_turn


def room_for(pixels: int) -> AbstractContextManager[object]:
    """A context in which so many pixels may be in memory; entering it may wait, or raise."""
    return _guard(pixels)


def guard_decoding(guard: Guard) -> None:
    """Have every decoder of this process ask this guard for room, in place of the one before."""
    global _guard
    _guard = guard
