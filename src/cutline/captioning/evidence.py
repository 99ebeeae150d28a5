"""What a model knew of a sentence when it had written it, and how files of a bundle weigh that."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from cutline.errors import BundleDamaged
from cutline.strict import MismatchError, dump, parse_file

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

T = TypeVar("T")

RIVALS = 3
"""How many of the other sentences that a search finished are asked whether they agree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of a sentence.

    ``mean_log_prob`` is the natural logarithm of a token's probability on average, the end's included;
    ``tokens`` their number without it. ``agreement``, from 0 to 1, says how many words the sentence shares
    with others that the search finished; None where it finished no other. ``likeness`` is the cosine of the
    sentence and the photo; None without a text tower. ``concepts`` says how much of what the photo seems to
    show the sentence names (see `naming`); None for an encoder that does not say what it shows.
    """

    mean_log_prob: float
    tokens: int
    agreement: float | None = None
    likeness: float | None = None
    concepts: float | None = None


EVIDENCE = tuple(each.name for each in fields(Evidence))


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """What one piece of evidence counts, and what it is taken for where it is not known."""

    weight: float
    typical: float


Weights: TypeAlias = Mapping[str, Weighed]
"""What counts how much, by the names of Evidence."""


def check_known(weights: Weights) -> None:
    """Refuse evidence that nobody knows of (MismatchError)."""
    if unknown := set(weights) - set(EVIDENCE):
        raise MismatchError(f"evidence has {min(unknown)!r:.60}, but knows {', '.join(EVIDENCE)}")


def weighed_sum(weights: Weights, evidence: Evidence) -> float:
    """The sum of what is known, each times its weight."""
    known = ((each, getattr(evidence, name)) for name, each in weights.items())
    return sum(each.weight * (each.typical if value is None else value) for each, value in known)


def parse_weights(kind: type[T], data: bytes, where: str) -> T:
    """Read a bundle's JSON file that weighs evidence, strictly. Raises BundleDamaged."""
    return parse_file(kind, data, where, BundleDamaged)


def weights_json(weights: object) -> bytes:
    """The bytes of such a file."""
    return (json.dumps(dump(weights), indent=2, allow_nan=False) + "\n").encode()


def agreement(tokens: Sequence[int], rivals: Sequence[Sequence[int]]) -> float | None:
    """The share of words that a sentence has in common with others (Dice), on average; None without others.

    >>> agreement([4, 5, 6], [[4, 5, 7], [4, 5, 6, 8]]) == (4 / 6 + 6 / 7) / 2
    True
    """
    if not rivals:
        return None
    own = Counter(tokens)
    shared = [
        2 * (own & Counter(rival)).total() / max(1, len(tokens) + len(rival)) for rival in rivals[:RIVALS]
    ]
    return sum(shared) / len(shared)


def naming(tokens: Sequence[int], concepts: NDArray[np.float32]) -> float:
    """How much of what a photo seems to show a sentence names, the rarer the more.

    That is what CIDEr-D's term of single words (Vedantam et al., 2015) can be expected to be, but for the
    length of people's captions: over different words, the sum of probability times squared rarity, over the
    root of the sum of squared rarity over all words. concepts: [2, V], of each word of the vocabulary, how
    likely the photo shows it, and how rare it is.

    >>> import numpy as np
    >>> round(naming([1, 1, 2], np.array([[0, 0.5, 0.1], [0, 2.0, 1.0]], np.float32)), 3)
    0.7
    """
    chances, rarities = concepts
    length = float((rarities[list(tokens)] ** 2).sum())
    different = list(set(tokens))
    named = float((chances[different] * rarities[different] ** 2).sum())
    return named / math.sqrt(length) if length else 0.0
