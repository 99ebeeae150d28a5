"""The metadata of a JPEG, changed by replacing two kinds of segments; all other bytes stay.

Phones and cameras put more behind the picture: further pictures (MPF), gain maps (Ultra HDR), videos and
trailers. Those that are found by their distance from the end, or by walking, stay right by themselves. MPF
counts from its own segment, and XMP may state how long the photo is, so that these numbers are corrected.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from cutline.images.tiff import MAGIC, directories
from cutline.metadata import iptc
from cutline.metadata.blocks import Blocks
from cutline.metadata.errors import MetadataError, until_damage
from cutline.metadata.xmp import Packet

_XMP, _EXIF = b"http://ns.adobe.com/xap/1.0/\0", b"Exif\0\0"
_EXTENDED_XMP, _DIGEST_BYTES = b"http://ns.adobe.com/xmp/extension/\0", 32
_PHOTOSHOP, _MPF = b"Photoshop 3.0\0", b"MPF\0"
_APP0, _APP1, _APP2, _APP11, _APP13, _START_OF_SCAN = 0xE0, 0xE1, 0xE2, 0xEB, 0xED, 0xDA
_COMMENT = 0xFE
_AFCP, _TRAILER_BYTES = (b"AXS!", b"AXS*"), 65_536
_MAX_CONTENT = 65_533
_MAX_TIMES = 4  # that pictures in a file may be read
_MAX_BEHIND = 1000  # pictures behind the picture
_MP_ENTRIES, _MP_ENTRY_BYTES = 0xB002, 16
_MAKER_NOTE = 0x927C


@dataclass(frozen=True, slots=True, kw_only=True)
class _Segment:
    """A segment before the picture, from its marker to its last byte."""

    marker: int
    start: int
    end: int
    content: bytes

    def holds(self, marker: int, head: bytes) -> bool:
        return self.marker == marker and self.content.startswith(head)


@dataclass(frozen=True, slots=True, kw_only=True)
class Further:
    """A further picture of a file (MPF): where its entry stands, and where its bytes begin and end."""

    entry_at: int
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """Bytes to put in the place of others."""

    start: int
    end: int
    data: bytes


def blocks(data: bytes) -> Blocks:
    """EXIF, XMP, IPTC and comments, of the segments before any damage."""
    found = until_damage(_segments(data))
    exifs = [each.content[len(_EXIF) :] for each in found if each.holds(_APP1, _EXIF)]
    packets = [each.content[len(_XMP) :] for each in found if each.holds(_APP1, _XMP)]
    iptcs = iptc.all_iptc_in(_photoshop(found))
    more = (
        *(Blocks(exif=each) for each in exifs[1:]),
        *(Blocks(xmp=each) for each in packets[1:]),
        *(Blocks(iptc=each) for each in iptcs[1:]),
    )
    xmp = next(iter(packets), b"")
    return Blocks(
        exif=next(iter(exifs), b""),
        xmp=xmp,
        extended_xmp=_extended_xmp(found, xmp),
        iptc=next(iter(iptcs), b""),
        comments=tuple(each.content for each in found if each.marker == _COMMENT),
        more=more,
    )


def written(data: bytes, xmp: bytes, iptc_block: bytes | None) -> bytes:
    """The file with other XMP and IPTC (None: as it is). Raises MetadataError if it must not be changed."""
    found = list(_segments(data))
    _refuse_what_points_into_itself(data, found)
    changes = _changes_with_length(found, xmp, iptc_block)
    _refuse_moved_previews(data, found, changes)
    return _with_mpf_corrected(data, _applied(data, changes), changes)


def picture(data: bytes) -> tuple[bytes, list[bytes]]:
    """What a change of metadata must keep: all bytes but XMP, IPTC and MPF's numbers; and the bytes of
    each further picture.
    """
    kept: list[bytes] = []
    at = 0
    for each in _segments(data):
        kept.append(data[at : each.start])
        if each.holds(_APP2, _MPF):
            kept.append(each.content[:8])
        elif not (each.holds(_APP1, _XMP) or each.holds(_APP13, _PHOTOSHOP)):
            kept.append(data[each.start : each.end])
        at = each.end
    further = further_pictures(data)[1:]
    if sum(len(data[each.start : each.end]) for each in further) > _MAX_TIMES * len(data):
        raise MetadataError("its list of pictures (MPF) is damaged")
    resources = iptc.without_iptc(_photoshop(list(_segments(data))))
    return b"".join([*kept, resources, data[at:]]), [data[each.start : each.end] for each in further]


def further_pictures(data: bytes) -> list[Further]:
    """The pictures that MPF lists; the first is the photo itself."""
    for segment in _segments(data):
        if segment.holds(_APP2, _MPF):
            return list(_mpf_entries(segment))
    return []


def _segments(data: bytes) -> Iterator[_Segment]:
    """The segments before the picture, whatever stands between them. Raises MetadataError for damage."""
    at = 2
    while (at := data.find(b"\xff", at)) >= 0:
        marker = data[at + 1] if at + 1 < len(data) else 0
        if marker in (0, 0xFF):  # padding
            at += 1
            continue
        if marker == _START_OF_SCAN:
            return
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        end = at + 2 + length
        if length < 2 or end > len(data):
            break
        yield _Segment(marker=marker, start=at, end=end, content=data[at + 4 : end])
        at = end
    raise MetadataError("its segments are damaged")


def _extended_xmp(found: Sequence[_Segment], xmp: bytes) -> bytes:
    """The second packet of a file, put together; each part states a digest, the whole length, its place.

    Of several, it is the one that the first packet names.
    """
    start = len(_EXTENDED_XMP)
    head = start + _DIGEST_BYTES
    extended: dict[bytes, dict[int, bytes]] = {}
    for each in found:
        if each.holds(_APP1, _EXTENDED_XMP):
            place = int.from_bytes(each.content[head + 4 : head + 8], "big")
            extended.setdefault(each.content[start:head], {})[place] = each.content[head + 8 :]
    parts = next((extended[digest] for digest in extended if digest in xmp), None)
    parts = parts or next(iter(extended.values()), {})
    return b"".join(parts[place] for place in sorted(parts))


def _photoshop(found: Sequence[_Segment]) -> bytes:
    """Photoshop's resources, which may be cut into several segments."""
    parts = [each.content[len(_PHOTOSHOP) :] for each in found if each.holds(_APP13, _PHOTOSHOP)]
    return b"".join(parts)


