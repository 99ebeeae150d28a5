"""Checkpoints: their weighted mean."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from cutline.errors import TrainingError
from cutline.training.checkpoints import average_weights, write_checkpoint


def checkpoint(path: Path, **weights: Tensor) -> Path:
    write_checkpoint(path, {"module": weights})
    return path


def test_each_checkpoint_counts_by_its_weight_whatever_the_weights_add_up_to(tmp_path: Path) -> None:
    first = checkpoint(tmp_path / "a.pt", w=torch.tensor([0.0, 4.0]), batches=torch.tensor(3))
    second = checkpoint(tmp_path / "b.pt", w=torch.tensor([8.0, 0.0]), batches=torch.tensor(5))
    mean = average_weights({first: 3, second: 1})
    assert mean["w"].tolist() == [2, 3]
    assert mean["w"].dtype == torch.float32
    assert mean["batches"].item() == 5


def test_one_checkpoint_is_its_own_mean(tmp_path: Path) -> None:
    weights = torch.randn(50)
    mean = average_weights({checkpoint(tmp_path / "a.pt", w=weights): 0.3})
    assert mean["w"].equal(weights)


@pytest.mark.parametrize("other", [{"w": torch.ones(3)}, {"v": torch.ones(2)}])
def test_checkpoints_of_different_models_have_no_mean(tmp_path: Path, other: dict[str, Tensor]) -> None:
    first = checkpoint(tmp_path / "a.pt", w=torch.ones(2))
    with pytest.raises(TrainingError, match=r"b\.pt and .*a\.pt are of different models"):
        average_weights({first: 1, checkpoint(tmp_path / "b.pt", **other): 1})


def test_a_checkpoint_that_is_not_there_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"no checkpoint at .*x\.pt"):
        average_weights({tmp_path / "x.pt": 1})
