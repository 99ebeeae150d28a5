"""What every training does with the stages of its recipe, whatever they learn."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Protocol

import torch

from cutline.errors import ConfigError, TrainingError
from cutline.strict import dump
from cutline.training.config import StageConfig, TrackingConfig
from cutline.training.distributed import World
from cutline.training.loop import BEST, LAST, FitResult, Objective, fit
from cutline.training.tracking import open_tracker


class Recipe(Protocol):
    """The part of a recipe that says which stages are trained, and into which folder."""

    @property
    def output(self) -> Path:
        """The folder of the training."""
        ...

    @property
    def seed(self) -> int:
        """Of all that is random."""
        ...

    @property
    def stages(self) -> Sequence[StageConfig]:
        """In their order."""
        ...

    @property
    def tracking(self) -> TrackingConfig:
        """Where the curves go."""
        ...


def refuse_second_training(recipe: Recipe, *, resume: bool) -> None:
    """Raise TrainingError if the folder already has a training, which is not to be resumed."""
    began = [stage.name for stage in recipe.stages if (recipe.output / stage.name / LAST).exists()]
    if began and not resume:
        raise TrainingError(
            f"{recipe.output} already contains a training (stages {', '.join(began)}).",
            hint="Continue it with --resume, or choose another output=FOLDER.",
            kept="Nothing was changed.",
        )


def chosen(recipe: Recipe, only: str) -> list[StageConfig]:
    """The stages to train: all, or the one of that name. Raises ConfigError for a name that is not there."""
    found = [stage for stage in recipe.stages if only in ("", stage.name)]
    if not found:
        names = ", ".join(stage.name for stage in recipe.stages)
        raise ConfigError(f"The recipe has no stage {only!r}.", hint=f"It has {names}.")
    return found


def start_checkpoint(recipe: Recipe, stage: StageConfig) -> Path | None:
    """The checkpoint that a stage starts from: what it names, else the stage before; else None."""
    if stage.start_from == "nothing":
        return None
    names = [each.name for each in recipe.stages]
    if not stage.start_from:
        place = names.index(stage.name)
        return recipe.output / names[place - 1] / BEST if place else None
    if stage.start_from in names:
        return recipe.output / stage.start_from / BEST
    return Path(stage.start_from)


def run_stage(
    recipe: Recipe,
    stage: StageConfig,
    objective: Objective,
    *,
    resume: bool,
    device: torch.device | None,
    world: World,
) -> FitResult:
    """Train one stage into ``recipe.output / STAGE``, with its curves tracked. Raises as `fit`."""
    about = dump(recipe, keep_none=True)
    tracker = open_tracker(
        recipe.tracking, recipe.output, stage=stage.name, recipe=about, quiet=not world.first
    )
    with closing(tracker):
        return fit(
            objective,
            stage,
            folder=recipe.output / stage.name,
            tracker=tracker,
            seed=recipe.seed,
            device=device,
            world=world,
            resume=resume,
            about=about,
            log_every=recipe.tracking.log_every,
        )
