"""Strips everything but the picture from a JPEG, byte for byte: no decoding, no loss.

Only listed segments are kept. All else is removed: EXIF and its GPS, XMP, IPTC, comments, thumbnails,
colour profiles, unknown segments, and data after the end of the picture. Whoever calls it knows that the
pixels are in sRGB.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

_SOI, _EOI, _SOS, _APP0, _APP1, _APP14 = 0xD8, 0xD9, 0xDA, 0xE0, 0xE1, 0xEE
_FRAMES = frozenset({0xC0, 0xC1, 0xC2})  # baseline, extended, progressive: what browsers show
_ORIENTATION, _SHORT = 0x0112, 3  # an EXIF tag, and its type
_TABLES = frozenset({0xC4, 0xDB, 0xDD})  # Huffman, quantisation, restart interval
_JFIF = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"  # without its thumbnail


@dataclass(frozen=True, slots=True, kw_only=True)
class BareJpeg:
    """A stripped JPEG, and the size that its header tells."""

    data: bytes
    width_px: int
    height_px: int


def stripped(data: bytes) -> BareJpeg | None:
    """The picture alone; None for what is not a plain, upright JPEG from its start to its end marker."""
    parts = [b"\xff\xd8"]
    size: tuple[int, int] | None = None
    at = 2
    if data[:2] != parts[0]:
        return None
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # padding before a marker
            at += 1
            continue
        if marker == _EOI:
            break
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        segment = data[at : at + 2 + length]
        if length < 2 or len(segment) != 2 + length or marker <= 0xBF:
            return None
        at += len(segment)
        if marker in _FRAMES:
            if size is not None or length < 11 or segment[4] != 8 or segment[9] not in (1, 3):
                return None
            height_px, width_px = struct.unpack(">HH", segment[5:9])
            size = (width_px, height_px)
            parts.append(segment)
        elif marker in _TABLES:
            parts.append(segment)
        elif marker == _APP0 and segment[4:9] == b"JFIF\0":
            if len(parts) == 1:
                parts.append(_JFIF)
        elif marker == _APP14 and segment[4:9] == b"Adobe":
            parts.append(b"\xff\xee\x00\x0e" + segment[4:16])  # tells how colours are coded
        elif marker == _SOS:
            end = _end_of_scan(data, at)
            if size is None or end is None:
                return None
            parts += (segment, data[at:end])
            at = end
        elif marker == _APP1 and _may_be_turned(segment[4:]):
            return None
        elif not (_APP0 <= marker <= 0xEF or marker == 0xFE):
            return None  # lossless, hierarchical, arithmetic, line counts: decoded and encoded again instead
    if size is None or data[at : at + 2] != b"\xff\xd9":
        return None
    return BareJpeg(data=b"".join([*parts, b"\xff\xd9"]), width_px=size[0], height_px=size[1])


def _may_be_turned(metadata: bytes) -> bool:
    """Whether EXIF or XMP ask for the photo to be turned, or cannot be read reliably."""
    if metadata.startswith(b"Exif\0\0"):
        return _exif_orientation(metadata[6:]) != 1
    said = re.findall(rb"Orientation\W{1,3}(\d)", metadata)
    return b"Orientation" in metadata and set(said) != {b"1"}


def _exif_orientation(tiff: bytes) -> int:
    """The orientation in the first directory; 1 if there is none, 0 where it cannot be read."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 0
    try:
        (at,) = struct.unpack_from(order + "I", tiff, 4)
        (entries,) = struct.unpack_from(order + "H", tiff, at)
        for place in range(at + 2, at + 2 + 12 * entries, 12):
            tag, kind, count, value = struct.unpack_from(order + "HHIH", tiff, place)
            if tag == _ORIENTATION:
                return int(value) if (kind, count) == (_SHORT, 1) else 0
    except struct.error:
        return 0
    return 1


def _end_of_scan(data: bytes, at: int) -> int | None:
    """Where the coded picture that begins at `at` meets the next marker; None where data ends before."""
    while True:
        at = data.find(b"\xff", at)
        if at < 0 or at + 1 >= len(data):
            return None
        following = data[at + 1]
        if following == 0 or 0xD0 <= following <= 0xD7:  # a coded 0xFF, or a restart
            at += 2
        elif following == 0xFF:
            at += 1
        else:
            return at
