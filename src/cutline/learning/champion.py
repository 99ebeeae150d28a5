"""The model that learning starts from: its bundle, its eyes, and its trainable weights."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import ImageOps
from tokenizers import Tokenizer

from cutline.captioning.bundle import Bundle
from cutline.images import open_image, to_pixels
from cutline.learning.graphs import bonus_of, captioner_of, eyes_of, session
from cutline.learning.objectives import Seen
from cutline.learning.vocabulary import tokenizer_of
from cutline.training.transformer import TransformerCaptioner
from cutline.training.weights import read_weights

_BATCH = 16
PLAIN, MIRRORED = 0, 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Champion:
    """A model to learn from. mark: its content's hash, by which what was computed with it is found again."""

    bundle: Bundle
    captioner: TransformerCaptioner
    tokenizer: Tokenizer

    @property
    def mark(self) -> str:
        """The hash of the bundle."""
        return self.bundle.manifest.content_hash()

    def ids(self, text: str) -> tuple[int, ...]:
        """The tokens of a caption, without <sos> and <end>."""
        return tuple(self.tokenizer.encode(text, add_special_tokens=False).ids)

    def words(self, ids: Sequence[int]) -> list[str]:
        """Tokens as words, as scores see them."""
        return [self.tokenizer.id_to_token(token) or "" for token in ids]


def load_champion(bundle: Bundle, weights: Path | None = None) -> Champion:
    """The model behind a bundle.

    Weights: its trainable weights, where they were kept; else they are read back from the graphs, as
    exactly as those have them. Raises TrainingError.
    """
    return Champion(
        bundle=bundle,
        captioner=read_weights(weights) if weights is not None else captioner_of(bundle),
        tokenizer=tokenizer_of(bundle),
    )


class RegionStore:
    """Regions of photos in one memory-mapped file, half precision: [V, N, R, F].

    What concepts add to words is computed from them when they are read, by the bundle that saw them.
    """

    def __init__(self, path: Path, bundle: Bundle) -> None:
        self._features: npt.NDArray[np.float16] = np.load(path, mmap_mode="r")
        self.variants = int(self._features.shape[0])
        graph = bonus_of(bundle)
        self._bonus = session(graph, threads=1) if graph is not None else None

    def read(self, rows: Sequence[int], variants: Sequence[int]) -> Seen:
        """One variant of each photo."""
        chosen = [self._features[variant, row] for variant, row in zip(variants, rows, strict=True)]
        regions = np.stack(chosen).astype(np.float32)
        if self._bonus is None:
            return Seen(torch.from_numpy(regions))
        [given] = self._bonus.get_inputs()
        [bonus] = self._bonus.run(None, {given.name: regions})
        return Seen(torch.from_numpy(regions), torch.from_numpy(bonus))


def look(bundle: Bundle, photos: Sequence[Path], path: Path, *, threads: int = 0) -> RegionStore:
    """Let a bundle's eyes see photos, each also mirrored. A file that is there is taken as it is.

    Raises ImageError for a photo that cannot be read.
    """
    if path.exists():
        return RegionStore(path, bundle)
    see = session(eyes_of(bundle), threads=threads)
    name = see.get_outputs()[0].name
    draft = path.with_suffix(f".{os.getpid()}.part")
    features: npt.NDArray[np.float16] | None = None
    with ThreadPoolExecutor(2) as pool:
        for start in range(0, len(photos), _BATCH):
            part = photos[start : start + _BATCH]
            pixels = list(pool.map(lambda photo: _pixels(bundle, photo), part))
            for variant in (PLAIN, MIRRORED):
                seen = see.run([name], {"pixels": np.stack([each[variant] for each in pixels])})[0]
                if features is None:
                    shape = (2, len(photos), *seen.shape[1:])
                    features = np.lib.format.open_memmap(draft, "w+", np.float16, shape)
                features[variant, start : start + len(part)] = seen
    if isinstance(features, np.memmap):
        features.flush()
    os.replace(draft, path)
    return RegionStore(path, bundle)


def _pixels(bundle: Bundle, photo: Path) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    size = bundle.manifest.preprocessing
    image = open_image(photo, enough_px=size.enough_px)
    return to_pixels(image, size), to_pixels(ImageOps.mirror(image), size)
