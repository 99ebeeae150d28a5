"""The boxes of HEIC, AVIF and CR3 files (ISO/IEC 14496-12 and 23008-12), as far as they are read here."""

from __future__ import annotations

from collections.abc import Iterator

_MAX_BOXES = 20_000
_PATH = (b"meta", b"iprp", b"ipco")  # where the properties of images stand


def properties(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The properties of all images in a file, as (type, content). Stops where the file is damaged."""
    start, end = 0, len(data)
    for wanted in _PATH:
        found = next((span for kind, *span in boxes(data, start, end) if kind == wanted), None)
        if found is None:
            return
        start, end = found
        start += 4 if wanted == b"meta" else 0  # its version and flags
    for kind, first, last in boxes(data, start, end):
        yield kind, data[first:last]


def boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """The boxes between two places: type, and where their content begins and ends."""
    for _ in range(_MAX_BOXES):
        if start + 8 > end:
            return
        size, header = int.from_bytes(data[start : start + 4], "big"), 8
        kind = data[start + 4 : start + 8]
        if size == 1:
            size, header = int.from_bytes(data[start + 8 : start + 16], "big"), 16
        elif size == 0:
            size = end - start
        if size < header or start + size > end:
            return
        yield kind, start + header, start + size
        start += size
