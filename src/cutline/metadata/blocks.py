"""A photo's blocks of metadata."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """What describes a photo, as bytes; b"" for what it lacks."""

    exif: bytes = b""  # a TIFF
    xmp: bytes = b""
    extended_xmp: bytes = b""  # what did not fit into a JPEG's packet
    iptc: bytes = b""
