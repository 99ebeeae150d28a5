"""The metadata of a TIFF: changed in place where it fits, else by a new first directory at the file's end.

Everything in a TIFF points to places in it. Nothing is moved: new values and a copy of the first directory
are appended, and the header points to that copy.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

from cutline.images.tiff import LONG, TYPE_BYTES, Directory, directories
from cutline.metadata import iptc
from cutline.metadata.blocks import Blocks
from cutline.metadata.errors import MetadataError

_XMP, _IPTC, _PHOTOSHOP, _C2PA = 700, 33723, 34377, 52545
_BYTE = 1
_MAX_BYTES = 2**32 - 2**20
_MAX_TIMES = 4  # that pictures in a file may be read
_ROOM_FOR_IPTC = 500  # so that another caption takes the place of the first


def blocks(data: bytes) -> Blocks:
    """EXIF (the file itself is one), XMP and IPTC."""
    first = next(directories(data), None)
    if first is None:
        return Blocks()
    block = first.raw(_IPTC) or iptc.iptc_in(first.raw(_PHOTOSHOP))
    return Blocks(exif=data, xmp=first.raw(_XMP), iptc=block)


def written(data: bytes, xmp: bytes, iptc_block: bytes | None) -> bytes:
    """The file with other XMP and IPTC (None: as it is). Raises MetadataError if it must not be changed."""
    first = next(directories(data), None)
    if first is None:
        raise MetadataError("it is a TIFF of a rare kind")
    if _C2PA in first.entries:
        raise MetadataError("its content credentials (C2PA) sign every byte, and a change breaks them")
    values = {_XMP: xmp}
    if iptc_block is not None:
        values[_IPTC] = iptc_block
        if iptc.iptc_in(first.raw(_PHOTOSHOP)):
            resources = iptc.with_iptc(first.raw(_PHOTOSHOP), iptc_block)
            values = {_XMP: xmp} if resources is None else values | {_PHOTOSHOP: resources}
    return _appended(data, first, values)


def room(data: bytes) -> int:
    """How long a packet may be to take the place of the present one."""
    first = next(directories(data), None)
    return len(first.raw(_XMP)) if first else 0


def picture(data: bytes) -> tuple[bytes, list[bytes]]:
    """What a change of metadata must keep: all tags but three, and the pictures that they point to."""
    kept: list[bytes] = []
    room = _MAX_TIMES * len(data)
    for number, directory in enumerate(directories(data)):
        for tag, entry in sorted(directory.entries.items()):
            if number or tag not in (_XMP, _IPTC, _PHOTOSHOP):
                kept.append(struct.pack("<HHI", tag, entry.type, entry.count) + directory.raw(tag))
        for offsets, lengths in ((273, 279), (324, 325), (513, 514)):
            pairs = zip(directory.numbers(offsets), directory.numbers(lengths), strict=False)
            for start, length in pairs:
                kept.append(data[start : start + length])
                room -= len(kept[-1])
                if room < 0:
                    raise MetadataError("its pictures overlap")
    return b"".join(kept), []


def _appended(data: bytes, first: Directory, values: Mapping[int, bytes]) -> bytes:
    sign = "<" if first.order == "little" else ">"
    appended = bytearray(data)
    for tag, value in list(values.items()):
        room = len(first.raw(tag))
        if len(value) == room or (tag == _IPTC and 4 < len(value) < room):
            at = first.entries[tag].at
            appended[at : at + room] = value.ljust(room, b"\0")
            values = {other: each for other, each in values.items() if other != tag}
    if not values:
        return bytes(appended)
    count = struct.unpack_from(sign + "H", data, first.at)[0]
    end = first.at + 2 + 12 * count
    raw_entries = [data[at : at + 12] for at in range(first.at + 2, end, 12)]
    if end + 4 > len(data) or any(len(each) < 12 for each in raw_entries):
        raise MetadataError("its first directory is damaged")
    entries = {struct.unpack_from(sign + "H", each)[0]: each for each in raw_entries}
    appended += b"\0" * (len(data) % 2)
    for tag, value in values.items():
        kind = LONG if tag == _IPTC else _BYTE  # as others write it; its bytes are in no order
        value += b"\0" * (_ROOM_FOR_IPTC - len(value) % 4) if tag == _IPTC else b""
        place = struct.pack(sign + "I", len(appended)) if len(value) > 4 else value.ljust(4, b"\0")
        if len(value) > 4:
            appended += value + b"\0" * (len(value) % 2)
        entries[tag] = struct.pack(sign + "HHI", tag, kind, len(value) // TYPE_BYTES[kind]) + place
    if len(appended) > _MAX_BYTES:
        raise MetadataError("it is too large for more")
    appended[4:8] = struct.pack(sign + "I", len(appended))
    whole = b"".join(entries[tag] for tag in sorted(entries))
    return bytes(appended) + struct.pack(sign + "H", len(entries)) + whole + data[end : end + 4]
