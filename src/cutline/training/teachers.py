"""What larger models say of the photos, computed once and kept: the targets of a `distil` stage.

Legend of shapes: B photos, E width of an embedding, G rows and columns of patches, D their width.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that torch's own documentation uses
from tqdm import tqdm

from cutline.atomic_files import locked
from cutline.errors import ConfigError
from cutline.images import Preprocessing, to_pixels
from cutline.terminal import bar_size
from cutline.training.datasets import content_hash, open_example
from cutline.training.encoders import Network, fingerprint
from cutline.training.examples import Example
from cutline.training.features import exported_session, open_session
from cutline.training.vision import load_vision

Pixels: TypeAlias = npt.NDArray[np.uint8]
Numbers: TypeAlias = npt.NDArray[Any]
EMBEDDINGS, PATCHES, CLASSES = "embeddings", "patches", "classes"

# OpenAI's CLIP: towers in one ONNX file do not say how photos are normalised.
_CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
_CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
_BATCH = 8
_KEYS, _KEY_BYTES = "keys.sha256", 32
_LEAST_DEVIATION = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Teacher:
    """A model that is asked about each photo once.

    name: tells caches apart, whatever the model is called. size: height and width of its photos. answer:
    pixels uint8 [B, H, W, 3] -> arrays by name, [B, ...] each.
    """

    name: str
    size: tuple[int, int]
    answer: Callable[[Pixels], Mapping[str, Numbers]]


def load_teacher(model: str, *, side_px: int, grid: int) -> Teacher:
    """A CLIP-like image tower: onnx:FILE or hf:FOLDER.

    It answers with ``embeddings`` [B, E] and ``patches`` [B, G, G, D], its own patches averaged over a grid.
    side_px: of the square that photos are squashed to. Raises ConfigError, MissingExtra.
    """
    scheme, _, place = model.partition(":")
    path = Path(place).expanduser()
    if scheme == "onnx" and place:
        name, answer = _file_hash(path), _onnx_tower(path, grid)
    elif scheme == "hf" and place:
        name, answer = _folder_hash(path), _hugging_face_tower(path, side_px, grid)
    else:
        raise ConfigError(f"teacher.model is {model!r}.", hint="Use onnx:FILE or hf:FOLDER.")
    return Teacher(name=f"{name} {side_px} {grid}", size=(side_px, side_px), answer=answer)


def _file_hash(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    except OSError as error:
        raise ConfigError(f"The teacher {path} cannot be read ({error.strerror}).") from error


def _folder_hash(folder: Path) -> str:
    files = sorted(each for each in folder.glob("*") if each.is_file())
    return hashlib.sha256(" ".join(map(_file_hash, files)).encode()).hexdigest()[:16]


def _onnx_tower(path: Path, grid: int) -> Callable[[Pixels], Mapping[str, Numbers]]:
    """A graph of one input [B, 3, H, W], with an output [B, E] and one of tokens [B, T, D]."""
    session = open_session(path)
    names = {len(output.shape): output.name for output in session.get_outputs()}
    if not {2, 3} <= names.keys():
        raise ConfigError(
            f"{path} does not give an embedding and tokens: it is no image tower of CLIP's kind."
        )
    mean, std = np.array(_CLIP_MEAN, np.float32), np.array(_CLIP_STD, np.float32)
    [fed] = [each.name for each in session.get_inputs()]

    def answer(pixels: Pixels) -> Mapping[str, Numbers]:
        normal = ((pixels.astype(np.float32) / 255 - mean) / std).transpose(0, 3, 1, 2)
        embeddings, tokens = session.run([names[2], names[3]], {fed: np.ascontiguousarray(normal)})
        side = math.isqrt(tokens.shape[1])  # class and register tokens come first
        patches = torch.from_numpy(tokens[:, tokens.shape[1] - side * side :])
        patches = patches.transpose(1, 2).reshape(len(pixels), -1, side, side)
        return {EMBEDDINGS: embeddings, PATCHES: _averaged(patches, grid)}

    return answer


def _hugging_face_tower(folder: Path, side_px: int, grid: int) -> Callable[[Pixels], Mapping[str, Numbers]]:
    vision = load_vision(folder, height_px=side_px, width_px=side_px)

    @torch.no_grad()
    def answer(pixels: Pixels) -> Mapping[str, Numbers]:
        embeddings, patches = vision.with_embedding(torch.from_numpy(pixels))
        return {EMBEDDINGS: embeddings.numpy(), PATCHES: _averaged(patches, grid)}

    return answer


def _averaged(patches: Tensor, grid: int) -> Numbers:
    """[B, D, h, w] -> [B, G, G, D]."""
    pooled: Numbers = F.adaptive_avg_pool2d(patches, grid).permute(0, 2, 3, 1).numpy()
    return pooled


def classes_of(network: Network, classifier: nn.Linear, *, size: tuple[int, int]) -> Teacher:
    """An encoder's own ImageNet head as a teacher of ``classes`` [B, 1000], logits."""
    name = f"classes {fingerprint(network)} {size[0]}x{size[1]}"
    blank = np.zeros((1, *size, 3), np.uint8)
    run = exported_session(_Classes(network, classifier), blank, output=CLASSES)

    def answer(pixels: Pixels) -> Mapping[str, Numbers]:
        return {CLASSES: run(pixels)}

    return Teacher(name=name, size=size, answer=answer)


