"""From anything that may be a photo to a plain RGB image."""

from __future__ import annotations

import ctypes
import functools
import importlib
import io
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TypeAlias

from PIL import Image

from cutline.errors import ImageError, ImageTooLarge, UnreadableImage, UnsupportedImage
from cutline.images import png
from cutline.images.colour_spaces import to_srgb
from cutline.images.colour_tags import note_colours, readable_jpeg, space_of
from cutline.images.colours import to_rgb
from cutline.images.decoder_errors import decoding
from cutline.images.developing import can_develop, develop
from cutline.images.files import printable, read_file
from cutline.images.formats import PLUGINS, refusal, sniff
from cutline.images.frames import check_layers, check_parts, is_in_one_scan, webp_size
from cutline.images.inner_sizes import check_inner_sizes
from cutline.images.limits import DEFAULT_LIMITS, Limits, check_limit, check_size
from cutline.images.orientation import ORIENTATION, TURNS, orientation_of, turn_unless_stated
from cutline.images.raw import previews, raw_kind
from cutline.images.room import room_for
from cutline.images.truncation import END_OF_IMAGE, MAX_MISSING_ROWS, missing_rows

logger = logging.getLogger("cutline.images")

CONVERTED = "cutline_converted"
"""The key of ``Image.info`` that tells that the colours of the file's own pixels are no sRGB."""

_BLACK = 12  # of 255: sensors and JPEG make some noise

Source: TypeAlias = str | os.PathLike[str] | bytes | Image.Image


@contextmanager
def opened_image(
    source: Source, *, limits: Limits = DEFAULT_LIMITS, enough_px: int | None = None, strict: bool = False
) -> Iterator[Image.Image]:
    """As `open_image`, for whoever makes the photo smaller: its room for pixels is kept until the end."""
    with ExitStack() as room:
        yield _opened(source, limits, enough_px, strict, room)


def open_image(
    source: Source, *, limits: Limits = DEFAULT_LIMITS, enough_px: int | None = None, strict: bool = False
) -> Image.Image:
    """The photo as 8-bit RGB: first frame, upright, alpha over white, in sRGB, nothing but pixels.

    Where its own pixels had to be converted to sRGB, ``info[CONVERTED]`` says so.

    enough_px: the photo may come out smaller by a whole factor, as long as its shorter side keeps this many
    pixels; large JPEGs then decode several times faster. None keeps every pixel.
    strict: a JPEG that lacks its end is refused; otherwise it is opened with a warning in the log where at
    most a tenth of its rows is missing.

    Raises ImageMissing, ImageNotAFile, UnreadableImage, UnsupportedImage or ImageTooLarge.
    """
    with opened_image(source, limits=limits, enough_px=enough_px, strict=strict) as image:
        return image


def _opened(
    source: Source, limits: Limits, enough_px: int | None, strict: bool, room: ExitStack
) -> Image.Image:
    """room: gets the context in which the pixels may be in memory."""
    if isinstance(source, Image.Image):
        return _finish(source, "The image", limits, enough_px, ours=False)
    if isinstance(source, bytes):
        name, data = "The file", source
    else:
        name, data = printable(os.fspath(source)), read_file(source, limits)
    if not data:
        raise UnreadableImage(f"{name} is empty: it has no bytes.")
    check_limit(name, "bytes", len(data), "max_file_bytes", limits.max_file_bytes)
    if (raw := raw_kind(data)) is not None:
        return _raw_photo(data, name, raw, limits, enough_px, room)
    image = _open_in_room(data, name, limits, enough_px, room)
    if image.format == "JPEG" and not strict and not data.rstrip(b"\0").endswith(END_OF_IMAGE):
        try:
            return _finish(image, name, limits, enough_px, ours=True)
        except UnreadableImage:
            return _without_end(data, name, limits, enough_px)
    return _finish(image, name, limits, enough_px, ours=True)


def _raw_photo(
    data: bytes, name: str, kind: str, limits: Limits, enough_px: int | None, room: ExitStack
) -> Image.Image:
    """The largest preview that is no black picture, or what LibRaw makes of the sensor's data."""
    what, too_large = "has no preview", None
    for preview in previews(data):
        try:
            with ExitStack() as own:
                image = _open_in_room(preview.file(data), name, limits, enough_px, own)
                with decoding(name, kind):
                    turn_unless_stated(image, preview.orientation)
                picture = _finish(image, name, limits, enough_px, ours=True)
                if not _is_black(picture):
                    room.push(own.pop_all())
                    return picture
        except ImageTooLarge as error:
            too_large = too_large or error
        except ImageError:  # a smaller one may be whole
            what = "has no preview that is whole"
        else:
            what = "has a black preview only"
    if too_large is not None:
        raise too_large
    what = f"{name} is a raw photo ({kind}) that {what}"
    if not can_develop():
        raise UnsupportedImage(
            f"{what}, and the extra that develops raw photos is not installed.",
            hint="Install it with: pip install 'cutline[raw]'",
        )
    room.enter_context(room_for(limits.max_pixels))  # how many they are, LibRaw alone knows
    picture = develop(data, what, limits, enough_px)
    if _is_black(picture):
        raise UnsupportedImage(f"{what}, and is black when developed.")
    return picture


def _is_black(picture: Image.Image) -> bool:
    return all(brightest <= _BLACK for _, brightest in picture.getextrema())  # type: ignore[misc]