def _changes_with_length(found: Sequence[_Segment], xmp: bytes, iptc_block: bytes | None) -> list[_Change]:
    """The changes, after which the packet is right about the photo's length, if it states that."""
    place = Packet(xmp).primary_length() if b"Primary" in xmp else None
    if place is None or not (length := int(xmp[place[0] : place[1]])):
        return list(_changes(found, xmp, iptc_block))
    number = b""
    while True:  # the number is a part of the length: it may need one more digit
        changed = xmp[: place[0]] + number + xmp[place[1] :]
        changes = list(_changes(found, changed, iptc_block))
        before, number = number, str(length + _growth(changes)).encode()
        if number == before:
            return changes


def _changes(found: Sequence[_Segment], xmp: bytes, iptc_block: bytes | None) -> Iterator[_Change]:
    behind = _behind_exif(found)
    packets = [each for each in found if each.holds(_APP1, _XMP)]
    place = (packets[0].start, packets[0].end) if packets else (behind, behind)
    yield _Change(start=place[0], end=place[1], data=_segment(_APP1, _XMP + xmp))
    if iptc_block is None:
        return
    resources = iptc.with_iptc(_photoshop(found), iptc_block)
    if resources is None:
        return
    most = _MAX_CONTENT - len(_PHOTOSHOP)
    pieces = [resources[at : at + most] for at in range(0, len(resources), most)]
    new = b"".join(_segment(_APP13, _PHOTOSHOP + piece) for piece in pieces)
    old = [each for each in found if each.holds(_APP13, _PHOTOSHOP)]
    place = (old[0].start, old[0].end) if old else (max(behind, place[1]), max(behind, place[1]))
    yield _Change(start=place[0], end=place[1], data=new)
    yield from (_Change(start=each.start, end=each.end, data=b"") for each in old[1:])


def _behind_exif(found: Sequence[_Segment]) -> int:
    """Where a first block goes: behind EXIF, or JFIF, if these stand first."""
    at = 2
    for each in found:
        if not (each.marker == _APP0 or each.holds(_APP1, _EXIF)):
            break
        at = each.end
    return at


def _segment(marker: int, content: bytes) -> bytes:
    if len(content) > _MAX_CONTENT:
        raise MetadataError(f"its metadata would have {len(content):,} bytes, more than a JPEG can hold")
    return bytes((0xFF, marker)) + (2 + len(content)).to_bytes(2, "big") + content


