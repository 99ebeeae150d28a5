"""Features of an encoder's frozen trunk, computed once and kept in a memory-mapped file.

Legend of shapes: N photos, V variants, B batch, H and W rows and columns, C channels.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import onnxruntime  # type: ignore[import-untyped]
import torch
from torch import Tensor, nn
from tqdm import tqdm

from cutline.atomic_files import locked, output_errors, replacement, write_text
from cutline.images import Preprocessing, to_pixels
from cutline.terminal import bar_size
from cutline.training.datasets import Example, TarMember, open_example
from cutline.training.examples import ImageFile
from cutline.training.export import export_graph
from cutline.training.transforms import augment, augmentation_rng, may_flip

Pixels: TypeAlias = npt.NDArray[np.uint8]
_BATCH = 32
# The features of one photo come from one encoder: a different one must never find them.
_FORMAT = 3
_ENDS_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureConfig:
    """What decides the features, beside the photos themselves.

    trunk: a name for the trunk's architecture and weights. variants: 1 keeps the photo alone (variant 0);
    each further one is a random augmentation.
    """

    trunk: str
    preprocessing: Preprocessing
    augmentation: str = "off"
    variants: int = 1
    seed: int = 0


class FeatureStore:
    """Features [V, N, H, W, C] in one memory-mapped file, read a batch at a time."""

    def __init__(self, features: npt.NDArray[np.generic]) -> None:
        self.features = features
        self.variants = int(features.shape[0])

    def read(self, rows: Sequence[int], variants: Sequence[int]) -> Tensor:
        """Read one variant of each photo: [B, H, W, C], float32, or uint8 where the trunk is empty."""
        chosen = np.stack([self.features[variant, row] for variant, row in zip(variants, rows, strict=True)])
        return torch.from_numpy(chosen if chosen.dtype == np.uint8 else chosen.astype(np.float32))


def feature_store(
    folder: Path, examples: Sequence[Example], trunk: nn.Module, config: FeatureConfig, *, quiet: bool = False
) -> FeatureStore:
    """Open the features of these photos, computing what is not there yet; a run that was killed is continued.

    Every example needs an image. While another process computes them, this one waits. Raises ImageError for a
    photo that cannot be read, and OutputError where the disk has no room for the features.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{_fingerprint(examples, config)}.npy"
    run = _Runner(trunk)
    if not path.exists() or _done(path) < config.variants * len(examples):
        with locked(str(path.with_suffix(".lock"))):
            _compute(path, examples, run, config, quiet=quiet)
    return FeatureStore(np.load(path, mmap_mode="r"))


def _compute(
    path: Path, examples: Sequence[Example], run: _Runner, config: FeatureConfig, *, quiet: bool
) -> None:
    """Compute what the file does not have yet."""
    shape = (config.variants, len(examples), *run.shape(config.preprocessing))
    if not path.exists():
        _allocate(path, run.dtype, shape)
    done, total = _done(path), config.variants * len(examples)
    if done == total:
        return
    features = np.lib.format.open_memmap(path, "r+")
    flat = features.reshape(total, *shape[2:])
    bar = tqdm(
        total=total,
        initial=done,
        unit="photo",
        desc="features",
        disable=True if quiet else None,
        **bar_size(),
    )
    for start, pixels in _pixels(examples, config, done):
        flat[start : start + len(pixels)] = run(pixels)
        bar.update(len(pixels))
        if start // _BATCH % 50 == 0:
            features.flush()
            _note_done(path, start + len(pixels))
    features.flush()
    _note_done(path, total)
    bar.close()


def _allocate(path: Path, dtype: type[np.generic], shape: tuple[int, ...]) -> None:
    """Make an empty file of features, with all of its room: a full disk would kill who writes to the map."""
    with output_errors(str(path)), replacement(str(path)) as temporary:
        features = np.lib.format.open_memmap(temporary, "w+", dtype, shape)
        del features
        if hasattr(os, "posix_fallocate"):
            with open(temporary, "r+b") as file:
                os.posix_fallocate(file.fileno(), 0, os.path.getsize(temporary))
        _note_done(path, 0)


def _note_done(path: Path, count: int) -> None:
    """Write down how many of a file's photos are computed, in their order."""
    write_text(str(path.with_suffix(".done")), str(count))


def _done(path: Path) -> int:
    """What `_note_done` wrote; 0 where there is nothing."""
    progress = path.with_suffix(".done")
    return int(progress.read_text() or 0) if progress.exists() else 0


