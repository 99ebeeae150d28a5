"""The training loop, on a captioner small enough to train in every test."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny_captioner import Pictures, TinyObjective, tiny_stage, train

from cutline.errors import OutputError, TrainingError
from cutline.training.checkpoints import load_weights, read_checkpoint, write_checkpoint
from cutline.training.config import StageConfig
from cutline.training.loop import FitResult, Loss, fit
from cutline.training.optim import Averaged
from cutline.training.tracking import JsonLines, read_metrics
from tests.server.services.process import ANSWERS_S

PROGRAM = Path(__file__).with_name("tiny_captioner.py")
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


pytestmark = pytest.mark.usefixtures("one_thread")


def run(objective: TinyObjective, stage: StageConfig, folder: Path, *, resume: bool = False) -> FitResult:
    tracker = JsonLines(folder / "metrics.jsonl", stage=stage.name)
    try:
        return fit(objective, stage, folder=folder, tracker=tracker, seed=5, resume=resume)
    finally:
        tracker.close()


def program(folder: Path, *arguments: str) -> int:
    """Train with dropout in another process; how it ended."""
    command = [sys.executable, str(PROGRAM), str(folder), "--dropout", "0.3", *arguments]
    return subprocess.run(command, env=ENVIRONMENT, timeout=ANSWERS_S).returncode


def test_training_learns_to_caption(tmp_path: Path) -> None:
    stage = tiny_stage(epochs=25)
    objective = TinyObjective(stage)
    result = run(objective, stage, tmp_path)
    assert (result.stopped, result.epochs, result.steps) == ("finished", 25, 100)
    assert result.metrics["accuracy"] > 0.85  # half the captions' lengths are a coin's toss
    assert result.losses[-1][1] < result.losses[0][1] / 4


def test_the_same_seed_gives_the_same_losses(tmp_path: Path) -> None:
    first = train(tmp_path / "a", tiny_stage(), dropout=0.3)
    second = train(tmp_path / "b", tiny_stage(), dropout=0.3)
    assert first.losses == second.losses


@pytest.mark.parametrize(
    "changes",
    [
        {"ema_decay": 0.9, "schedule": "one-cycle"},
        {"schedule": "plateau", "plateau_patience": 0, "optimiser": "sgd"},
        {"amp": "bf16", "optimiser": "adam"},
    ],
)
def test_a_killed_training_resumes_with_the_same_losses(tmp_path: Path, changes: dict[str, object]) -> None:
    """SIGKILL in the middle of an epoch, between two checkpoints, with dropout at work."""
    stage = tiny_stage(epochs=4, batch_size=6, checkpoint_every=3, **changes)
    whole = train(tmp_path / "whole", stage, dropout=0.3)
    folder = tmp_path / "killed"
    arguments = ["epochs=4", "batch_size=6", "checkpoint_every=3", *(f"{k}={v}" for k, v in changes.items())]
    assert program(folder, "--die-at", "15", *arguments) == -signal.SIGKILL
    metrics = folder / "metrics-0.jsonl"
    reached = read_checkpoint(folder / "last.pt")["step"]
    assert reached == 12

    resumed = train(folder, stage, dropout=0.3, resume=True)
    assert resumed.losses == whole.losses[reached:]
    assert resumed.metrics == whole.metrics

    def logged(path: Path) -> list[tuple[object, ...]]:
        return [(each["step"], each.get("train/loss"), each.get("dev/loss")) for each in read_metrics(path)]

    assert logged(metrics) == logged(tmp_path / "whole" / "metrics-0.jsonl")


def test_a_signal_ends_it_after_the_step_and_nothing_is_lost(tmp_path: Path) -> None:
    whole = train(tmp_path / "whole", tiny_stage(epochs=6), dropout=0.3)
    folder = tmp_path / "stopped"
    assert program(folder, "--stop-at", "6", "epochs=6") == 0
    stopped = json.loads((folder / "result.json").read_text())
    assert stopped["stopped"] == "interrupted"
    assert len(stopped["losses"]) == 6
    resumed = train(folder, tiny_stage(epochs=6), dropout=0.3, resume=True)
    assert [*map(tuple, stopped["losses"]), *resumed.losses] == list(whole.losses)


def test_a_finished_training_is_not_repeated(tmp_path: Path) -> None:
    stage = tiny_stage()
    first = train(tmp_path, stage)
    again = train(tmp_path, stage, resume=True)
    assert again.losses == ()
    assert (again.metrics, again.steps) == (first.metrics, first.steps)


def test_resuming_with_another_recipe_is_refused(tmp_path: Path) -> None:
    train(tmp_path, tiny_stage())
    with pytest.raises(TrainingError, match="another learning_rate, schedule"):
        train(tmp_path, tiny_stage(learning_rate=0.02, schedule="constant"), resume=True)


def test_an_option_that_is_younger_than_a_checkpoint_does_not_keep_it_from_resuming(tmp_path: Path) -> None:
    result = train(tmp_path, tiny_stage(epochs=1))
    state = read_checkpoint(result.last)
    del state["stage"]["caption_weight"]
    write_checkpoint(result.last, {**state, "stage": state["stage"] | {"epochs": 2}})
    train(tmp_path, tiny_stage(epochs=2), resume=True)
    write_checkpoint(result.last, {**state, "stage": state["stage"] | {"epochs": 3}})
    with pytest.raises(TrainingError, match="another caption_weight"):
        train(tmp_path, tiny_stage(epochs=3, caption_weight=0.5), resume=True)


def test_accumulated_batches_equal_one_large_batch(tmp_path: Path) -> None:
    """Although captions differ in length, and so batches in their number of tokens."""
    large = train(tmp_path / "large", tiny_stage(batch_size=12))
    small = train(tmp_path / "small", tiny_stage(batch_size=4, accumulate=3))
    assert len(large.losses) == len(small.losses) == 12
    for (_, one), (_, other) in zip(large.losses, small.losses, strict=True):
        assert one == pytest.approx(other, abs=1e-5)


def test_the_last_window_of_an_epoch_may_be_short(tmp_path: Path) -> None:
    result = train(tmp_path, tiny_stage(batch_size=12, accumulate=3, epochs=2))
    assert result.steps == 4  # 4 batches an epoch: a window of 3 and one of 1


def test_gradients_are_clipped(tmp_path: Path) -> None:
    stage = tiny_stage(
        optimiser="sgd",
        learning_rate=1.0,
        clip_norm=0.01,
        epochs=1,
        batch_size=48,
        momentum=0,
        weight_decay=0,
    )
    objective = TinyObjective(stage)
    parameters = list(objective.module.parameters())
    before = [each.detach().clone() for each in parameters]
    run(objective, stage, tmp_path)
    moved = sum(float((a - b.detach()).square().sum()) for a, b in zip(before, parameters, strict=True))
    assert moved**0.5 == pytest.approx(0.01, rel=0.02)
    assert read_metrics(tmp_path / "metrics.jsonl")[0]["train/gradient_norm"] > 0.1


def test_what_is_in_no_group_stays_frozen(tmp_path: Path) -> None:
    stage = tiny_stage(weight_decay=0.5)
    objective = TinyObjective(stage)
    run(objective, stage, tmp_path)
    frozen = objective.module.frozen
    assert isinstance(frozen, torch.nn.BatchNorm2d)
    assert torch.equal(frozen.weight, torch.ones(8))
    assert frozen.running_mean is not None
    assert torch.equal(frozen.running_mean, torch.zeros(8))


class Scripted(TinyObjective):
    """Trains really, but says that its evaluations went as the test wants."""

    script: tuple[float, ...] = ()

    def evaluate(self) -> dict[str, float]:
        super().evaluate()
        return {"cider": self.script[self.evaluations - 1], "loss": 1.0}


def test_it_stops_early_and_keeps_the_best(tmp_path: Path) -> None:
    stage = tiny_stage(epochs=9, monitor="cider", patience=2)
    objective = Scripted(stage)
    objective.script = (0.1, 0.5, 0.4, 0.45, 0.9)
    result = run(objective, stage, tmp_path)
    assert (result.stopped, result.epochs, result.metrics["cider"]) == ("patience", 4, 0.5)
    best = read_checkpoint(result.best)
    assert best["epoch"] == 2
    weight = objective.module.state_dict()["out.weight"]
    assert torch.equal(best["module"]["out.weight"], weight)  # the module holds the best weights
    assert not torch.equal(read_checkpoint(result.last)["module"]["out.weight"], weight)


def test_a_monitor_that_is_not_measured_is_one_clear_error(tmp_path: Path) -> None:
    stage = tiny_stage(monitor="bleu4")
    with pytest.raises(TrainingError, match=r"watches bleu4, .* It computes loss, accuracy"):
        run(TinyObjective(stage), stage, tmp_path)


def test_averaged_weights_are_evaluated_and_kept(tmp_path: Path) -> None:
    stage = tiny_stage(ema_decay=0.95, epochs=2)
    objective = TinyObjective(stage)
    result = run(objective, stage, tmp_path)
    last, best = read_checkpoint(result.last), read_checkpoint(result.best)
    average = last["averaged"]["average"]["out.weight"]
    assert not torch.equal(last["module"]["out.weight"], average)
    assert torch.equal(best["module"]["out.weight"], average)
    objective.module.eval()
    with torch.no_grad():
        assert objective.evaluate()["loss"] == pytest.approx(result.metrics["loss"])


def test_averages_follow_their_definition() -> None:
    module = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(module.weight)
    averaged = Averaged(module, 0.15)
    with torch.no_grad():
        module.weight.fill_(1.0)
    averaged.update()  # decay min(0.15, 1/10)
    averaged.update()  # decay min(0.15, 2/11)
    with averaged.in_place():
        assert module.weight.item() == pytest.approx(1 - 0.1 * 0.15)
    assert module.weight.item() == 1.0


@pytest.mark.parametrize("amp", ["bf16", "fp16"])
def test_mixed_precision_learns_too(tmp_path: Path, amp: str) -> None:
    stage = tiny_stage(epochs=10, amp=amp)
    result = run(TinyObjective(stage), stage, tmp_path)
    assert result.losses[-1][1] < result.losses[0][1] / 2
    assert read_checkpoint(result.last)["module"]["out.weight"].dtype == torch.float32


class Diverging(TinyObjective):
    """Becomes infinite at its seventh step."""

    steps = 0

    def loss(self, batch: Pictures) -> Loss:
        self.steps += 1
        loss = super().loss(batch)
        return Loss(value=loss.value * (float("inf") if self.steps == 7 else 1.0), weight=loss.weight)


def test_a_loss_that_is_not_finite_ends_it_and_says_what_was_kept(tmp_path: Path) -> None:
    stage = tiny_stage(checkpoint_every=1)
    with pytest.raises(TrainingError, match=r"step 7: The loss is no longer finite\. .*last\.pt was kept"):
        run(Diverging(stage), stage, tmp_path)
    assert read_checkpoint(tmp_path / "last.pt")["step"] == 6


def test_a_damaged_checkpoint_is_one_clear_error(tmp_path: Path) -> None:
    result = train(tmp_path, tiny_stage(epochs=1))
    whole = result.last.read_bytes()
    result.last.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TrainingError, match="damaged"):
        train(tmp_path, tiny_stage(epochs=1), resume=True)


def test_a_checkpoint_never_runs_code(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "pwned"),)

    torch.save({"module": Evil(), "format": 1}, tmp_path / "evil.pt")
    with pytest.raises(TrainingError, match="not a checkpoint"):
        read_checkpoint(tmp_path / "evil.pt")
    assert not (tmp_path / "pwned").exists()


def test_a_checkpoint_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "best.pt"
    write_checkpoint(path, {"module": {"a": torch.ones(1)}})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))  # as a full disk would
    try:
        with pytest.raises(OutputError, match="kept"):
            write_checkpoint(path, {"module": {"a": torch.ones(100_000)}})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert torch.equal(read_checkpoint(path)["module"]["a"], torch.ones(1))
    assert [each.name for each in tmp_path.iterdir()] == ["best.pt"]


def test_weights_that_fit_are_taken_and_the_others_named() -> None:
    module = torch.nn.Linear(2, 3)
    left, over = load_weights(
        module, {"weight": torch.ones(3, 2), "bias": torch.ones(9), "old": torch.ones(1)}
    )
    assert (left, over) == (["bias"], ["bias", "old"])
    assert torch.equal(module.weight, torch.ones(3, 2))
    with pytest.raises(TrainingError, match="no weight in common"):
        load_weights(module, {"other": torch.ones(1)})
