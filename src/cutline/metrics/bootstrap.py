"""Whether one system is significantly better than another: the paired bootstrap (Koehn, 2004)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from cutline.errors import DataError, OptionError
from cutline.metrics.ngrams import Floats

_CHUNK = 256  # resamples at a time: bounds the memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How much the first system is ahead of the second, and how sure that is."""

    difference: float  # first minus second, on the items themselves
    low: float  # the confidence interval of the difference
    high: float
    confidence: float
    p_value: float  # two-sided, of "there is no difference"
    samples: int
    seed: int

    @property
    def significant(self) -> bool:
        """Whether the p-value is below 1 - confidence."""
        return self.p_value < 1 - self.confidence


def paired_bootstrap(
    first: Floats,
    second: Floats,
    *,
    aggregate: Callable[[Floats], Floats] | None = None,
    samples: int = 10_000,
    seed: int = 0,
    confidence: float = 0.95,
) -> Comparison:
    """Compare two systems on the same items by resampling the items with replacement.

    first, second: a score per item [N], or statistics per item [N, K]. ``aggregate`` turns summed
    statistics [S, K] into corpus scores [S], as bleu_from_statistics does; without it the score is the
    mean. The interval holds the middle ``confidence`` of the resampled differences; the p-value is
    twice the share of resamples in which the lead is lost, so it falls below 1 - ``confidence`` when the
    interval leaves 0 out.
    Raises DataError when the systems have different items or none.
    """
    if first.shape != second.shape or not len(first):
        raise DataError(f"The systems must share their items; got shapes {first.shape} and {second.shape}.")
    if samples < 1 or not 0 < confidence < 1:
        raise OptionError("The bootstrap needs at least one sample and a confidence between 0 and 1.")
    items = len(first)
    both = np.concatenate([first.reshape(items, -1), second.reshape(items, -1)], axis=1)

    def differ(sums: Floats) -> Floats:
        """Score both halves and subtract: [S, 2 K] -> [S]."""
        halves = np.split(sums, 2, axis=1)
        left, right = (half[:, 0] / items if aggregate is None else aggregate(half) for half in halves)
        return left - right

    observed = float(differ(both.sum(axis=0, keepdims=True))[0])
    rng = np.random.default_rng(seed)
    resampled = np.concatenate(
        [
            differ(_resample_weights(rng, min(_CHUNK, samples - start), items) @ both)
            for start in range(0, samples, _CHUNK)
        ]
    )
    tail = (1 - confidence) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    # Twice the smaller tail beyond 0, which agrees with the interval. One is added, so that no finite number
    # of samples claims a p-value of 0; the slack keeps rounding from deciding when both systems are equal.
    beyond = min((resampled <= 1e-9).sum(), (resampled >= -1e-9).sum())
    return Comparison(
        difference=observed,
        low=float(low),
        high=float(high),
        confidence=confidence,
        p_value=min(1.0, float(2 * (1 + beyond) / (1 + samples))),
        samples=samples,
        seed=seed,
    )


def relative_change(after: Floats, before: Floats, *, samples: int = 10_000) -> Comparison:
    """How far the mean of a score per item [N] is above what it was before, as a share of that; see above.

    Raises DataError as `paired_bootstrap`.
    """
    test = paired_bootstrap(after, before, samples=samples)
    scale = max(float(before.mean()), 1e-9)
    return replace(test, difference=test.difference / scale, low=test.low / scale, high=test.high / scale)


def _resample_weights(rng: np.random.Generator, samples: int, items: int) -> Floats:
    """Draw how often each item occurs in each resample [samples, items]."""
    drawn = rng.integers(items, size=(samples, items)) + np.arange(samples)[:, None] * items
    counts = np.bincount(drawn.ravel(), minlength=samples * items)
    return counts.reshape(samples, items).astype(np.float64)
