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
from typing import Any, TypeAlias

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
from cutline.images.frames import (
    check_layers,
    check_parts,
    is_in_one_scan,
    jpeg_end,
    jpeg_scan_headers,
    webp_size,
)
from cutline.images.inner_sizes import check_inner_sizes
from cutline.images.limits import DEFAULT_LIMITS, Limits, check_limit, check_size
from cutline.images.orientation import ORIENTATION, TURNS, orientation_of, turn_unless_stated
from cutline.images.raw import previews, raw_kind
from cutline.images.room import room_for
from cutline.images.truncation import (
    END_OF_IMAGE,
    MAX_MISSING_ROWS,
    Detail,
    detail_of,
    ends_grey,
    missing_rows,
    runs_out,
    without_padding,
)

logger = logging.getLogger("cutline.images")

CONVERTED = "cutline_converted"
"""The key of ``Image.info`` that tells that the colours of the file's own pixels are no sRGB."""

_BLACK = 12  # of 255: sensors and JPEG make some noise
_ONE_PERCENT = 0.01
_HOT = 0.001  # the share of a black picture's pixels that may be brighter
_PARTS, _SPREAD, _DARK = 16, 8, 24  # parts along each side; the others are of 255
_LEAST_PREVIEW_PX = 100  # along its longer side; most cameras' thumbnails have 160

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
    most a tenth of its rows is missing. Where one in several scans (progressive) has an end mark, the last
    bits of its details are missed only if strict, which decodes it three times.

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
    return _whole(image, data, name, limits, enough_px, strict=strict)


def _raw_photo(
    data: bytes, name: str, kind: str, limits: Limits, enough_px: int | None, room: ExitStack
) -> Image.Image:
    """The largest preview that shows something, or what LibRaw makes of the sensor's data.

    A preview that seems to show nothing, or is very small, is used where nothing else can be had.
    """
    what, too_large = "has no preview", None
    last_resort: Image.Image | None = None
    for preview in previews(data):
        try:
            with ExitStack() as own:
                file = preview.file(data)
                image = _open_in_room(file, name, limits, enough_px, own)
                with decoding(name, kind):
                    turn_unless_stated(image, preview.orientation)
                picture = _whole(image, file, name, limits, enough_px, strict=True)
                is_small = max(preview.width_px, preview.height_px) < _LEAST_PREVIEW_PX
                if not is_small and not _shows_nothing(picture):
                    room.push(own.pop_all())
                    return picture
                if last_resort is None and not _is_black(picture):
                    what = f"has only a preview that {'is very small' if is_small else 'shows nothing'}"
                    room.push(own.pop_all())
                    last_resort = picture
        except ImageTooLarge as error:
            too_large = too_large or error
        except ImageError:  # a smaller one may be whole
            what = "has no preview that is whole" if last_resort is None else what
        else:
            what = "has a black preview only" if last_resort is None else what
    if too_large is not None and last_resort is None:
        raise too_large
    try:
        return _developed(data, f"{name} is a raw photo ({kind}) that {what}", limits, enough_px, room)
    except ImageError as error:
        if last_resort is None:
            raise
        logger.warning("%s The preview is used all the same. %s", error.message, error.hint)
        return last_resort


def _developed(data: bytes, what: str, limits: Limits, enough_px: int | None, room: ExitStack) -> Image.Image:
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
    """Whether all pixels are, but for a few hot ones."""
    counts = picture.histogram()
    most = _HOT * picture.width * picture.height
    return all(sum(counts[band + _BLACK + 1 : band + 256]) <= most for band in (0, 256, 512))


def _shows_nothing(picture: Image.Image) -> bool:
    """Whether nothing can be seen but noise: parts of the picture are of one grey, or very dark."""
    parts = picture.resize((_PARTS, _PARTS), Image.Resampling.BOX, reducing_gap=1.0)
    extremes: Any = parts.getextrema()
    lows, highs = zip(*extremes, strict=True)
    return bool(max(highs) - min(lows) <= _SPREAD or max(highs) <= _DARK)


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


