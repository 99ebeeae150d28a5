"""A captioner's trainable weights as one safetensors file, with the sizes in the file's own header."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from cutline.errors import OutputError, TrainingError
from cutline.strict import MismatchError, parse_json
from cutline.training.transformer import TransformerCaptioner, TransformerConfig

WEIGHTS = "weights.safetensors"
_SIZES = "cutline.captioner"


def write_weights(
    path: Path, captioner: TransformerCaptioner, *, precision: torch.dtype = torch.float32
) -> None:
    """Write the weights, in that precision. Raises OutputError."""
    state = {
        name: value.detach().to(precision).contiguous() for name, value in captioner.state_dict().items()
    }
    sizes = json.dumps(asdict(captioner.config), sort_keys=True)
    try:
        save_file(state, path, metadata={_SIZES: sizes})
    except (OSError, SafetensorError) as error:
        raise OutputError(f"{path} cannot be written ({error}).") from error


def read_weights(path: Path) -> TransformerCaptioner:
    """Read what `write_weights` wrote, into float32. Raises TrainingError."""
    try:
        with safe_open(path, framework="pt") as file:
            sizes = json.loads((file.metadata() or {}).get(_SIZES, "null"))
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no mapping
        captioner = TransformerCaptioner(parse_json(TransformerConfig, sizes))
        captioner.load_state_dict(state)
    except (OSError, ValueError, RuntimeError, SafetensorError, MismatchError) as error:
        raise TrainingError(f"{path} has no weights of a captioner ({error}).") from error
    return captioner.eval()
