"""How much a file asks to be decoded, counted without decoding: frames, scans, canvas."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from PIL import Image

from cutline.errors import UnreadableImage
from cutline.images.limits import Limits, check_limit


def check_layers(image: Image.Image, kind: str, data: bytes, name: str, limits: Limits) -> None:
    """Refuse what is small and takes forever to decode: long animations, and JPEGs of very many scans."""
    if kind == "TIFF":  # its further pages are never walked to, let alone decoded
        return
    pixels, most = image.width * image.height, limits.max_total_pixels
    if kind == "JPEG":
        scans = sum(1 for _ in islice(jpeg_scan_headers(data), most // pixels + 1))
        check_limit(name, "pixels in all scans", scans * pixels, "max_total_pixels", most)
        return
    frames = _gif_frames(data, limits.max_frames) if kind == "GIF" else getattr(image, "n_frames", 1)
    check_limit(name, "frames", frames, "max_frames", limits.max_frames)
    check_limit(name, "pixels in all frames", frames * pixels, "max_total_pixels", most)


_MARKER = re.compile(rb"\xff[\xc0-\xcf\xd8-\xfe]")  # neither stuffing, fill nor restart
_MARKER_OR_DAMAGE = re.compile(rb"\xff[\x02-\xcf\xd8-\xfe]")  # all that ends a scan's coded data
_END_OF_IMAGE, _START_OF_SCAN, _LINES, _COMMENT = 0xD9, 0xDA, 0xDC, 0xFE
_SHOWN_FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive
_ARITHMETIC_FRAMES = (0xC9, 0xCA)
_TABLES = (0xC4, 0xCC, 0xDB, 0xDD)
_BEHIND_SCANS = frozenset({*_TABLES, _LINES, _START_OF_SCAN, _END_OF_IMAGE, *range(0xE0, 0xF0), _COMMENT})
_MAX_SEGMENTS = 500
_MAX_MARKERS = 20_000  # of a whole JPEG


def _jpeg_parts(data: bytes, in_scans: re.Pattern[bytes] = _MARKER) -> Iterator[tuple[int, int, int]]:
    """The parts of a JPEG's own picture, up to its end: marker, its place, and where its content ends.

    Its thumbnail lies within one of them, and a phone's video or second picture after its end: those bytes
    are never decoded, whatever they look like.
    """
    at, left, markers = 2, _MAX_MARKERS, _MARKER
    while marker := markers.search(data, at):
        start, kind = marker.start(), data[marker.start() + 1]
        length = max(2, int.from_bytes(data[start + 2 : start + 4], "big"))
        at = start + 2 + length
        yield kind, start, at
        if kind == _END_OF_IMAGE:
            return
        if kind == _START_OF_SCAN:
            markers = in_scans
        left -= 1
        if not left:
            raise UnreadableImage("The file looks like JPEG but is damaged: it is in too many pieces.")


def jpeg_scan_headers(data: bytes) -> Iterator[bytes]:
    """The headers of the scans of a JPEG's own picture."""
    return (data[start + 4 : end] for kind, start, end in _jpeg_parts(data) if kind == _START_OF_SCAN)


def jpeg_end(data: bytes) -> tuple[int, bool]:
    """Where the coded data of a JPEG's own picture end, and whether its end mark stands behind them."""
    end, is_in_scan = 0, False
    for kind, start, _ in _jpeg_parts(data, _MARKER_OR_DAMAGE):
        if kind == _END_OF_IMAGE:
            return start, True
        if is_in_scan:
            end = start
        if end and kind not in _BEHIND_SCANS:
            return end, False
        is_in_scan = kind == _START_OF_SCAN
    return len(data) if is_in_scan or not end else end, False


def is_arithmetic(data: bytes) -> bool:
    """Whether a JPEG is in arithmetic code, whose end says nothing about where its data end."""
    return any(kind in _ARITHMETIC_FRAMES for kind, _, _ in _jpeg_parts(data))


def jpeg_frame(data: bytes, at: int) -> tuple[int, int] | None:
    """Width and height of a JPEG that begins at a place, by its header; None for what no viewer shows.

    Lossless JPEGs, as which cameras and DNG files pack sensor data, are none.
    """
    at += 2
    for _ in range(_MAX_SEGMENTS):
        head = data[at : at + 10]
        if len(head) < 10 or head[0] != 0xFF:
            return None
        if head[1] == 0xFF:  # padding before a marker
            at += 1
            continue
        if head[1] in _SHOWN_FRAMES:
            height, width = int.from_bytes(head[5:7], "big"), int.from_bytes(head[7:9], "big")
            return (width, height) if head[4] == 8 and width and height and head[9] in (1, 3) else None
        length = int.from_bytes(head[2:4], "big")
        if length < 2 or not (head[1] in _TABLES or 0xE0 <= head[1] <= 0xEF or head[1] == _COMMENT):
            return None
        at += 2 + length
    return None


