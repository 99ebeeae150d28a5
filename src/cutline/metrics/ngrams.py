"""What all n-gram metrics share: tokens, counts, and the pairing of references with hypotheses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from cutline.errors import DataError

Floats: TypeAlias = NDArray[np.float64]
Token: TypeAlias = Hashable  # words when scores are reported, token ids in a training loop
Tokens: TypeAlias = Sequence[Token]
Ngram: TypeAlias = tuple[Token, ...]
ReferenceSet: TypeAlias = Sequence[Tokens]
References: TypeAlias = Mapping[Any, ReferenceSet] | Sequence[ReferenceSet]
Hypotheses: TypeAlias = Mapping[Any, Tokens] | Sequence[Tokens]

MAX_ORDER = 4


def count_ngrams(tokens: Tokens, max_order: int = MAX_ORDER) -> Counter[Ngram]:
    """Count the n-grams of length 1 to ``max_order``."""
    words = tuple(tokens)
    counts: Counter[Ngram] = Counter()
    for order in range(1, max_order + 1):
        counts.update(words[start : start + order] for start in range(len(words) - order + 1))
    return counts


def items(references: References) -> list[tuple[Hashable, ReferenceSet]]:
    """Each reference set with its key: the mapping's key, or the position in the sequence."""
    pairs: list[tuple[Hashable, ReferenceSet]] = (
        list(references.items()) if isinstance(references, Mapping) else list(enumerate(references))
    )
    for key, captions in pairs:
        if not captions:
            raise DataError(f"Item {key!r} has no reference caption, so it cannot be scored.")
        if any(isinstance(caption, str) for caption in captions):
            raise DataError(
                f"Item {key!r} has captions that are text, not tokens.", hint="Call tokenize first."
            )
    return pairs


def pair(references: References, hypotheses: Hypotheses) -> list[tuple[ReferenceSet, Tokens]]:
    """Pair each hypothesis with its references, in the order of the references.

    Raises DataError when one side lacks an item, when nothing is to be scored, or when captions are
    text and not tokens.
    """
    expected = items(references)
    if not expected:
        raise DataError("There is nothing to score: no item has references.")
    given: Mapping[Any, Tokens] = (
        hypotheses if isinstance(hypotheses, Mapping) else dict(enumerate(hypotheses))
    )
    missing = [key for key, _ in expected if key not in given]
    if missing or len(given) != len(expected):
        example = f" The first without a hypothesis: {missing[0]!r}." if missing else ""
        raise DataError(f"{len(expected)} items have references, {len(given)} have hypotheses.{example}")
    if any(isinstance(given[key], str) for key, _ in expected):
        raise DataError("Hypotheses must be lists of tokens, not text.", hint="Call tokenize first.")
    return [(captions, given[key]) for key, captions in expected]