def _open_in_room(
    data: bytes, name: str, limits: Limits, enough_px: int | None, room: ExitStack
) -> Image.Image:
    """As `_open`, with room for what is decoded next."""
    if sniff(data[:512]) == "WEBP":  # its decoder takes memory for the canvas as soon as it is created
        check_size(name, size := webp_size(data[:30]), limits)
        room.enter_context(room_for(size[0] * size[1]))
    image = _open(data, name, limits)
    check_size(name, image.size, limits)
    room.enter_context(room_for(_decoded_pixels(image, data, enough_px)))
    return image


def _decoded_pixels(image: Image.Image, data: bytes, enough_px: int | None) -> int:
    """How many pixels decoding keeps in memory: as the file declares, but for JPEGs that can be read smaller.

    Of a JPEG in several scans, all of the whole size are collected first.
    """
    declared = image.width * image.height
    if image.format == "JPEG" and enough_px is not None and is_in_one_scan(image, data):
        image.draft(None, (enough_px, enough_px))
    return min(declared, image.width * image.height)


def _without_end(data: bytes, name: str, limits: Limits, enough_px: int | None) -> Image.Image:
    """A JPEG that lacks its end, where nearly all of it is there. Raises UnreadableImage."""
    image = _open(data + END_OF_IMAGE, name, limits)
    with decoding(name, "JPEG"):
        if enough_px is not None:
            image.draft(None, (enough_px, enough_px))
        image.load()
        missing = missing_rows(image, data)
    if missing > MAX_MISSING_ROWS:
        raise UnreadableImage(
            f"{name} looks like JPEG but is cut short: much of the picture is missing.",
            hint="Fetch or export it again.",
        )
    if missing:
        logger.warning("%s is cut short: the last %.0f %% of its rows are missing.", name, 100 * missing)
    else:
        logger.warning("%s lacks its end mark; all of its rows are there.", name)
    return _finish(image, name, limits, enough_px, ours=True)


def _open(data: bytes, name: str, limits: Limits) -> Image.Image:
    kind = sniff(data[:512])
    if kind is None:
        raise refusal(data[:4096], name)
    if kind == "TIFF":
        _silence_libtiff()
    check_parts(kind, data, name)
    module, attribute = PLUGINS[kind]
    opener: Callable[[io.BytesIO], Image.Image] = getattr(importlib.import_module(module), attribute)
    profile = None
    if kind == "PNG":
        readable = png.readable(data, name, max_profile_bytes=limits.max_metadata_bytes)
        data, profile = readable.data, readable.profile
    elif kind == "JPEG":
        data = readable_jpeg(data, name)
    with decoding(name, kind):
        image = opener(io.BytesIO(data))
    if profile is not None:
        image.info["icc_profile"] = profile
    check_layers(image, kind, data, name, limits)
    check_inner_sizes(image, kind, data, name, limits)
    note_colours(image, kind, data, name)
    if kind == "HEIF":
        _restore_orientation(image, data)
    return image


def _restore_orientation(image: Image.Image, data: bytes) -> None:
    """Put EXIF's orientation back into a HEIC photo that states it nowhere else.

    HEIC turns photos by boxes of its own ("irot", "imir"), and EXIF only repeats them; some writers set EXIF
    alone. The decoder removes EXIF's orientation in both cases.
    """
    stated = image.info.get("original_orientation")
    if stated is not None and b"irot" not in data and b"imir" not in data:
        image.getexif()[ORIENTATION] = stated


@functools.cache
def _silence_libtiff() -> None:
    """Stop libtiff from printing what Pillow raises anyway. Where it cannot be reached, it still prints."""
    logging.getLogger("PIL").addHandler(logging.NullHandler())  # a program's own handlers still hear it
    with suppress(OSError, ImportError):
        library = ctypes.CDLL(importlib.import_module("PIL._imaging").__file__)
        for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
            if (set_handler := getattr(library, name, None)) is not None:
                set_handler.argtypes, set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
                set_handler(None)


def _finish(
    image: Image.Image, name: str, limits: Limits, enough_px: int | None, *, ours: bool
) -> Image.Image:
    """Check, decode and flatten an opened image. One that belongs to the caller (not ours) stays as it is."""
    check_size(name, image.size, limits)
    metadata = _metadata_bytes(image)
    check_limit(name, "bytes of metadata", metadata, "max_metadata_bytes", limits.max_metadata_bytes)
    with decoding(name, image.format or "image"):
        if ours and enough_px is not None and image.format == "JPEG":
            image.draft(None, (enough_px, enough_px))
        image.load()
        orientation = orientation_of(image)
        mode, profile, space = image.mode, image.info.get("icc_profile"), space_of(image)
        image = to_rgb(image, name)
        if enough_px is not None and (factor := min(image.size) // enough_px) > 1:
            image = image.reduce(factor)
        shown = to_srgb(image, mode, profile, space, name)
        is_converted = shown is not image
        turn = TURNS.get(orientation)
        plain = _stripped(shown if turn is None else shown.transpose(turn))
        if is_converted:
            plain.info[CONVERTED] = True
        return plain


def _stripped(image: Image.Image) -> Image.Image:
    if type(image) is Image.Image and not image.info:
        return image
    plain = Image.new("RGB", image.size)
    plain.paste(image)
    return plain


def _metadata_bytes(image: Image.Image) -> int:
    segments = [segment for _, segment in getattr(image, "applist", ())]
    return sum(len(value) for value in (*image.info.values(), *segments) if isinstance(value, str | bytes))
