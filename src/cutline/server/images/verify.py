"""From the bytes that somebody sent to a photo that may be kept: checked, upright, nothing but pixels."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import tempfile
from dataclasses import dataclass
from typing import IO

from PIL import Image as Pillow

from cutline.errors import SMALLER_PHOTO, ImageTooLarge, UnreadableImage
from cutline.images import CONVERTED, Limits, opened_image, raw_kind, sniff
from cutline.server.config import settings
from cutline.server.images import jpeg

_QUALITY = 90
_PLACEHOLDER_PX = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo:
    """A photo that passed. `master` is what is kept of it: a JPEG without metadata."""

    picture: Pillow.Image  # RGB, the master's pixels
    master: bytes
    content_hash: str  # SHA-256 of the size and the pixels
    placeholder: str  # a tiny picture as a data: URL
    format: str  # of what was sent: jpeg, png, cr2 ...


def examine(data: bytes) -> Photo:
    """Check a photo and make what is kept of it. Everything of this is in memory: nothing is written.

    Raises UnreadableImage, UnsupportedImage or ImageTooLarge; ServiceUnavailable where too much is decoded.
    """
    most = settings().max_upload_bytes
    if not data:
        raise UnreadableImage("The file is empty.")
    if len(data) > most:
        raise ImageTooLarge(f"The file has {len(data):,} bytes; the limit is {most:,}.", hint=SMALLER_PHOTO)
    limits = Limits(max_file_bytes=most, max_pixels=settings().max_pixels)
    side_px = settings().master_side_px
    # A photo that is far larger than what is kept is decoded at a half or quarter, which is much faster.
    with opened_image(data, limits=limits, enough_px=max(1, side_px // 2)) as picture:
        if max(picture.size) > side_px:
            picture.thumbnail((side_px, side_px), Pillow.Resampling.LANCZOS, reducing_gap=2.0)
        kind = (raw_kind(data) or sniff(data[:512]) or "").lower()
        return Photo(
            picture=picture,
            master=_as_it_came(data, picture) if kind == "jpeg" else encoded(picture, "JPEG", _QUALITY),
            content_hash=_hash(picture),
            placeholder=_placeholder(picture),
            format=kind,
        )


def _as_it_came(data: bytes, picture: Pillow.Image) -> bytes:
    """A JPEG's own coded pixels, where they are what is kept; so that nothing is lost, and little time.

    Not where they are in another colour space: without their profile, nobody could tell.
    """
    bare = None if CONVERTED in picture.info else jpeg.stripped(data)
    if (
        bare
        and (bare.width_px, bare.height_px) == picture.size
        and len(bare.data) <= max(65536, bare.width_px * bare.height_px)
    ):
        return bare.data
    return encoded(picture, "JPEG", _QUALITY)


def _hash(picture: Pillow.Image) -> str:
    digest = hashlib.sha256(f"{picture.width}x{picture.height}:".encode())
    digest.update(picture.tobytes())
    return digest.hexdigest()


def _placeholder(picture: Pillow.Image) -> str:
    scale = _PLACEHOLDER_PX / max(picture.size)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    tiny = picture.resize(size, Pillow.Resampling.BOX, reducing_gap=1.0)
    return "data:image/webp;base64," + base64.b64encode(encoded(tiny, "WEBP", 30)).decode("ascii")


def encoded(picture: Pillow.Image, format: str, quality: int) -> bytes:
    """A picture as a file, without metadata. format: JPEG or WEBP."""
    if format == "WEBP":  # method 3 of 6: a tenth larger than 6, in a quarter of its time
        webp = io.BytesIO()
        picture.save(webp, format, quality=quality, method=3)
        return webp.getvalue()
    # Into a BytesIO, Pillow writes a JPEG and lets no other thread work meanwhile; into a file it does.
    with _file_in_memory() as file:
        picture.save(file, format, quality=quality, progressive=max(picture.size) > 600)
        file.seek(0)
        return file.read()


def _file_in_memory() -> IO[bytes]:
    """A file that the system knows, in memory where that is to be had."""
    if hasattr(os, "memfd_create"):  # Linux
        return os.fdopen(os.memfd_create("cutline-photo"), "w+b")
    return tempfile.TemporaryFile()
