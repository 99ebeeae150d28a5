"""Fits what chooses a bundle's caption among many, on dev photos, and says what it gains on others.

The score of a sentence is a weighed sum of what is known of it, fitted by least squares to how much better it
is than the photo's other candidates, by people's captions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cutline.captioning.bundle import CONFIDENCE, RERANKER, Bundle, sealed
from cutline.captioning.bundle_captioner import BundleCaptioner
from cutline.captioning.evidence import weights_json
from cutline.captioning.options import DecodingOptions, Strategy
from cutline.captioning.reranking import Reranker
from cutline.errors import DataError, TrainingError
from cutline.training.calibration import (
    FEWEST_PHOTOS,
    Floats,
    Judged,
    Table,
    described,
    in_first_half,
    judge,
)
from cutline.training.examples import Example

_RIDGE = 1.0


def fit_reranker(
    bundle: Bundle, examples: Sequence[Example], *, version: str, candidates: int
) -> tuple[Bundle, Reranker]:
    """The bundle with a reranker.json, without a confidence, which is about other captions.

    Raises DataError for too few photos, and TrainingError where the first captions are as good.
    """
    captioner = BundleCaptioner(bundle)
    many = DecodingOptions(strategy=Strategy.BEAM, beam_size=candidates, diversity=0.0, rerank=False)
    plain = [each[0].cider for each in judge(captioner, examples, options=DecodingOptions(rerank=False))]
    reranker = fit(
        judge(captioner, examples, n=candidates, options=many),
        plain,
        candidates=candidates,
        data=described(examples),
    )
    if reranker.gain <= 0:
        raise TrainingError(
            f"Choosing among {candidates} candidates changes CIDEr-D by {reranker.gain:+.2f}: no gain.",
            kept="No bundle was written.",
        )
    files = {name: data for name, data in bundle.files.items() if name != CONFIDENCE}
    return sealed(
        replace(bundle.manifest, version=version), {**files, RERANKER: weights_json(reranker)}
    ), reranker


def fit(
    judged: Sequence[Sequence[Judged]], plain: Sequence[float], *, candidates: int, data: str
) -> Reranker:
    """Weights for photos with several candidates each. plain: CIDEr-D of the captions without a re-ranker."""
    if len(judged) < FEWEST_PHOTOS:
        raise DataError(f"There are {len(judged)} photos: a re-ranker needs {FEWEST_PHOTOS} or more.")
    table = Table.of([each.evidence for several in judged for each in several])
    ends = np.cumsum([len(several) for several in judged])[:-1]
    values = np.split(table.values, ends)
    ciders = [np.array([each.cider for each in several]) for several in judged]
    first = np.array([in_first_half(several[0].key) for several in judged])
    chosen = np.zeros(len(judged))
    for half in (first, ~first):
        weights = _fitted(*([each[place] for place in np.flatnonzero(half)] for each in (values, ciders)))
        for place in np.flatnonzero(~half):
            chosen[place] = ciders[place][int((values[place] @ weights).argmax())]
    return Reranker(
        format_version=1,
        candidates=candidates,
        evidence=table.weighed(_fitted(values, ciders)),
        gain=round(100 * float((chosen - np.array(plain)).mean()), 2),
        photos=len(judged),
        data=data,
    )


def _fitted(values: Sequence[Floats], ciders: Sequence[Floats]) -> Floats:
    """Ridge regression within photos: what makes one candidate better than others. [N, E], [N] each -> [E]"""
    centred = np.concatenate([each - each.mean(axis=0) for each in values])
    gains = np.concatenate([each - each.mean() for each in ciders])
    spread = centred.std(axis=0)
    spread = np.where(spread > 0, spread, 1.0)
    scaled = centred / spread
    found = np.linalg.solve(scaled.T @ scaled + _RIDGE * np.eye(scaled.shape[1]), scaled.T @ gains)
    return np.asarray(found / spread, np.float64)
