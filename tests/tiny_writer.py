"""A tiny writer in a folder, as `cutline.styles` loads it: it counted which words follow which."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections import Counter
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from cutline.styles.causal import DECODER, FORMAT, TOKENIZER

DOG = "A dog runs along the beach."
SENTENCES = (
    "A dog runs along the beach. A dog runs along the beach and on and on. On and on.",
    "A dog and a cat and a dog run along the beach of the dog.\n#BeachDog #CatNap #DogRun",
    "On and on the dog runs along a beach \U0001f30a and along.\n#SandDog #Beach #DogRun",
)
END = "<end>"


def write_tiny_writer(folder: Path) -> Path:
    """Write the folder of a model that counts which words follow which in the sentences; needs onnx."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=[END], initial_alphabet=alphabet)
    tokenizer.train_from_iterator(SENTENCES * 3, trainer)
    tokenizer.save(str(folder / TOKENIZER))
    size = tokenizer.get_vocab_size()
    end = tokenizer.token_to_id(END)
    assert end is not None
    follows: Counter[tuple[int, int]] = Counter()
    for sentence in SENTENCES:
        ids = [*tokenizer.encode(sentence).ids, end]
        follows.update(zip([tokenizer.encode("\n").ids[0], *ids], ids, strict=False))
    table = np.full((size, size), -9.0, np.float32)
    for (first, second), count in follows.items():
        table[first, second] = np.log(count)
    (folder / DECODER).write_bytes(gzip.compress(_bigrams(table)))
    _write_manifest(folder, end)
    return folder


def _write_manifest(folder: Path, end: int) -> None:
    files = (DECODER, TOKENIZER)
    manifest = {
        "format": FORMAT,
        "name": "bigrams",
        "version": "1",
        "prompt_version": "test/1",
        "end_id": end,
        "layers": 1,
        "heads": 1,
        "width": 1,
        "max_tokens": 128,
        "sha256": {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in files},
    }
    (folder / "writer.json").write_text(json.dumps(manifest))


def _bigrams(table: np.ndarray) -> bytes:
    """A graph that looks the last token up, and keeps a zero for each token."""
    import onnx

    helper, tensor = onnx.helper, onnx.TensorProto
    nodes = [
        helper.make_node("Gather", ["tokens", "last"], ["token"], axis=1),
        helper.make_node("Gather", ["table", "token"], ["rows"], axis=0),
        helper.make_node("Reshape", ["rows", "flat"], ["logits"]),
        helper.make_node("Cast", ["tokens"], ["numbers"], to=tensor.FLOAT),
        helper.make_node("Unsqueeze", ["numbers", "axes"], ["new"]),
        helper.make_node("Concat", ["new", "new"], ["both"], axis=0),
        helper.make_node("Concat", ["past", "both"], ["present"], axis=2),
    ]
    constants = {
        "table": table,
        "last": np.array([-1]),
        "flat": np.array([-1]),
        "axes": np.array([1, 3]),
    }
    graph = helper.make_graph(
        nodes,
        "bigrams",
        [
            helper.make_tensor_value_info("tokens", tensor.INT64, [1, "T"]),
            helper.make_tensor_value_info("past", tensor.FLOAT, [2, 1, "P", 1]),
        ],
        [
            helper.make_tensor_value_info("logits", tensor.FLOAT, [len(table)]),
            helper.make_tensor_value_info("present", tensor.FLOAT, [2, 1, "Q", 1]),
        ],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return bytes(model.SerializeToString())
