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
    comments: tuple[bytes, ...] = ()  # of the format itself
    more: tuple[
        Blocks, ...
    ] = ()  # what programs left beside the first of each; it is read, and never written
