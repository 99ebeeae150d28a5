"""The only door through which bytes become pixels: verify, orient, strip, resize.

Whatever is handed in, `open_image` either returns a plain 8-bit RGB photo, upright and without metadata,
or raises one ImageError. Sizes are checked on the header, before anything is decoded, and only the decoder
that a file's first bytes ask for ever sees them: a name's extension is never believed.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import importlib
import io
import logging
import os
import re
import stat
import struct
import threading
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping, MutableSequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, assert_never, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cutline.errors import (
    ConfigError,
    ImageMissing,
    ImageNotAFile,
    ImageTooLarge,
    UnreadableImage,
    UnsupportedImage,
)

Source: TypeAlias = str | os.PathLike[str] | bytes | Image.Image
Pixels: TypeAlias = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one photo may cost at most. CUTLINE_MAX_PIXELS (and so on) in the environment sets each."""

    max_file_bytes: int = 128 * 2**20
    max_pixels: int = 120_000_000  # a 108-megapixel phone photo still passes
    max_side_px: int = 32_768
    max_frames: int = 2_000  # of an animation; only the first frame is ever decoded
    max_total_pixels: int = 4_000_000_000  # width x height x frames, or x scans of a progressive JPEG
    max_metadata_bytes: int = 32 * 2**20  # EXIF, XMP, colour profile, comments

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if getattr(self, name) < 1:
                raise ConfigError(f"The limit {name} is {getattr(self, name)}, but must be at least 1.")


DEFAULT_LIMITS = Limits()

Mode: TypeAlias = Literal["squash", "crop", "pad"]
Resample: TypeAlias = Literal["bicubic", "bilinear"]

_RESAMPLING: Mapping[str, Image.Resampling] = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
}
_PAD_COLOUR = (128, 128, 128)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """How a photo of any shape becomes the model's input; part of bundle.json.

    squash: the whole photo, its proportions given up. crop: the centre, filled to the edges.
    pad: the whole photo, its proportions kept, grey bars around it.
    """

    width_px: int
    height_px: int
    mode: Mode = "squash"
    resample: Resample = "bicubic"

    def __post_init__(self) -> None:
        if not (0 < self.width_px <= 4096 and 0 < self.height_px <= 4096):
            raise ConfigError(f"A model's input cannot be {self.width_px} x {self.height_px} px (1 to 4096).")
        if self.mode not in ("squash", "crop", "pad"):
            raise ConfigError(f"Unknown preprocessing mode {self.mode!r}.", hint="Use squash, crop or pad.")
        if self.resample not in _RESAMPLING:
            raise ConfigError(f"Unknown resampling {self.resample!r}.", hint="Use bicubic or bilinear.")

    @property
    def enough_px(self) -> int:
        """The shorter side below which a photo should not be decoded for this input (see `open_image`)."""
        return 2 * max(self.width_px, self.height_px)


def open_image(
    source: Source, *, limits: Limits = DEFAULT_LIMITS, enough_px: int | None = None
) -> Image.Image:
    """The photo as 8-bit RGB: first frame, upright, alpha over white, nothing but pixels.

    enough_px: the photo may come out smaller by a whole factor, as long as its shorter side keeps this many
    pixels; large JPEGs then decode several times faster. None keeps every pixel.

    Raises ImageMissing, ImageNotAFile, UnreadableImage, UnsupportedImage or ImageTooLarge.
    """
    if isinstance(source, Image.Image):
        return _finish(source, "The image", limits, enough_px, ours=False)
    if isinstance(source, bytes):
        name, data = "The file", source
    else:
        name, data = _printable(os.fspath(source)), _read_file(source, limits)
    if not data:
        raise UnreadableImage(f"{name} is empty: it has no bytes.")
    _check_limit(name, "bytes", len(data), "max_file_bytes", limits.max_file_bytes)
    return _finish(_open(data, name, limits), name, limits, enough_px, ours=True)


