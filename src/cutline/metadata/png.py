"""The metadata of a PNG: chunks, of which two kinds are replaced; all others stay byte for byte."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cutline.metadata import iptc
from cutline.metadata.blocks import Blocks
from cutline.metadata.errors import MetadataError, until_damage

_SIGNATURE_BYTES = 8
_XMP = b"XML:com.adobe.xmp"
_IPTC_PROFILE = b"Raw profile type iptc"
_XMP_PROFILE = b"Raw profile type xmp"
_EXIF_PROFILES = (b"Raw profile type exif", b"Raw profile type APP1")
_COMMENTS = (b"description", b"title", b"comment")
_TEXT = (b"tEXt", b"zTXt", b"iTXt")
_MAX_TEXT_BYTES = 16 * 2**20
_HEX_LINE = 72


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chunk:
    kind: bytes
    start: int
    end: int  # behind the check sum
    content: bytes


def blocks(data: bytes) -> Blocks:
    """EXIF, XMP, IPTC and comments; IPTC, older EXIF and some XMP in the text that ImageMagick invented."""
    exif = xmp = block = b""
    comments: list[bytes] = []
    more: list[Blocks] = []
    for each in until_damage(_chunks(data)):
        if each.kind == b"eXIf":
            exif = each.content
        elif each.kind in _TEXT:
            keyword, text = _text(each)
            if keyword == _XMP:
                xmp = text
            elif keyword == _IPTC_PROFILE:
                profile = _profile(text)
                block = iptc.iptc_in(profile) or profile
            elif keyword in _EXIF_PROFILES:
                exif = exif or _profile(text).removeprefix(b"Exif\0\0")
            elif keyword == _XMP_PROFILE:
                more.append(Blocks(xmp=_profile(text)))
            elif keyword.lower() in _COMMENTS:
                comments.append(text)
    return Blocks(exif=exif, xmp=xmp, iptc=block, comments=tuple(comments), more=tuple(more))


def written(data: bytes, xmp: bytes, iptc_block: bytes | None) -> bytes:
    """The file with other XMP and IPTC (None: as it is). Raises MetadataError if it must not be changed."""
    found = list(_chunks(data))
    if any(each.kind == b"caBX" for each in found):
        raise MetadataError("its content credentials (C2PA) sign every byte, and a change breaks them")
    new = _chunk(b"iTXt", _XMP + b"\0\0\0\0\0" + xmp)
    replaced = {_XMP}
    resources = None if iptc_block is None else iptc.with_iptc(_resources(found), iptc_block)
    if resources is not None:
        lines = resources.hex()
        text = f"\niptc\n{len(resources):8}\n" + "\n".join(
            lines[at : at + _HEX_LINE] for at in range(0, len(lines), _HEX_LINE)
        )
        new += _chunk(b"zTXt", _IPTC_PROFILE + b"\0\0" + zlib.compress(text.encode() + b"\n"))
        replaced.add(_IPTC_PROFILE)
    parts = [data[: found[0].end], new]
    for each in found[1:]:
        if not (each.kind in _TEXT and _keyword(each) in replaced):
            parts.append(data[each.start : each.end])
    return b"".join([*parts, data[found[-1].end :]])


def picture(data: bytes) -> tuple[bytes, list[bytes]]:
    """What a change of metadata must keep: all but XMP and IPTC, and what is behind the end."""
    found = list(_chunks(data))
    kept = [
        data[each.start : each.end]
        for each in found
        if not (each.kind in _TEXT and _keyword(each) in (_XMP, _IPTC_PROFILE))
    ]
    return b"".join([*kept, iptc.without_iptc(_resources(found)), data[found[-1].end :]]), []


def _resources(found: Sequence[_Chunk]) -> bytes:
    """Photoshop's resources; b"" for none, or for IPTC without them."""
    texts = (_text(each) for each in found if each.kind in _TEXT and _keyword(each) == _IPTC_PROFILE)
    profiles = [_profile(text) for _, text in texts]
    return next((each for each in reversed(profiles) if iptc.is_resources(each)), b"")


def _chunks(data: bytes) -> Iterator[_Chunk]:
    """All chunks up to the last. Raises MetadataError where they are damaged."""
    at = _SIGNATURE_BYTES
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        kind, end = data[at + 4 : at + 8], at + 12 + length
        if end > len(data):
            break
        yield _Chunk(kind=kind, start=at, end=end, content=data[at + 8 : end - 4])
        if kind == b"IEND":
            return
        at = end
    raise MetadataError("its chunks are damaged")


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _keyword(chunk: _Chunk) -> bytes:
    return chunk.content[:80].partition(b"\0")[0]


def _text(chunk: _Chunk) -> tuple[bytes, bytes]:
    """A keyword and its text; b"" for one that is damaged or swells."""
    keyword, _, rest = chunk.content.partition(b"\0")
    if chunk.kind == b"tEXt":
        return keyword, rest
    if chunk.kind == b"zTXt":
        return keyword, _inflated(rest[1:])
    is_compressed = rest[:1] == b"\1"
    text = rest[2:].split(b"\0", 2)[-1]
    return keyword, _inflated(text) if is_compressed else text


def _inflated(data: bytes) -> bytes:
    inflater = zlib.decompressobj()
    try:
        text = inflater.decompress(data, _MAX_TEXT_BYTES)
    except zlib.error:
        return b""
    return b"" if inflater.unconsumed_tail else text


def _profile(text: bytes) -> bytes:
    """The bytes of a profile: its name, its length, and hexadecimal digits."""
    parts = text.strip().split(None, 2)
    try:
        return bytes.fromhex(parts[2].decode("ascii"))
    except (IndexError, ValueError):
        return b""
