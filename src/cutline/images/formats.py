"""What a file is, by its first bytes: one of FORMATS, or a reason why it is not opened."""

from __future__ import annotations

import re
from collections.abc import Mapping

from cutline.errors import UnreadableImage, UnsupportedImage

PLUGINS: Mapping[str, tuple[str, str]] = {
    # The classes are named, and not left to Image.open, because it imports some forty decoders to look for a
    # WebP, warns about sizes that our limits allow, and reads a JPEG's hidden extra pictures.
    "JPEG": ("PIL.JpegImagePlugin", "JpegImageFile"),
    "PNG": ("PIL.PngImagePlugin", "PngImageFile"),
    "WEBP": ("PIL.WebPImagePlugin", "WebPImageFile"),
    "GIF": ("PIL.GifImagePlugin", "GifImageFile"),
    "BMP": ("PIL.BmpImagePlugin", "BmpImageFile"),
    "TIFF": ("PIL.TiffImagePlugin", "TiffImageFile"),
    "AVIF": ("PIL.AvifImagePlugin", "AvifImageFile"),
    "HEIF": ("pillow_heif", "HeifImageFile"),
}
FORMATS = tuple(PLUGINS)

_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
)
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIF_BRANDS = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
)
_REFUSED: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", "a PDF document"),
    (b"%!PS", "a PostScript file"),
    (b"8BPS", "a Photoshop file"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 image"),
    (b"\xffO\xffQ", "a JPEG 2000 image"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL image"),
    (b"\xff\x0a", "a JPEG XL image"),
    (b"\0\0\x01\0", "an icon"),
    (b"DDS ", "a DDS texture"),
    (b"v/1\x01", "an OpenEXR image"),
    (b"gimp xcf", "a GIMP file"),
)
_NETPBM = re.compile(rb"P[1-6]\s")
_BEFORE_SVG = ((b"<?xml", b">"), (b"<!--", b"-->"), (b"<!DOCTYPE svg", b">"))


def sniff(head: bytes) -> str | None:
    """The format (one of FORMATS) that a file's first bytes tell, or None."""
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    if head[4:8] == b"ftyp":
        return _sniff_container(head)
    return None


def _sniff_container(head: bytes) -> str | None:
    """AVIF and HEIC share one container; its brands tell them apart."""
    length = min(int.from_bytes(head[:4], "big"), len(head))
    brands = {head[8:12]} | {head[at : at + 4] for at in range(16, length - 3, 4)}
    if brands & _AVIF_BRANDS:
        return "AVIF"
    return "HEIF" if brands & _HEIF_BRANDS else None


def refusal(head: bytes, name: str) -> UnsupportedImage | UnreadableImage:
    hint = "Cutline opens JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC, AVIF, and raw photos of most cameras."
    kind = next((kind for signature, kind in _REFUSED if head.startswith(signature)), None)
    if kind is None and _NETPBM.match(head):
        kind = "a Netpbm image"
    if kind is None and _is_svg(head):
        kind = "an SVG drawing"
    if kind is None and head[4:8] == b"ftyp":
        kind = "a video, or an unknown variant of HEIC"
    if kind is not None:
        return UnsupportedImage(f"{name} is {kind}, which Cutline does not open.", hint=hint)
    return UnreadableImage(f"{name} is not an image.", hint=hint)


def _is_svg(head: bytes) -> bool:
    """Whether <svg stands first, but for a declaration, comments and a type. Looks at each byte once."""
    rest = head.lstrip()
    while pair := next((pair for pair in _BEFORE_SVG if rest.startswith(pair[0])), None):
        _, found, rest = rest.partition(pair[1])
        if not found:
            return False
        rest = rest.lstrip()
    return rest[:4] == b"<svg" and rest[4:5] in (b">", b" ", b"\t", b"\r", b"\n")
