"""Augmentation and normalisation: Pillow and numpy only, reproducible from (seed, epoch, index)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance

from cutline.errors import ConfigError

Level: TypeAlias = Literal["off", "light", "strong"]
LEVELS: tuple[str, ...] = get_args(Level)


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """How far one level goes. Shares are of the photo's area; probabilities are per photo.

    Hue is never touched: captions name colours, and a green "red shirt" teaches nothing.
    """

    flip: float
    smallest_area: float
    aspect: float  # the crop's proportions change by at most this factor, either way
    brightness: float
    contrast: float
    saturation: float
    cutout: float = 0.0
    cutout_area: float = 0.0


AUGMENTATIONS: Mapping[str, Augmentation] = {
    "light": Augmentation(
        flip=0.5, smallest_area=0.8, aspect=1.1, brightness=0.1, contrast=0.1, saturation=0.1
    ),
    "strong": Augmentation(
        flip=0.5,
        smallest_area=0.5,
        aspect=4 / 3,
        brightness=0.3,
        contrast=0.3,
        saturation=0.3,
        cutout=0.5,
        cutout_area=0.1,
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalisation:
    """(pixels / 255 - mean) / std, by channel, for pixels in 0..255."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


IMAGENET = Normalisation(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
_EFFICIENTNET_LITE = Normalisation(mean=(127 / 255,) * 3, std=(128 / 255,) * 3)
NORMALISATIONS: Mapping[str, Normalisation] = {
    "efficientnet-lite0": _EFFICIENTNET_LITE,
    "efficientnet-lite1": _EFFICIENTNET_LITE,
    "efficientnet-lite2": _EFFICIENTNET_LITE,
    "resnet50": IMAGENET,
}


def normalisation(encoder: str) -> Normalisation:
    """The constants that an encoder's weights were trained with. Raises ConfigError for an unknown name."""
    try:
        return NORMALISATIONS[encoder]
    except KeyError as error:
        raise ConfigError(
            f"There are no normalisation constants for the encoder {encoder!r}.",
            hint=f"Known: {', '.join(NORMALISATIONS)}; a transformers model brings its own.",
        ) from error


def augmentation_rng(seed: int, epoch: int, index: int) -> np.random.Generator:
    """The randomness of one photo in one epoch: the same in any order and after any resume."""
    return np.random.Generator(np.random.PCG64([seed, epoch, index]))


_SIDES = re.compile(
    r"\b(?:left|right|east|west|clockwise|counterclockwise|anticlockwise)(?:most|ward|wards|side|hand|handed)?\b",
    re.IGNORECASE,
)
# Places where "left" is a verb and "right" an adverb; all other sides count, for a missed flip costs nothing.
_NOT_SIDES = re.compile(
    r"\b(?:being|was|were|been|has|have|had|is|are) left (?:alone|behind|over|out)\b"
    r"|\bright (?:before|after|behind|beside|next|now|above|under|in front)\b",
    re.IGNORECASE,
)
_WRITING = re.compile(
    r"\b(?:says?|saying|reads?|reading|words?|letters?|written|writing|number)\b|\"", re.IGNORECASE
)


def may_flip(captions: Iterable[str]) -> bool:
    """Whether the photo's mirror image still fits all its captions: no sides named, no writing quoted."""
    return not any(_SIDES.search(_NOT_SIDES.sub(" ", text)) or _WRITING.search(text) for text in captions)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The part of a photo that a variation shows, in shares of its sides, and whether it is mirrored."""

    left: float = 0.0
    top: float = 0.0
    right: float = 1.0
    bottom: float = 1.0
    mirrored: bool = False


def augment(image: Image.Image, level: str, rng: np.random.Generator, *, flip: bool = True) -> Image.Image:
    """A variation of an RGB photo: cropped (its size changes), perhaps mirrored, recoloured, hidden in part.

    flip: False for photos whose captions name a side (see `may_flip`). "off" returns the photo itself.
    The number of draws from `rng` does not depend on `flip`. Raises ConfigError for an unknown level.
    """
    return augment_with_view(image, level, rng, flip=flip)[0]


def augment_with_view(
    image: Image.Image, level: str, rng: np.random.Generator, *, flip: bool = True
) -> tuple[Image.Image, View]:
    """As `augment`, and which part of the photo the variation shows."""
    if level == "off":
        return image, View()
    try:
        strength = AUGMENTATIONS[level]
    except KeyError as error:
        raise ConfigError(f"Unknown augmentation {level!r}.", hint=f"Use {', '.join(LEVELS)}.") from error
    width, height = image.size
    left, top, right, bottom = box = _random_box(image.size, strength, rng)
    image = image.crop(box)
    mirrored = rng.random() < strength.flip and flip
    if mirrored:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    image = _with_cutout(_jittered(image, strength, rng), strength, rng)
    view = View(
        left=left / width,
        top=top / height,
        right=right / width,
        bottom=bottom / height,
        mirrored=mirrored,
    )
    return image, view


def _random_box(
    size: tuple[int, int], strength: Augmentation, rng: np.random.Generator
) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of a crop: its area and proportions at random, never beyond the photo."""
    width, height = size
    area = width * height * rng.uniform(strength.smallest_area, 1.0)
    limit = math.log(strength.aspect)
    aspect = width / height * math.exp(rng.uniform(-limit, limit))
    crop_width = max(1, min(width, round(math.sqrt(area * aspect))))
    crop_height = max(1, min(height, round(math.sqrt(area / aspect))))
    left = int(rng.integers(0, width - crop_width + 1))
    top = int(rng.integers(0, height - crop_height + 1))
    return left, top, left + crop_width, top + crop_height


def _jittered(image: Image.Image, strength: Augmentation, rng: np.random.Generator) -> Image.Image:
    for enhance, amount in (
        (ImageEnhance.Brightness, strength.brightness),
        (ImageEnhance.Contrast, strength.contrast),
        (ImageEnhance.Color, strength.saturation),
    ):
        image = enhance(image).enhance(rng.uniform(1 - amount, 1 + amount))
    return image


def _with_cutout(image: Image.Image, strength: Augmentation, rng: np.random.Generator) -> Image.Image:
    """A grey square over part of the photo (DeVries and Taylor, 2017)."""
    if rng.random() >= strength.cutout:
        return image
    side = max(1, round(math.sqrt(image.width * image.height * strength.cutout_area)))
    left, top = int(rng.integers(0, image.width)) - side // 2, int(rng.integers(0, image.height)) - side // 2
    image = image.copy()
    ImageDraw.Draw(image).rectangle((left, top, left + side - 1, top + side - 1), fill=(128, 128, 128))
    return image
