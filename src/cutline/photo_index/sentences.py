"""Captions by what they mean: vectors of sentences, from static vectors of words (the extra "meaning").

The wheel `wordllama` brings the vectors and their tokenizer (MIT); nothing of its code is run. A sentence's
vector is the mean of its tokens'.
"""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from cutline.errors import MissingExtra
from cutline.vectors import Floats, unit

MODEL = "wordllama/l2_supercat_256"
LEAST = 0.15
"""Sentences that are less alike than this have nothing to do with each other."""

_WEIGHTS = Path("weights") / "l2_supercat_256.safetensors"
_TOKENIZER = Path("tokenizers") / "l2_supercat_tokenizer_config.json"
_NAME, _TYPE = "embedding.weight", "F16"


def is_installed() -> bool:
    """Whether the extra is there."""
    return importlib.util.find_spec("wordllama") is not None


@lru_cache(maxsize=1)
def load() -> Sentences:
    """The vectors of the extra. Raises MissingExtra where it is not installed, or is another release."""
    spec = importlib.util.find_spec("wordllama")
    folder = Path(spec.origin).parent if spec is not None and spec.origin else Path()
    if not (folder / _WEIGHTS).is_file() or not (folder / _TOKENIZER).is_file():
        raise MissingExtra(
            "Sentences cannot be compared: wordllama with its vectors is not installed.",
            hint="Install it with: pip install 'cutline[meaning]'",
        )
    return Sentences(weights=folder / _WEIGHTS, tokenizer=folder / _TOKENIZER)


class Sentences:
    """Vectors of words in a safetensors file, and their tokenizer."""

    def __init__(self, *, weights: Path, tokenizer: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._vectors = _read(weights)

    def embed(self, texts: Sequence[str]) -> Floats:
        """What texts mean, [N, E], of length 1."""
        encodings = self._tokenizer.encode_batch(list(texts), add_special_tokens=False)
        rows = [self._vectors[each.ids].mean(axis=0, dtype=np.float32) for each in encodings if each.ids]
        means = np.zeros((len(encodings), self._vectors.shape[1]), np.float32)
        means[[at for at, each in enumerate(encodings) if each.ids]] = rows
        return unit(means)


def _read(weights: Path) -> np.ndarray:
    """The one matrix of a safetensors file: the length of a header, the header as JSON, and the numbers."""
    with weights.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        about = header[_NAME]
        if about["dtype"] != _TYPE:
            raise MissingExtra(f"{weights} has numbers of the type {about['dtype']}, not {_TYPE}.")
        start, end = about["data_offsets"]
        file.seek(start, 1)
        return np.frombuffer(file.read(end - start), "<f2").reshape(about["shape"])
