"""Tiny bundles that keep the whole contract: one with growing state, one with recurrent state.

The weights are random, so every history gives another distribution, and every image its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from cutline.captioning.bundle import read_bundle, write_bundle
from cutline.captioning.bundle_captioner import BundleCaptioner

SIDE, ROWS, COLS, WIDTH = 12, 2, 3, 8
WORDS = ["<pad>", "<sos>", "<end>", "<unk>", "a", "dog", "runs", "and", "sleeps"]
TRANSFORMER, LSTM = "transformer", "lstm-attention"

MakeCaptioner = Callable[..., BundleCaptioner]


@dataclass(frozen=True, kw_only=True)
class Tiny:
    """What a tiny bundle is made from."""

    kind: str = TRANSFORMER
    tokenizer: str | None = None
    top: int = 7
    max_tokens: int = 6
    seed: int = 0
    sharpness: float = 2.0
    decoding: tuple[tuple[str, object], ...] = ()
    full_stop: bool = True
    function_words: tuple[str, ...] = ()
    text_tower: bool = False
    concepts: int = 0  # rows of the encoder's output of that name: a bundle has two


def word_tokenizer(words: list[str] = WORDS) -> str:
    """A word-level tokenizer.json."""
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.add_special_tokens(WORDS[:4])
    return tokenizer.to_str()


def bpe_tokenizer(corpus: list[str], size: int) -> str:
    """A byte-level BPE tokenizer.json."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=WORDS[:4],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus, trainer)
    return tokenizer.to_str()


def manifest(tiny: Tiny, vocabulary: int) -> dict[str, Any]:
    """bundle.json without its files."""
    state: dict[str, Any] = {"hidden": {"shape": [WIDTH]}}
    if tiny.kind == TRANSFORMER:
        state = {"self_key_0": {"shape": [1, 0, WIDTH], "grows_on": 1}}
    return {
        "format_version": 1,
        "name": "tiny",
        "version": "0.1.0",
        "licence": "CC0-1.0",
        "created": "2026-01-01T00:00:00Z",
        "architecture": {
            "kind": tiny.kind,
            "grid": [ROWS, COLS],
            "max_tokens": tiny.max_tokens,
            "vocabulary": vocabulary,
            "start_id": 1,
            "end_id": 2,
            "pad_id": 0,
            "unknown_id": 3,
            "state": state,
        },
        "preprocessing": {"width_px": SIDE, "height_px": SIDE, "mode": "squash", "resample": "bilinear"},
        "text": {
            "sentence_case": True,
            "full_stop": tiny.full_stop,
            "function_words": list(tiny.function_words),
        },
        "decoding": {"strategy": "beam", "beam_size": 3, "length_penalty": 0.7} | dict(tiny.decoding),
        "training_data": {"hash": "none", "description": "random weights"},
        "metrics": {},
    }


def make_bundle(folder: Path, tiny: Tiny | None = None) -> Path:
    """Write a tiny bundle to a folder."""
    tiny = tiny or Tiny()
    tokenizer = tiny.tokenizer or word_tokenizer()
    vocabulary = Tokenizer.from_str(tokenizer).get_vocab_size()
    parts = folder.parent / f"{folder.name}-parts"
    parts.mkdir(parents=True)
    encoder, decoder = graphs(tiny, vocabulary)
    (parts / "encoder.onnx").write_bytes(encoder)
    (parts / "decoder.onnx").write_bytes(decoder)
    (parts / "tokenizer.json").write_text(tokenizer)
    if tiny.text_tower:
        (parts / "text.onnx").write_bytes(text_tower(vocabulary))
    (parts / "MODEL_CARD.md").write_text("# Tiny\n\nRandom weights, for tests.\n")
    write_bundle(folder, manifest(tiny, vocabulary), {each.name: each for each in parts.iterdir()})
    read_bundle(folder)
    return folder


def edit_manifest(folder: Path, **changes: object) -> None:
    """Change top-level fields of a written bundle.json."""
    path = folder / "bundle.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def graphs(tiny: Tiny, vocabulary: int) -> tuple[bytes, bytes]:
    """The encoder and the decoder, as ONNX."""
    rng = np.random.default_rng(tiny.seed)
    weights = {
        "to_bias": rng.normal(size=(3, vocabulary)) * 2,
        "to_regions": rng.normal(size=(3, ROWS * COLS)),
        "to_hidden": rng.normal(size=(3, WIDTH)),
        "embedding": rng.normal(size=(vocabulary, WIDTH)),
        "position": rng.normal(size=(tiny.max_tokens, WIDTH)),
        "recur": rng.normal(size=(WIDTH, WIDTH)) / 2,
        "to_logits": rng.normal(size=(WIDTH, vocabulary)) * tiny.sharpness,
        "to_attention": rng.normal(size=(WIDTH, ROWS * COLS)),
    }
    floats = {name: value.astype(np.float32) for name, value in weights.items()}
    return _encoder(tiny, vocabulary, floats), _decoder(tiny, vocabulary, floats)


def text_tower(vocabulary: int, width: int = 3) -> bytes:
    """A text lies where its first word does, as if that were a colour: "dog" is red, "runs" green."""
    node = helper.make_node
    colours = np.ones((vocabulary, width), np.float32)
    colours[WORDS.index("dog")] = np.eye(width)[0]
    colours[WORDS.index("runs")] = np.eye(width)[1]
    nodes = [
        node("Gather", ["tokens", "first"], ["token"], axis=1),
        node("Gather", ["colours", "token"], ["embedding"]),
    ]
    tokens = helper.make_tensor_value_info("tokens", TensorProto.INT64, ["B", "T"])
    constants = {"first": np.array(0), "colours": colours}
    return _model(nodes, [tokens], {"embedding": ["B", width]}, constants)


