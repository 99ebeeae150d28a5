"""JPEGs that lack their end: most of them have every row, or all but a few, and deserve a caption.

Some lack it although an end mark stands there, which whoever cut them short has put there. The decoder says
nothing about that: it makes blocks without data mid-grey, and leaves out details that it lacks.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable
from enum import Enum
from typing import TypeAlias

import numpy as np
from PIL import Image

from cutline.images.frames import is_arithmetic

END_OF_IMAGE = b"\xff\xd9"
MAX_MISSING_ROWS = 0.1
"""The share of rows that may be missing."""
_FILL = 128  # the decoder makes blocks without data mid-grey
_NOISE = bytes(range(1, 255))
_MORE_DATA = _NOISE + b"".join(bytes((0xFF, restart)) + _NOISE for restart in range(0xD0, 0xD8))
_ZEROS = 16  # so many are no picture's end, which is padded with ones
_LAST = 63  # coefficient of a block

Decode: TypeAlias = Callable[[bytes], Image.Image]


class Detail(Enum):
    """How much of a picture in several scans is there, if what has begun is whole."""

    COARSE = "a colour is missing, or all but coarse brightness"
    NEARLY_ALL = "the last bit of some details is missing"
    ALL = "nothing is missing"


def without_padding(coded: bytes) -> bytes:
    """Coded data without the zeros with which programs fill a file that they have not fetched to its end."""
    shorter = coded.rstrip(b"\0")
    return shorter if len(coded) - len(shorter) >= _ZEROS else coded


def ends_grey(image: Image.Image) -> bool:
    """Whether a decoded picture may lack its last blocks, by its last pixel."""
    last = image.getpixel((image.width - 1, image.height - 1))
    return all(abs(band - _FILL) <= 1 for band in (last if isinstance(last, tuple) else (last or 0,)))


def runs_out(coded: bytes, decode: Decode) -> bool:
    """Whether a JPEG's data (without end mark) end before its picture does.

    Further data then change the picture; behind a picture that is whole they are skipped.
    """
    if is_arithmetic(coded):
        return False
    coded = coded.rstrip(b"\xff")  # fill, or the first half of a byte that is coded as two
    found = {zlib.crc32(decode(coded + more + END_OF_IMAGE).tobytes()) for more in (b"", _MORE_DATA)}
    return len(found) > 1


def missing_rows(image: Image.Image) -> float:
    """The share of rows for which a JPEG in one scan has no data, of one whose data run out."""
    rows = np.asarray(image).reshape(image.height, -1).astype(np.int16)
    filled = (np.abs(rows - _FILL) <= 1).all(axis=1)
    present = np.flatnonzero(~filled)
    return 1 - (int(present[-1]) + 1) / image.height if len(present) else 1.0


def detail_of(scans: Iterable[bytes], *, colours: int, progressive: bool) -> Detail:
    """What of a JPEG in several scans has begun (ITU-T T.81, G.1.1).

    scans: their headers. colours: how many components the picture has.
    """
    lowest: dict[int, list[int | None]] = {}  # of each component: the lowest bit of each coefficient
    has_details = not progressive
    for header in scans:
        number = header[0] if header else 0
        first, last, bits = (header[1 + 2 * number :] + bytes(3))[:3] if progressive else (0, _LAST, 0)
        lowest_bit, last = bits & 15, min(last, _LAST)
        for component in header[1 : 1 + 2 * number : 2]:
            known = lowest.setdefault(component, [None] * (_LAST + 1))
            known[first : last + 1] = [lowest_bit] * (last + 1 - first)
        has_details = has_details or (number == 1 and last == _LAST and not lowest_bit)
    if len(lowest) < colours or not has_details:
        return Detail.COARSE
    is_all = all(bit == 0 for known in lowest.values() for bit in known)
    return Detail.ALL if is_all else Detail.NEARLY_ALL
