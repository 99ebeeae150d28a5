"""A sequential test of two shares, which may be looked at as often as one likes.

The mixture sequential probability ratio test of Johari, Pekelis and Walsh ("Always Valid Inference: Bringing
Sequential Analysis to A/B Testing", 2017), with a normal mixture over the difference of the shares. Where
there is no difference, the evidence ever exceeds 1 / ALPHA with a probability of about ALPHA at most.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

ALPHA = 0.01
LEAST = 30
"""Captions in each arm, before anything is decided: the normal approximation needs some."""

_SPREAD = 0.1  # of the differences that are expected: the mixture's standard deviation
_Z = 1.96


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many captions there were, and how many of them people did not leave as they were."""

    all: int
    bad: int

    @property
    def share(self) -> float:
        """The share of bad ones; 0 of none."""
        return self.bad / self.all if self.all else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """The share's interval of 95%, by Wilson's score."""
        if not self.all:
            return 0.0, 1.0
        spread = _Z**2 / self.all
        middle = (self.share + spread / 2) / (1 + spread)
        half = (
            _Z * math.sqrt(self.share * (1 - self.share) / self.all + spread / (4 * self.all)) / (1 + spread)
        )
        return max(0.0, middle - half), min(1.0, middle + half)


def mean_interval(values: Sequence[float]) -> tuple[float | None, float | None]:
    """The interval of 95% of a mean of shares, by the normal approximation; none of fewer than two."""
    if len(values) < 2:
        return None, None
    middle, half = statistics.fmean(values), _Z * statistics.stdev(values) / math.sqrt(len(values))
    return max(0.0, middle - half), min(1.0, middle + half)


def median_interval(values: Sequence[float]) -> tuple[float | None, float | None]:
    """The interval of 95% of a median, by order statistics; none of fewer than six."""
    if len(values) < 6:
        return None, None
    ordered, middle = sorted(values), len(values) / 2
    half = _Z * math.sqrt(len(values)) / 2
    low, high = max(0, math.floor(middle - half)), min(len(values) - 1, math.ceil(middle + half))
    return ordered[low], ordered[high]


def evidence(champion: Counts, challenger: Counts) -> float:
    """How much speaks for the challenger's share being the larger one: a likelihood ratio, 1 for nothing."""
    if min(champion.all, challenger.all) < LEAST:
        return 1.0
    difference = challenger.share - champion.share
    if difference <= 0:
        return 1.0
    variance = _variance(champion) + _variance(challenger)
    mixed = variance + _SPREAD**2
    exponent = _SPREAD**2 * difference**2 / (2 * variance * mixed)
    return math.sqrt(variance / mixed) * math.exp(min(exponent, 700.0))


def is_worse(champion: Counts, challenger: Counts) -> bool:
    """Whether the challenger shall be stopped."""
    return evidence(champion, challenger) >= 1 / ALPHA


def _variance(counts: Counts) -> float:
    """Of the share; with one more of each kind, so that it is never 0."""
    share = (counts.bad + 1) / (counts.all + 2)
    return share * (1 - share) / counts.all
