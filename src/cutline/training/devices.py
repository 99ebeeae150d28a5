"""Which device a training runs on."""

from __future__ import annotations

import os

import torch

from cutline.errors import ConfigError


def choose_device(name: str) -> torch.device:
    """Turn auto, cpu, cuda or cuda:N into a device; under torchrun, cuda is this process's own.

    Raises ConfigError for a device that is not there.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"Unknown device {name!r}.", hint="Use auto, cpu, cuda or cuda:N.") from error
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(f"Training on {name} is not supported.", hint="Use auto, cpu, cuda or cuda:N.")
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise ConfigError("There is no CUDA device here.", hint="Use --device cpu.")
        index = int(os.environ.get("LOCAL_RANK", "0")) if device.index is None else device.index
        return torch.device("cuda", index)
    return device