class _Classes(nn.Module):
    def __init__(self, network: Network, classifier: nn.Linear) -> None:
        super().__init__()
        self.network = network
        self.classifier = classifier

    def forward(self, pixels: Tensor) -> Tensor:
        """[B, H, W, 3] -> [B, 1000]."""
        logits: Tensor = self.classifier(self.network(pixels).mean((2, 3)))
        return logits


class Answers:
    """A teacher's answers to photos, by their content, in files that only grow."""

    def __init__(self, arrays: Mapping[str, npt.NDArray[np.float16]], rows: Sequence[int]) -> None:
        self._arrays = arrays
        self._rows = rows

    def read(self, name: str, photos: Sequence[int]) -> Tensor:
        """What the teacher answered by that name to the photos in these places: [B, ...], float32."""
        chosen = [self._rows[photo] for photo in photos]
        return torch.from_numpy(self._arrays[name][chosen].astype(np.float32))

    def width(self, name: str) -> int:
        """The length of the last axis of what the teacher answers by that name."""
        return int(self._arrays[name].shape[-1])

    def moments(self, name: str, photos: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Mean and deviation of each number of the last axis over these photos, both [D]."""
        values = self.read(name, photos).flatten(0, -2)
        return values.mean(0), values.std(0).clamp_min(_LEAST_DEVIATION)


def ask(folder: Path, teacher: Teacher, examples: Sequence[Example], *, quiet: bool = False) -> Answers:
    """The answers to these photos, asking only about those that it was not asked about before.

    Every example needs an image. A run that was killed is continued; while another one asks, this one waits.
    Raises ImageError.
    """
    place = folder / f"teacher-{hashlib.sha256(teacher.name.encode()).hexdigest()[:24]}"
    place.mkdir(parents=True, exist_ok=True)
    height, width = teacher.size
    size = Preprocessing(width_px=width, height_px=height)
    shapes = {
        name: value.shape[1:]
        for name, value in teacher.answer(np.zeros((1, height, width, 3), np.uint8)).items()
    }
    keys = [content_hash(example.image) for example in examples if example.image is not None]
    with locked(str(place / _KEYS)):
        known, _ = _known(place, shapes)
        new = {key: example for key, example in zip(keys, examples, strict=True) if key not in known}
        bar = tqdm(
            total=len(new), unit="photo", desc="teacher", disable=True if quiet else None, **bar_size()
        )
        for start in range(0, len(new), _BATCH):
            asked = list(new)[start : start + _BATCH]
            opened = [open_example(new[key], enough_px=size.enough_px) for key in asked]
            answers = teacher.answer(np.stack([to_pixels(image, size) for image in opened]))
            for name, values in answers.items():
                _append(place / f"{name}.f16", values.astype(np.float16).tobytes())
            _append(place / _KEYS, b"".join(asked))
            bar.update(len(asked))
        bar.close()
        known, rows = _known(place, shapes)
        arrays = {
            name: np.memmap(place / f"{name}.f16", np.float16, "r", shape=(rows, *shape))
            for name, shape in shapes.items()
        }
    return Answers(arrays, [known[key] for key in keys])


def _known(place: Path, shapes: Mapping[str, tuple[int, ...]]) -> tuple[dict[bytes, int], int]:
    """{key: row} of the photos that were asked about, and the number of rows; half a row is cut off."""
    sizes = {place / f"{name}.f16": 2 * math.prod(shape) for name, shape in shapes.items()}
    sizes[place / _KEYS] = _KEY_BYTES
    rows = min(path.stat().st_size // size if path.exists() else 0 for path, size in sizes.items())
    for path, size in sizes.items():
        with path.open("ab") as file:
            file.truncate(rows * size)
    keys = (place / _KEYS).read_bytes()
    return {keys[row * _KEY_BYTES : (row + 1) * _KEY_BYTES]: row for row in range(rows)}, rows


def _append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)
