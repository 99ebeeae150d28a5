"""Tensors in a safetensors file, whose header also says, as JSON, what they are."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from cutline.errors import OutputError
from cutline.strict import MismatchError

# What reading such a file raises, and parsing what it says of itself.
UNREADABLE = (OSError, ValueError, SafetensorError, MismatchError)


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], *, precision: torch.dtype, key: str, about: object
) -> None:
    """Write tensors in that precision. about: JSON, which stands under ``key``. Raises OutputError."""
    state = {name: value.detach().to(precision).contiguous() for name, value in tensors.items()}
    try:
        save_file(state, path, metadata={key: json.dumps(about, sort_keys=True)})
    except (OSError, SafetensorError) as error:
        raise OutputError(f"{path} cannot be written ({error}).") from error


def read_tensors(path: Path, *, key: str, prefix: str = "") -> tuple[object, dict[str, Tensor]]:
    """What a file says of itself under ``key``, and its tensors as they are there, by their names.

    prefix: of the names of those to read; it is cut off. Raises one of UNREADABLE.
    """
    with safe_open(path, framework="pt") as file:
        about = json.loads((file.metadata() or {}).get(key, "null"))
        names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118 - it is no mapping
        return about, {name.removeprefix(prefix): file.get_tensor(name) for name in names}
