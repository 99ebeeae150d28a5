"""Tell a text's family of tones: complement naive Bayes (Rennie et al., 2003) over words and their pairs."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

_TOKEN = re.compile(r"\w+|[^\w\s]")
_LEAST = 2  # texts that a feature must stand in
_SMOOTHING = 0.3


class ToneClassifier:
    """Learns from texts and their families, and tells the family of another text."""

    def __init__(self, texts: Sequence[str], families: Sequence[str]) -> None:
        self.families = tuple(sorted(set(families)))
        counted = [_features(text) for text in texts]
        spread = Counter(feature for each in counted for feature in each)
        known = [feature for feature, count in spread.items() if count >= _LEAST]
        self._number: Mapping[str, int] = {feature: number for number, feature in enumerate(known)}
        self._rarity = np.array([math.log(len(texts) / spread[feature]) + 1 for feature in known])
        sums = np.zeros((len(self.families), len(known)))
        for each, family in zip(counted, families, strict=True):
            numbers, weights = self._weighed(each)
            sums[self.families.index(family), numbers] += weights
        others = sums.sum(axis=0) - sums + _SMOOTHING  # what the texts of all other families have
        self._weights = -np.log(others / others.sum(axis=1, keepdims=True))

    def family(self, text: str) -> str:
        """The likeliest family; the first one of a text without a known word."""
        numbers, weights = self._weighed(_features(text))
        return self.families[int(np.argmax(self._weights[:, numbers] @ weights))]

    def _weighed(self, counted: Mapping[str, int]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
        """Numbers and weights of a text's features: log-scaled counts times rarity, of unit length."""
        found = [
            (self._number[each], 1 + math.log(count))
            for each, count in counted.items()
            if each in self._number
        ]
        numbers = np.array([number for number, _ in found], np.intp)
        weights = np.array([weight for _, weight in found]) * self._rarity[numbers]
        return numbers, weights / max(float(np.linalg.norm(weights)), 1e-9)


def _features(text: str) -> Counter[str]:
    tokens: list[str] = _TOKEN.findall(text.lower())
    return Counter([*tokens, *(f"{left} {right}" for left, right in pairwise(tokens))])