def to_pixels(image: Image.Image, preprocessing: Preprocessing) -> Pixels:
    """The model's input, for training and inference alike. RGB image -> uint8 [H, W, 3]."""
    size = (preprocessing.width_px, preprocessing.height_px)
    resample = _RESAMPLING[preprocessing.resample]
    mode = preprocessing.mode
    if mode == "squash":
        resized = image.resize(size, resample)
    elif mode == "crop":
        resized = image.resize(size, resample, box=_centre_box(image.size, size))
    elif mode == "pad":
        resized = _padded(image, size, resample)
    else:
        assert_never(mode)
    return np.array(resized, dtype=np.uint8)


def read_pixels(source: Source, preprocessing: Preprocessing, *, limits: Limits = DEFAULT_LIMITS) -> Pixels:
    """`open_image` and `to_pixels` in one, decoding no more of a large photo than the input needs."""
    return to_pixels(open_image(source, limits=limits, enough_px=preprocessing.enough_px), preprocessing)


def _centre_box(size: tuple[int, int], target: tuple[int, int]) -> tuple[float, float, float, float]:
    scale = max(target[0] / size[0], target[1] / size[1])
    width, height = target[0] / scale, target[1] / scale
    left, top = (size[0] - width) / 2, (size[1] - height) / 2
    # Rounding may push the box a hair outside, which Pillow refuses.
    return max(0.0, left), max(0.0, top), min(size[0], left + width), min(size[1], top + height)


