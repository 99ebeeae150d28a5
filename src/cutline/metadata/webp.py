"""The metadata of a WebP: chunks, of which XMP's is replaced; all others stay byte for byte."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cutline.images.frames import webp_size
from cutline.metadata.blocks import Blocks
from cutline.metadata.errors import MetadataError

_XMP_FLAG, _ALPHA_FLAG = 0x04, 0x10
_HEAD_BYTES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chunk:
    kind: bytes
    start: int
    end: int  # padding included
    content: bytes


def blocks(data: bytes) -> Blocks:
    """EXIF and XMP; the format has no IPTC."""
    found = {each.kind: each.content for each in _chunks(data)}
    return Blocks(exif=found.get(b"EXIF", b"").removeprefix(b"Exif\0\0"), xmp=found.get(b"XMP ", b""))


def written(data: bytes, xmp: bytes, iptc_block: bytes | None) -> bytes:
    """The file with other XMP. Raises MetadataError for what must not be changed."""
    del iptc_block
    found = list(_chunks(data))
    if any(each.kind == b"C2PA" for each in found):
        raise MetadataError("its content credentials (C2PA) sign every byte, and a change breaks them")
    parts = [_chunk(b"VP8X", _extended(data, found))]
    parts += [data[each.start : each.end] for each in found if each.kind not in (b"VP8X", b"XMP ")]
    body = b"".join([*parts, _chunk(b"XMP ", xmp)])
    head = b"RIFF" + (4 + len(body)).to_bytes(4, "little") + b"WEBP"
    return head + body + data[found[-1].end :]


def picture(data: bytes) -> tuple[bytes, list[bytes]]:
    """What a change of metadata must keep: all chunks but XMP, and what is behind the end."""
    found = list(_chunks(data))
    kept = [data[each.start : each.end] for each in found if each.kind not in (b"VP8X", b"XMP ")]
    return b"".join([*kept, data[found[-1].end :]]), []


def _extended(data: bytes, found: list[_Chunk]) -> bytes:
    """The content of the chunk that announces others: the one that is there, or one for a simple file."""
    if found[0].kind == b"VP8X" and len(found[0].content) >= 10:
        return bytes((found[0].content[0] | _XMP_FLAG,)) + found[0].content[1:]
    width, height = webp_size(data[:30])
    if min(width, height) < 1:
        raise MetadataError("its header is damaged")
    has_alpha = found[0].kind == b"VP8L" and bool(int.from_bytes(data[21:25], "little") >> 28 & 1)
    sizes = b"".join((each - 1).to_bytes(3, "little") for each in (width, height))
    return bytes((_XMP_FLAG | (_ALPHA_FLAG if has_alpha else 0), 0, 0, 0)) + sizes


def _chunk(kind: bytes, content: bytes) -> bytes:
    return kind + len(content).to_bytes(4, "little") + content + b"\0" * (len(content) % 2)


def _chunks(data: bytes) -> Iterator[_Chunk]:
    """All chunks in the size that the header tells. Raises MetadataError where they are damaged."""
    at, last = _HEAD_BYTES, 8 + int.from_bytes(data[4:8], "little")
    if last > len(data) or at + 8 > last:
        raise MetadataError("its chunks are damaged")
    while at + 8 <= last:
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        end = at + 8 + length + length % 2
        if at + 8 + length > last:
            raise MetadataError("its chunks are damaged")
        yield _Chunk(
            kind=data[at : at + 4], start=at, end=min(end, last), content=data[at + 8 : at + 8 + length]
        )
        at = end
