"""From an opened photo to a model's input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, assert_never

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cutline.errors import ConfigError
from cutline.images.limits import DEFAULT_LIMITS, Limits
from cutline.images.opening import Source, opened_image

Pixels: TypeAlias = NDArray[np.uint8]

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
    with opened_image(source, limits=limits, enough_px=preprocessing.enough_px) as image:
        return to_pixels(image, preprocessing)


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
