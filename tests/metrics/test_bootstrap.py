"""The bootstrap finds what is there, and does not find what is not."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from cutline.errors import DataError, OptionError
from cutline.metrics import paired_bootstrap
from cutline.metrics.bootstrap import relative_change


def scores(seed: int, items: int = 400) -> np.ndarray:
    return np.random.default_rng(seed).random(items)


def test_a_real_difference_is_found_with_its_size() -> None:
    first = scores(0)
    second = first - 0.05 + 0.1 * (scores(1) - 0.5)
    found = paired_bootstrap(first, second, samples=2000)
    assert found.difference == pytest.approx(float((first - second).mean()))
    assert found.low < found.difference < found.high
    assert found.low > 0
    assert found.p_value < 0.01
    assert found.significant


def test_the_interval_is_as_wide_as_theory_says() -> None:
    first, second = scores(2), scores(3)
    found = paired_bootstrap(first, second, samples=5000)
    error = (first - second).std(ddof=1) / np.sqrt(len(first))
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.06)


def test_equal_systems_do_not_differ() -> None:
    same = scores(4)
    found = paired_bootstrap(same, same, samples=500)
    assert (found.difference, found.low, found.high, found.p_value) == (0, 0, 0, 1)
    assert not found.significant


def test_chance_is_called_significant_as_often_as_promised() -> None:
    verdicts = [
        paired_bootstrap(scores(seed, 100), scores(seed + 10_000, 100), samples=400).significant
        for seed in range(200)
    ]
    assert 2 <= sum(verdicts) <= 22  # 5% of 200 is 10


def test_who_comes_first_changes_the_sign_alone() -> None:
    one, other = scores(5), scores(6)
    forth, back = paired_bootstrap(one, other, samples=500), paired_bootstrap(other, one, samples=500)
    assert_allclose([forth.difference, forth.low], [-back.difference, -back.high])
    assert forth.p_value == back.p_value


def test_the_seed_decides() -> None:
    one, other = scores(7), scores(8)
    assert paired_bootstrap(one, other, samples=300, seed=1) == paired_bootstrap(
        one, other, samples=300, seed=1
    )
    assert paired_bootstrap(one, other, samples=300, seed=1) != paired_bootstrap(
        one, other, samples=300, seed=2
    )


def test_corpus_scores_are_computed_on_each_resample() -> None:
    statistics = np.stack([scores(9), scores(10) + 1], axis=1)

    def ratio(sums: np.ndarray) -> np.ndarray:
        return sums[:, 0] / sums[:, 1]

    found = paired_bootstrap(statistics, statistics * [0.5, 1.0], aggregate=ratio, samples=500)
    expected = statistics[:, 0].sum() / statistics[:, 1].sum() / 2
    assert found.difference == pytest.approx(expected)
    assert found.low > 0


def test_interval_and_p_value_never_contradict_each_other() -> None:
    for seed in range(40):
        first = scores(seed, 30)
        found = paired_bootstrap(first, first - 0.1 + 0.5 * (scores(seed + 100, 30) - 0.5), samples=999)
        assert found.significant == (found.low > 0 or found.high < 0) or abs(found.p_value - 0.05) < 0.01


def test_the_p_value_is_never_zero() -> None:
    assert paired_bootstrap(np.ones(50), np.zeros(50), samples=99).p_value == pytest.approx(0.02)


def test_a_change_is_a_share_of_what_was_there_before() -> None:
    before = np.random.default_rng(3).uniform(0.4, 0.6, 300)
    change, again = (relative_change(scale * before * 1.1, scale * before, samples=500) for scale in (1, 7))
    assert change.difference == pytest.approx(0.1)
    assert change.low == pytest.approx(again.low)
    assert change.low < 0.1 < change.high


def test_nonsense_is_refused() -> None:
    with pytest.raises(DataError, match="share their items"):
        paired_bootstrap(np.ones(3), np.ones(4))
    with pytest.raises(DataError, match="share their items"):
        paired_bootstrap(np.ones(0), np.ones(0))
    with pytest.raises(OptionError, match="confidence"):
        paired_bootstrap(np.ones(3), np.ones(3), confidence=1.5)
