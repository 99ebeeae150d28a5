"""How varied captions are, without looking at references: n-grams, vocabulary, length, repetition."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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


def _ngrams(tokens: Tokens, n: int) -> list[Ngram]:
    words = tuple(tokens)
    return [words[start : start + n] for start in range(len(words) - n + 1)]
