"""How varied captions are, without looking at references: n-grams, vocabulary, length, repetition.

And how much the candidates for one photo differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations

from cutline.metrics.meteor import FUNCTION_WORDS
from cutline.metrics.ngrams import Ngram, Token, Tokens


def distinct_n(hypotheses: Sequence[Tokens], n: int) -> float:
    """Divide the different n-grams of all captions by all their n-grams (Li et al., 2016): 0 to 1.

    It falls as the set grows, so compare sets of one size only.
    """
    ngrams = [ngram for hypothesis in hypotheses for ngram in _ngrams(hypothesis, n)]
    return len(set(ngrams)) / len(ngrams) if ngrams else 0.0


def vocabulary_used(hypotheses: Iterable[Tokens]) -> int:
    """Count the different words in all captions."""
    words: set[Token] = set()
    for hypothesis in hypotheses:
        words.update(hypothesis)
    return len(words)


def mean_length(hypotheses: Sequence[Tokens]) -> float:
    """Average the captions' lengths in words."""
    return sum(map(len, hypotheses)) / len(hypotheses) if hypotheses else 0.0


def repetition(hypotheses: Sequence[Tokens], n: int = 2) -> float:
    """The share of n-grams that repeat one from earlier in the same caption: 0 to 1."""
    total = repeated = 0
    for hypothesis in hypotheses:
        ngrams = _ngrams(hypothesis, n)
        total += len(ngrams)
        repeated += len(ngrams) - len(set(ngrams))
    return repeated / total if total else 0.0


def unique_captions(hypotheses: Sequence[Tokens]) -> float:
    """Divide the different captions by all captions: 0 to 1."""
    return len({tuple(hypothesis) for hypothesis in hypotheses}) / len(hypotheses) if hypotheses else 0.0


def words_not_shared(candidates: Iterable[Sequence[Tokens]]) -> float:
    """How much the candidates for a photo differ: 0 for one in other function words, 1 for nothing in common.

    Of the content words in any two candidates the share that only one of them has (Jaccard distance),
    averaged over the pairs of a photo, then over photos. Photos with fewer than two candidates do not count.
    """
    return _mean_of_photos(
        [
            sum(_distance(*pair) for pair in combinations(each, 2)) * 2 / (len(each) * (len(each) - 1))
            for each in _content_of(candidates)
        ]
    )


def distinct_between(candidates: Iterable[Sequence[Tokens]], n: int) -> float:
    """Average over photos the distinct n-grams among a photo's candidates: 1 / K for K that are one, to 1."""
    return _mean_of_photos([distinct_n(each, n) for each in candidates if len(each) > 1])


def _content_of(candidates: Iterable[Sequence[Tokens]]) -> list[list[set[Token]]]:
    return [
        [{word for word in tokens if word not in FUNCTION_WORDS} for tokens in each]
        for each in candidates
        if len(each) > 1
    ]


def _distance(one: set[Token], other: set[Token]) -> float:
    return 1 - len(one & other) / len(one | other) if one | other else 0.0


def _mean_of_photos(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _ngrams(tokens: Tokens, n: int) -> list[Ngram]:
    words = tuple(tokens)
    return [words[start : start + n] for start in range(len(words) - n + 1)]
