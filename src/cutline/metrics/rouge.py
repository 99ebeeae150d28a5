"""ROUGE-L (Lin, 2004) with the conventions of the COCO caption evaluation.

The best precision and the best recall over the references are combined with beta = 1.2.
"""

from __future__ import annotations

import numpy as np

from cutline.metrics.ngrams import Floats, Hypotheses, References, ReferenceSet, Tokens, pair

_BETA = 1.2


def rouge_l(references: References, hypotheses: Hypotheses) -> tuple[float, Floats]:
    """Score a corpus: the mean, and each item's score [N], between 0 and 1.

    Equal to pycocoevalcap on the same tokens.
    """
    scores = np.array([_score(refs, hypothesis) for refs, hypothesis in pair(references, hypotheses)])
    return float(scores.mean()), scores


def _score(references: ReferenceSet, hypothesis: Tokens) -> float:
    if not hypothesis:
        return 0.0
    matches = [
        (_longest_common_subsequence(reference, hypothesis), len(reference)) for reference in references
    ]
    precision = max(match for match, _ in matches) / len(hypothesis)
    recall = max(match / max(1, length) for match, length in matches)
    if precision == 0 or recall == 0:
        return 0.0
    return (1 + _BETA**2) * precision * recall / (recall + _BETA**2 * precision)


def _longest_common_subsequence(left: Tokens, right: Tokens) -> int:
    previous = [0] * (len(right) + 1)
    for token in left:
        current = [0]
        for position, other in enumerate(right):
            current.append(
                previous[position] + 1 if token == other else max(previous[position + 1], current[-1])
            )
        previous = current
    return previous[-1]
