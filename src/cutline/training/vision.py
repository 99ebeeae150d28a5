"""Any vision model that transformers can load from a local folder, as an image encoder.

Legend of shapes: B batch, H and W rows and columns of pixels, h and w of the grid, T tokens, C channels.
"""

from __future__ import annotations

import copy
import importlib
import inspect
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from cutline.errors import ConfigError, MissingExtra
from cutline.training.transforms import IMAGENET, Normalisation

# Class, distillation and register tokens come before the patches; no model known has more.
_MOST_EXTRA_TOKENS = 16
_TOLERANCE = 1e-4
_PROCESSORS = ("preprocessor_config.json", "processor_config.json")

_log = logging.getLogger("cutline.training")


class VisionNetwork(nn.Module):
    """A transformers model and its normalisation: pixels in, a grid of features out."""

    mean: Tensor
    std: Tensor

    def __init__(
        self, network: nn.Module, constants: Normalisation, *, height_px: int, width_px: int
    ) -> None:
        super().__init__()
        self.network = network
        self.size = (height_px, width_px)
        self.register_buffer("mean", torch.tensor(constants.mean), persistent=False)
        self.register_buffer("std", torch.tensor(constants.std), persistent=False)
        self._more = _interpolation(network, self.size)

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels uint8 or float [B, H, W, 3] in 0..255 -> [B, C, h, w]."""
        return self.as_grid(self.run(pixels))

    def run(self, pixels: Tensor) -> Tensor:
        """Pixels [B, H, W, 3] -> the model's own output, [B, T, C] or [B, C, h, w]."""
        return cast(Tensor, self._output(pixels).last_hidden_state)

    def with_embedding(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Pixels [B, H, W, 3] -> the photo as one vector [B, E], and the grid [B, C, h, w]."""
        seen = self._output(pixels)
        grid = self.as_grid(seen.last_hidden_state)
        pooled = getattr(seen, "pooler_output", None)
        return grid.mean((2, 3)) if pooled is None else pooled.flatten(1), grid

    def _output(self, pixels: Tensor) -> Any:
        normal = ((pixels.float() / 255 - self.mean) / self.std).permute(0, 3, 1, 2)
        return self.network(pixel_values=normal, **self._more)

    def as_grid(self, output: Tensor) -> Tensor:
        """[B, T, C] or [B, C, h, w] -> [B, C, h, w], without class and register tokens."""
        if output.ndim == 4:
            return output
        rows, columns = token_grid(output.shape[1], self.size, self.network.config)
        patches = output[:, output.shape[1] - rows * columns :]
        return patches.transpose(1, 2).reshape(output.shape[0], -1, rows, columns)

    def train(self, mode: bool = True) -> VisionNetwork:
        """As Module.train, but batch norms keep the statistics that they came with: steps are too small."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self


class VisionTrunk(nn.Module):
    """The first ``count`` blocks of a network, whose output a training may cache."""

    def __init__(self, vision: VisionNetwork, path: str, count: int) -> None:
        super().__init__()
        self.vision = copy.deepcopy(vision)
        blocks = _replace_blocks(self.vision.network, path, slice(0, count))
        self._seen: list[Tensor] = []
        blocks[-1].register_forward_hook(self._keep)

    def _keep(self, _module: nn.Module, _arguments: object, output: Any) -> None:
        self._seen.append(output[0] if isinstance(output, tuple) else output)

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels [B, H, W, 3] -> [B, h, w, C], or tokens as [B, 1, T, C]."""
        seen = self.capture(pixels)
        return seen.permute(0, 2, 3, 1) if seen.ndim == 4 else seen.unsqueeze(1)

    def capture(self, pixels: Tensor) -> Tensor:
        """Pixels [B, H, W, 3] -> what the last block hands on, [B, C, h, w] or [B, T, C]."""
        self._seen.clear()
        self.vision.run(pixels)
        return self._seen.pop()


class VisionTail(nn.Module):
    """The other blocks, fed with what the trunk made."""

    def __init__(self, vision: VisionNetwork, path: str, count: int, *, tokens: bool) -> None:
        super().__init__()
        self.vision = copy.deepcopy(vision)
        blocks = _replace_blocks(self.vision.network, path, slice(count, None))
        self._tokens = tokens
        self._fed: list[Tensor] = []
        blocks[0].register_forward_pre_hook(self._feed)

    def _feed(self, _module: nn.Module, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        return (self._fed.pop(), *arguments[1:])

    def forward(self, cached: Tensor) -> Tensor:
        """[B, h, w, C] or [B, 1, T, C] -> features [B, C', h', w']."""
        self._fed[:] = [cached.squeeze(1) if self._tokens else cached.permute(0, 3, 1, 2)]
        # The first layers still run, on a blank photo that nothing looks at: they tell sizes and masks.
        blank = cached.new_zeros((cached.shape[0], *self.vision.size, 3))
        return cast(Tensor, self.vision(blank))


def load_vision(folder: Path, *, height_px: int, width_px: int) -> VisionNetwork:
    """The vision model that transformers saved to a folder. Nothing is downloaded; no code of it runs.

    Raises MissingExtra without transformers, ConfigError for a folder that holds no vision model or one that
    does not take photos of this size.
    """
    try:
        import transformers
    except ImportError as error:
        raise MissingExtra(
            "This encoder needs transformers.",
            hint="Install it with: pip install 'cutline[train]'",
        ) from error
    try:
        # Plain attention: what every export understands.
        with without_progress_bars():
            model = transformers.AutoModel.from_pretrained(
                str(folder), local_files_only=True, trust_remote_code=False, attn_implementation="eager"
            )
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(
            f"transformers cannot load a model from {folder}: {next(iter(str(error).splitlines()), '')}"
        ) from error
    # Pairs of a text and a vision model, such as CLIP.
    network = getattr(model, "vision_model", model)
    if "pixel_values" not in inspect.signature(network.forward).parameters:
        raise ConfigError(f"{folder} holds a {type(network).__name__}, which is not a vision model.")
    constants = _normalisation(folder)
    vision = VisionNetwork(network, constants, height_px=height_px, width_px=width_px).eval()
    try:
        with torch.no_grad():
            vision(torch.zeros(1, height_px, width_px, 3))
    except (ValueError, RuntimeError) as error:
        raise ConfigError(
            f"The model in {folder} does not take photos of {width_px} x {height_px} px: {error}",
            hint=f"Its own size is {getattr(network.config, 'image_size', 'unknown')}.",
        ) from error
    return vision


@contextmanager
def without_progress_bars() -> Iterator[None]:
    """Keep transformers from drawing a bar for what takes a moment."""
    logging: Any = importlib.import_module("transformers.utils.logging")
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _normalisation(folder: Path) -> Normalisation:
    """What the model's image processor asks for. Models saved alone have none: most were made on ImageNet."""
    if any((folder / name).exists() for name in _PROCESSORS):
        return read_preprocessor(folder)[1]
    _log.warning(
        "%s does not say how photos are normalised: ImageNet's mean and deviation are taken. Save the model's"
        " image processor beside it if it has others.",
        folder,
    )
    return IMAGENET


def read_preprocessor(folder: Path) -> tuple[Mapping[str, Any], Normalisation]:
    """An image processor's settings, and the normalisation that they ask for. Raises ConfigError."""
    try:
        content = _processor_settings(folder)
        return content, read_normalisation(content)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ConfigError(
            f"{folder} does not say how photos are normalised: {error}",
            hint="Save the model's image processor beside it.",
        ) from error


def _processor_settings(folder: Path) -> Mapping[str, Any]:
    """What preprocessor_config.json says, or processor_config.json, which holds text settings too."""
    path, with_text = (folder / name for name in _PROCESSORS)
    if path.is_file():
        return cast(Mapping[str, Any], json.loads(path.read_text(encoding="utf-8")))
    content = json.loads(with_text.read_text(encoding="utf-8"))
    return cast(Mapping[str, Any], content["image_processor"])


def read_normalisation(content: Mapping[str, Any]) -> Normalisation:
    """Mean and deviation, of pixels in 0..1, by an image processor's settings.

    Raises KeyError, TypeError or ValueError where they are missing or malformed.
    """
    mean, std = [0.0] * 3, [1.0] * 3
    if content.get("do_normalize", True):
        mean, std = content["image_mean"], content["image_std"]
    # (pixels * factor - mean) / std, in our terms of pixels / 255.
    factor = 255 * content.get("rescale_factor", 1 / 255) if content.get("do_rescale", True) else 255.0
    return Normalisation(mean=_channels(mean, factor), std=_channels(std, factor))


def _channels(values: Sequence[float], factor: float) -> tuple[float, float, float]:
    if len(values) != 3:
        raise ValueError("image_mean and image_std must have three values")
    red, green, blue = (float(each) / factor for each in values)
    return red, green, blue


def token_grid(tokens: int, size: tuple[int, int], config: Any) -> tuple[int, int]:
    """Rows and columns of the patches among so many tokens, for photos of [H, W]. Raises ConfigError."""
    patch = getattr(config, "patch_size", None)
    sides = (patch, patch) if isinstance(patch, int) else tuple(patch or ())
    for halvings in range(6):
        if len(sides) != 2:
            break
        stride = tuple(side * 2**halvings for side in sides)
        # Some drop what is left at the edge, hierarchical ones pad.
        for rows, columns in (
            (size[0] // stride[0], size[1] // stride[1]),
            (-(-size[0] // stride[0]), -(-size[1] // stride[1])),
        ):
            most = _MOST_EXTRA_TOKENS if halvings == 0 else 0
            if rows and columns and 0 <= tokens - rows * columns <= most:
                return rows, columns
    raise ConfigError(
        f"{tokens} tokens of a {type(config).__name__} do not lie on a grid over {size[1]} x {size[0]} px."
    )


def split(vision: VisionNetwork) -> tuple[VisionTrunk, VisionTail] | None:
    """Cut a network before the last quarter of its blocks; None where the halves would not make the whole.

    A network can be cut where its blocks hand on one tensor and nothing else changes on the way. Whether that
    holds is not guessed but tried.
    """
    path = _blocks_path(vision.network)
    if path is None:
        return None
    total = len(cast(nn.ModuleList, vision.network.get_submodule(path)))
    count = total - max(1, total // 4)
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (1, *vision.size, 3), generator=generator, dtype=torch.uint8)
    try:
        with torch.no_grad():
            whole = vision.eval()(pixels)
            trunk = VisionTrunk(vision, path, count).eval()
            tail = VisionTail(vision, path, count, tokens=trunk.capture(pixels).ndim == 3).eval()
            halves = tail(trunk(pixels))
    except (RuntimeError, ValueError, TypeError, IndexError, AttributeError, ConfigError):
        return None
    same = halves.shape == whole.shape and torch.allclose(halves, whole, atol=_TOLERANCE, rtol=_TOLERANCE)
    return (trunk, tail) if same else None


def last_blocks(vision: VisionNetwork) -> list[nn.Module]:
    """The last quarter of a network's blocks; all of it where no blocks can be made out."""
    path = _blocks_path(vision.network)
    if path is None:
        return [vision.network]
    blocks = list(cast(nn.ModuleList, vision.network.get_submodule(path)))
    return blocks[-max(1, len(blocks) // 4) :]


def _blocks_path(network: nn.Module) -> str | None:
    """The outermost list of two or more modules."""
    lists = [
        name
        for name, module in network.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) > 1
    ]
    return min(lists, key=lambda name: name.count("."), default=None)


def _replace_blocks(network: nn.Module, path: str, kept: slice) -> nn.ModuleList:
    parent, _, name = path.rpartition(".")
    blocks = nn.ModuleList(list(cast(nn.ModuleList, network.get_submodule(path)))[kept])
    setattr(network.get_submodule(parent), name, blocks)
    return blocks


def _interpolation(network: nn.Module, size: tuple[int, int]) -> dict[str, bool]:
    """What to pass so that a model takes photos that are not of its own size."""
    own = getattr(network.config, "image_size", None)
    sides = (own, own) if isinstance(own, int) else tuple(own or size)
    known = "interpolate_pos_encoding" in inspect.signature(network.forward).parameters
    return {"interpolate_pos_encoding": True} if known and sides != size else {}
