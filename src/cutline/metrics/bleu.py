"""BLEU (Papineni et al., 2002) with the conventions of the COCO caption evaluation.

The reference length is the closest one (the shorter of two that are equally close).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable

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

# The COCO code adds these so that it never divides by zero; they are part of its values.
_TINY, _SMALL = 1e-15, 1e-9


def bleu(references: References, hypotheses: Hypotheses) -> tuple[Floats, Floats]:
    """Score a corpus: BLEU-1 to BLEU-4 of all of it [4], and of each item [N, 4], between 0 and 1.

    The corpus score is not the mean of the item scores. Equal to pycocoevalcap on the same tokens.
    """
    statistics = bleu_statistics(references, hypotheses)
    return bleu_from_statistics(statistics.sum(axis=0)), bleu_from_statistics(statistics)


def bleu_statistics(references: References, hypotheses: Hypotheses) -> Floats:
    """Count, for each item, what BLEU is made of [N, 2 + 2 * 4].

    Columns: hypothesis length, reference length, n-grams right (4), n-grams written (4). The sum over
    items goes into bleu_from_statistics, which makes resampling cheap.
    """
    return np.array([_statistics(refs, hypothesis) for refs, hypothesis in pair(references, hypotheses)])


def bleu_from_statistics(statistics: Floats) -> Floats:
    """Turn counts [..., 10] into BLEU-1 to BLEU-4 [..., 4]."""
    length, reference_length = statistics[..., 0:1], statistics[..., 1:2]
    correct, written = statistics[..., 2 : 2 + MAX_ORDER], statistics[..., 2 + MAX_ORDER :]
    precisions = (correct + _TINY) / (written + _SMALL)
    means = np.cumprod(precisions, axis=-1) ** (1.0 / np.arange(1, MAX_ORDER + 1))
    ratio = (length + _TINY) / (reference_length + _SMALL)
    with np.errstate(over="ignore"):
        penalty = np.where(ratio < 1, np.exp(1 - 1 / ratio), 1.0)
    scores: Floats = means * penalty
    return scores


def _statistics(references: ReferenceSet, hypothesis: Tokens) -> list[int]:
    allowed: Counter[Ngram] = Counter()
    for reference in references:
        allowed |= count_ngrams(reference)
    return _compare(allowed, [len(reference) for reference in references], hypothesis)


def _compare(allowed: Counter[Ngram], reference_lengths: list[int], hypothesis: Tokens) -> list[int]:
    length = len(hypothesis)
    closest = min(reference_lengths, key=lambda reference: (abs(reference - length), reference))
    correct = [0] * MAX_ORDER
    for ngram, count in count_ngrams(hypothesis).items():
        correct[len(ngram) - 1] += min(count, allowed[ngram])
    written = [max(0, length - order + 1) for order in range(1, MAX_ORDER + 1)]
    return [length, closest, *correct, *written]


class SentenceBleu:
    """Smoothed BLEU-4 of single captions against reference sets that are counted once.

    Smoothing: one is added to both counts of the orders above 1 (Lin and Och, 2004), so that a caption
    without a matching 4-gram still differs from a worse one. Between 0 and 1.
    """

    def __init__(self, references: References) -> None:
        self._allowed: dict[Hashable, Counter[Ngram]] = {}
        self._lengths: dict[Hashable, list[int]] = {}
        for key, captions in items(references):
            allowed: Counter[Ngram] = Counter()
            for caption in captions:
                allowed |= count_ngrams(caption)
            self._allowed[key] = allowed
            self._lengths[key] = [len(caption) for caption in captions]

    def score(self, key: Hashable, hypothesis: Tokens) -> float:
        """Score one caption of item ``key`` (a mapping's key, or the position in a sequence)."""
        length, closest, *counts = _compare(self._allowed[key], self._lengths[key], hypothesis)
        if length == 0 or counts[0] == 0:
            return 0.0
        log_precision = math.log(counts[0] / counts[MAX_ORDER])
        for order in range(1, MAX_ORDER):
            log_precision += math.log((counts[order] + 1) / (counts[MAX_ORDER + order] + 1))
        return math.exp(log_precision / MAX_ORDER + min(0.0, 1 - closest / length))


def sentence_bleu(references: ReferenceSet, hypothesis: Tokens) -> float:
    """Score one caption by smoothed BLEU-4 (see SentenceBleu)."""
    return SentenceBleu([references]).score(0, hypothesis)
