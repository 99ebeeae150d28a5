"""A captioner's trainable weights as one safetensors file, with the sizes in the file's own header."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import torch

from cutline.errors import TrainingError
from cutline.strict import parse_json
from cutline.training.tensor_files import UNREADABLE, read_tensors, write_tensors
from cutline.training.transformer import TransformerCaptioner, TransformerConfig

WEIGHTS = "weights.safetensors"
_SIZES = "cutline.captioner"


def write_weights(
    path: Path, captioner: TransformerCaptioner, *, precision: torch.dtype = torch.float32
) -> None:
    """Write the weights, in that precision. Raises OutputError."""
    write_tensors(
        path, captioner.state_dict(), precision=precision, key=_SIZES, about=asdict(captioner.config)
    )


def read_weights(path: Path) -> TransformerCaptioner:
    """Read what `write_weights` wrote, into float32. Raises TrainingError."""
    try:
        sizes, state = read_tensors(path, key=_SIZES)
        captioner = TransformerCaptioner(parse_json(TransformerConfig, sizes))
        captioner.load_state_dict(state)
    except (*UNREADABLE, RuntimeError) as error:
        raise TrainingError(f"{path} has no weights of a captioner ({error}).") from error
    return captioner.eval()