def _encoder(tiny: Tiny, vocabulary: int, weights: dict[str, np.ndarray]) -> bytes:
    node = helper.make_node
    nodes = [
        node("Cast", ["pixels"], ["floats"], to=TensorProto.FLOAT),
        node("Div", ["floats", "scale"], ["unit"]),
        node("ReduceMean", ["unit", "sides"], ["colour"], keepdims=0),
        node("MatMul", ["colour", "to_bias"], ["memory.bias"]),
        node("MatMul", ["colour", "to_regions"], ["memory.regions"]),
    ]
    outputs = {"memory.bias": ["B", vocabulary], "memory.regions": ["B", ROWS * COLS]}
    constants = {
        "scale": np.array(255, np.float32),
        "sides": np.array([1, 2]),
        **{name: weights[name] for name in ("to_bias", "to_regions")},
    }
    if tiny.kind == LSTM:
        nodes.append(node("MatMul", ["colour", "to_hidden"], ["initial.hidden"]))
        outputs["initial.hidden"] = ["B", WIDTH]
        constants["to_hidden"] = weights["to_hidden"]
    if tiny.text_tower:
        nodes.append(node("Identity", ["colour"], ["embedding"]))
        outputs["embedding"] = ["B", 3]
    if tiny.concepts:
        nodes += [
            node("Sigmoid", ["memory.bias"], ["chances"]),
            node("Unsqueeze", ["chances", "rows"], ["chance"]),
            node("Concat", ["chance"] * tiny.concepts, ["concepts"], axis=1),
        ]
        outputs["concepts"] = ["B", tiny.concepts, vocabulary]
        constants["rows"] = np.array([1])
    pixels = helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["B", SIDE, SIDE, 3])
    return _model(nodes, [pixels], outputs, constants)


def _decoder(tiny: Tiny, vocabulary: int, weights: dict[str, np.ndarray]) -> bytes:
    node = helper.make_node
    constants = {
        "one": np.array([1]),
        "three": np.array([3]),
        "beam_and_head": np.array([2, 3]),
        "k": np.array([min(tiny.top, vocabulary)]),
        **{name: weights[name] for name in ("embedding", "to_logits", "to_attention")},
    }
    nodes = [node("Gather", ["embedding", "tokens"], ["token"])]
    if tiny.kind == TRANSFORMER:
        # All that was said so far, each word told apart by its place; the place comes of the state's length.
        state, shape = "self_key_0", ["B", "K", 1, "T", WIDTH]
        grown: list[int | str] = ["B", "K", 1, "T1", WIDTH]
        constants["position"] = weights["position"]
        nodes += [
            node("Shape", ["state.self_key_0"], ["length"], start=3, end=4),
            node("Gather", ["position", "length"], ["place"]),
            node("Mul", ["token", "place"], ["placed"]),
            node("Unsqueeze", ["placed", "beam_and_head"], ["entry"]),
            node("Concat", ["state.self_key_0", "entry"], ["next.self_key_0"], axis=3),
            node("ReduceSum", ["next.self_key_0", "beam_and_head"], ["told"], keepdims=0),
            node("Tanh", ["told"], ["thought"]),
        ]
    else:
        state, shape = "hidden", ["B", "K", WIDTH]
        grown = shape
        constants["recur"] = weights["recur"]
        nodes += [
            node("MatMul", ["state.hidden", "recur"], ["kept"]),
            node("Add", ["kept", "token"], ["told"]),
            node("Tanh", ["told"], ["thought"]),
            node("Identity", ["thought"], ["next.hidden"]),
        ]
    nodes += [
        node("MatMul", ["thought", "to_logits"], ["said"]),
        node("Unsqueeze", ["memory.bias", "one"], ["bias"]),
        node("Add", ["said", "bias"], ["logits"]),
        node("LogSoftmax", ["logits"], ["log_probs"], axis=2),
        node("TopK", ["log_probs", "k"], ["top_log_probs", "top_tokens"], axis=2),
        node("MatMul", ["thought", "to_attention"], ["looked"]),
        node("Unsqueeze", ["memory.regions", "one"], ["regions"]),
        node("Add", ["looked", "regions"], ["looks"]),
        node("Softmax", ["looks"], ["attention"], axis=2),
    ]
    used = {name for each in nodes for name in each.input}
    inputs = [
        helper.make_tensor_value_info("tokens", TensorProto.INT64, ["B", "K"]),
        helper.make_tensor_value_info("memory.bias", TensorProto.FLOAT, ["B", vocabulary]),
        helper.make_tensor_value_info("memory.regions", TensorProto.FLOAT, ["B", ROWS * COLS]),
        helper.make_tensor_value_info(f"state.{state}", TensorProto.FLOAT, shape),
    ]
    outputs = {
        "log_probs": ["B", "K", vocabulary],
        "top_log_probs": ["B", "K", min(tiny.top, vocabulary)],
        "top_tokens": ["B", "K", min(tiny.top, vocabulary)],
        "attention": ["B", "K", ROWS * COLS],
        f"next.{state}": grown,
    }
    return _model(nodes, inputs, outputs, {name: each for name, each in constants.items() if name in used})


def _model(nodes: list[Any], inputs: list[Any], outputs: dict[str, Any], constants: dict[str, Any]) -> bytes:
    infos = [
        helper.make_tensor_value_info(
            name, TensorProto.INT64 if name == "top_tokens" else TensorProto.FLOAT, shape
        )
        for name, shape in outputs.items()
    ]
    initializers = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "tiny", inputs, infos, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    return bytes(model.SerializeToString())
