"""An encoder kept for itself, as one safetensors file in half precision: what `distil` stages end with.

Other trainings begin with it (``encoder.weights``), without the teacher.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from cutline.errors import ConfigError, OutputError
from cutline.strict import MismatchError, parse_json

KEPT_ENCODER = "encoder.safetensors"
_ABOUT = "cutline.encoder"
_NETWORK, _CONCEPTS, _CLASSIFIER = "network.", "concepts.", "network.classifier."


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What the file says of itself: the encoder's name, and the concepts that its head knows, in order."""

    name: str
    concepts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptEncoder:
    """Weights of a network but ImageNet's head, and of its concept head; by their names within, float32."""

    about: About
    network: Mapping[str, Tensor]
    head: Mapping[str, Tensor]


def is_kept(path: Path | None) -> bool:
    """Whether a file of weights is one of these, by its name."""
    return path is not None and path.suffix == ".safetensors"


def write_encoder(path: Path, student: Mapping[str, Tensor], about: About) -> None:
    """Write the encoder and the concepts among a student's weights, but no head that a teacher taught.

    Raises OutputError.
    """
    chosen = {
        name: value.detach().half().contiguous()
        for name, value in student.items()
        if name.startswith((_NETWORK, _CONCEPTS)) and not name.startswith(_CLASSIFIER)
    }
    text = json.dumps({"name": about.name, "concepts": about.concepts})
    try:
        save_file(chosen, path, metadata={_ABOUT: text})
    except (OSError, SafetensorError) as error:
        raise OutputError(f"{path} cannot be written ({error}).") from error


def read_encoder(path: Path, name: str) -> KeptEncoder:
    """Read what `write_encoder` wrote. Raises ConfigError, also where it is another encoder than ``name``."""
    try:
        with safe_open(path, framework="pt") as file:
            about = parse_json(About, json.loads((file.metadata() or {}).get(_ABOUT, "null")))
            weights = {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118 - no mapping
    except (OSError, ValueError, SafetensorError, MismatchError) as error:
        raise ConfigError(f"{path} is no encoder that a training kept ({error}).") from error
    if about.name != name:
        raise ConfigError(f"{path} is {about.name}, not {name}.", hint="Change encoder.name or its weights.")
    return KeptEncoder(about=about, network=_part(weights, _NETWORK), head=_part(weights, _CONCEPTS))


def _part(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}
