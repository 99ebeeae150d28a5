"""A GGUF file as the beginning of a smaller model: some of its layers, and the tokens that the data needs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from torch import Tensor

from cutline.errors import ConfigError
from cutline.training.writer.model import CausalTransformer, Shape

END = "<|endoftext|>"
_NAMES: Mapping[str, str] = {
    "attn_norm": "attention_norm",
    "attn_q": "queries",
    "attn_k": "keys",
    "attn_v": "values",
    "attn_output": "output",
    "ffn_norm": "hidden_norm",
    "ffn_gate": "gate",
    "ffn_up": "up",
    "ffn_down": "down",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """A language model as a file has it. merges: pairs of tokens, the earliest first."""

    shape: Shape
    tokens: tuple[str, ...]
    merges: tuple[tuple[str, str], ...]
    weights: Mapping[str, Tensor]


def read_base(path: Path) -> Base:
    """Read a GGUF file of the Llama family with a byte-level tokenizer. Raises ConfigError."""
    try:
        reader = gguf.GGUFReader(path)
        return Base(
            shape=_shape(reader),
            tokens=tuple(_field(reader, "tokenizer.ggml.tokens")),
            merges=tuple(_pair(merge) for merge in _field(reader, "tokenizer.ggml.merges")),
            weights={tensor.name: _floats(tensor) for tensor in reader.tensors},
        )
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise ConfigError(f"{path} cannot be the base of a writer: {error}.") from error


def tokenizer_of(tokens: Sequence[str], merges: Iterable[tuple[str, str]]) -> Tokenizer:
    """A byte-level tokenizer that splits numbers into digits."""
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=list(merges)))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([END])
    return tokenizer


def needed_tokens(base: Base, texts: Iterable[str], *, minimum_count: int) -> list[int]:
    """The numbers of the end, the bytes, what the texts have often enough, and what these are merged from."""
    counts: Counter[int] = Counter()
    tokenizer = tokenizer_of(base.tokens, base.merges)
    for encoding in tokenizer.encode_batch(list(texts), add_special_tokens=False):
        counts.update(encoding.ids)
    parts = {left + right: (left, right) for left, right in reversed(base.merges)}
    kept: set[str] = {END, *pre_tokenizers.ByteLevel.alphabet()}
    waiting = [base.tokens[token] for token, count in counts.items() if count >= max(1, minimum_count)]
    while waiting:
        token = waiting.pop()
        if token not in kept:
            kept.add(token)
            waiting += parts.get(token, ())
    return [number for number, token in enumerate(base.tokens) if token in kept]


def smaller(
    base: Base, *, layers: Sequence[int], tokens: Sequence[int]
) -> tuple[CausalTransformer, Tokenizer]:
    """The model of some layers and tokens, and its tokenizer. ConfigError where a layer is not there."""
    _check_layers(layers, base.shape)
    shape = replace(base.shape, layers=len(layers), vocabulary=len(tokens))
    model = CausalTransformer(shape)
    weights = {
        "embedding.weight": base.weights["token_embd.weight"][list(tokens)],
        "norm.weight": base.weights["output_norm.weight"],
    }
    for number, layer in enumerate(layers):
        for theirs, ours in _NAMES.items():
            weights[f"layers.{number}.{ours}.weight"] = base.weights[f"blk.{layer}.{theirs}.weight"]
    model.load_state_dict(weights)
    names = [base.tokens[token] for token in tokens]
    known = set(names)
    merges = [(left, right) for left, right in base.merges if {left, right, left + right} <= known]
    return model, tokenizer_of(names, merges)


def tokenizer_json(tokenizer: Tokenizer) -> str:
    """What tokenizer.json has."""
    return json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False)


def _check_layers(layers: Sequence[int], shape: Shape) -> None:
    if absent := [layer for layer in layers if layer >= shape.layers]:
        raise ConfigError(f"The base has {shape.layers} layers; there is no layer {absent[0]}.")


def _shape(reader: Any) -> Shape:
    def number(name: str) -> Any:
        return _field(reader, f"llama.{name}")

    return Shape(
        vocabulary=len(_field(reader, "tokenizer.ggml.tokens")),
        width=int(number("embedding_length")),
        hidden=int(number("feed_forward_length")),
        layers=int(number("block_count")),
        heads=int(number("attention.head_count")),
        key_heads=int(number("attention.head_count_kv")),
        rope_base=float(number("rope.freq_base")),
        epsilon=float(number("attention.layer_norm_rms_epsilon")),
    )


def _field(reader: Any, name: str) -> Any:
    field = reader.get_field(name)
    if field is None:
        raise KeyError(f"it lacks {name}")
    return field.contents()


def _pair(merge: str) -> tuple[str, str]:
    left, _, right = merge.partition(" ")
    return left, right


def _floats(tensor: Any) -> Tensor:
    values = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
    return torch.from_numpy(np.array(values, dtype=np.float32))
