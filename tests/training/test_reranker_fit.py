"""A re-ranker is fitted on photos with several candidates each, and refused where it gains nothing."""

from __future__ import annotations

import numpy as np
import pytest

from cutline.captioning.evidence import Evidence
from cutline.errors import DataError
from cutline.training.calibration import Judged
from cutline.training.reranking import fit


def candidates(photos: int) -> list[list[Judged]]:
    """Of each photo five candidates, likeliest first: the more like the photo, the better they are."""
    rng = np.random.default_rng(0)
    found = []
    for photo in range(photos):
        level = rng.normal()  # some photos are easy: that says nothing of which candidate is best
        likeness = rng.normal(0.3 + level, 0.1, 5)
        ciders = 0.5 + level + 2 * (likeness - likeness.mean()) + rng.normal(0, 0.05, 5)
        found.append(
            [
                Judged(
                    key=f"a/{photo}",
                    evidence=Evidence(
                        mean_log_prob=-1.0 - rank / 10, tokens=9, likeness=float(likeness[rank])
                    ),
                    cider=float(ciders[rank]),
                )
                for rank in range(5)
            ]
        )
    return found


def test_what_makes_one_candidate_better_than_others_is_found() -> None:
    judged = candidates(200)
    plain = [several[0].cider for several in judged]
    found = fit(judged, plain, candidates=5, data="made up")
    assert found.evidence["likeness"].weight == pytest.approx(2, abs=0.1)
    assert abs(found.evidence["mean_log_prob"].weight) < 0.1
    best = np.mean([max(each.cider for each in several) for several in judged]) - np.mean(plain)
    assert 0.9 * best < found.gain / 100 <= best
    assert found.best([each.evidence for each in judged[0]]) == int(
        np.argmax([each.evidence.likeness or 0 for each in judged[0]])
    )


def test_few_photos_are_refused() -> None:
    with pytest.raises(DataError, match="49 photos"):
        fit(candidates(49), [0.0] * 49, candidates=5, data="")
