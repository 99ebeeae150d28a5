"""An encoder kept for itself, as one safetensors file in half precision: what `distil` stages end with.

Other trainings begin with it (``encoder.weights``), without the teacher.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeGuard

import torch
from torch import Tensor

from cutline.errors import ConfigError
from cutline.strict import parse_json
from cutline.training.tensor_files import UNREADABLE, read_tensors, write_tensors

KEPT_ENCODER = "encoder.safetensors"
_ABOUT = "cutline.encoder"
_NETWORK, _CONCEPTS, _CLASSIFIER = "network.", "concepts.", "network.classifier."


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptEncoder:
    """What the file says of itself: the encoder's name, and the concepts that its head knows, in order."""

    name: str
    concepts: tuple[str, ...]


def is_kept(path: Path | None) -> TypeGuard[Path]:
    """Whether a file of weights is one of these, by its name."""
    return path is not None and path.suffix == ".safetensors"


def write_encoder(path: Path, student: Mapping[str, Tensor], about: KeptEncoder) -> None:
    """Write the encoder and the concepts among a student's weights, but no head that a teacher taught.

    Raises OutputError.
    """
    chosen = {
        name: value
        for name, value in student.items()
        if name.startswith((_NETWORK, _CONCEPTS)) and not name.startswith(_CLASSIFIER)
    }
    write_tensors(path, chosen, precision=torch.float16, key=_ABOUT, about=asdict(about))


def read_network(path: Path, name: str) -> Mapping[str, Tensor]:
    """The weights of the network but ImageNet's head, by their names within it, float32.

    Raises ConfigError, also where it is another encoder than ``name``.
    """
    return _read(path, name, _NETWORK)[1]


def read_concepts(path: Path, name: str) -> tuple[tuple[str, ...], Mapping[str, Tensor]]:
    """The concepts, in order, and the weights of the head that knows them. Raises as `read_network`."""
    about, head = _read(path, name, _CONCEPTS)
    return about.concepts, head


def _read(path: Path, name: str, prefix: str) -> tuple[KeptEncoder, Mapping[str, Tensor]]:
    try:
        said, tensors = read_tensors(path, key=_ABOUT, prefix=prefix)
        about = parse_json(KeptEncoder, said)
    except UNREADABLE as error:
        raise ConfigError(f"{path} is no encoder that a training kept ({error}).") from error
    if about.name != name:
        raise ConfigError(f"{path} is {about.name}, not {name}.", hint="Change encoder.name or its weights.")
    return about, {key: value.float() for key, value in tensors.items()}
