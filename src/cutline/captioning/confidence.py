"""How likely a caption is acceptable: a logistic function of what the model knew when it had written it.

A bundle may hold ``confidence.json``, which ``evaluation.calibration`` fits (`cutline bundle calibrate`).
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Literal

from cutline.errors import BundleDamaged
from cutline.strict import Between, MismatchError, dump, load_json, parse_json

RIVALS = 3
"""How many of the other sentences that a search finished are asked whether they agree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a confidence is made of, where it is known.

    ``mean_log_prob`` is the natural logarithm of a token's probability on average, the end's included;
    ``tokens`` their number without it. ``agreement``, from 0 to 1, says how many words the sentence shares
    with others that the search finished; None where it finished no other. ``likeness`` is the cosine of the
    sentence and the photo; None without a text tower.
    """

    mean_log_prob: float
    tokens: int
    agreement: float | None = None
    likeness: float | None = None


EVIDENCE = tuple(each.name for each in fields(Evidence))


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed:
    """What one piece of evidence counts, and what it is taken for where it is not known."""

    weight: float
    typical: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Confidence:
    """The content of confidence.json.

    ``threshold`` is the CIDEr-D, against people's captions of the photo, from which on a caption is
    acceptable. ``calibration_error`` is the expected calibration error (Naeini et al., 2015, ten bins) on
    ``photos`` photos, each judged by weights that were not fitted on it; ``data`` says which photos.
    """

    format_version: Literal[1]
    threshold: Annotated[float, Between(0, 10, open_low=True)]
    bias: float
    evidence: Mapping[str, Weighed]
    calibration_error: Annotated[float, Between(0, 1)]
    photos: Annotated[int, Between(1)]
    data: str

    def __post_init__(self) -> None:
        """Refuse evidence that nobody knows of (MismatchError)."""
        if unknown := set(self.evidence) - set(EVIDENCE):
            raise MismatchError(f"evidence has {min(unknown)!r:.60}, but knows {', '.join(EVIDENCE)}")

    def of(self, evidence: Evidence) -> float:
        """The probability that a caption is acceptable."""
        total = self.bias
        for name, weighed in self.evidence.items():
            known = getattr(evidence, name)
            total += weighed.weight * (weighed.typical if known is None else known)
        return 1 / (1 + math.exp(-max(-500.0, min(500.0, total))))


def parse_confidence(data: bytes, where: str) -> Confidence:
    """Read confidence.json strictly. Raises BundleDamaged."""
    try:
        return parse_json(Confidence, load_json(data))
    except MismatchError as error:
        raise BundleDamaged(f"{where}: {error}.", hint=error.hint) from error
    except ValueError as error:
        raise BundleDamaged(f"{where} is not JSON: {error}.") from error


def confidence_json(confidence: Confidence) -> bytes:
    """The bytes of confidence.json."""
    return (json.dumps(dump(confidence), indent=2, allow_nan=False) + "\n").encode()


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
