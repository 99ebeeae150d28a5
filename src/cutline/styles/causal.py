"""A language model as a bundle of its own: writer.json, decoder.onnx.gz, tokenizer.json, run by ONNX Runtime.

The decoder takes T ``tokens`` [1, T] and the keys and values of the P tokens before them, ``past``
[2 * layers, heads, P, width], and gives the ``logits`` of the token that follows [V], and ``present``
[2 * layers, heads, P + T, width].
"""

from __future__ import annotations

import gzip
import hashlib
import json
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from cutline.errors import BundleDamaged, BundleMissing

FORMAT = 2
SENTENCE_ENDS = (".", "!", "?", "...", "\u2026")
MANIFEST, DECODER, TOKENIZER = "writer.json", "decoder.onnx.gz", "tokenizer.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What was read so far: its keys and values, and the natural logarithms of the next token's odds [V]."""

    past: NDArray[np.float32]
    log_probs: NDArray[np.float32]


class CausalModel:
    """The model of a folder.

    Raises BundleMissing, and BundleDamaged where a file is not what the manifest says.
    """

    def __init__(self, folder: Traversable) -> None:
        manifest = manifest_of(folder)
        files = _verified(folder, manifest)
        self.name = str(manifest["name"])
        self.version = str(manifest["version"])
        self.prompt_version = str(manifest["prompt_version"])
        self.max_tokens = int(manifest["max_tokens"])
        self.end_id = int(manifest["end_id"])
        self._empty = np.zeros(
            (2 * int(manifest["layers"]), int(manifest["heads"]), 0, int(manifest["width"])), np.float32
        )
        self._tokenizer = Tokenizer.from_str(files[TOKENIZER].decode())
        self._tokenizer.encode_special_tokens = True
        self._session = _session(gzip.decompress(files[DECODER]))
        size = self._tokenizer.get_vocab_size()
        texts = self._tokenizer.decode_batch([[token] for token in range(size)], skip_special_tokens=True)
        # Of each token, whether it begins another word or ends the text, and whether it ends a sentence.
        self.begins_word: NDArray[np.bool_] = np.array([text[:1].isspace() for text in texts])
        self.begins_word[self.end_id] = True
        self.ends_sentence: NDArray[np.bool_] = np.array([text in SENTENCE_ENDS for text in texts])

    def encode(self, text: str) -> list[int]:
        """The tokens of a text; what looks like a special token is text."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def decode(self, tokens: list[int]) -> str:
        """The text of tokens; half a character is left out."""
        text: str = self._tokenizer.decode(tokens, skip_special_tokens=True)
        return text.rstrip("\ufffd")

    def read(self, tokens: list[int], context: Context | None = None) -> Context:
        """Read on from a context, which stays as it is."""
        past = self._empty if context is None else context.past
        logits, present = self._session.run(
            ["logits", "present"], {"tokens": np.array([tokens], np.int64), "past": past}
        )
        return Context(past=present, log_probs=_log_softmax(logits))


def _log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    shifted = logits - logits.max()
    log_probs: NDArray[np.float32] = shifted - np.log(np.exp(shifted).sum())
    return log_probs


def _session(graph: bytes) -> Any:
    import onnxruntime  # type: ignore[import-untyped]

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def manifest_of(folder: Traversable) -> dict[str, Any]:
    """What a model says of itself, without its weights. Raises BundleMissing, BundleDamaged."""
    if not (folder / MANIFEST).is_file():
        raise BundleMissing(
            "This installation ships without a language model of its own.", hint="Name another one."
        )
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_bytes())
        if manifest["format"] != FORMAT:
            raise BundleDamaged(f"The language model in {folder} is of another format.")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(folder, error) from error
    return manifest


def _verified(folder: Traversable, manifest: dict[str, Any]) -> dict[str, bytes]:
    try:
        files = {name: (folder / name).read_bytes() for name in (DECODER, TOKENIZER)}
        for name, data in files.items():
            if hashlib.sha256(data).hexdigest() != manifest["sha256"][name]:
                raise BundleDamaged(f"{name} of the language model in {folder} is not what it was.")
    except (OSError, KeyError, TypeError) as error:
        raise _damaged(folder, error) from error
    return files


def _damaged(folder: Traversable, error: Exception) -> BundleDamaged:
    return BundleDamaged(f"The language model in {folder} is damaged: {error}.")
