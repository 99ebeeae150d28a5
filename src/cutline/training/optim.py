"""Optimisers, mixed precision and averaged weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cutline.errors import TrainingError
from cutline.training.config import AmpKind, StageConfig

_BETAS = (0.9, 0.98)
# Losses are weighted by tokens before they are scaled, so fp16 needs less than torch's own 2**16.
_FIRST_SCALE = 2.0**8


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterGroup:
    """Parameters that share a learning rate. What is in no group is frozen for the stage."""

    name: str
    parameters: list[nn.Parameter]
    learning_rate: float
    weight_decay: float


def build_optimiser(stage: StageConfig, groups: Sequence[ParameterGroup]) -> torch.optim.Optimizer:
    """Build the optimiser of a stage. Biases, norms and other vectors never decay.

    Each of its groups carries ``base_lr``, which schedules multiply. Raises TrainingError when there is
    nothing to train.
    """
    parts = [part for group in groups for part in _split_by_decay(group)]
    if not parts:
        raise TrainingError(f"Stage {stage.name} has no parameters to train.")
    if stage.optimiser == "sgd":
        return torch.optim.SGD(parts, lr=stage.learning_rate, momentum=stage.momentum)
    if stage.optimiser == "adam":
        return torch.optim.Adam(parts, lr=stage.learning_rate, betas=_BETAS)
    return torch.optim.AdamW(parts, lr=stage.learning_rate, betas=_BETAS)


def _split_by_decay(group: ParameterGroup) -> list[dict[str, object]]:
    learning = [each for each in group.parameters if each.requires_grad]
    matrices = [each for each in learning if each.ndim > 1]
    vectors = [each for each in learning if each.ndim <= 1]
    rate = {"lr": group.learning_rate, "base_lr": group.learning_rate}
    parts: list[dict[str, object]] = []
    if matrices:
        parts.append({"params": matrices, "weight_decay": group.weight_decay, "name": group.name, **rate})
    if vectors:
        parts.append({"params": vectors, "weight_decay": 0.0, "name": f"{group.name} (vectors)", **rate})
    return parts


def set_rates(optimiser: torch.optim.Optimizer, factor: float) -> None:
    """Set every group's learning rate to its base rate times the factor."""
    for group in optimiser.param_groups:
        group["lr"] = group["base_lr"] * factor


def freeze_all_but(module: nn.Module, groups: Sequence[ParameterGroup]) -> list[nn.Parameter]:
    """Freeze all parameters that are in no group; return them, to be unfrozen for another stage.

    Parameters that were frozen before stay frozen, such as an unused pooler or fixed word vectors.
    """
    chosen = {id(parameter) for group in groups for parameter in group.parameters}
    frozen = [each for each in module.parameters() if each.requires_grad and id(each) not in chosen]
    for parameter in frozen:
        parameter.requires_grad_(False)
    return frozen


def train_mode(module: nn.Module) -> None:
    """Put a module in training mode, except parts that are wholly frozen.

    A frozen encoder must not drop units, nor move the running statistics of its batch norms.
    """
    module.train()
    for part in module.modules():
        parameters = list(part.parameters())
        if parameters and not any(each.requires_grad for each in parameters):
            part.eval()


def autocast(kind: AmpKind, device: torch.device) -> AbstractContextManager[object]:
    """A context that runs in mixed precision, or one that does nothing for "none"."""
    if kind == "none":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16 if kind == "bf16" else torch.float16)


def build_scaler(kind: AmpKind, device: torch.device) -> torch.amp.GradScaler:
    """Build the gradient scaler for fp16; for other kinds a disabled one."""
    return torch.amp.GradScaler(device.type, enabled=kind == "fp16", init_scale=_FIRST_SCALE)


class Averaged:
    """An exponential moving average of a module's floating-point state (Polyak and Juditsky, 1992).

    Early on the average follows quickly: its decay is min(decay, (1 + updates) / (10 + updates)).
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._module = module
        self._decay = decay
        self._updates = 0
        self._average = {name: value.detach().clone() for name, value in self._live()}

    def _live(self) -> Iterator[tuple[str, Tensor]]:
        """The floating-point tensors that training changes."""
        for name, parameter in self._module.named_parameters():
            if parameter.requires_grad:
                yield name, parameter
        for name, buffer in self._module.named_buffers():
            if buffer.is_floating_point():
                yield name, buffer

    @torch.no_grad()
    def update(self) -> None:
        """Move the average towards the module."""
        decay = min(self._decay, (1 + self._updates) / (10 + self._updates))
        self._updates += 1
        for name, value in self._live():
            self._average[name].lerp_(value.detach(), 1 - decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """A context in which the module has the averaged weights."""
        own = {name: value.detach().clone() for name, value in self._live()}
        self._load(self._average)
        try:
            yield
        finally:
            self._load(own)

    @torch.no_grad()
    def _load(self, values: Mapping[str, Tensor]) -> None:
        for name, value in self._live():
            value.copy_(values[name])

    def state(self) -> dict[str, object]:
        """Tensors and plain values for a checkpoint."""
        return {"updates": self._updates, "average": dict(self._average)}

    def restore(self, state: Mapping[str, object]) -> None:
        """Restore what ``state`` returned."""
        average = state["average"]
        assert isinstance(average, dict)
        self._updates = int(str(state["updates"]))
        for name, value in average.items():
            self._average[name].copy_(value)
