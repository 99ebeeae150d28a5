"""Fits the confidence of a bundle's captions on dev photos, and says how well it holds on others.

Each photo is judged by weights that were fitted on the other half of the photos; what the bundle then gets is
fitted on all. Photos are halved by their keys, so that the same photos give the same weights.

Legend of shapes: N captions, E pieces of evidence.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from cutline.captioning.bundle import CONFIDENCE, Bundle, sealed
from cutline.captioning.bundle_captioner import BundleCaptioner
from cutline.captioning.confidence import Confidence
from cutline.captioning.evidence import EVIDENCE, Evidence, Weighed, weights_json
from cutline.captioning.options import DecodingOptions
from cutline.errors import DataError, TrainingError
from cutline.metrics import CiderD, tokenize
from cutline.training.config import load_recipe
from cutline.training.datasets import DEV, load_examples, read_source, split_examples
from cutline.training.examples import Example

THRESHOLD = 0.4
LARGEST_ERROR = 0.05
FEWEST_PHOTOS = 50
_BINS = 10
_RIDGE = 1.0  # on weights of standardised evidence: one caption's worth of doubt
_STEPS = 25

Floats: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A caption of a photo: what the model knew of it, and how good people's captions say it is (CIDEr-D)."""

    key: str
    evidence: Evidence
    cider: float


def calibrate(
    bundle: Bundle, examples: Sequence[Example], *, version: str, threshold: float = THRESHOLD
) -> tuple[Bundle, Confidence]:
    """The bundle with a confidence.json, fitted on photos that it was not trained on.

    Raises DataError for too few photos, and TrainingError where the confidence would promise too much.
    """
    judged = [caption for [caption] in judge(BundleCaptioner(bundle), examples)]
    confidence = fit(judged, threshold=threshold, data=described(examples))
    if confidence.calibration_error > LARGEST_ERROR:
        raise TrainingError(
            f"The expected calibration error is {confidence.calibration_error:.3f} on"
            f" {confidence.photos:,} photos, more than {LARGEST_ERROR:g}.",
            hint="Fit it on more photos: of few, the error is mostly chance.",
            kept="No bundle was written.",
        )
    files = {**bundle.files, CONFIDENCE: weights_json(confidence)}
    return sealed(replace(bundle.manifest, version=version), files), confidence


def judge(
    captioner: BundleCaptioner,
    examples: Sequence[Example],
    *,
    n: int = 1,
    options: DecodingOptions | None = None,
) -> list[list[Judged]]:
    """Caption the photos, n for each, and score them; n-grams are as rare as in the data set's captions."""
    found: list[list[Judged]] = []
    for source in dict.fromkeys(each.source for each in examples):
        photos = [each for each in examples if each.source == source and each.image is not None]
        images = (read_source(each.image) for each in photos if each.image is not None)
        scorer = CiderD([[tokenize(text) for text in each.captions] for each in photos])
        for place, outcome in enumerate(captioner.caption_each(images, n=n, options=options)):
            if not isinstance(outcome, list):
                raise outcome
            found.append(
                [
                    Judged(
                        key=f"{source}/{photos[place].key}",
                        evidence=caption.evidence,
                        cider=scorer.score(place, tokenize(caption.text)),
                    )
                    for caption in outcome
                    if caption.evidence is not None
                ]
            )
    return found


def fit(judged: Sequence[Judged], *, threshold: float, data: str) -> Confidence:
    """The weights that fit best, and their error on photos that they were not fitted on. Raises DataError."""
    if len(judged) < FEWEST_PHOTOS:
        raise DataError(
            f"There are {len(judged)} photos: a confidence needs {FEWEST_PHOTOS} or more.",
            hint="A few hundred give an error that can be relied on.",
        )
    is_right = np.array([each.cider >= threshold for each in judged])
    if is_right.all() or not is_right.any():
        raise DataError(
            f"{'All' if is_right.all() else 'No'} captions reach a CIDEr-D of {threshold:g}: nothing to fit.",
            hint="Choose another threshold.",
        )
    table = Table.of([each.evidence for each in judged])
    first = np.array([in_first_half(each.key) for each in judged])
    guessed = np.zeros(len(judged))
    for half in (first, ~first):
        guessed[~half] = _Logistic.fitted(table.values[half], is_right[half]).of(table.values[~half])
    whole = _Logistic.fitted(table.values, is_right)
    return Confidence(
        format_version=1,
        threshold=threshold,
        bias=_short(whole.bias),
        evidence=table.weighed(whole.weights),
        calibration_error=round(calibration_error(guessed, is_right), 4),
        photos=len(judged),
        data=data,
    )


