"""A captioner that says a photo's main colour. Run as a program, it is the whole command with that captioner.

python fixed.py caption photo.jpg
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from cutline.captioning.protocol import Caption, ModelInfo
from cutline.cli.main import main
from cutline.errors import CaptionerUnavailable, UnreadableImage

COLOURS = {"red": (220, 30, 30), "green": (30, 180, 40), "blue": (30, 60, 210), "grey": (128, 128, 128)}
POISON = (1, 2, 3)  # a photo that makes the captioner fail
OUTAGE = (3, 2, 1)  # a photo at which the captioner goes away


class FixedCaptioner:
    """Says "A red photo on the wall." of red photos, and so on. slow_s: what each photo takes.

    sure: the confidence of its captions, by colour; it says none of others.
    """

    name = "fixed"

    def __init__(
        self,
        *,
        version: str = "1.0",
        slow_s: float = 0.0,
        attentive: bool = True,
        sure: Mapping[str, float] | None = None,
    ) -> None:
        self.version = version
        self.batches: list[int] = []
        self.options: list[Any] = []
        self._slow_s = slow_s
        self._attentive = attentive
        self._sure = sure

    def about(self) -> ModelInfo:
        """Its name."""
        return ModelInfo(
            name=self.name, version=self.version, acceptable_cider=None if self._sure is None else 0.4
        )

    def caption(self, images: Sequence[Any], *, n: int = 1, options: Any = None) -> list[list[Caption]]:
        """Captions, best first."""
        self.batches.append(len(images))
        self.options.append(options)
        time.sleep(self._slow_s * len(images))
        return [self._captions(image, n) for image in images]

    def _captions(self, image: Image.Image, n: int) -> list[Caption]:
        mean = np.asarray(image, float).mean((0, 1))
        if np.abs(mean - POISON).max() < 1:
            raise UnreadableImage("The captioner chokes on this photo.")
        if np.abs(mean - OUTAGE).max() < 1:
            raise CaptionerUnavailable("The captioner went away.")
        colour = min(COLOURS, key=lambda name: float(np.abs(mean - COLOURS[name]).sum()))
        texts = [f"A {colour} photo on the wall.", f"Something {colour} in a frame.", "A photo."]
        words = tuple(texts[0].rstrip(".").split())
        heat = np.arange(len(words) * 16, dtype=np.float32).reshape(len(words), 4, 4)
        return [
            Caption(
                text=texts[rank % 3],
                log_prob=-1.25 - rank if rank < 2 else math.nan,
                words=words,
                attention=heat if self._attentive else None,
                confidence=(self._sure or {}).get(colour, 0.0) / (rank + 1) if self._sure else None,
            )
            for rank in range(n)
        ]


if __name__ == "__main__":
    slow_s = float(os.environ.get("FIXED_SLOW_S", "0"))
    sys.exit(main(load=lambda uri: FixedCaptioner(version=uri or "1.0", slow_s=slow_s)))