def max_xmp_bytes() -> int:
    """The longest packet that a JPEG holds in one piece."""
    return _MAX_CONTENT - len(_XMP)


def _applied(data: bytes, changes: Sequence[_Change]) -> bytes:
    parts: list[bytes] = []
    at = 0
    for each in sorted(changes, key=lambda change: change.start):
        parts += (data[at : each.start], each.data)
        at = each.end
    return b"".join([*parts, data[at:]])


def _growth(changes: Iterable[_Change]) -> int:
    return sum(len(each.data) - (each.end - each.start) for each in changes)


def _moved(place: int, changes: Sequence[_Change]) -> int:
    """Where a byte stands afterwards."""
    return place + _growth(each for each in changes if each.end <= place)


# Files that point into themselves


def _mpf_entries(segment: _Segment) -> Iterator[Further]:
    """The entries of a segment of MPF (CIPA DC-007), whose places count from its byte order mark."""
    tiff = segment.content[len(_MPF) :]
    base = segment.end - len(tiff)
    for directory in directories(tiff):
        entry = directory.entries.get(_MP_ENTRIES)
        if entry is None:
            continue
        for at in range(entry.at, entry.at + entry.bytes - _MP_ENTRY_BYTES + 1, _MP_ENTRY_BYTES):
            size, offset = (
                int.from_bytes(tiff[place : place + 4], directory.order) for place in (at + 4, at + 8)
            )
            start = base + offset if offset else 0
            yield Further(entry_at=base + at, start=start, end=start + size)
        return


def _with_mpf_corrected(before: bytes, after: bytes, changes: Sequence[_Change]) -> bytes:
    """Write where each picture stands now, and how long the first one is."""
    segment = next((each for each in _segments(before) if each.holds(_APP2, _MPF)), None)
    if segment is None:
        return after
    base = segment.start + 4 + len(_MPF)
    order = "<" if before[base : base + 2] == b"II" else ">"
    corrected = bytearray(after)
    for each in _mpf_entries(segment):
        start, end = _moved(each.start, changes), _moved(each.end, changes)
        offset = start - _moved(base, changes) if each.start else 0
        place = _moved(each.entry_at, changes)
        if max(end - start, offset) >= 2**32 or offset < 0:
            raise MetadataError("its list of pictures (MPF) is damaged")
        struct.pack_into(f"{order}II", corrected, place + 4, end - start, offset)
    return bytes(corrected)


def _refuse_what_points_into_itself(data: bytes, found: Sequence[_Segment]) -> None:
    if any(each.marker == _APP11 and b"c2pa" in each.content for each in found):
        raise MetadataError("its content credentials (C2PA) sign every byte, and a change breaks them")
    if any(each in data[-_TRAILER_BYTES:] for each in _AFCP):
        raise MetadataError("its trailer (AFCP) points to places in it")


def _refuse_moved_previews(data: bytes, found: Sequence[_Segment], changes: Sequence[_Change]) -> None:
    """Some maker notes point to a preview behind EXIF, or behind the picture.

    They count from the file's first byte, from EXIF's, from their own, or from that of a TIFF in them.
    """
    exif = next((each for each in found if each.holds(_APP1, _EXIF)), None)
    if exif is None:
        return
    tiff = exif.content[len(_EXIF) :]
    base = exif.end - len(tiff)
    note_at, note = _maker_note(tiff)
    inner = [at for magic in MAGIC if (at := note.find(magic)) >= 0]
    pointers = [(0, note), (base, tiff), *((base + note_at + at, note) for at in (0, *inner))]
    at = exif.end
    for _ in range(_MAX_BEHIND):
        if (at := data.find(b"\xff\xd8\xff", at)) < 0:  # in coded pictures, no such bytes can occur
            return
        moved = [each for each in pointers if _moved(at, changes) - _moved(each[0], changes) != at - each[0]]
        if any(struct.pack(order + "I", at - start) in where for start, where in moved for order in "<>"):
            raise MetadataError("its maker note points to a preview, which would move")
        at += 1
    raise MetadataError("it holds too many pictures")


def _maker_note(tiff: bytes) -> tuple[int, bytes]:
    """Where EXIF's maker note stands, and its bytes; none where there is none."""
    for directory in directories(tiff):
        if (entry := directory.entries.get(_MAKER_NOTE)) is not None:
            return entry.at, directory.raw(_MAKER_NOTE)
    return 0, b""
