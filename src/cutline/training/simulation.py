"""Pretend to be the concept head for photos that nobody has.

Legend of shapes: N photos, B captions sets, C concepts, T concept tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
_LEVELS = 5


def _level(shares: npt.NDArray[np.floating]) -> npt.NDArray[np.intp]:
    """The level of a share of captions, 0 to _LEVELS; three fifths is 3, however its float was rounded."""
    levels: npt.NDArray[np.intp] = np.ceil(shares * _LEVELS - 1e-4).astype(np.intp)
    return levels


class ConceptSimulator:
    """Draws concept probabilities that err as the concept head errs on photos it was not trained on.

    A concept that captions name gets a probability drawn from those that named concepts got; any other gets
    what it got on average beside the named ones, times a drawn error.
    """

    def __init__(self, scores: Floats, targets: Floats, *, smoothing: float = 4.0) -> None:
        """Learn from probabilities and targets (shares of captions) of held-out photos, both [N, C]."""
        levels = _level(targets)
        everything = scores[levels > 0]
        self._named = [
            scores[levels == level] if (levels == level).any() else everything
            for level in range(1, _LEVELS + 1)
        ]
        shown = (targets > 0).astype(np.float32)
        wrong = scores * (1 - shown)
        mean = wrong.mean(0)
        self._beside = (shown.T @ wrong + smoothing * mean) / (shown.sum(0)[:, None] + smoothing)
        self._alone = mean
        expected = np.stack([self._expected(np.flatnonzero(row)) for row in shown]) * (1 - shown)
        self._scale = float(wrong.sum() / max(expected.sum(), 1e-9))
        plausible = (expected > 0.02) & (shown == 0)
        ratios = (wrong[plausible] + 1e-4) / (expected[plausible] * self._scale + 1e-4)
        self._errors = ratios if len(ratios) else np.ones(1, dtype=np.float32)

    def _expected(self, named: npt.NDArray[np.intp]) -> Floats:
        beside: Floats = self._beside[named].mean(0) if len(named) else self._alone
        return beside

    def draw(
        self, concepts: Sequence[Mapping[int, float]], count: int, rng: np.random.Generator
    ) -> tuple[npt.NDArray[np.int64], Floats]:
        """The ``count`` likeliest for each {concept: share of captions}: ids and probabilities [B, T]."""
        ids = np.empty((len(concepts), count), dtype=np.int64)
        scores = np.empty((len(concepts), count), dtype=np.float32)
        for row, named in enumerate(concepts):
            places = np.fromiter(named, dtype=np.intp, count=len(named))
            drawn = self._expected(places) * self._scale * rng.choice(self._errors, self._alone.shape)
            for place, share in named.items():
                drawn[place] = rng.choice(self._named[int(_level(np.array(share))) - 1])
            top = np.argpartition(-drawn, count - 1)[:count]
            top = top[np.argsort(-drawn[top], kind="stable")]
            ids[row], scores[row] = top, np.minimum(drawn[top], 0.99)
        return ids, scores
