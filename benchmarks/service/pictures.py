"""Photos that all differ a little, since the same picture twice is one image."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

from PIL import Image

_BITS, _BLOCK_PX = 16, 8
EXAMPLES = Path(__file__).parents[2] / "examples"


def marked(original: Image.Image, number: int) -> Image.Image:
    """A copy with a number in it, in black and white blocks: JPEG would make less the same picture again."""
    picture = original.copy()
    for bit in range(_BITS):
        left = bit * _BLOCK_PX
        colour = (255, 255, 255) if number >> bit & 1 else (0, 0, 0)
        picture.paste(colour, (left, 0, left + _BLOCK_PX, _BLOCK_PX))
    return picture


def variants() -> Iterator[bytes]:
    """The example photos as JPEG, again and again, each time with another row of blocks in a corner."""
    originals = [Image.open(path).convert("RGB") for path in sorted(EXAMPLES.glob("*.jpg"))]
    for number, original in enumerate(cycle(originals)):
        picture = marked(original, number)
        data = io.BytesIO()
        picture.save(data, "JPEG", quality=90)
        yield data.getvalue()
