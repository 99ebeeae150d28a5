"""Chooses among many sentences of a photo by more than their probability: likeness to it, and length.

A bundle may hold ``reranker.json``, which ``training.reranking`` fits (`cutline bundle rerank`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from cutline.captioning.evidence import Evidence, Weights, check_known, weighed_sum
from cutline.captioning.options import MAX_CAPTIONS
from cutline.strict import Between


@dataclass(frozen=True, slots=True, kw_only=True)
class Reranker:
    """The content of reranker.json.

    Beam search with as many beams finishes ``candidates`` sentences of each photo; the one with the highest
    weighed sum of evidence is the caption. ``gain`` is what that gave of CIDEr-D on ``photos`` photos, each
    judged by weights that were not fitted on it; ``data`` says which photos.
    """

    format_version: Literal[1]
    candidates: Annotated[int, Between(2, MAX_CAPTIONS)]
    evidence: Weights
    gain: float
    photos: Annotated[int, Between(1)]
    data: str

    def __post_init__(self) -> None:
        """Refuse evidence that nobody knows of (MismatchError)."""
        check_known(self.evidence)

    def best(self, candidates: Sequence[Evidence]) -> int:
        """The place of the best; of equals, the first, which is the likelier one."""
        scores = [weighed_sum(self.evidence, each) for each in candidates]
        return scores.index(max(scores))
