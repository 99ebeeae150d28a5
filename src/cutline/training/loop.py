"""The training loop: one stage of a recipe, from its first step to its best weights.

``fit`` knows nothing of captions. It is told what to minimise by an Objective, and brings the rest:
optimiser, schedule, accumulation, clipping, mixed precision, averaged weights, several processes, early
stopping, the best and the last checkpoint, and exact resuming.
"""

from __future__ import annotations

import logging
import math
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import count, islice
from pathlib import Path
from types import FrameType
from typing import Any, Literal, Protocol, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from cutline.errors import TrainingError
from cutline.strict import dump
from cutline.terminal import bar_size
from cutline.training.checkpoints import (
    State,
    load_weights,
    random_state,
    read_checkpoint,
    restore_random_state,
    seed_everything,
    write_checkpoint,
)
from cutline.training.config import StageConfig
from cutline.training.distributed import ALONE, World
from cutline.training.optim import (
    Averaged,
    ParameterGroup,
    autocast,
    build_optimiser,
    build_scaler,
    freeze_all_but,
    set_rates,
    train_mode,
)
from cutline.training.schedules import build_schedule
from cutline.training.tracking import Tracker

Batch: TypeAlias = Any
Stopped: TypeAlias = Literal["finished", "patience", "interrupted"]

LAST, BEST = "last.pt", "best.pt"

_log = logging.getLogger("cutline.training")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """A scalar to minimise, what it is a mean over (tokens, photos), and numbers for the log.

    Accumulated batches and processes are averaged by ``weight``, as if they had been one batch.
    """

    value: Tensor
    weight: float
    logs: Mapping[str, float] = field(default_factory=dict)


