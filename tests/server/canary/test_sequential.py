from __future__ import annotations

import numpy as np
import pytest

from cutline.server.canary.sequential import Counts, evidence, is_worse


def stops(champion: float, challenger: float, *, seed: int, most: int = 1000, every: int = 25) -> int:
    """After how many captions in each arm the challenger is stopped; 0: never."""
    draws = np.random.default_rng(seed).random((2, most)) < np.array([[champion], [challenger]])
    for count in range(every, most + 1, every):
        bad = draws[:, :count].sum(axis=1)
        if is_worse(Counts(all=count, bad=int(bad[0])), Counts(all=count, bad=int(bad[1]))):
            return count
    return 0


@pytest.mark.parametrize("share", [0.05, 0.3])
def test_a_challenger_that_is_no_worse_is_hardly_ever_stopped_however_often_one_looks(share: float) -> None:
    assert sum(stops(share, share, seed=seed) > 0 for seed in range(200)) <= 6
    assert sum(stops(share, share / 2, seed=seed) > 0 for seed in range(50)) == 0


def test_a_challenger_that_is_worse_is_stopped_soon() -> None:
    found = [stops(0.2, 0.4, seed=seed) for seed in range(50)]
    assert all(found)
    assert np.median(found) < 400


def test_a_few_captions_decide_nothing() -> None:
    assert evidence(Counts(all=29, bad=0), Counts(all=1000, bad=1000)) == 1.0
    assert is_worse(Counts(all=30, bad=0), Counts(all=30, bad=30))
    assert evidence(Counts(all=10**9, bad=0), Counts(all=10**9, bad=10**9)) > 1


def test_intervals_hold_the_share() -> None:
    for counts in (Counts(all=0, bad=0), Counts(all=5, bad=0), Counts(all=5, bad=5), Counts(all=100, bad=20)):
        low, high = counts.interval
        assert 0 <= low <= counts.share <= high <= 1
