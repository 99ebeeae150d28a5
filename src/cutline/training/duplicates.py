"""Photos that occur twice: byte for byte, or to the eye.

Legend of shapes: N photos, T * T pixels of a thumbnail.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cutline.vectors import grouped

_THUMBNAIL_PX = 16
_BAND_BITS = (7, 7, 7, 7, 7, 7, 7, 7, 8)  # 64 in all: two hashes with at most eight bits apart share a band
# Of 1,500 photos no two were less than nine apart; of 300 copies at half the size, one was more than eight.
_MOST_BITS_APART = len(_BAND_BITS) - 1
_MOST_COLOUR_APART = 10.0  # mean over the thumbnail, of 255
# Of any cell: things before one white wall differ in few. Copies at half the size differ by at most 8.
_MOST_CELL_APART = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """What is kept of a photo to find its copies: 1 MB for a thousand photos."""

    content: bytes  # SHA-256 of the file
    look: int  # 64-bit difference hash
    thumbnail: NDArray[np.uint8]  # [T, T, 3]


def fingerprint(content: bytes, image: Image.Image) -> Fingerprint:
    """The fingerprint of an RGB photo, whose file hashes to `content`."""
    small = image.resize((_THUMBNAIL_PX, _THUMBNAIL_PX), Image.Resampling.BOX)
    return Fingerprint(
        content=content, look=difference_hash(image), thumbnail=np.asarray(small, dtype=np.uint8)
    )


def difference_hash(image: Image.Image) -> int:
    """64 bits: whether each of 9 x 8 grey cells is brighter than the one to its right (Krawetz, 2013).

    Survives resizing, recompression and changes of brightness; not mirroring nor cropping.
    """
    grey = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.BOX), dtype=np.int16)
    bits = np.packbits(grey[:, 1:] > grey[:, :-1])
    return int.from_bytes(bits.tobytes(), "big")


def exact_groups(fingerprints: Iterable[tuple[int, Fingerprint]]) -> list[list[int]]:
    """Indices of photos whose files are equal to the byte, two or more in each group."""
    by_content: dict[bytes, list[int]] = defaultdict(list)
    for index, print_ in fingerprints:
        by_content[print_.content].append(index)
    return [group for group in by_content.values() if len(group) > 1]


def near_groups(fingerprints: Sequence[tuple[int, Fingerprint]]) -> list[list[int]]:
    """Indices of photos that look alike without being the same file, two or more in each group.

    Photos are compared only where a ninth of their hash agrees, and no more with one that already has a group
    there, so a set of N takes far less than N * N steps.
    """
    return grouped(pair for bucket in _buckets(fingerprints) for pair in _alike(bucket))


def _buckets(fingerprints: Sequence[tuple[int, Fingerprint]]) -> Iterator[list[tuple[int, Fingerprint]]]:
    shift = 0
    for bits in _BAND_BITS:
        band: dict[int, list[tuple[int, Fingerprint]]] = defaultdict(list)
        for index, print_ in fingerprints:
            band[print_.look >> shift & ((1 << bits) - 1)].append((index, print_))
        yield from (bucket for bucket in band.values() if len(bucket) > 1)
        shift += bits


def _alike(bucket: list[tuple[int, Fingerprint]]) -> Iterator[tuple[int, int]]:
    """(first of its kind, another) for photos of one bucket whose hashes and colours are both close."""
    looks = np.array([print_.look for _, print_ in bucket], dtype=np.uint64)  # [N]
    thumbnails = np.stack([print_.thumbnail for _, print_ in bucket]).astype(np.int16)  # [N, T, T, 3]
    grouped: set[int] = set()
    for first in range(len(bucket) - 1):
        if first in grouped:
            continue
        apart = np.bitwise_count(looks[first + 1 :] ^ looks[first])
        for second in map(int, first + 1 + np.flatnonzero(apart <= _MOST_BITS_APART)):
            if bucket[first][1].content == bucket[second][1].content:
                continue
            cells = np.abs(thumbnails[first] - thumbnails[second])
            if cells.mean() <= _MOST_COLOUR_APART and cells.max() <= _MOST_CELL_APART:
                grouped.add(second)
                yield bucket[first][0], bucket[second][0]
