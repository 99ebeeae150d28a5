"""The simulator errs as the concept head errs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from cutline.training.simulation import ConceptSimulator

PHOTOS, CONCEPTS = 400, 12
Floats = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def head() -> tuple[Floats, Floats]:
    """A head's probabilities and the truth: the more captions name it the likelier; 1 is seen where 0 is."""
    rng = np.random.default_rng(0)
    targets = (rng.random((PHOTOS, CONCEPTS)) < 0.2) * rng.choice([0.2, 0.6, 1.0], (PHOTOS, CONCEPTS))
    targets[:, 1] = 0
    scores = rng.uniform(0, 0.05, (PHOTOS, CONCEPTS))
    scores = np.where(targets > 0, rng.uniform(0.1, 0.2, targets.shape) + 0.7 * targets, scores)
    scores[:, 1] = np.where(targets[:, 0] > 0, 0.5, 0.02)
    return scores.astype(np.float32), targets.astype(np.float32)


def named(row: Floats) -> dict[int, float]:
    return {int(place): round(float(row[place]), 3) for place in np.flatnonzero(row)}


def drawn(
    head: tuple[Floats, Floats], *, seed: int = 1, count: int = 5
) -> tuple[npt.NDArray[np.int64], Floats]:
    scores, targets = head
    simulator = ConceptSimulator(scores, targets)
    return simulator.draw([named(row) for row in targets], count, np.random.default_rng(seed))


def test_ids_are_the_likeliest_first_and_probabilities_below_one(head: tuple[Floats, Floats]) -> None:
    ids, scores = drawn(head)
    assert ids.shape == scores.shape == (PHOTOS, 5)
    assert all(len(set(row)) == 5 for row in ids.tolist())
    assert (np.diff(scores, axis=1) <= 0).all()
    assert scores.min() >= 0
    assert scores.max() < 1


def test_named_concepts_get_what_named_concepts_got(head: tuple[Floats, Floats]) -> None:
    _, targets = head
    ids, scores = drawn(head, count=CONCEPTS - 1)
    by_share: dict[float, list[float]] = {}
    for row, (places, values) in enumerate(zip(ids, scores, strict=True)):
        for place, value in zip(places, values, strict=True):
            if targets[row, place] > 0:
                by_share.setdefault(round(float(targets[row, place]), 1), []).append(float(value))
    for share, values in by_share.items():
        assert np.mean(values) == pytest.approx(0.15 + 0.7 * share, abs=0.03)


def test_false_alarms_keep_their_company(head: tuple[Floats, Floats]) -> None:
    _, targets = head
    ids, scores = drawn(head, count=CONCEPTS - 1)
    with_zero = targets[:, 0] > 0
    falsely = np.where(ids == 1, scores, 0).sum(axis=1)
    assert falsely[with_zero].mean() > 2 * falsely[~with_zero].mean()
    assert falsely[with_zero].mean() > 0.1


def test_the_same_seed_draws_the_same_and_another_does_not(head: tuple[Floats, Floats]) -> None:
    np.testing.assert_array_equal(drawn(head, seed=3)[1], drawn(head, seed=3)[1])
    assert (drawn(head, seed=3)[1] != drawn(head, seed=4)[1]).any()


def test_captions_that_name_nothing_still_get_concepts(head: tuple[Floats, Floats]) -> None:
    ids, scores = ConceptSimulator(*head).draw([{}], 5, np.random.default_rng(0))
    assert ids.shape == (1, 5)
    assert (scores < 0.99).all()


def test_as_many_as_there_are_can_be_drawn(head: tuple[Floats, Floats]) -> None:
    ids, _ = drawn(head, count=CONCEPTS)
    assert sorted(ids[0]) == list(range(CONCEPTS))


def test_a_head_that_never_errs_makes_a_simulator_that_does_not() -> None:
    targets = np.eye(6, dtype=np.float32)
    ids, scores = ConceptSimulator(targets * 0.9, targets).draw([{2: 1.0}], 3, np.random.default_rng(0))
    assert ids[0, 0] == 2
    assert scores[0].tolist() == pytest.approx([0.9, 0.0, 0.0])


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_share_has_its_level_however_its_float_was_rounded(kind: type[np.floating]) -> None:
    for captions in range(1, 6):
        for share in (kind(captions) / kind(5), np.nextafter(kind(captions) / kind(5), kind(2))):
            scores = np.array([[captions / 10, 0.0]], dtype=np.float32)
            simulator = ConceptSimulator(scores, np.array([[share, 0]], dtype=kind))
            named = [{0: float(np.float32(captions / 5))}]
            ids, drawn = simulator.draw(named, 1, np.random.default_rng(0))
            assert (ids[0, 0], drawn[0, 0]) == (0, pytest.approx(captions / 10))
            assert len(simulator._named[captions - 1]) == 1
