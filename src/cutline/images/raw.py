"""Raw photos of cameras: what they are, and the previews in them, which are ready pictures.

A camera puts a JPEG of its own making into nearly every raw photo, often at full size. Where it stands
differs between makers and models, so it is found by its first bytes; the directories of the file tell the
rest: which way up the photo is, previews that are no JPEG, and which JPEGs are parts of the sensor's picture.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from cutline.images.boxes import boxes
from cutline.images.frames import jpeg_frame
from cutline.images.orientation import ORIENTATION
from cutline.images.tiff import Directory, byte_order, directories

# fmt: off
RAW_ENDINGS = frozenset({
    ".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".sr2", ".srf", ".raf", ".orf", ".rw2", ".rwl",
    ".pef", ".srw", ".gpr", ".3fr", ".fff", ".iiq", ".mos", ".mef", ".mrw", ".erf", ".dcr", ".kdc", ".x3f",
})
# fmt: on

_SIGNATURES: Mapping[bytes, str] = {
    b"FUJIFILMCCD-RAW": "RAF",
    b"IIU\0": "RW2",
    b"IIRO": "ORF",
    b"IIRS": "ORF",
    b"MMOR": "ORF",
    b"\0MRM": "MRW",
    b"FOVb": "X3F",
    b"II\x1a\0\0\0HEAPCCDR": "CRW",
}
_MAKERS = (("nikon", "NEF"), ("sony", "ARW"), ("pentax", "PEF"), ("ricoh", "PEF"), ("samsung", "SRW"))
_CANON_BOX = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")

_SUBFILE_TYPE, _BITS, _COMPRESSION, _PHOTOMETRIC, _MAKE = 254, 258, 259, 262, 271
_WIDTH, _HEIGHT, _SAMPLES, _DNG_VERSION = 256, 257, 277, 50706
_JPEG_AT = 513
_PLACES = ((273, 279), (324, 325))  # offsets and lengths of strips, and of tiles
_CFA, _LINEAR_RAW = 32803, 34892
_RGB, _YCBCR = 2, 6
_RAW_COMPRESSIONS = frozenset({32767, 32769, 32770, 32867, 34713, 65000, 65535})  # of makers
_MASK_OR_DEPTH = 4 | 8  # bits of the subfile type
_PLAIN_COMPRESSIONS = frozenset({1, 5, 6, 7, 8, 32946})
_FIRST_SIDEWAYS = 5  # orientations from here on swap width and height

_MAX_CANDIDATES = 1000
_MAX_PREVIEWS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A picture in a raw photo: a JPEG that begins at a place, or a TIFF whose directory stands there."""

    at: int
    is_jpeg: bool
    width_px: int
    height_px: int
    orientation: int  # of the photo, for a preview that states none itself

    def file(self, data: bytes) -> bytes:
        """The preview as a file of its own, from the raw photo's bytes."""
        if self.is_jpeg:
            return data[self.at :]
        if byte_order(data) == "little":
            return b"II*\0" + struct.pack("<I", self.at) + data[8:]
        return b"MM\0*" + struct.pack(">I", self.at) + data[8:]


def raw_kind(data: bytes) -> str | None:
    """What kind of raw photo the bytes are ("DNG", "CR2" ...; "RAW" for a rarer one), or None."""
    for signature, kind in _SIGNATURES.items():
        if data.startswith(signature):
            return kind
    if data[4:12] == b"ftypcrx ":
        return "CR3"
    if data[:4] not in (b"II*\0", b"MM\0*"):
        return None
    if data[8:10] == b"CR":
        return "CR2"
    found = list(directories(data))
    if any(_DNG_VERSION in each.entries for each in found if each.is_main):
        return "DNG"
    if not any(_is_sensor_data(each) for each in found) and not (found and _is_thumbnail(found[0])):
        return None
    make = found[0].text(_MAKE).lower()
    return next((kind for maker, kind in _MAKERS if make.startswith(maker)), "RAW")