def is_in_one_scan(image: Image.Image, data: bytes) -> bool:
    """Whether a JPEG's picture can be decoded row by row: all its colours are in its first scan, in full."""
    header = next(jpeg_scan_headers(data), b"")
    return not image.info.get("progressive") and header[:1] == bytes([len(image.getbands())])


def webp_size(head: bytes) -> tuple[int, int]:
    """Width and height from the first chunk; (1, 1) when cut short, which the decoder then refuses."""
    if len(head) < 30:
        return 1, 1
    kind = head[12:16]
    if kind == b"VP8X":
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if kind == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    return int.from_bytes(head[26:28], "little") & 0x3FFF, int.from_bytes(head[28:30], "little") & 0x3FFF


def check_parts(kind: str, data: bytes, name: str) -> None:
    """Refuse a GIF, PNG or JPEG of very many tiny parts before Pillow opens it: it walks them in Python.

    Raises UnreadableImage.
    """
    too_many = {"GIF": _has_many_blocks, "PNG": _has_many_chunks, "JPEG": _has_many_segments}.get(kind)
    if too_many is not None and too_many(data):
        raise UnreadableImage(f"{name} looks like {kind} but is damaged: it is in too many pieces.")


def _has_many_chunks(data: bytes) -> bool:
    at, left = 8, _MAX_CHUNKS + len(data) // _LEAST_CHUNK
    while at + 8 <= len(data) and left:
        at += 12 + int.from_bytes(data[at : at + 4], "big")
        left -= 1
    return not left


_MAX_CHUNKS, _LEAST_CHUNK = 5_000, 1024  # bytes: encoders write 8 KiB at a time
_MAX_SEGMENTS_AHEAD, _MAX_JUNK = 2_000, 65_536  # before a JPEG's picture; bytes between its segments
_BARE = frozenset({0x01, 0xD8, *range(0xD0, 0xD8)})  # markers without a length


def _has_many_segments(data: bytes) -> bool:
    at, left, junk = 2, _MAX_SEGMENTS_AHEAD, _MAX_JUNK
    while left and junk > 0 and at + 4 <= len(data):
        marker = data[at + 1]
        if data[at] != 0xFF or marker in (0x00, 0xFF):
            junk, at = junk - 1, at + (2 if data[at] == 0xFF and marker == 0 else 1)
            continue
        if marker in (_START_OF_SCAN, _END_OF_IMAGE):
            return False
        at += 2 if marker in _BARE else 2 + max(2, int.from_bytes(data[at + 2 : at + 4], "big"))
        left -= 1
    return not left or junk <= 0


def _has_many_blocks(data: bytes) -> bool:
    most = _MAX_GIF_BLOCKS + len(data) // _LEAST_GIF_BLOCK
    blocks, comments, frames = 0, 0, 0
    for introducer, label, number in _gif_parts(data, most):
        blocks += 1 + number
        frames += introducer == _IMAGE
        if frames > _MANY_FRAMES:  # refused as an animation that is too long; Pillow opens the first alone
            return False
        comments += number if (introducer, label) == (_EXTENSION, _COMMENT) else 0
        if blocks > most or comments > _MAX_COMMENT_BLOCKS:
            return True
    return False


def _gif_frames(data: bytes, most: int) -> int:
    """Frames in a GIF, by walking its blocks; stops at the end, at damage, or above `most`.

    Pillow counts by decoding every frame, which is what an animated bomb hopes for.
    """
    frames = 0
    for introducer, _, _ in _gif_parts(data, len(data)):
        frames += introducer == _IMAGE
        if frames > most:
            break
    return max(1, frames)


_IMAGE, _EXTENSION = 0x2C, 0x21
_MAX_GIF_BLOCKS, _LEAST_GIF_BLOCK = 20_000, 128  # so many, and one more for so many bytes
_MANY_FRAMES = 9_000
_MAX_COMMENT_BLOCKS = 1_000  # Pillow joins them one by one, and copies what it has each time


def _gif_parts(data: bytes, most_blocks: int) -> Iterator[tuple[int, int, int]]:
    """(introducer, label, number of sub-blocks) of each part; a part of too many ends what is given."""
    at = 13 + _gif_palette_bytes(data[10:11])
    while at + 1 < len(data) and (introducer := data[at]) in (_IMAGE, _EXTENSION):
        label = data[at + 1]
        # An image: descriptor, palette, code size. An extension: label.
        at += 11 + _gif_palette_bytes(data[at + 9 : at + 10]) if introducer == _IMAGE else 2
        blocks = 0
        while at < len(data) and data[at] and blocks <= most_blocks:  # each is led by its length
            at += 1 + data[at]
            blocks += 1
        yield introducer, label, blocks
        at += 1


def _gif_palette_bytes(flags: bytes) -> int:
    return 3 << ((flags[0] & 7) + 1) if flags and flags[0] & 0x80 else 0
