"""Where a model looked, made small: 8 bits a cell, each word's map by its own maximum, compressed."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_LEVELS = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """Maps [W, rows, columns] of 8-bit weights; 255 is where the model looked most for that word."""

    words: tuple[str, ...]
    rows: int
    columns: int
    maps: NDArray[np.uint8]


def packed(weights: NDArray[np.float32]) -> bytes:
    """Weights [W, rows, columns], none negative -> bytes to keep."""
    peaks = weights.max(axis=(1, 2), keepdims=True, initial=0.0)
    scaled = np.divide(weights, peaks, out=np.zeros_like(weights), where=peaks > 0)
    return zlib.compress(np.rint(scaled * _LEVELS).astype(np.uint8).tobytes(), 6)


def unpacked(data: bytes, *, words: Sequence[str], rows: int, columns: int) -> Looks:
    """What `packed` kept. Raises ValueError for bytes that are no such maps."""
    try:
        raw = zlib.decompress(data)
    except zlib.error as error:
        raise ValueError("These bytes are not attention maps.") from error
    maps = np.frombuffer(raw, np.uint8).reshape(len(words), rows, columns)
    return Looks(words=tuple(words), rows=rows, columns=columns, maps=maps)
