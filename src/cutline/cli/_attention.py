"""A picture of a caption's attention: the photo once for each word, with the regions highlighted."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from cutline.errors import OptionError
from cutline.images import Preprocessing, to_pixels

TILE_PX = 240
MOST_COLUMNS = 5
_MARGIN_PX, _WORD_PX, _FONT_PX = 12, 30, 18
_PAPER, _INK = (255, 255, 255), (25, 25, 25)
# Heat from none to most, as colour and as how much of the photo it covers.
_COLOURS = np.array([(60, 0, 120), (215, 30, 80), (255, 150, 20), (255, 245, 120)], np.float32)
_COVER = np.array([0.0, 0.3, 0.55, 0.7], np.float32)
_SHADE = 0.55  # brightness of regions without attention


def attention_picture(
    image: Image.Image,
    text: str,
    words: Sequence[str],
    attention: NDArray[np.float32] | None,
    preprocessing: Preprocessing | None,
) -> Image.Image:
    """Draw the photo W times with a heat map, and the caption above. attention [W, rows, cols].

    preprocessing: which part of the photo the model saw, where known. Raises OptionError without attention.
    """
    if attention is None or not len(attention):
        raise OptionError("This captioner has no attention maps.", hint="Remove --attention.")
    view = _view(image, preprocessing)
    columns = min(MOST_COLUMNS, len(words), max(1, math.ceil(math.sqrt(len(words)))))
    columns = max(columns, min(MOST_COLUMNS, len(words), 3))
    rows = math.ceil(len(words) / columns)
    width = columns * (view.width + _MARGIN_PX) + _MARGIN_PX
    font = ImageFont.load_default(_FONT_PX)
    heading = _wrapped(text, font, width - 2 * _MARGIN_PX)
    top = _MARGIN_PX + len(heading) * (_FONT_PX + 6) + _MARGIN_PX
    sheet = Image.new("RGB", (width, top + rows * (view.height + _WORD_PX + _MARGIN_PX)), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.multiline_text((_MARGIN_PX, _MARGIN_PX), "\n".join(heading), _INK, font, spacing=6)
    for at, (word, heat) in enumerate(zip(words, attention, strict=True)):
        left = _MARGIN_PX + at % columns * (view.width + _MARGIN_PX)
        upper = top + at // columns * (view.height + _WORD_PX + _MARGIN_PX)
        sheet.paste(_overlaid(view, heat), (left, upper))
        draw.text((left + view.width // 2, upper + view.height + 4), word, _INK, font, anchor="ma")
    return sheet


def _view(image: Image.Image, preprocessing: Preprocessing | None) -> Image.Image:
    """The photo as the model saw it, in its own proportions."""
    if preprocessing is not None and preprocessing.mode != "squash":
        scale = TILE_PX / max(preprocessing.width_px, preprocessing.height_px)
        size = (round(preprocessing.width_px * scale), round(preprocessing.height_px * scale))
        return Image.fromarray(
            to_pixels(image, dataclasses.replace(preprocessing, width_px=size[0], height_px=size[1]))
        )
    scale = TILE_PX / max(image.size)
    return image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))


def _overlaid(view: Image.Image, heat: NDArray[np.float32]) -> Image.Image:
    """view with heat [rows, cols] on it, from its coldest to its hottest cell."""
    cold, hot = float(heat.min()), float(heat.max())
    even = (heat - cold) / (hot - cold) if hot > cold else np.zeros_like(heat)
    smooth = Image.fromarray(even.astype(np.float32)).resize(view.size, Image.Resampling.BICUBIC)
    level = np.clip(np.asarray(smooth), 0, 1)
    stops = np.linspace(0, 1, len(_COVER))
    colour = np.stack([np.interp(level, stops, channel) for channel in _COLOURS.T], -1)
    cover = np.interp(level, stops, _COVER)[..., None]
    shaded = np.asarray(view, np.float32) * (_SHADE + (1 - _SHADE) * level[..., None])
    return Image.fromarray((shaded * (1 - cover) + colour * cover).astype(np.uint8))


def _wrapped(text: str, font: ImageFont.ImageFont | ImageFont.FreeTypeFont, width_px: int) -> list[str]:
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font.getlength(longer) <= width_px:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines
