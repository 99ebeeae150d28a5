"""Photos that all differ a little, since the same picture twice is one image."""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path

from PIL import Image

EXAMPLES = Path(__file__).parents[2] / "examples"


def variants() -> Iterator[bytes]:
    """The example photos as JPEG, again and again, each time with another pixel changed."""
    originals = [Image.open(path).convert("RGB") for path in sorted(EXAMPLES.glob("*.jpg"))]
    for number, original in enumerate(cycle(originals)):
        picture = original.copy()
        for corner in range(3):
            picture.putpixel((corner, 0), (number % 256, number // 256 % 256, 37 * corner))
        data = io.BytesIO()
        picture.save(data, "JPEG", quality=90)
        yield data.getvalue()
