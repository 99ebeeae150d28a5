"""Two processes that train as one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny_captioner import tiny_stage, train

from cutline.errors import ConfigError
from cutline.training.checkpoints import read_checkpoint
from cutline.training.distributed import ALONE, join_world
from tests.server.services.process import ANSWERS_S

PROGRAM = Path(__file__).with_name("tiny_captioner.py")


def torchrun(folder: Path, *changes: str) -> list[tuple[int, float]]:
    """Train in two gloo processes and give their losses."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [*command, str(PROGRAM), str(folder), *changes],
        env=environment, check=True, timeout=2 * ANSWERS_S, capture_output=True,
    )  # fmt: skip
    losses = json.loads((folder / "result.json").read_text())["losses"]
    return [(step, value) for step, value in losses]


def test_two_processes_give_the_result_of_one(tmp_path: Path) -> None:
    """With accumulation, and captions of different lengths, so that halves of a batch differ."""
    changes = {"batch_size": 6, "accumulate": 2, "ema_decay": 0.9, "clip_norm": 0.5}
    one = train(tmp_path / "one", tiny_stage(**changes))
    two = torchrun(tmp_path / "two", *(f"{name}={value}" for name, value in changes.items()))
    assert [step for step, _ in two] == [step for step, _ in one.losses]
    for (_, ours), (_, theirs) in zip(one.losses, two, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-5)
    first, second = (read_checkpoint(tmp_path / name / "last.pt") for name in ("one", "two"))
    for name, value in first["module"].items():
        assert torch.allclose(value, second["module"][name], atol=1e-5), name
    assert second["metrics"]["loss"] == pytest.approx(one.metrics["loss"], abs=1e-5)
    assert len(second["random"]) == 2  # each process draws its own dropout, and resumes it


def test_a_signal_to_one_stops_both_and_one_process_goes_on(tmp_path: Path) -> None:
    whole = train(tmp_path / "whole", tiny_stage())
    folder = tmp_path / "moved"
    began = torchrun(folder, "--stop-at", "6")
    assert len(began) == 6
    resumed = train(folder, tiny_stage(), resume=True)
    assert len(resumed.losses) == 6
    for (_, ours), (_, theirs) in zip(whole.losses, [*began, *resumed.losses], strict=True):
        assert ours == pytest.approx(theirs, abs=1e-5)


def test_alone_is_a_world_of_one() -> None:
    with join_world(environ={}) as world:
        assert world == ALONE
        assert world.first
        assert world.sum([1.5, 2]) == [1.5, 2]
        assert world.from_first("x") == "x"
        assert world.gather(3) == [3]


def test_each_process_takes_its_own_gpu_before_they_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    happened: list[object] = []
    monkeypatch.setattr(torch.cuda, "set_device", happened.append)
    monkeypatch.setattr(torch.distributed, "init_process_group", lambda kind, **how: happened.append(kind))
    monkeypatch.setattr(torch.distributed, "destroy_process_group", lambda: None)
    environment = {"WORLD_SIZE": "4", "RANK": "3", "LOCAL_RANK": "1"}
    with join_world(cuda=True, environ=environment) as world:
        assert (world.rank, world.local_rank) == (3, 1)
    assert happened == [1, "nccl"]


def test_half_a_torchrun_environment_is_one_clear_error() -> None:
    with pytest.raises(ConfigError, match="torchrun"), join_world(environ={"WORLD_SIZE": "2"}):
        pass
