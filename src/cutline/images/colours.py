"""Any of Pillow's modes as 8-bit RGB."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cutline.images.colour_spaces import reason_of, warn_of_profile

_ROWS_AT_ONCE = 256


def to_rgb(image: Image.Image, name: str) -> Image.Image:
    """Any of Pillow's modes as 8-bit RGB, transparency over white."""
    if image.mode.startswith("I;16"):
        # Pillow keeps the high byte of 16-bit colour; grey gets the same.
        return _grey(np.asarray(image) >> 8)
    if image.mode in ("I", "F"):
        tops = (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0)
        span = _span(image, tops)
        return _by_rows(image, lambda rows: _grey(_to_8_bit(np.asarray(rows, dtype=np.float64), span)))
    if image.mode in ("CMYK", "LAB"):
        return _from_device_colours(image, name)
    if image.has_transparency_data:
        return _by_rows(image, _over_white)
    return image if image.mode == "RGB" else image.convert("RGB")


def _over_white(image: Image.Image) -> Image.Image:
    layer = image.convert("LA").convert("RGBA") if image.mode == "La" else image.convert("RGBA")
    white = Image.new("RGBA", layer.size, "white")
    return Image.alpha_composite(white, layer).convert("RGB")


def _by_rows(image: Image.Image, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Convert some rows at a time: what is made on the way would take several times the photo's memory."""
    whole = Image.new("RGB", image.size)
    for number, rows in enumerate(_strips(image)):
        whole.paste(convert(rows), (0, number * _ROWS_AT_ONCE))
    return whole


def _strips(image: Image.Image) -> Iterator[Image.Image]:
    for top in range(0, image.height, _ROWS_AT_ONCE):
        yield image.crop((0, top, image.width, min(top + _ROWS_AT_ONCE, image.height)))


def _grey(values: NDArray[Any]) -> Image.Image:
    return Image.fromarray(values.astype(np.uint8)).convert("RGB")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Span:
    """The least and greatest finite number of a photo, and where black and white lie."""

    low: float
    high: float
    black: float
    white: float


def _span(image: Image.Image, tops: tuple[float, ...]) -> _Span | None:
    """What a photo of numbers without a stated range is scaled by; None where none of them is finite.

    Black is 0 and white the first of `tops` that holds them all. What none of them holds is stretched from
    its least to its greatest.
    """
    low, high = np.inf, -np.inf
    for rows in map(np.asarray, _strips(image)):
        finite = rows[np.isfinite(rows)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    if low > high:
        return None
    for white in tops:
        if low >= 0 and high <= white:
            return _Span(low=low, high=high, black=0.0, white=white)
    return _Span(low=low, high=high, black=low, white=high)


def _to_8_bit(values: NDArray[np.float64], span: _Span | None) -> NDArray[np.float64]:
    """Numbers [H, W] -> [H, W] in 0..255."""
    if span is None:
        return np.zeros_like(values)
    values = np.nan_to_num(values, nan=span.low, posinf=span.high, neginf=span.low)
    values = np.clip(values, span.low, span.high)
    if span.black == 0.0 and span.white > 0:
        return np.rint(values * (255.0 / span.white))
    return np.rint((values - span.black) * (255.0 / (span.white - span.black or 1.0)))


def _from_device_colours(image: Image.Image, name: str) -> Image.Image:
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
            raise ValueError("its colours cannot be converted") from error
        warn_of_profile(name, reason_of(error))
        return image.convert("RGB")
    return cast(Image.Image, converted)