def _whole(
    image: Image.Image, data: bytes, name: str, limits: Limits, enough_px: int | None, *, strict: bool
) -> Image.Image:
    """As `_finish`, of a file's image, which is refused where more of it is missing than may be."""
    if image.format != "JPEG":
        return _finish(image, name, limits, enough_px, ours=True)
    end, is_marked = jpeg_end(data)
    if not is_marked:
        if strict:
            raise _cut_short(name, "its end mark is missing")
        coded = without_padding(data[:end])
        data, end = coded + END_OF_IMAGE, len(coded)
        image = _open(data, name, limits)
    _load(image, name, limits, enough_px, ours=True)
    loss = _loss(image, data[:end], name, limits, enough_px, is_suspect=strict or not is_marked)
    if loss and strict:
        raise _cut_short(name, loss)
    if loss:
        logger.warning("%s is cut short: %s.", name, loss)
    elif not is_marked:
        logger.warning("%s lacks its end mark; all of its rows are there.", name)
    return _finish(image, name, limits, enough_px, ours=True)


def _loss(
    image: Image.Image, coded: bytes, name: str, limits: Limits, enough_px: int | None, *, is_suspect: bool
) -> str:
    """What a loaded JPEG lacks, in words, or "". Raises UnreadableImage if that is much.

    is_suspect: look for the last bits of details, too; a JPEG in several scans is decoded twice more for it.
    """

    def decode(data: bytes) -> Image.Image:
        copy = _open(data, name, limits)
        if not in_one_scan:  # details are not seen in a copy that is smaller than half
            copy.draft(None, (max(1, copy.width // 2), max(1, copy.height // 2)))
        return _load(copy, name, limits, enough_px, ours=True)

    in_one_scan = is_in_one_scan(image, coded)
    with decoding(name, "JPEG"):
        if in_one_scan:
            if not (ends_grey(image) and runs_out(coded, decode)):
                return ""
            missing = missing_rows(image)
            if missing <= MAX_MISSING_ROWS:
                return f"the last {_percent(missing)} of its rows are missing"
        else:
            progressive = bool(image.info.get("progressive"))
            headers = jpeg_scan_headers(coded)
            detail = detail_of(headers, colours=len(image.getbands()), progressive=progressive)
            if detail is Detail.ALL and not (is_suspect and runs_out(coded, decode)):
                return ""
            if detail is not Detail.COARSE:
                return "some of its details are missing"
    raise _cut_short(name, "much of the picture is missing")


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= _ONE_PERCENT else "1 % or less"


def _cut_short(name: str, what: str) -> UnreadableImage:
    return UnreadableImage(
        f"{name} looks like JPEG but is cut short: {what}.", hint="Fetch or export it again."
    )


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
    _load(image, name, limits, enough_px, ours=ours)
    with decoding(name, image.format or "image"):
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


def _load(image: Image.Image, name: str, limits: Limits, enough_px: int | None, *, ours: bool) -> Image.Image:
    """Check and decode an opened image; one that is decoded already stays as it is."""
    check_size(name, image.size, limits)
    metadata = _metadata_bytes(image)
    check_limit(name, "bytes of metadata", metadata, "max_metadata_bytes", limits.max_metadata_bytes)
    with decoding(name, image.format or "image"):
        if ours and enough_px is not None and image.format == "JPEG":
            image.draft(None, (enough_px, enough_px))
        image.load()
    return image


def _stripped(image: Image.Image) -> Image.Image:
    if type(image) is Image.Image and not image.info:
        return image
    plain = Image.new("RGB", image.size)
    plain.paste(image)
    return plain


def _metadata_bytes(image: Image.Image) -> int:
    segments = [segment for _, segment in getattr(image, "applist", ())]
    return sum(len(value) for value in (*image.info.values(), *segments) if isinstance(value, str | bytes))
