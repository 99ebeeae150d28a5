"""Photos for tests and benchmarks."""

from __future__ import annotations

import io
import random

from PIL import Image, ImageDraw


def generated(seed: int, *, side_px: int = 320, format: str = "JPEG") -> bytes:
    """A small picture of coloured shapes: the same for the same seed, another for another."""
    dice = random.Random(seed)

    def colour() -> tuple[int, int, int]:
        return dice.randrange(256), dice.randrange(256), dice.randrange(256)

    picture = Image.new("RGB", (side_px, side_px * 3 // 4), colour())
    pen = ImageDraw.Draw(picture)
    for _ in range(6):
        x, y = dice.randrange(side_px), dice.randrange(side_px)
        size = dice.randrange(side_px // 10, side_px // 2)
        draw = dice.choice([pen.ellipse, pen.rectangle])
        draw((x, y, x + size, y + size), fill=colour())
    data = io.BytesIO()
    picture.save(data, format)
    return data.getvalue()
