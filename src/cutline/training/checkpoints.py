"""Checkpoints: tensors and plain values, written whole or not at all, read without running anything."""

from __future__ import annotations

import os
import pickle
import random
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
import torch
from torch import Tensor, nn

from cutline.errors import OutputError, TrainingError

State: TypeAlias = dict[str, Any]

FORMAT = 1


def write_checkpoint(path: Path, state: Mapping[str, object]) -> None:
    """Write a checkpoint; a kill at any moment leaves either the old file or the new one.

    Raises OutputError.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft.open("wb") as file:
            torch.save({"format": FORMAT, **state}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except (OSError, RuntimeError) as error:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
        raise OutputError(
            f"The checkpoint {path} cannot be written ({error}).", kept="The previous checkpoint was kept."
        ) from error


def read_checkpoint(path: Path) -> State:
    """Read a checkpoint onto the CPU; nothing in it is executed.

    Raises TrainingError.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError as error:
        raise TrainingError(f"There is no checkpoint at {path}.") from error
    except (OSError, RuntimeError, EOFError, KeyError, ValueError, pickle.UnpicklingError) as error:
        raise TrainingError(f"The checkpoint {path} is damaged or not a checkpoint.") from error
    if not isinstance(state, dict) or "module" not in state:
        raise TrainingError(f"{path} is not a checkpoint of Cutline.")
    if state.get("format") != FORMAT:
        raise TrainingError(f"{path} has the format {state.get('format')!r}; this version reads {FORMAT}.")
    return cast(State, state)


def load_weights(module: nn.Module, weights: Mapping[str, Tensor]) -> tuple[list[str], list[str]]:
    """Load the weights whose name and shape match; return the names missing, and those not used.

    Raises TrainingError when none fits.
    """
    own = module.state_dict()
    fitting = {
        name: value for name, value in weights.items() if name in own and own[name].shape == value.shape
    }
    if own and not fitting:
        raise TrainingError("The checkpoint has no weight in common with this model.")
    module.load_state_dict(fitting, strict=False)
    return sorted(own.keys() - fitting.keys()), sorted(weights.keys() - fitting.keys())


def average_weights(checkpoints: Mapping[Path, float]) -> dict[str, Tensor]:
    """The mean of checkpoints' weights, each counting as its number says (Wortsman et al., 2022).

    Tensors that are not floating-point (a count of batches) come from the last. Raises TrainingError.
    """
    total = sum(checkpoints.values())
    mean: dict[str, Tensor] = {}
    first: Path | None = None
    for path, weight in checkpoints.items():
        weights: Mapping[str, Tensor] = read_checkpoint(path)["module"]
        shapes = {name: value.shape for name, value in weights.items()}
        if first is not None and shapes != {name: value.shape for name, value in mean.items()}:
            raise TrainingError(f"{path} and {first} are of different models and cannot be averaged.")
        first = first or path
        for name, value in weights.items():
            if not value.is_floating_point():
                mean[name] = value
            else:
                part = value.double() * (weight / total)
                mean[name] = mean[name] + part if name in mean else part
    return {name: value.float() if value.is_floating_point() else value for name, value in mean.items()}


def seed_everything(seed: int) -> None:
    """Seed Python's, numpy's and torch's generators."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def random_state() -> State:
    """The state of every global random generator, as tensors and plain values."""
    version, words, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    return {
        "python": [version, list(words), gauss],
        "numpy": [
            str(name),
            torch.from_numpy(np.asarray(keys, dtype=np.int64)),
            int(position),
            int(has_gauss),
        ],
        "numpy_cached": float(cached),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def restore_random_state(state: State) -> None:
    """Restore what ``random_state`` returned."""
    version, words, gauss = state["python"]
    random.setstate((version, tuple(words), gauss))
    name, keys, position, has_gauss = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), position, has_gauss, state["numpy_cached"]))
    torch.set_rng_state(state["torch"])
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])
