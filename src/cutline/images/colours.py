"""Any of Pillow's modes as 8-bit RGB."""

from __future__ import annotations

import io
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def to_rgb(image: Image.Image) -> Image.Image:
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
            raise ValueError("its colours cannot be converted") from error
        return image.convert("RGB")
    return cast(Image.Image, converted)
