"""CIDEr-D (Vedantam et al., 2015): TF-IDF weighted n-gram consensus with clipping and a length penalty.

This is the variant that pycocoevalcap calls "CIDEr" (n up to 4, sigma 6, times 10) and that papers
report, times 100, as CIDEr. The rarity of an n-gram is taken from a set of references: by default the
one that is scored, or a frozen DocumentFrequency, which makes scores of different sets comparable.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from cutline.metrics.ngrams import (
    MAX_ORDER,
    Floats,
    Hypotheses,
    Ngram,
    References,
    ReferenceSet,
    Tokens,
    count_ngrams,
    items,
    pair,
)

_Rarity: TypeAlias = Callable[[Ngram], float]

_SIGMA = 6.0
_SCALE = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentFrequency:
    """In how many items of a data set each n-gram occurs (in any of the item's captions)."""

    counts: Mapping[Ngram, int]
    items: int

    @classmethod
    def of(cls, references: References) -> DocumentFrequency:
        """Count over reference sets, one set an item."""
        counts: Counter[Ngram] = Counter()
        pairs = items(references)
        for _, captions in pairs:
            counts.update({ngram for caption in captions for ngram in count_ngrams(caption)})
        return cls(counts=dict(counts), items=len(pairs))


def cider_d(
    references: References,
    hypotheses: Hypotheses,
    *,
    document_frequency: DocumentFrequency | None = None,
) -> tuple[float, Floats]:
    """Score a corpus: the mean, and each item's score [N], from 0 to about 10 (papers print it times 100).

    Equal to pycocoevalcap on the same tokens when ``document_frequency`` is left to the references.
    One item alone scores 0 then: every n-gram occurs in every item.
    """
    pairs = pair(references, hypotheses)
    scorer = CiderD([captions for captions, _ in pairs], document_frequency=document_frequency)
    scores = scorer.score_many(range(len(pairs)), [hypothesis for _, hypothesis in pairs])
    return float(scores.mean()), scores


class CiderD:
    """CIDEr-D of single captions against fixed reference sets, fast enough to be a training reward.

    The references' weights and norms are computed once; scoring a caption then costs some tens of
    microseconds. Tokens may be words or ids. Reading is thread-safe: nothing changes after construction.
    """

    def __init__(
        self, references: References, *, document_frequency: DocumentFrequency | None = None
    ) -> None:
        self.document_frequency = document_frequency or DocumentFrequency.of(references)
        self._log_items = math.log(max(1, self.document_frequency.items))
        self._sets = {key: _ReferenceWeights(captions, self._rarity) for key, captions in items(references)}

    def score(self, key: Hashable, hypothesis: Tokens) -> float:
        """Score one caption of item ``key`` (a mapping's key, or the position in a sequence).

        Raises KeyError for a key that has no references.
        """
        return self._sets[key].similarity(hypothesis, self._rarity)

    def score_many(self, keys: Iterable[Hashable], hypotheses: Iterable[Tokens]) -> Floats:
        """Score captions [N], one for each key; a key may occur many times."""
        return np.array(
            [self.score(key, hypothesis) for key, hypothesis in zip(keys, hypotheses, strict=True)],
            dtype=np.float64,
        )

    def _rarity(self, ngram: Ngram) -> float:
        """The inverse document frequency (natural log); an unseen n-gram counts as seen once."""
        count = self.document_frequency.counts.get(ngram, 1)
        return self._log_items - math.log(count)


class _ReferenceWeights:
    """One item's references: for each n-gram, its weight in each caption that has it, over the norm."""

    __slots__ = ("_lengths", "_weights")

    def __init__(self, captions: ReferenceSet, rarity: _Rarity) -> None:
        self._lengths = [_length(caption) for caption in captions]
        # n-gram -> (caption, weight, weight / norm of the caption's n-grams of that order)
        self._weights: dict[Ngram, list[tuple[int, float, float]]] = defaultdict(list)
        for index, caption in enumerate(captions):
            weights, norms = _weigh(caption, rarity)
            for ngram, weight in weights.items():
                if weight:
                    self._weights[ngram].append((index, weight, weight / norms[len(ngram) - 1]))

    def similarity(self, hypothesis: Tokens, rarity: _Rarity) -> float:
        weights, norms = _weigh(hypothesis, rarity)
        captions = len(self._lengths)
        matched = [0.0] * captions  # summed over the orders: the length penalty is common to them
        for ngram, weight in weights.items():
            if weight:
                norm = norms[len(ngram) - 1]
                for index, reference, normed in self._weights.get(ngram, ()):
                    matched[index] += min(weight, reference) * normed / norm
        length = _length(hypothesis)
        penalised = (
            match * math.exp(-((length - reference) ** 2) / (2 * _SIGMA**2))
            for match, reference in zip(matched, self._lengths, strict=True)
        )
        return _SCALE * sum(penalised) / (MAX_ORDER * captions)


def _weigh(tokens: Tokens, rarity: _Rarity) -> tuple[dict[Ngram, float], list[float]]:
    """Each n-gram's count times rarity, and the Euclidean norm of each order [4]."""
    squares = [0.0] * MAX_ORDER
    weights: dict[Ngram, float] = {}
    for ngram, count in count_ngrams(tokens).items():
        weight = count * rarity(ngram)
        weights[ngram] = weight
        squares[len(ngram) - 1] += weight * weight
    return weights, [math.sqrt(square) for square in squares]


def _length(tokens: Tokens) -> int:
    """Measure as the reference code does: in bigrams."""
    return max(0, len(tokens) - 1)