def previews(data: bytes) -> list[Preview]:
    """The previews in a raw photo, largest first, as far as their headers are sound."""
    found = list(directories(data))
    described = found or list(directories(_canon_metadata(data)))
    orientation = described[0].number(ORIENTATION, 1) if described else 1
    sensor = [place for each in found if _is_no_preview(each) for place in _places(each)]
    pictures = [*_jpegs(data, sensor, orientation), *_tiff_pictures(found, orientation)]
    pictures.sort(key=lambda each: -each.width_px * each.height_px)
    return [_turned_once(each, found) for each in pictures[:_MAX_PREVIEWS]]


def _is_sensor_data(directory: Directory) -> bool:
    return (
        directory.number(_PHOTOMETRIC) in (_CFA, _LINEAR_RAW)
        or directory.number(_COMPRESSION) in _RAW_COMPRESSIONS
    )


def _is_thumbnail(first: Directory) -> bool:
    """Whether a file's first picture is a reduced one: no ordinary TIFF begins with it."""
    is_reduced = bool(first.number(_SUBFILE_TYPE) & 1)
    return is_reduced or (_JPEG_AT in first.entries and not next(_places(first), None))


def _is_no_preview(directory: Directory) -> bool:
    return _is_sensor_data(directory) or bool(directory.number(_SUBFILE_TYPE) & _MASK_OR_DEPTH)


def _places(directory: Directory) -> Iterator[tuple[int, int]]:
    """Where the strips and tiles of a directory begin and end."""
    for offsets, lengths in _PLACES:
        for start, length in zip(directory.numbers(offsets), directory.numbers(lengths), strict=False):
            yield start, start + length


def _canon_metadata(data: bytes) -> bytes:
    """The TIFF that describes a CR3, from moov/uuid/CMT1; b"" where there is none."""
    if data[4:8] != b"ftyp":
        return b""
    for moov in (span for kind, *span in boxes(data, 0, len(data)) if kind == b"moov"):
        for first, last in (span for kind, *span in boxes(data, *moov) if kind == b"uuid"):
            if data[first : first + 16] == _CANON_BOX:
                for kind, start, end in boxes(data, first + 16, last):
                    if kind == b"CMT1":
                        return data[start:end]
    return b""


def _jpegs(data: bytes, excluded: Sequence[tuple[int, int]], orientation: int) -> Iterator[Preview]:
    """The JPEGs in a file, by their first bytes and their picture's header; none from excluded places."""
    at = -1
    for _ in range(_MAX_CANDIDATES):
        at = data.find(b"\xff\xd8\xff", at + 1)
        if at < 0:
            return
        if any(start <= at < end for start, end in excluded):
            continue
        if (size := jpeg_frame(data, at)) is not None:
            width_px, height_px = size
            yield Preview(
                at=at, is_jpeg=True, width_px=width_px, height_px=height_px, orientation=orientation
            )


def _tiff_pictures(found: Sequence[Directory], orientation: int) -> Iterator[Preview]:
    """The directories with a picture that any TIFF reader shows."""
    for each in found:
        is_plain = (
            each.number(_PHOTOMETRIC, -1) in (_RGB, _YCBCR)
            and each.number(_SAMPLES) == 3
            and set(each.numbers(_BITS)) == {8}
            and each.number(_COMPRESSION) in _PLAIN_COMPRESSIONS
        )
        if is_plain and not _is_no_preview(each) and next(_places(each), None):
            yield Preview(
                at=each.at,
                is_jpeg=False,
                width_px=each.number(_WIDTH),
                height_px=each.number(_HEIGHT),
                orientation=orientation,
            )


def _turned_once(preview: Preview, found: Sequence[Directory]) -> Preview:
    """Leave a preview as it is that stands upright while the sensor's picture lies on its side."""
    sides = [
        (each.number(_WIDTH), each.number(_HEIGHT))
        for each in found
        if _is_sensor_data(each) and not each.number(_SUBFILE_TYPE)
    ]
    if preview.orientation < _FIRST_SIDEWAYS or not sides:
        return preview
    width, height = max(sides)
    is_turned = width > height and preview.width_px < preview.height_px
    is_turned |= width < height and preview.width_px > preview.height_px
    return replace(preview, orientation=1) if is_turned else preview
