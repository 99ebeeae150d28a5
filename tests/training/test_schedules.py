"""Learning-rate schedules, step by step."""

from __future__ import annotations

import pytest
from tiny_captioner import tiny_stage

from cutline.training.schedules import build_schedule


def factors(total: int, **changes: object) -> list[float]:
    schedule = build_schedule(tiny_stage(**changes), total_steps=total)
    return [schedule.factor(step) for step in range(total)]


def test_constant_stays_after_its_warm_up() -> None:
    assert factors(6, schedule="constant", warmup_steps=2) == [0.5, 1, 1, 1, 1, 1]


def test_cosine_falls_from_one_to_its_floor() -> None:
    found = factors(11, schedule="cosine", floor=0.1)
    assert found[0] == 1
    assert found[5] == pytest.approx(0.55)  # half way down
    assert found[-1] == pytest.approx(0.1)
    assert found == sorted(found, reverse=True)


def test_a_warm_up_climbs_by_equal_steps_and_never_starts_at_zero() -> None:
    assert factors(20, schedule="cosine", warmup_steps=4)[:5] == [0.25, 0.5, 0.75, 1, 1]


def test_one_cycle_climbs_a_third_and_ends_far_below_its_start() -> None:
    found = factors(100, schedule="one-cycle", floor=0.001)
    assert found[0] == pytest.approx(1 / 25)
    assert found.index(max(found)) == 30
    assert max(found) == 1
    assert found[-1] == pytest.approx(0.001)


def test_one_cycle_climbs_for_as_long_as_it_is_told() -> None:
    found = factors(100, schedule="one-cycle", warmup_steps=10)
    assert found.index(max(found)) == 10


def test_plateau_shrinks_when_evaluations_stop_improving_and_stops_at_its_floor() -> None:
    stage = tiny_stage(schedule="plateau", plateau_patience=1, plateau_factor=0.1, floor=0.02)
    schedule = build_schedule(stage, total_steps=100)
    seen = []
    for value in (3.0, 2.0, 2.1, 2.0, 2.5, 2.5, 1.0, 1.1, 1.1):
        schedule.observe(value)
        seen.append(schedule.factor(50))
    assert seen == pytest.approx([1, 1, 1, 0.1, 0.1, 0.02, 0.02, 0.02, 0.02])


def test_plateau_remembers_across_a_restart() -> None:
    stage = tiny_stage(schedule="plateau", plateau_patience=1)
    first, second = (build_schedule(stage, total_steps=9) for _ in range(2))
    for value in (1.0, 2.0):
        first.observe(value)
    second.restore(first.state())
    second.observe(2.0)
    assert second.factor(5) == 0.5


@pytest.mark.parametrize("schedule", ["constant", "cosine", "one-cycle", "plateau"])
@pytest.mark.parametrize("total", [1, 2])
def test_a_training_of_a_step_or_two_is_no_special_case(schedule: str, total: int) -> None:
    found = factors(total, schedule=schedule, warmup_steps=50)
    assert all(0 < factor <= 1 for factor in found)
