"""PNG files whose chunks would cost the photo, though no pixel depends on them."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

logger = logging.getLogger("cutline.images")

_PROFILE = b"iCCP"
_END = (b"IDAT", b"IEND")
_FOR_PIXELS = frozenset({b"tRNS", b"acTL", b"fcTL", b"fdAT"})  # ancillary by name, but pixels depend on them
_LEAST_BYTES: Mapping[bytes, int] = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"cICP": 4, b"pHYs": 9}
_NAMES: Mapping[bytes, str] = {_PROFILE: "colour profile"}
_MAX_PILLOW_BYTES = 2**20  # of a profile: Pillow refuses a PNG with a larger one


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadablePng:
    """A PNG as Pillow reads it, and its profile where that was taken out, being too large for Pillow."""

    data: bytes
    profile: bytes | None = None


def readable(data: bytes, name: str, *, max_profile_bytes: int) -> ReadablePng:
    """The same PNG without damaged chunks before its picture that no pixel depends on, each with a warning.

    A profile of more than `max_profile_bytes` is cut off one byte behind them.
    """
    left_out, profile = [], None
    for kind, start, end in _chunks(data):
        try:
            _check(data, kind, start, end)
            found = _profile(data[start:end], max_profile_bytes) if kind == _PROFILE else b""
            if len(found) <= _MAX_PILLOW_BYTES:
                continue
            profile = found
        except (ValueError, zlib.error) as error:
            what = _NAMES.get(kind) or f"chunk {kind.decode('latin-1')}"
            logger.warning("%s: its %s cannot be used (%s); it is opened without it.", name, what, error)
        left_out.append((start - 8, end + 4))
    return ReadablePng(data=_without(data, left_out) if left_out else data, profile=profile)


def content(data: bytes, wanted: bytes) -> bytes | None:
    """The content of the first chunk of a kind; None where there is none before the picture."""
    return next((data[start:end] for kind, start, end in _chunks(data) if kind == wanted), None)


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of the content of each chunk before the picture."""
    at = 8
    while (end := at + 8 + int.from_bytes(data[at : at + 4], "big")) + 4 <= len(data):
        kind = data[at + 4 : at + 8]
        if kind in _END:
            return
        yield kind, at + 8, end
        at = end + 4


def _check(data: bytes, kind: bytes, start: int, end: int) -> None:
    """Raises ValueError for a damaged chunk that no pixel depends on."""
    if not kind[:1].islower() or kind in _FOR_PIXELS:
        return
    if end - start < _LEAST_BYTES.get(kind, 0):
        raise ValueError("it is cut short")
    if zlib.crc32(memoryview(data)[start - 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
        raise ValueError("its checksum is wrong")


def _profile(chunk: bytes, max_bytes: int) -> bytes:
    """The profile in the content of an iCCP chunk. Raises ValueError or zlib.error."""
    _, mark, rest = chunk.partition(b"\0")
    if not mark or not rest:
        raise ValueError("it is cut short")
    if rest[0]:
        raise ValueError(f"its compression method {rest[0]} is unknown")
    profile = zlib.decompressobj().decompress(rest[1:], max_bytes + 1)
    if not profile:
        raise ValueError("it is empty")
    return profile


def _without(data: bytes, places: list[tuple[int, int]]) -> bytes:
    starts, ends = zip(*places, strict=True)
    kept = zip((0, *ends), (*starts, len(data)), strict=True)
    return b"".join(data[start:end] for start, end in kept)
