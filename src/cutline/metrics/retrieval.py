"""Recall of photos by texts and of texts by photos, by the likeness of their embeddings."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


def recalls(
    photos: Floats, texts: Floats, of: npt.NDArray[np.int64], *, firsts: tuple[int, ...] = (1, 10)
) -> dict[tuple[str, int], float]:
    """In percent, how many texts [T, E] find their photo [N, E] among the first, and photos a text of theirs.

    of: each text's photo [T]. The keys are ("text", 1), ("photo", 1) and so on: what was asked with.
    """
    likeness = texts @ photos.T
    own = likeness[np.arange(len(of)), of]
    best = np.full(len(photos), -np.inf, likeness.dtype)
    np.maximum.at(best, of, own)
    ranks = {"text": (likeness > own[:, None]).sum(1), "photo": (likeness > best).sum(0)}
    return {
        (asked, first): 100 * float((each < first).mean())
        for asked, each in ranks.items()
        for first in firsts
    }