class Objective(Protocol):
    """What one stage minimises.

    Everything random in ``loss`` draws from torch's, numpy's or Python's global generators, whose state the
    checkpoint holds. ``batches`` draws from generators of its own, made from (seed, epoch, step), so that it
    can start anywhere. A batch belongs to all processes together: rank r takes every ``world``-th photo of
    it.
    """

    module: nn.Module  # everything that is saved and averaged; what is in no parameter group is frozen

    def parameter_groups(self) -> Sequence[ParameterGroup]:
        """The parameters to train, with their learning rates."""
        ...

    def steps_per_epoch(self) -> int:
        """The number of batches in an epoch, independent of the number of processes."""
        ...

    def batches(self, epoch: int, *, rank: int = 0, world: int = 1, start: int = 0) -> Iterator[Batch]:
        """This rank's share of each of the epoch's batches, from batch ``start`` on."""
        ...

    def loss(self, batch: Batch) -> Loss:
        """The loss of one batch, which this moves to the module's device."""
        ...

    def evaluate(self) -> dict[str, float]:
        """Metrics on held-out data, including ``loss``; the module is in evaluation mode."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FitResult:
    """How a stage ended. The module then holds the best weights.

    metrics: those of the best evaluation. losses: (step, training loss) of the steps taken since the start or
    the resume.
    """

    best: Path
    last: Path
    metrics: Mapping[str, float]
    steps: int
    epochs: int
    stopped: Stopped
    losses: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepResult:
    """One step of the optimiser."""

    loss: float
    gradient_norm: float
    weight: float
    logs: Mapping[str, float]


def fit(
    objective: Objective,
    stage: StageConfig,
    *,
    folder: Path,
    tracker: Tracker,
    seed: int = 0,
    device: torch.device | None = None,
    world: World = ALONE,
    resume: bool = False,
    about: Mapping[str, object] | None = None,
    log_every: int = 1,
) -> FitResult:
    """Train one stage and leave ``best.pt`` and ``last.pt`` in the folder.

    resume: continue from ``last.pt`` if it exists. about: plain values (the recipe) to keep in checkpoints.
    SIGINT and SIGTERM end it after the current step, with a checkpoint.

    Raises TrainingError when the loss is not finite, the monitor is not among the metrics, or a checkpoint
    belongs to another recipe; OutputError when a checkpoint cannot be written.
    """
    run = _Run(
        objective, stage, folder, tracker, seed, device or torch.device("cpu"), world, about or {}, log_every
    )
    try:
        if resume and run.last.exists():
            run.resume()
        else:
            tracker.rewind(-1)
        return run.go()
    finally:
        run.stepper.release()


class Stepper:
    """Takes steps: forward, backward, average over the world, clip, update. Diagnostics use it too."""

    def __init__(
        self, objective: Objective, stage: StageConfig, *, device: torch.device, world: World = ALONE
    ) -> None:
        self.module = objective.module.to(device)
        groups = objective.parameter_groups()
        self._frozen = freeze_all_but(self.module, groups)
        self.parameters = [each for each in self.module.parameters() if each.requires_grad]
        self.optimiser = build_optimiser(stage, groups)
        self.scaler = build_scaler(stage.amp, device)
        self._objective = objective
        self._stage = stage
        self._device = device
        self._world = world
        self._whole = _WithLoss(objective)
        self._shared = world.share(self._whole)
        train_mode(self.module)

    def release(self) -> None:
        """Unfreeze the parameters that this stage froze."""
        for parameter in self._frozen:
            parameter.requires_grad_(True)

    def step(self, window: Sequence[Batch]) -> StepResult:
        """Update the parameters once, from the mean loss of these batches."""
        result = self.backward(window)
        if result.weight:
            self.scaler.step(self.optimiser)
            self.scaler.update()
        return result

    def backward(self, window: Sequence[Batch]) -> StepResult:
        """Leave the clipped gradients of the window's mean loss in the parameters.

        Raises TrainingError when the loss or its gradient is not finite (fp16 may overflow: it skips a step).
        """
        self.optimiser.zero_grad(set_to_none=True)
        total, weight = 0.0, 0.0
        logs: dict[str, float] = {}
        for place, batch in enumerate(window):
            with self._synchronised(place == len(window) - 1):
                with autocast(self._stage.amp, self._device):
                    scaled = self._shared(batch)
                self.scaler.scale(scaled).backward()
            loss = self._whole.latest
            total, weight = total + float(scaled.detach()), weight + loss.weight
            for name, value in loss.logs.items():
                logs[name] = logs.get(name, 0.0) + value / len(window)
        total, weight = self._world.sum([total, weight])
        norm = self._average(weight)
        loss_value = total / weight if weight else 0.0
        if not math.isfinite(loss_value) or not (math.isfinite(norm) or self.scaler.is_enabled()):
            what = "gradient" if math.isfinite(loss_value) else "loss"
            raise TrainingError(
                f"The {what} is no longer finite.",
                hint="Lower the learning rate, or clip gradients more (clip_norm).",
            )
        return StepResult(loss=loss_value, gradient_norm=norm, weight=weight, logs=logs)

    def _synchronised(self, last: bool) -> Any:
        """Let processes exchange gradients only in the last batch of a step."""
        if last or not isinstance(self._shared, DistributedDataParallel):
            return nullcontext()
        return self._shared.no_sync()

    def _average(self, weight: float) -> float:
        """Divide the summed gradients by the weight, clip them, and give their norm before clipping."""
        if not weight:
            return 0.0
        self.scaler.unscale_(self.optimiser)
        # DDP has divided by the number of processes already.
        factor = self._world.size / weight
        for parameter in self.parameters:
            if parameter.grad is not None:
                parameter.grad.mul_(factor)
        return float(nn.utils.clip_grad_norm_(self.parameters, self._stage.clip_norm or math.inf))


def endless_windows(objective: Objective, accumulate: int) -> Iterator[list[Batch]]:
    """Yield the batches of each step, epoch after epoch, forever."""
    for epoch in count():
        batches = objective.batches(epoch)
        while window := list(islice(batches, accumulate)):
            yield window


class _WithLoss(nn.Module):
    """The objective as a module, so that DDP sees its forward pass."""

    def __init__(self, objective: Objective) -> None:
        super().__init__()
        self.module = objective.module
        self._objective = objective
        self.latest: Loss

    def forward(self, batch: Batch) -> Tensor:
        """The loss times its weight: a sum that can be added up over batches and processes."""
        self.latest = self._objective.loss(batch)
        return self.latest.value * self.latest.weight


@dataclass(slots=True)
class _Progress:
    """The progress of a stage, as checkpoints have it."""

    epoch: int = 0
    batch: int = 0  # batches of this epoch that are done
    step: int = 0  # steps of the optimiser, over all epochs
    loss_sum: float = 0.0  # of this epoch
    weight_sum: float = 0.0
    best: float = math.inf  # lower is better, whatever the monitor
    waited: int = 0
    finished: Stopped | Literal[""] = ""
    metrics: dict[str, float] = field(default_factory=dict)


class _Run:
    """One call of ``fit``."""

    def __init__(
        self,
        objective: Objective,
        stage: StageConfig,
        folder: Path,
        tracker: Tracker,
        seed: int,
        device: torch.device,
        world: World,
        about: Mapping[str, object],
        log_every: int,
    ) -> None:
        seed_everything(seed + world.rank)
        self.objective, self.stage, self.tracker, self.world = objective, stage, tracker, world
        self.about, self.log_every = about, log_every
        self.last, self.best = folder / LAST, folder / BEST
        self.stepper = Stepper(objective, stage, device=device, world=world)
        self.module = self.stepper.module
        self.averaged = Averaged(self.module, stage.ema_decay) if stage.ema_decay else None
        self.steps_in_epoch = math.ceil(objective.steps_per_epoch() / stage.accumulate)
        self.total_steps = self.steps_in_epoch * stage.epochs
        self.schedule = build_schedule(stage, total_steps=self.total_steps)
        self.progress = _Progress()
        self.losses: list[tuple[int, float]] = []
        self.interrupted = threading.Event()

    def go(self) -> FitResult:
        """Train until the last epoch, until patience runs out, or until a signal."""
        progress = self.progress
        with _signals(self.interrupted), self._bar() as bar:
            while not progress.finished and progress.epoch < self.stage.epochs:
                if not self._epoch(bar):
                    self._save()
                    return self._result("interrupted")
                self._end_epoch(bar)
        stopped = progress.finished or "finished"
        progress.finished = stopped
        self._save()
        load_weights(self.module, read_checkpoint(self.best)["module"])
        return self._result(stopped)

    def _epoch(self, bar: Any) -> bool:
        """Take the remaining steps of an epoch; False if a signal ended it."""
        progress = self.progress
        batches = self.objective.batches(
            progress.epoch, rank=self.world.rank, world=self.world.size, start=progress.batch
        )
        while window := list(islice(batches, self.stage.accumulate)):
            self._step(window)
            bar.set_postfix(loss=f"{self.losses[-1][1]:.3f}", refresh=False)
            bar.update()
            if self.world.sum([float(self.interrupted.is_set())])[0]:
                return False
            if self.stage.checkpoint_every and progress.step % self.stage.checkpoint_every == 0:
                self._save()
        return True

    def _step(self, window: Sequence[Batch]) -> None:
        progress = self.progress
        factor = self.schedule.factor(progress.step)
        set_rates(self.stepper.optimiser, factor)
        start = time.perf_counter()
        try:
            result = self.stepper.step(window)
        except TrainingError as error:
            kept = f"{self.last} was kept." if self.last.exists() else ""
            message = f"{self.stage.name}, step {progress.step + 1}: {error.message}"
            raise TrainingError(message, hint=error.hint, kept=kept) from error
        if self.averaged is not None:
            self.averaged.update()
        progress.batch += len(window)
        progress.step += 1
        progress.loss_sum += result.loss * result.weight
        progress.weight_sum += result.weight
        self.losses.append((progress.step, result.loss))
        if progress.step % self.log_every == 0:
            values = {f"train/{name}": value for name, value in result.logs.items()}
            values |= {"train/loss": result.loss, "train/gradient_norm": result.gradient_norm}
            values |= {"train/learning_rate": self.stage.learning_rate * factor}
            values |= {"train/step_s": time.perf_counter() - start}
            self.tracker.log(progress.step, values)

    def _end_epoch(self, bar: Any) -> None:
        progress = self.progress
        values = {"epoch": progress.epoch + 1.0}
        if progress.weight_sum:
            values["train/epoch_loss"] = progress.loss_sum / progress.weight_sum
        progress.epoch, progress.batch = progress.epoch + 1, 0
        progress.loss_sum = progress.weight_sum = 0.0
        if progress.epoch % self.stage.evaluate_every == 0 or progress.epoch == self.stage.epochs:
            bar.set_description(f"{self.stage.name}: evaluating")
            metrics = self._evaluate()
            values |= {f"dev/{name}": value for name, value in metrics.items()}
            self._judge(metrics)
            bar.set_description(self.stage.name)
        self.tracker.log(progress.step, values)
        if self.world.first:
            numbers = ", ".join(f"{name} {value:.4g}" for name, value in values.items() if name != "epoch")
            _log.info("%s, epoch %d of %d: %s", self.stage.name, progress.epoch, self.stage.epochs, numbers)
        self._save()

    def _evaluate(self) -> dict[str, float]:
        """Evaluate the averaged weights, in the first process alone."""
        metrics: dict[str, float] = {}
        if self.world.first:
            self.module.eval()
            with self._averages(), torch.no_grad():
                metrics = self.objective.evaluate()
            train_mode(self.module)
        return self.world.from_first(metrics)

    def _judge(self, metrics: dict[str, float]) -> None:
        """Save the weights if they are the best so far, and stop when patience runs out."""
        stage, progress = self.stage, self.progress
        if stage.monitor not in metrics:
            raise TrainingError(
                f"Stage {stage.name} watches {stage.monitor}, which its evaluation does not compute.",
                hint=f"It computes {', '.join(metrics)}.",
                kept=f"{self.last} was kept." if self.last.exists() else "",
            )
        value = metrics[stage.monitor] if stage.lower_is_better else -metrics[stage.monitor]
        self.schedule.observe(value)
        if value < progress.best or not self.best.exists():
            progress.best, progress.waited, progress.metrics = value, 0, dict(metrics)
            if self.world.first:
                with self._averages():
                    write_checkpoint(self.best, self._weights())
            self.world.sum([0.0])  # nobody reads it before it is written
            return
        progress.waited += 1
        if stage.patience and progress.waited >= stage.patience:
            progress.finished = "patience"

    def _averages(self) -> Any:
        return self.averaged.in_place() if self.averaged is not None else nullcontext()

    def _weights(self) -> State:
        progress = self.progress
        return {
            "module": self.module.state_dict(),
            "stage": dump(self.stage, keep_none=True),
            "about": dict(self.about),
            "metrics": dict(progress.metrics),
            "step": progress.step,
            "epoch": progress.epoch,
        }

    def _save(self) -> None:
        """Write ``last.pt``: everything that the next step depends on."""
        generators = self.world.gather(random_state())
        if not self.world.first:
            return
        progress = {name: getattr(self.progress, name) for name in _Progress.__slots__}
        state = {
            **self._weights(),
            "progress": progress,
            "optimiser": self.stepper.optimiser.state_dict(),
            "scaler": self.stepper.scaler.state_dict(),
            "schedule": self.schedule.state(),
            "averaged": self.averaged.state() if self.averaged is not None else None,
            "random": generators,
        }
        write_checkpoint(self.last, state)

    def resume(self) -> None:
        """Restore the state of ``last.pt``."""
        state = read_checkpoint(self.last)
        self._refuse_another_stage(state["stage"])
        load_weights(self.module, state["module"])
        try:
            self.stepper.optimiser.load_state_dict(state["optimiser"])
        except ValueError as error:
            raise TrainingError(f"{self.last} belongs to a model with other parameters.") from error
        self.stepper.scaler.load_state_dict(state["scaler"])
        self.schedule.restore(state["schedule"])
        if self.averaged is not None:
            self.averaged.restore(state["averaged"])
        self.progress = _Progress(**state["progress"])
        if len(state["random"]) == self.world.size:
            restore_random_state(state["random"][self.world.rank])
        self.tracker.rewind(self.progress.step)

    def _refuse_another_stage(self, theirs: Mapping[str, object]) -> None:
        ours = dump(self.stage, keep_none=True)
        # An option that is younger than the checkpoint had what is now its default.
        defaults = StageConfig(name=self.stage.name, objective=self.stage.objective)
        theirs = dump(defaults, keep_none=True) | dict(theirs)
        changed = sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
        if changed:
            raise TrainingError(
                f"{self.last} was trained with another {', '.join(changed)}.",
                hint="Resume with the original recipe, or choose another output.",
                kept="Nothing was changed.",
            )

    def _result(self, stopped: Stopped) -> FitResult:
        progress = self.progress
        return FitResult(
            best=self.best,
            last=self.last,
            metrics=dict(progress.metrics),
            steps=progress.step,
            epochs=progress.epoch,
            stopped=stopped,
            losses=tuple(self.losses),
        )

    def _bar(self) -> Any:
        """Show progress, on a terminal and in the first process alone."""
        return tqdm(
            total=self.total_steps,
            initial=self.progress.step,
            desc=self.stage.name,
            unit="step",
            disable=None if self.world.first else True,
            **bar_size(),
        )


@contextmanager
def _signals(interrupted: threading.Event) -> Iterator[None]:
    """Turn the first SIGINT or SIGTERM into a flag; a second SIGINT raises KeyboardInterrupt."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    before: dict[int, Any] = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}

    def handle(number: int, frame: FrameType | None) -> None:
        interrupted.set()
        signal.signal(number, before[number])

    for number in before:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
