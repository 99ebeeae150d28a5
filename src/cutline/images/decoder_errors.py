"""Decoders run quietly, and what a damaged file makes them raise becomes one ImageError."""

from __future__ import annotations

import re
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator, MutableSequence
from contextlib import contextmanager
from typing import Any, cast

from PIL import Image

from cutline.errors import ImageTooLarge, UnreadableImage

# What decoders raise when bytes lie to them. Long, because each plugin trusts the file in its own way.
DECODER_ERRORS = (
    OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, AttributeError, ArithmeticError,
    RuntimeError, AssertionError, struct.error, zlib.error,
)  # fmt: skip


@contextmanager
def decoding(name: str, kind: str) -> Iterator[None]:
    """Runs Pillow quietly, and turns whatever a damaged file makes it raise into one ImageError."""
    try:
        with _QUIET:
            yield
    except (Image.DecompressionBombError, MemoryError) as error:
        raise ImageTooLarge(f"{name} needs too much memory.") from error
    except DECODER_ERRORS as error:
        reason = " ".join(str(error).split())  # some end their lines
        raise UnreadableImage(
            f"{name} looks like {kind} but is damaged or cut short ({reason}).",
            hint="Download or export it again.",
        ) from error


class _QuietPillow:
    """Silences Pillow's warnings about metadata, which we throw away, while any thread is inside.

    `warnings.catch_warnings` would replace the list of filters that other threads use, too; this adds one
    filter and removes it.
    """

    _FILTER = ("ignore", None, Warning, re.compile(r"PIL\.|pillow_heif"), 0)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            filters = cast("MutableSequence[Any]", warnings.filters)
            if not (filters and filters[0] == self._FILTER):
                filters.insert(0, self._FILTER)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                filters = cast("MutableSequence[Any]", warnings.filters)
                while self._FILTER in filters:
                    filters.remove(self._FILTER)


_QUIET = _QuietPillow()
