"""Learning-rate schedules: from the number of a step to a factor on each group's learning rate."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Protocol, assert_never

from cutline.training.config import StageConfig

# One-cycle (Smith, 2018) starts at a 25th of the highest rate, and climbs for 30% of the steps unless told.
_ONE_CYCLE_START = 1 / 25
_ONE_CYCLE_CLIMB = 0.3


class Schedule(Protocol):
    """The factor of each step; may depend on evaluations."""

    def factor(self, step: int) -> float:
        """The factor for step ``step``, counted from 0."""
        ...

    def observe(self, value: float) -> None:
        """Take note of an evaluation's monitor; lower is better."""
        ...

    def state(self) -> dict[str, float]:
        """Plain values for a checkpoint."""
        ...

    def restore(self, state: dict[str, float]) -> None:
        """Restore what ``state`` returned."""
        ...


def build_schedule(stage: StageConfig, *, total_steps: int) -> Schedule:
    """Build the schedule of a stage, over all of its steps."""
    kind = stage.schedule
    warmup = min(stage.warmup_steps, max(total_steps - 1, 0))
    if kind == "constant":
        return Shaped(warmup=warmup, total=total_steps, floor=1.0)
    if kind == "cosine":
        return Shaped(warmup=warmup, total=total_steps, floor=stage.floor)
    if kind == "one-cycle":
        climb = warmup or int(_ONE_CYCLE_CLIMB * total_steps)
        return Shaped(warmup=climb, total=total_steps, floor=stage.floor, start=_ONE_CYCLE_START, smooth=True)
    if kind == "plateau":
        return Plateau(
            warmup=warmup, patience=stage.plateau_patience, shrink=stage.plateau_factor, floor=stage.floor
        )
    assert_never(kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shaped:
    """Climb from ``start`` to 1 in ``warmup`` steps, then fall to ``floor`` along half a cosine."""

    warmup: int
    total: int
    floor: float
    start: float = 0.0
    smooth: bool = False  # climb along a cosine too, rather than a line

    def factor(self, step: int) -> float:
        """The factor of this step."""
        if step < self.warmup:
            climbed = (step + (0 if self.smooth else 1)) / self.warmup
            return self.start + (1 - self.start) * (
                (1 - math.cos(math.pi * climbed)) / 2 if self.smooth else climbed
            )
        fallen = (step - self.warmup) / max(self.total - 1 - self.warmup, 1)
        return self.floor + (1 - self.floor) * (1 + math.cos(math.pi * min(fallen, 1.0))) / 2

    def observe(self, value: float) -> None:
        """Does nothing: the shape is fixed."""

    def state(self) -> dict[str, float]:
        """Empty: the factor depends on the step alone."""
        return {}

    def restore(self, state: dict[str, float]) -> None:
        """Does nothing: there is no state."""


@dataclass(slots=True, kw_only=True)
class Plateau:
    """Shrink the rate when more than ``patience`` evaluations in a row brought nothing better."""

    warmup: int
    patience: int
    shrink: float
    floor: float
    _scale: float = field(default=1.0, init=False)
    _best: float = field(default=math.inf, init=False)
    _waited: int = field(default=0, init=False)

    def factor(self, step: int) -> float:
        """The factor of this step."""
        return self._scale * min(1.0, (step + 1) / self.warmup) if self.warmup else self._scale

    def observe(self, value: float) -> None:
        """Take note of an evaluation's monitor; lower is better."""
        if value < self._best:
            self._best, self._waited = value, 0
            return
        self._waited += 1
        if self._waited > self.patience:
            self._scale, self._waited = max(self._scale * self.shrink, self.floor), 0

    def state(self) -> dict[str, float]:
        """Plain values for a checkpoint."""
        return {"scale": self._scale, "best": self._best, "waited": self._waited}

    def restore(self, state: dict[str, float]) -> None:
        """Restore what ``state`` returned."""
        self._scale, self._best, self._waited = state["scale"], state["best"], int(state["waited"])