def _pixels(examples: Sequence[Example], config: FeatureConfig, done: int) -> Iterator[tuple[int, Pixels]]:
    """Batches from place ``done`` of the flattened [V, N], decoded ahead by two threads."""
    total = config.variants * len(examples)

    def one(place: int) -> Pixels:
        variant, row = divmod(place, len(examples))
        example = examples[row]
        image = open_example(example, enough_px=config.preprocessing.enough_px)  # as inference does
        if variant:
            rng = augmentation_rng(config.seed, variant, row)
            image = augment(image, config.augmentation, rng, flip=may_flip(example.captions))
        return to_pixels(image, config.preprocessing)

    with ThreadPoolExecutor(2) as pool:

        def submit(start: int) -> list[Future[Pixels]]:
            return [pool.submit(one, place) for place in range(start, min(start + _BATCH, total))]

        coming = submit(done)
        for start in range(done, total, _BATCH):
            now, coming = coming, submit(start + _BATCH)
            yield start, np.stack([future.result() for future in now])


class _Runner:
    """The trunk, through ONNX Runtime: some five times as fast as eager torch on a CPU."""

    def __init__(self, trunk: nn.Module) -> None:
        self._trunk = trunk.eval()
        self._session: Callable[[Pixels], npt.NDArray[np.generic]] | None = None
        self.dtype = np.float16 if any(True for _ in trunk.parameters()) else np.uint8

    def shape(self, preprocessing: Preprocessing) -> tuple[int, ...]:
        """[H, W, C] for photos of that size."""
        blank = torch.zeros(1, preprocessing.height_px, preprocessing.width_px, 3, dtype=torch.uint8)
        with torch.no_grad():
            return tuple(self._trunk(blank).shape[1:])

    def __call__(self, pixels: Pixels) -> npt.NDArray[np.generic]:
        """Pixels [B, H, W, 3] -> features [B, H', W', C]."""
        if self.dtype == np.uint8:
            return pixels
        if self._session is None:
            self._session = exported_session(self._trunk, pixels, output="features")
        return self._session(pixels).astype(np.float16)


def exported_session(
    module: nn.Module, pixels: Pixels, *, output: str
) -> Callable[[Pixels], npt.NDArray[np.generic]]:
    """A module from pixels to one tensor, run by ONNX Runtime. pixels: of any photo, to trace with."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "module.onnx"
        export_graph(
            module,
            (torch.from_numpy(np.repeat(pixels[:1], 2, axis=0)),),
            path,
            inputs=["pixels"],
            outputs=[output],
            dynamic=({0: torch.export.Dim("batch")},),
        )
        session = open_session(path)
    return lambda batch: session.run(None, {"pixels": batch})[0]


def open_session(path: Path) -> onnxruntime.InferenceSession:
    """A graph, on as many threads as torch has; among several processes, which wait for one, on all cores."""
    options = onnxruntime.SessionOptions()
    alone = not torch.distributed.is_initialized()
    options.intra_op_num_threads = torch.get_num_threads() if alone else os.cpu_count() or 1
    return onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])


def _fingerprint(examples: Sequence[Example], config: FeatureConfig) -> str:
    """A hash of everything that the features depend on; photos by their bytes, wherever they lie."""
    plain = replace(config, augmentation="off", seed=0) if config.variants == 1 else config
    digest = hashlib.sha256(json.dumps([_FORMAT, asdict(plain)], sort_keys=True, default=str).encode())
    for example in examples:
        assert example.image is not None, "every example has a photo"
        digest.update(_mark(example.image))
        digest.update(bytes([config.variants > 1 and may_flip(example.captions)]))
    return digest.hexdigest()[:24]


def _mark(image: ImageFile) -> bytes:
    """A hash of a photo's size, and of its first and last bytes: reading all takes long at each start."""
    path = image.archive if isinstance(image, TarMember) else image
    with path.open("rb") as file:
        begin = image.offset if isinstance(image, TarMember) else 0
        size = image.size if isinstance(image, TarMember) else file.seek(0, os.SEEK_END)
        file.seek(begin)
        head = file.read(min(_ENDS_BYTES, size))
        file.seek(begin + max(0, size - _ENDS_BYTES))
        tail = file.read(min(_ENDS_BYTES, size))
    return hashlib.sha256(size.to_bytes(8, "big") + head + tail).digest()
