"""The directories of TIFF files, EXIF and most raw photos (TIFF 6.0, TIFF/EP, DNG), read without trust.

Damage ends the reading; it raises nothing. Counts and offsets are checked against the data before use.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

ByteOrder: TypeAlias = Literal["little", "big"]

# Beside TIFF's own: Panasonic's RW2, and Olympus' ORF in three variants.
MAGIC: Mapping[bytes, ByteOrder] = {
    b"II*\0": "little",
    b"MM\0*": "big",
    b"IIU\0": "little",
    b"IIRO": "little",
    b"IIRS": "little",
    b"MMOR": "big",
}
SUB_IFDS, EXIF_IFD = 330, 34665
SHORT, LONG = 3, 4
TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 129: 1}
_NUMBER_BYTES = {1: 1, 3: 2, 4: 4, 13: 4}
_MAX_DIRECTORIES = 64
_MAX_ENTRIES = 4096
_MAX_NUMBERS = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A tag's value: its type, how many, and where its bytes stand."""

    type: int
    count: int
    at: int

    @property
    def bytes(self) -> int:
        """The length of the value."""
        return TYPE_BYTES[self.type] * self.count


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """One directory (IFD) in a file's data."""

    data: bytes
    order: ByteOrder
    at: int  # where it stands
    entries: Mapping[int, Entry]
    is_main: bool  # whether it is in the chain of the file's header

    def raw(self, tag: int) -> bytes:
        """A tag's bytes; b"" where it is missing."""
        entry = self.entries.get(tag)
        return self.data[entry.at : entry.at + entry.bytes] if entry else b""

    def numbers(self, tag: int) -> list[int]:
        """A tag's whole numbers; none where it is missing or of another type."""
        entry = self.entries.get(tag)
        if entry is None or (size := _NUMBER_BYTES.get(entry.type)) is None or entry.count > _MAX_NUMBERS:
            return []
        return [
            int.from_bytes(self.data[at : at + size], self.order)
            for at in range(entry.at, entry.at + entry.bytes, size)
        ]

    def number(self, tag: int, otherwise: int = 0) -> int:
        """A tag's first number."""
        return next(iter(self.numbers(tag)), otherwise)

    def text(self, tag: int) -> str:
        """A tag's text up to its end mark, as Latin-1."""
        return self.raw(tag).partition(b"\0")[0].decode("latin-1").strip()


def byte_order(data: bytes) -> ByteOrder | None:
    """The byte order that the first bytes tell; None for what is no TIFF."""
    return MAGIC.get(data[:4])


def directories(data: bytes) -> Iterator[Directory]:
    """The directories of a TIFF, each once: the header's chain, and below each its SubIFDs and EXIF."""
    order = byte_order(data)
    if order is None:
        return
    waiting = [(int.from_bytes(data[4:8], order), True)]
    seen: set[int] = set()
    while waiting and len(seen) < _MAX_DIRECTORIES:
        at, is_main = waiting.pop(0)
        if at in seen or not 8 <= at <= len(data) - 2:
            continue
        seen.add(at)
        directory, following = _directory(data, order, at, is_main=is_main)
        yield directory
        below = [*directory.numbers(SUB_IFDS), *directory.numbers(EXIF_IFD)[:1]]
        waiting = [(each, False) for each in below[:_MAX_DIRECTORIES]] + waiting
        if is_main:
            waiting.append((following, True))


def _directory(data: bytes, order: ByteOrder, at: int, *, is_main: bool) -> tuple[Directory, int]:
    """The directory at a place, and where the next of its chain stands (0: nowhere)."""
    sign = "<" if order == "little" else ">"
    count = int.from_bytes(data[at : at + 2], order)
    entries: dict[int, Entry] = {}
    for place in range(at + 2, min(at + 2 + 12 * min(count, _MAX_ENTRIES), len(data) - 11), 12):
        tag, kind, values, offset = struct.unpack_from(sign + "HHII", data, place)
        if kind not in TYPE_BYTES:
            continue
        length = TYPE_BYTES[kind] * values
        entry = Entry(type=kind, count=values, at=place + 8 if length <= 4 else offset)
        if entry.at + length <= len(data):
            entries.setdefault(tag, entry)
    after = at + 2 + 12 * count
    following = int.from_bytes(data[after : after + 4], order) if after + 4 <= len(data) else 0
    return Directory(data=data, order=order, at=at, entries=entries, is_main=is_main), following
