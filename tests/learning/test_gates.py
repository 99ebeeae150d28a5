"""What gates ask, on figures alone; tests/learning/test_run.py asks them all of a challenger."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cutline.learning import gates
from cutline.learning.config import GateSettings
from cutline.learning.gates import Gate, Report, captions_gate, confidence_gate


@pytest.mark.parametrize(
    ("photos", "change", "spread", "passed"),
    [
        (12, 0.0, 0.3, True),
        (12, -0.03, 0.3, True),  # so few photos lose that by chance
        (12, -0.15, 0.8, True),  # and that, where captions differ so much
        (12, -0.15, 0.3, False),  # no chance
        (12, -0.3, 0.8, False),  # nobody knows, but it is much
        (400, -0.03, 0.1, False),  # no chance
        (400, 0.03, 0.1, True),
    ],
)
def test_captions_of_few_photos_may_get_worse_by_chance_but_not_by_much(
    photos: int, change: float, spread: float, passed: bool
) -> None:
    before = np.full(photos, 0.6)
    noise = np.random.default_rng(0).normal(0, spread, photos)
    after = before * (1 + change) + 0.6 * (noise - noise.mean())
    assert captions_gate(after, before, GateSettings()).passed is passed


@pytest.mark.parametrize(
    ("wrong", "forgot"),
    [(("base",), True), (("golden", "groups"), True), (("base", "held-back likelihood"), True), ((), False)],
)
def test_what_was_forgotten_is_a_reason_to_try_weaker_weights(wrong: tuple[str, ...], forgot: bool) -> None:
    """Whatever is wrong besides: what was held back is asked of those that did not forget."""
    gates = [
        Gate(name=name, about="", passed=name not in wrong, figure=0, threshold="")
        for name in ("base", "golden", "groups", "held-back likelihood")
    ]
    report = Report(champion="m@1", challenger="m@2", data="d", gates=tuple(gates))
    assert report.forgot is forgot


def test_what_the_champion_says_is_no_name_that_people_taught_it() -> None:
    texts = ["My dog Rufus plays with a Frisbee.", "Emma throws a Frisbee.", "The dog catches Rufus."]
    names = gates.names_in(texts, known=["A dog with a frisbee in its mouth.", "Emma and a rufous hen."])
    assert {"rufus", "emma"} <= names
    assert names.isdisjoint({"frisbee", "dog", "the"})


class Machine:
    """Its processors' time, and the wall's clock, which runs while other programs work."""

    def __init__(self) -> None:
        self.worked = self.now = 0.0

    def process_time(self) -> float:
        return self.worked

    def perf_counter(self) -> float:
        return self.now

    def captioner(self, *, works: float, waits: float) -> Any:
        def caption(photo: Path) -> None:
            self.worked += works
            self.now += works + waits

        return SimpleNamespace(caption=caption)


@pytest.mark.parametrize(("works", "waits", "passed"), [(1.05, 3.0, True), (1.2, 0.0, False)])
def test_a_challenger_is_as_slow_as_what_it_computes_whatever_else_the_machine_does(
    works: float, waits: float, passed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine()
    monkeypatch.setattr(gates, "time", machine)
    before, after = machine.captioner(works=1.0, waits=0.0), machine.captioner(works=works, waits=waits)
    contest: Any = SimpleNamespace(settings=GateSettings())
    held: Any = SimpleNamespace(paths=(Path("photo.jpg"),))
    gate = gates._latency_gate(contest, before, after, held)
    assert gate.passed is passed
    assert gate.low == gate.high == pytest.approx(gate.figure)


def test_a_challenger_that_is_sure_of_what_is_wrong_fails() -> None:
    sure = np.full(200, 0.75)
    true = (sure, np.arange(200) % 4 > 0)
    assert confidence_gate(true, true, GateSettings()).passed
    gate = confidence_gate((sure, np.arange(200) % 2 > 0), true, GateSettings())
    assert not gate.passed
    assert gate.figure == pytest.approx(0.25)
