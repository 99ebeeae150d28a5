"""Any photo's blocks of metadata, and the photo with a description in them."""

from __future__ import annotations

import importlib
import io
from collections.abc import Mapping
from typing import Any, Protocol

from PIL import Image

from cutline.errors import ImageError
from cutline.images import raw_kind, sniff
from cutline.images.decoder_errors import decoding
from cutline.images.formats import PLUGINS
from cutline.metadata import iptc, jpeg, png, tiff, webp
from cutline.metadata.blocks import Blocks
from cutline.metadata.errors import MetadataError
from cutline.metadata.xmp import DESCRIPTION, Name, Packet


class _Format(Protocol):
    """What each module of a format has."""

    def blocks(self, data: bytes, /) -> Blocks: ...

    def written(self, data: bytes, xmp: bytes, iptc_block: bytes | None, /) -> bytes: ...

    def picture(self, data: bytes, /) -> tuple[bytes, list[bytes]]: ...


_WRITABLE: Mapping[str, _Format] = {"JPEG": jpeg, "PNG": png, "WEBP": webp, "TIFF": tiff}
_WITH_IPTC = frozenset({"JPEG", "PNG", "TIFF"})


def blocks_of(data: bytes) -> Blocks:
    """A photo's blocks, as far as they can be read."""
    kind = sniff(data[:512])
    module = tiff if raw_kind(data) is not None else _WRITABLE.get(kind or "")
    try:
        if module is not None:
            return module.blocks(data)
        return _by_decoder(data, kind) if kind in ("HEIF", "AVIF", "GIF") else Blocks()
    except MetadataError:
        return Blocks()


def described(data: bytes, text: str, writer: str) -> bytes:
    """The photo with the text as its description: in XMP, and in IPTC where the format has it readably.

    writer: who wrote it. Raises MetadataError for a photo that takes none, or must not be changed.
    """
    if (raw := raw_kind(data)) is not None:
        raise MetadataError(f"it is a raw photo ({raw}), and these are never changed")
    kind = sniff(data[:512])
    module = _WRITABLE.get(kind or "")
    if module is None:
        raise MetadataError(f"{kind or 'this format'} takes none")
    found = module.blocks(data)
    if _says(found.extended_xmp, DESCRIPTION):
        raise MetadataError("its description is in extended XMP, which stays as it is")
    packet = (Packet(found.xmp) if found.xmp.strip(b"\0 \r\n\t") else Packet.new()).described(text, writer)
    block = iptc.with_caption(found.iptc, text) if kind in _WITH_IPTC else None
    return module.written(data, _sized(packet, kind, data), block)


def _says(packet: bytes, name: Name) -> bool:
    """Whether a packet states a property; a damaged one states nothing."""
    try:
        return bool(packet and Packet(packet).text(name))
    except MetadataError:
        return False


def _sized(packet: Packet, kind: str | None, data: bytes) -> bytes:
    if kind == "JPEG":
        return bytes(packet.fitted(jpeg.max_xmp_bytes()))
    if kind == "TIFF" and len(bytes(packet)) != (room := tiff.room(data)):
        try:
            return packet.fitted(room).padded(room)
        except MetadataError:
            return bytes(packet)
    return bytes(packet)


def check_pictures(before: bytes, after: bytes) -> None:
    """Check that every picture and all else but descriptions is as it was. Raises MetadataError."""
    kind = sniff(before[:512])
    module = _WRITABLE.get(kind or "")
    if module is None or sniff(after[:512]) != kind or module.picture(before) != module.picture(after):
        raise MetadataError("a picture in it would change")


def _by_decoder(data: bytes, kind: str) -> Blocks:
    module, attribute = PLUGINS[kind]
    opener: Any = getattr(importlib.import_module(module), attribute)
    try:
        with decoding("The photo", kind):
            image: Image.Image = opener(io.BytesIO(data))
    except ImageError:
        return Blocks()
    exif, xmp, comment = (image.info.get(name) or b"" for name in ("exif", "xmp", "comment"))
    return Blocks(exif=bytes(exif).removeprefix(b"Exif\0\0"), xmp=bytes(xmp), comments=(bytes(comment),))
