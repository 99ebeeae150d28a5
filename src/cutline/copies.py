"""Copies among photos: those that lie close together, and whose thumbnails agree as well.

Vectors alone take two photos of one scene for copies; thumbnails alone take time. Of 700 photos, no two that
lay close together had thumbnails less than 19 apart; of 100 photos at half their size, all copies were within
18, nine in ten within 12, and of 100 recompressed ones all within 7.

Legend of shapes: N photos, P pairs, T * T pixels of a thumbnail.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cutline.vectors import Floats, close_pairs, grouped

Thumbnail: TypeAlias = NDArray[np.uint8]

_THUMBNAIL_PX = 8
_LEAST_LIKENESS = 0.8
_MOST_COLOUR_APART = 15.0  # mean over the thumbnail, of 255
_NOTHING = np.full((_THUMBNAIL_PX, _THUMBNAIL_PX, 3), np.nan, np.float32)


def thumbnail(photo: Image.Image) -> Thumbnail:
    """What is compared of a photo, whatever its shape, [T, T, 3]."""
    small = photo.convert("RGB").resize((_THUMBNAIL_PX, _THUMBNAIL_PX), Image.Resampling.BOX)
    return np.asarray(small, np.uint8)


def unpacked(kept: bytes) -> Thumbnail:
    """A thumbnail from its bytes, [T, T, 3]."""
    return np.frombuffer(kept, np.uint8).reshape(_THUMBNAIL_PX, _THUMBNAIL_PX, 3)


def copies(
    rows: Floats, thumbnails_of: Callable[[Sequence[int]], Sequence[Thumbnail | None]]
) -> list[list[int]]:
    """Groups of photos that are copies of each other, by their places in rows; two or more in each.

    rows [N, E]; thumbnails_of: gives those of some of them; None where there is none.
    """
    pairs = close_pairs(rows, _LEAST_LIKENESS)
    if not len(pairs):
        return []
    places = np.unique(pairs)
    found = thumbnails_of(places.tolist())
    looks = np.stack([_NOTHING if each is None else each for each in found]).astype(np.float32)
    one, other = looks[np.searchsorted(places, pairs[:, 0])], looks[np.searchsorted(places, pairs[:, 1])]
    apart = np.abs(one - other).mean(axis=(1, 2, 3))
    return grouped(pairs[apart <= _MOST_COLOUR_APART].tolist())  # what is no number is far apart