def _padded(image: Image.Image, target: tuple[int, int], resample: Image.Resampling) -> Image.Image:
    scale = min(target[0] / image.width, target[1] / image.height)
    inner = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    canvas = Image.new("RGB", target, _PAD_COLOUR)
    canvas.paste(image.resize(inner, resample), ((target[0] - inner[0]) // 2, (target[1] - inner[1]) // 2))
    return canvas


# From a path to bytes


_OPEN_ERRORS: Mapping[int, str] = {
    errno.ENOENT: "does not exist",
    errno.ENOTDIR: "does not exist",
    errno.EACCES: "may not be read: permission denied",
    errno.EPERM: "may not be read: permission denied",
    errno.ELOOP: "is a symbolic link that leads back to itself",
    errno.ENAMETOOLONG: "has a name that is too long",
}


def _read_file(path: str | os.PathLike[str], limits: Limits) -> bytes:
    name = _printable(os.fspath(path))
    try:
        _check_regular(name, os.stat(path))
        # Non-blocking, so that a file swapped for a pipe after the check cannot hang us.
        with open(path, "rb", opener=_open_without_waiting) as file:
            status = os.fstat(file.fileno())
            _check_regular(name, status)
            _check_limit(name, "bytes", status.st_size, "max_file_bytes", limits.max_file_bytes)
            return file.read(limits.max_file_bytes + 1)  # it may still be growing
    except OSError as error:
        reason = _OPEN_ERRORS.get(error.errno or 0, f"cannot be read ({error.strerror or error})")
        raise ImageMissing(f"{name} {reason}.") from error
    except ValueError as error:  # a NUL in the name
        raise ImageMissing(f"{name} is not a possible file name.") from error


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _check_regular(name: str, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise ImageNotAFile(
            f"{name} is a folder, not a photo.", hint="`cutline caption` goes through folders."
        )
    if not stat.S_ISREG(status.st_mode):
        raise ImageNotAFile(f"{name} is a pipe, socket or device.", hint="Pipe a photo in with `-`.")


def _printable(path: str) -> str:
    return path.encode("utf-8", "backslashreplace").decode() if path.isprintable() else repr(path)


def _check_limit(name: str, what: str, value: int, limit_name: str, limit: int) -> None:
    if value > limit:
        raise ImageTooLarge(
            f"{name} has {value:,} {what}; the limit is {limit:,}.",
            hint=f"If you trust it, raise CUTLINE_{limit_name.upper()}.",
        )


# From bytes to an opened, not yet decoded image


_PLUGINS: Mapping[str, tuple[str, str]] = {
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
FORMATS = tuple(_PLUGINS)

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
    (b"FUJIFILMCCD-RAW", "a raw camera file"),
)
_NETPBM = re.compile(rb"P[1-6]\s")
_SVG = re.compile(rb"\s*(<\?xml[^>]*>)?\s*(<!--.*?-->\s*)*(<!DOCTYPE svg[^>]*>)?\s*<svg[\s>]", re.DOTALL)

# What decoders raise when bytes lie to them. Long, because each plugin trusts the file in its own way.
_DECODER_ERRORS = (
    OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, AttributeError, ArithmeticError,
    RuntimeError, AssertionError, struct.error, zlib.error,
)  # fmt: skip


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


def _open(data: bytes, name: str, limits: Limits) -> Image.Image:
    kind = sniff(data[:512])
    if kind is None:
        raise _refusal(data[:4096], name)
    if kind == "WEBP":  # its decoder takes memory for the canvas as soon as it is created
        _check_size(name, _webp_size(data[:30]), limits)
    if kind == "TIFF":
        _silence_libtiff()
    module, attribute = _PLUGINS[kind]
    opener: Callable[[io.BytesIO], Image.Image] = getattr(importlib.import_module(module), attribute)
    with _decoding(name, kind):
        image = opener(io.BytesIO(data))
    _check_layers(image, kind, data, name, limits)
    if kind == "HEIF":
        _heed_exif_alone(image, data)
    return image


def _heed_exif_alone(image: Image.Image, data: bytes) -> None:
    """HEIC turns photos by boxes of its own, and EXIF only repeats it; some writers know EXIF alone.

    The decoder takes EXIF's word away in both cases.
    """
    stated = image.info.get("original_orientation")
    if stated is not None and b"irot" not in data and b"imir" not in data:
        image.getexif()[_ORIENTATION] = stated


@functools.cache
def _silence_libtiff() -> None:
    """What libtiff and its plugin print to stderr, Pillow raises as well: once is enough.

    Best effort: where libtiff cannot be reached, it prints.
    """
    logging.getLogger("PIL").addHandler(logging.NullHandler())  # a program's own handlers still hear it
    with suppress(OSError, ImportError):
        library = ctypes.CDLL(importlib.import_module("PIL._imaging").__file__)
        for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
            if (set_handler := getattr(library, name, None)) is not None:
                set_handler.argtypes, set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
                set_handler(None)


def _check_layers(image: Image.Image, kind: str, data: bytes, name: str, limits: Limits) -> None:
    """Refuse what is small to look at and endless to decode: animations, and JPEGs painted over and over."""
    if kind == "TIFF":  # its further pages are never walked to, let alone decoded
        return
    pixels, most = image.width * image.height, limits.max_total_pixels
    if kind == "JPEG":
        if (scans := data.count(b"\xff\xda")) * pixels > most:  # quickly counted, and never too few
            scans = _jpeg_scans(data)
        _check_limit(name, "pixels in all scans", scans * pixels, "max_total_pixels", most)
        return
    frames = _gif_frames(data, limits.max_frames) if kind == "GIF" else getattr(image, "n_frames", 1)
    _check_limit(name, "frames", frames, "max_frames", limits.max_frames)
    _check_limit(name, "pixels in all frames", frames * pixels, "max_total_pixels", most)


def _refusal(head: bytes, name: str) -> UnsupportedImage | UnreadableImage:
    hint = "Cutline opens JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC and AVIF."
    kind = next((kind for signature, kind in _REFUSED if head.startswith(signature)), None)
    if kind is None and _NETPBM.match(head):
        kind = "a Netpbm image"
    if kind is None and _SVG.match(head):
        kind = "an SVG drawing"
    if kind is None and head[4:8] == b"ftyp":
        kind = "a video or an unknown relative of HEIC"
    if kind is not None:
        return UnsupportedImage(f"{name} is {kind}, which Cutline does not open.", hint=hint)
    return UnreadableImage(f"{name} is not an image.", hint=hint)


_MARKER = re.compile(rb"\xff[\xc0-\xcf\xd8-\xfe]")  # neither stuffing, fill nor restart
_END_OF_IMAGE, _START_OF_SCAN = 0xD9, 0xDA


def _jpeg_scans(data: bytes) -> int:
    """Scans of a JPEG's own picture, by walking its segments.

    Its thumbnail lies within one of them, and a phone's video or second picture after its end: those bytes
    are never decoded, whatever they look like.
    """
    scans, at = 0, 2
    while (marker := _MARKER.search(data, at)) and (kind := data[marker.start() + 1]) != _END_OF_IMAGE:
        scans += kind == _START_OF_SCAN
        at = marker.end() + max(2, int.from_bytes(data[marker.end() : marker.end() + 2], "big"))
    return scans


def _webp_size(head: bytes) -> tuple[int, int]:
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


def _gif_frames(data: bytes, most: int) -> int:
    """Frames in a GIF, by walking its blocks; stops at the end, at damage, or above `most`.

    Pillow counts by decoding every frame, which is what an animated bomb hopes for.
    """
    at = 13 + _gif_palette_bytes(data[10:11])
    frames = 0
    while at < len(data) and frames <= most:
        introducer = data[at]
        if introducer == 0x2C:  # an image: descriptor, palette, code size, data
            frames += 1
            at += 11 + _gif_palette_bytes(data[at + 9 : at + 10])
        elif introducer == 0x21:  # an extension: label, data
            at += 2
        else:
            break
        while at < len(data) and data[at]:  # sub-blocks, each led by its length
            at += 1 + data[at]
        at += 1
    return max(1, frames)


def _gif_palette_bytes(flags: bytes) -> int:
    return 3 << ((flags[0] & 7) + 1) if flags and flags[0] & 0x80 else 0


# From an opened image to a plain one


def _finish(
    image: Image.Image, name: str, limits: Limits, enough_px: int | None, *, ours: bool
) -> Image.Image:
    """Check, decode and flatten an opened image. An image that a caller lent us (not ours) stays as it is."""
    _check_size(name, image.size, limits)
    metadata = _metadata_bytes(image)
    _check_limit(name, "bytes of metadata", metadata, "max_metadata_bytes", limits.max_metadata_bytes)
    with _decoding(name, image.format or "image"):
        if ours and enough_px is not None and image.format == "JPEG":
            image.draft(None, (enough_px, enough_px))
        giant = image.width * image.height > _GIANT_PIXELS
        with _ONE_GIANT if giant else nullcontext():
            image.load()
            orientation = _orientation(image)
            image = _to_rgb(image)
            if enough_px is not None and (factor := min(image.size) // enough_px) > 1:
                image = image.reduce(factor)
        turn = _TURNS.get(orientation)
        return _stripped(image if turn is None else image.transpose(turn))


# Threads decode side by side, but photos of hundreds of megabytes one after the other.
_GIANT_PIXELS = 30_000_000
_ONE_GIANT = threading.Lock()


def _stripped(image: Image.Image) -> Image.Image:
    if type(image) is Image.Image and not image.info:
        return image
    plain = Image.new("RGB", image.size)
    plain.paste(image)
    return plain


def _check_size(name: str, size: tuple[int, int], limits: Limits) -> None:
    if min(size) < 1:
        raise UnreadableImage(f"{name} is damaged: its header says {size[0]} x {size[1]} pixels.")
    _check_limit(name, "pixels along one side", max(size), "max_side_px", limits.max_side_px)
    _check_limit(name, "pixels", size[0] * size[1], "max_pixels", limits.max_pixels)


def _metadata_bytes(image: Image.Image) -> int:
    segments = [segment for _, segment in getattr(image, "applist", ())]
    return sum(len(value) for value in (*image.info.values(), *segments) if isinstance(value, str | bytes))


_TURNS: Mapping[int, Image.Transpose] = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION = 0x0112


def _orientation(image: Image.Image) -> int:
    """EXIF's orientation, 1 to 8. Damaged EXIF must not cost the photo, so it reads as upright."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except _DECODER_ERRORS:
        return 1
    return value if isinstance(value, int) else 1


def _to_rgb(image: Image.Image) -> Image.Image:
    """Any of Pillow's modes as 8-bit RGB, transparency over white."""
    if image.mode.startswith("I;16"):
        # Pillow keeps the high byte of 16-bit colour; grey gets the same.
        return _grey(np.asarray(image) >> 8)
    if image.mode in ("I", "F"):
        tops = (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0)
        return _grey(_to_8_bit(np.asarray(image, dtype=np.float64), tops))
    if image.mode in ("CMYK", "LAB"):
        return _from_device_colours(image)
    if image.has_transparency_data:
        layer = image.convert("LA").convert("RGBA") if image.mode == "La" else image.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _grey(values: NDArray[Any]) -> Image.Image:
    return Image.fromarray(values.astype(np.uint8)).convert("RGB")


def _to_8_bit(values: NDArray[np.float64], tops: tuple[float, ...]) -> NDArray[np.float64]:
    """Numbers without a stated range, [H, W] -> [H, W] in 0..255, by the first of `tops` that holds them all.

    What none of them holds is stretched from its least to its greatest.
    """
    finite = np.isfinite(values)
    if not finite.any():
        return np.zeros_like(values)
    low, high = float(values[finite].min()), float(values[finite].max())
    values = np.clip(np.nan_to_num(values, nan=low, posinf=high, neginf=low), low, high)
    for top in tops:
        if low >= 0 and high <= top:
            return np.rint(values * (255.0 / top))
    return np.rint((values - low) * (255.0 / (high - low or 1.0)))


def _from_device_colours(image: Image.Image) -> Image.Image:
    """CMYK and LAB mean little without a profile: use the embedded one where it is sound."""
    from PIL import ImageCms  # only print files need it

    target = ImageCms.createProfile("sRGB")
    try:
        if image.mode == "LAB":
            source: Any = ImageCms.createProfile("LAB")
        elif profile := image.info.get("icc_profile"):
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        else:
            return image.convert("RGB")
        converted = ImageCms.profileToProfile(image, source, target, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        if image.mode == "LAB":
            raise ValueError("colours that cannot be converted") from error
        return image.convert("RGB")
    return cast(Image.Image, converted)


@contextmanager
def _decoding(name: str, kind: str) -> Iterator[None]:
    """Runs Pillow quietly, and turns whatever a lying file makes it raise into one ImageError."""
    try:
        with _QUIET:
            yield
    except (Image.DecompressionBombError, MemoryError) as error:
        raise ImageTooLarge(f"{name} needs more memory than one photo should.") from error
    except _DECODER_ERRORS as error:
        reason = " ".join(str(error).split())  # some end their lines
        raise UnreadableImage(
            f"{name} looks like {kind} but is damaged or cut short ({reason}).",
            hint="Fetch or export it again.",
        ) from error


class _QuietPillow:
    """Pillow warns about metadata that we throw away. Silence it, only while we are inside, in any thread.

    `warnings.catch_warnings` would swap the whole list of filters under other threads' feet; this adds one
    filter and takes it away.
    """

    _FILTER = ("ignore", None, Warning, re.compile(r"PIL\.|pillow_heif"), 0)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            filters = cast("MutableSequence[Any]", warnings.filters)
            if not (filters and filters[0] == self._FILTER):
                filters.insert(0, self._FILTER)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                filters = cast("MutableSequence[Any]", warnings.filters)
                while self._FILTER in filters:
                    filters.remove(self._FILTER)


_QUIET = _QuietPillow()
