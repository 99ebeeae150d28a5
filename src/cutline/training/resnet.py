"""ResNet-50 (He et al., 2016), in the variant whose weights torchvision publishes (stride in the 3x3).

Legend of shapes: B batch, C channels, H and W rows and columns.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that torch's own documentation uses

from cutline.errors import ConfigError
from cutline.training.transforms import normalisation

_BN_EPSILON = 1e-5
_EXPANSION = 4


class Bottleneck(nn.Module):
    """Narrow, filter, widen, and add what came in; batch norms are folded in."""

    def __init__(self, channels_in: int, width: int, *, stride: int) -> None:
        super().__init__()
        channels_out = width * _EXPANSION
        self.conv1 = nn.Conv2d(channels_in, width, 1)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1)
        self.conv3 = nn.Conv2d(width, channels_out, 1)
        changes = stride > 1 or channels_in != channels_out
        self.downsample = nn.Conv2d(channels_in, channels_out, 1, stride=stride) if changes else None

    def forward(self, features: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C', H / stride, W / stride]."""
        passed = self.downsample(features) if self.downsample is not None else features
        hidden = F.relu(self.conv1(features))
        hidden = F.relu(self.conv2(hidden))
        return F.relu(self.conv3(hidden) + passed)


class ResNet(nn.Module):
    """A bottleneck ResNet: ``stem`` ends at stride 16, ``tail`` at stride 32; ``classifier`` is ImageNet's.

    It is None where the weights come without one, or with one for other classes.

    Batch norms are folded into the convolutions: fine-tuning then keeps their statistics, which the few
    photos of a step would only spoil.
    """

    def __init__(self, blocks: Sequence[int] = (3, 4, 6, 3), width: int = 64, classes: int = 1000) -> None:
        super().__init__()
        self.width = width * 8 * _EXPANSION
        layers = []
        channels = width
        for stage, count in enumerate(blocks):
            inner = width * 2**stage
            stride = 1 if stage == 0 else 2
            layers.append(
                nn.Sequential(
                    *(
                        Bottleneck(
                            channels if place == 0 else inner * _EXPANSION,
                            inner,
                            stride=stride if place == 0 else 1,
                        )
                        for place in range(count)
                    )
                )
            )
            channels = inner * _EXPANSION
        first = nn.Conv2d(3, width, 7, stride=2, padding=3)
        self.stem = nn.Sequential(first, nn.ReLU(), nn.MaxPool2d(3, stride=2, padding=1), *layers[:-1])
        self.tail = layers[-1]
        self.classifier: nn.Linear | None = nn.Linear(self.width, classes)

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels uint8 or float [B, H, W, 3] in 0..255 -> features [B, C, H / 32, W / 32]."""
        return cast(Tensor, self.tail(self.stem(self.normalise(pixels))))

    @staticmethod
    def normalise(pixels: Tensor) -> Tensor:
        """[B, H, W, 3] in 0..255 -> [B, 3, H, W], as ImageNet's photos were."""
        constants = normalisation("resnet50")
        mean = torch.tensor(constants.mean, device=pixels.device)
        std = torch.tensor(constants.std, device=pixels.device)
        return ((pixels.float() / 255 - mean) / std).permute(0, 3, 1, 2)

    def load_torchvision(self, state: Mapping[str, Tensor]) -> None:
        """Take a state dict in torchvision's naming, folding each batch norm into its convolution.

        Raises ConfigError where a tensor of the trunk is missing, is left over, or has another shape.
        """
        left = {key for key in state if not key.endswith("num_batches_tracked")}
        with torch.no_grad():
            for name, convolution in self._convolutions():
                norm = _norm_name(name)
                parts = {part: f"{norm}.{part}" for part in ("weight", "bias", "running_mean", "running_var")}
                left -= {f"{name}.weight", *parts.values()}
                weight, scale, bias, mean, var = (
                    _tensor(state, key) for key in (f"{name}.weight", *parts.values())
                )
                scale = scale / torch.sqrt(var + _BN_EPSILON)
                _copy(convolution.weight, weight * scale.view(-1, 1, 1, 1), name)
                _copy(cast(Tensor, convolution.bias), bias - mean * scale, norm)
            heads = {part: state.get(f"fc.{part}") for part in ("weight", "bias")}
            left -= {f"fc.{part}" for part in heads}
            for part, tensor in heads.items():
                own = getattr(self.classifier, part, None)
                if own is None or tensor is None or tensor.shape != own.shape:
                    self.classifier = None
                else:
                    own.copy_(tensor)
        if left:
            raise ConfigError(f"The ResNet weights hold tensors of another network: {sorted(left)[0]}.")

    def _convolutions(self) -> list[tuple[str, nn.Conv2d]]:
        """Every convolution with its name in torchvision's state dict."""
        stages = [*list(self.stem)[3:], self.tail]
        found = [("conv1", cast(nn.Conv2d, self.stem[0]))]
        for stage, layer in enumerate(stages, 1):
            for place, block in enumerate(cast(nn.Sequential, layer)):
                prefix = f"layer{stage}.{place}"
                found += [
                    (f"{prefix}.{name}" + (".0" if name == "downsample" else ""), cast(nn.Conv2d, module))
                    for name, module in block.named_children()
                ]
        return found


def _norm_name(convolution: str) -> str:
    """layer1.0.conv2 -> layer1.0.bn2; layer1.0.downsample.0 -> layer1.0.downsample.1."""
    if convolution.endswith("downsample.0"):
        return convolution[:-1] + "1"
    head, _, last = convolution.rpartition("conv")
    return f"{head}bn{last}"


def _tensor(state: Mapping[str, Tensor], key: str) -> Tensor:
    if key not in state:
        raise ConfigError(f"The ResNet weights lack {key}.", hint="They must be in torchvision's naming.")
    return state[key].float()


def _copy(target: Tensor, source: Tensor, name: str) -> None:
    if target.shape != source.shape:
        raise ConfigError(
            f"{name} in the ResNet weights is {list(source.shape)}, but should be {list(target.shape)}."
        )
    target.copy_(source)


def load_resnet50(weights: Path | None) -> ResNet:
    """A ResNet-50 with the weights of a local state-dict file in torchvision's naming.

    Raises ConfigError without a file, or where the file holds anything but those tensors. Nothing that the
    file holds is executed.
    """
    if weights is None:
        raise ConfigError(
            "resnet50 needs weights.",
            hint="Set encoder.weights to a local state-dict file in torchvision's naming (resnet50-*.pth).",
        )
    network = ResNet()
    network.load_torchvision(_read_state(weights))
    return network


def _read_state(path: Path) -> Mapping[str, Tensor]:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(f"The weights {path} cannot be read: {reason}.") from error
    if not isinstance(state, dict) or not all(isinstance(each, Tensor) for each in state.values()):
        raise ConfigError(f"{path} is not a state dict of tensors.")
    return state
