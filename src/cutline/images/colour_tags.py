"""What files say of their colours: profiles in pieces, numbers in chunks and boxes, and EXIF.

What is damaged is logged as a warning, and never costs the photo.
"""

from __future__ import annotations

from typing import Any

from PIL import Image

from cutline.images import png
from cutline.images.boxes import properties
from cutline.images.colour_spaces import ADOBE_RGB, BT_709, NumberedSpace, numbered, warn_of_profile
from cutline.images.decoder_errors import DECODER_ERRORS

_NUMBERED = "cutline_colours"  # the key of Image.info for what only the file's bytes tell
_ICC = b"ICC_PROFILE\0"
_SHORT_PROFILES = tuple(b"\xff\xe2\0" + length + _ICC for length in (b"\x0e", b"\x0f"))
_EXIF, _INTEROP, _COLOUR_SPACE, _INTEROP_INDEX = 0x8769, 0xA005, 0xA001, 1
_UNSPECIFIED = b"\2\2"  # as a cICP says it
_R03 = ("R03", b"R03", b"R03\0")
_ADOBE, _UNCALIBRATED = 2, 0xFFFF  # of EXIF's colour space; the first stands in no standard


def readable_jpeg(data: bytes, name: str) -> bytes:
    """The same JPEG without pieces of a profile that lack their number, for which Pillow would refuse it."""
    if any(each in data for each in _SHORT_PROFILES):
        warn_of_profile(name, "a piece of it lacks its number")
        for each in _SHORT_PROFILES:
            data = data.replace(each, each.replace(_ICC, b"\0" * len(_ICC)))  # all else stays in its place
    return data


def note_colours(image: Image.Image, kind: str, data: bytes, name: str) -> None:
    """Keep in ``image.info`` what Pillow does not read of an opened file's colours.

    data: what Pillow opened. Nothing is decoded.
    """
    if kind == "JPEG":
        _join_profile(image, name)
    elif kind == "PNG" and (coded := png.content(data, b"cICP")) and coded[:2] != _UNSPECIFIED:
        # Stronger than a profile.
        image.info.pop("icc_profile", None)
        image.info[_NUMBERED] = numbered(coded[0], coded[1])
    elif kind in ("HEIF", "AVIF"):
        found = (content for box, content in properties(data) if box == b"colr" and content[:4] == b"nclx")
        if (content := next(found, None)) is not None:
            image.info[_NUMBERED] = numbered(_number(content, 4), _number(content, 6))


def space_of(image: Image.Image) -> NumberedSpace | None:
    """The space that a decoded image, or what was noted of its file, says by numbers.

    None where it has a profile, or says nothing. A PNG's sRGB is stronger than its gAMA and cHRM; EXIF is
    the weakest.
    """
    info = image.info
    if info.get("icc_profile"):
        return None
    if isinstance(space := info.get(_NUMBERED), NumberedSpace):
        return space
    if isinstance(nclx := info.get("nclx_profile"), dict):
        return numbered(nclx.get("color_primaries", 2), nclx.get("transfer_characteristics", 2))
    if "srgb" in info:
        return None
    return _space_of_png(info) or _space_of_exif(image)


def _join_profile(image: Image.Image, name: str) -> None:
    """The profile of a JPEG from its numbered pieces, in any order; a piece may be there twice.

    They are counted from 1, and by some writers from 0.
    """
    segments = [each for app, each in getattr(image, "applist", ()) if app == "APP2" and each[:12] == _ICC]
    if not segments:
        return
    pieces = {each[12]: each[14:] for each in reversed(segments)}
    first = 0 if 0 in pieces else 1
    wanted = range(first, segments[0][13] + first)
    profile = b"".join(pieces.get(number, b"") for number in wanted)
    if not profile or not all(number in pieces for number in wanted):
        image.info.pop("icc_profile", None)
        warn_of_profile(name, "a piece of it is missing")
    else:
        image.info["icc_profile"] = profile


def _space_of_png(info: dict[Any, Any]) -> NumberedSpace | None:
    gamma, points = info.get("gamma"), info.get("chromaticity")
    if not isinstance(gamma, float) and not isinstance(points, tuple):  # a text may have that name
        return None
    primaries = BT_709
    if isinstance(points, tuple) and len(points) == 8 and all(0 < each < 1 for each in points):
        white, *colours = ((points[at], points[at + 1]) for at in range(0, 8, 2))
        primaries = (*colours, white)
    exponent = 1 / gamma if isinstance(gamma, float) and 0.1 < gamma < 2 else None
    return NumberedSpace(primaries=primaries, gamma=exponent)


def _space_of_exif(image: Image.Image) -> NumberedSpace | None:
    """Adobe RGB, which cameras state there and often nowhere else (DCF 2.0, "R03")."""
    try:
        exif = image.getexif()
        space = exif.get_ifd(_EXIF).get(_COLOUR_SPACE)
        is_adobe = space == _ADOBE or (
            space == _UNCALIBRATED and exif.get_ifd(_INTEROP).get(_INTEROP_INDEX) in _R03
        )
    except DECODER_ERRORS:
        return None
    return ADOBE_RGB if is_adobe else None


def _number(content: bytes, at: int) -> int:
    return int.from_bytes(content[at : at + 2], "big")