def calibration_error(
    guessed: Floats, is_right: npt.NDArray[np.bool_], *, counts: npt.NDArray[np.int64] | None = None
) -> float:
    """Expected calibration error (Naeini et al., 2015), in ten bins of equal width. [N], [N]

    counts: how often each guess is there, [N]; once where nobody says.

    >>> calibration_error(np.array([0.75, 0.75]), np.array([True, False]))
    0.25
    """
    bins = np.minimum((guessed * _BINS).astype(int), _BINS - 1)
    times = np.ones(len(guessed)) if counts is None else counts
    gaps = np.bincount(bins, (guessed - is_right) * times, minlength=_BINS)
    return float(np.abs(gaps).sum() / max(1, times.sum()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Evidence as numbers [N, E]; where one is not known, it is taken for what it is on average."""

    names: tuple[str, ...]
    values: Floats
    typical: Floats

    @classmethod
    def of(cls, evidence: Sequence[Evidence]) -> Table:
        """What at least some captions have."""
        columns: dict[str, Floats] = {
            name: np.array([_number(getattr(each, name)) for each in evidence]) for name in EVIDENCE
        }
        known = {name: values for name, values in columns.items() if np.isfinite(values).any()}
        typical = np.array([np.nanmean(values) for values in known.values()])
        values = np.stack(list(known.values()), axis=1)
        return cls(names=tuple(known), values=np.where(np.isfinite(values), values, typical), typical=typical)

    def weighed(self, weights: Floats) -> dict[str, Weighed]:
        """What each piece of evidence counts, as a bundle's file says it. weights [E]"""
        return {
            name: Weighed(weight=_short(weight), typical=_short(typical))
            for name, weight, typical in zip(self.names, weights, self.typical, strict=True)
        }


def _number(value: float | None) -> float:
    return math.nan if value is None else value


@dataclass(frozen=True, slots=True, kw_only=True)
class _Logistic:
    bias: float
    weights: Floats

    @classmethod
    def fitted(cls, values: Floats, is_right: npt.NDArray[np.bool_]) -> _Logistic:
        """Newton's method, on standardised evidence. values [N, E], is_right [N]"""
        mean, spread = values.mean(axis=0), values.std(axis=0)
        spread = np.where(spread > 0, spread, 1.0)
        scaled = np.column_stack([np.ones(len(values)), (values - mean) / spread])
        found = np.zeros(scaled.shape[1])
        ridge = np.diag([0.0, *[_RIDGE] * values.shape[1]])
        for _ in range(_STEPS):
            guessed = _sigmoid(scaled @ found)
            curvature = (scaled * (guessed * (1 - guessed))[:, None]).T @ scaled + ridge
            found = found + np.linalg.solve(curvature, scaled.T @ (is_right - guessed) - ridge @ found)
        weights = found[1:] / spread
        return cls(bias=float(found[0] - weights @ mean), weights=weights)

    def of(self, values: Floats) -> Floats:
        """Probabilities. values [N, E] -> [N]"""
        return _sigmoid(values @ self.weights + self.bias)


def _sigmoid(values: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-values)), np.float64)


def in_first_half(key: str) -> bool:
    """Whether a photo is of those on which weights are fitted first."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()[0] % 2 == 0


def _short(value: float) -> float:
    """With six digits: more would be of the machine."""
    return float(f"{value:.6g}")


def dev_photos(recipe: Path, overrides: Sequence[str] = ()) -> list[Example]:
    """The photos of a recipe's dev split, on which nothing was trained. Raises ConfigError, DataError."""
    read = [each for data in load_recipe(recipe, overrides).data for each in load_examples(data)]
    return [each for each in split_examples(read, DEV) if each.image is not None]


def described(examples: Sequence[Example]) -> str:
    """Which photos these are, for people."""
    counts = Counter(each.source for each in examples)
    return ", ".join(f"{source} dev ({count:,} photos)" for source, count in counts.items())
