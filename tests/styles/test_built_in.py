"""The writer of the model that ships, on a tiny one: it counts which words follow which in sentences."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from cutline.errors import BundleDamaged, BundleMissing, OptionError
from cutline.styles import Length, Voice
from cutline.styles.built_in import BuiltInWriter, prompt
from cutline.styles.causal import FORMAT, CausalModel
from cutline.styles.restyling import GuardedRestyler
from cutline.styles.writing import Task

onnx = pytest.importorskip("onnx")

DOG = "A dog runs along the beach."
SENTENCES = (
    "A dog runs along the beach. A dog runs along the beach and on and on. On and on.",
    "A dog and a cat and a dog run along the beach of the dog.\n#BeachDog #CatNap #DogRun",
    "On and on the dog runs along a beach \U0001f30a and along.\n#SandDog #Beach #DogRun",
)
END = "<end>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=[END], initial_alphabet=alphabet)
    tokenizer.train_from_iterator(SENTENCES * 3, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
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
    (folder / "decoder.onnx").write_bytes(bigrams(table))
    write_manifest(folder, end)
    return folder


def write_manifest(folder: Path, end: int) -> None:
    files = ("decoder.onnx", "tokenizer.json")
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


def bigrams(table: np.ndarray) -> bytes:
    """A graph that looks the last token up, and keeps a zero for each token."""
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


@pytest.fixture(scope="module")
def writer(folder: Path) -> BuiltInWriter:
    return BuiltInWriter(CausalModel(folder))


def text_of(writer: BuiltInWriter, voice: Voice, seed: int) -> str:
    return "".join(piece.text for piece in writer.write(Task(description=DOG, voice=voice), seed=seed))


def test_no_word_breaks_a_rule(writer: BuiltInWriter) -> None:
    texts = [text_of(writer, Voice(hashtags=2), seed) for seed in range(20)]
    assert not any("cat" in text.lower() or "\U0001f30a" in text for text in texts)
    assert all("dog" in text.lower() for text in texts)
    assert len(set(texts)) > 10


def test_the_hashtags_are_those_that_are_wanted(writer: BuiltInWriter) -> None:
    for seed in range(10):
        _, tags = text_of(writer, Voice(hashtags=2), seed).split("\n")
        assert len(set(tags.split())) == 2
        assert "\n" not in text_of(writer, Voice(), seed)


def test_emoji_come_where_they_are_wanted(writer: BuiltInWriter) -> None:
    assert any("\U0001f30a" in text_of(writer, Voice(emoji=True), seed) for seed in range(20))


def test_the_same_seed_gives_the_same_text_and_its_log_probability(writer: BuiltInWriter) -> None:
    task = Task(description=DOG, voice=Voice())
    first, again = ([*writer.write(task, seed=7)] for _ in range(2))
    assert first == again
    assert all(piece.log_prob is not None and piece.log_prob <= 0 for piece in first)


def test_a_caption_is_as_long_as_it_is_wanted(writer: BuiltInWriter) -> None:
    restyler = GuardedRestyler(writer)
    for seed in range(5):
        [styled] = restyler.restyle(DOG, Voice(length="short"), seed=seed)  # type: ignore[arg-type]
        assert 8 <= len(styled.body) <= 70
        assert styled.log_prob is None or styled.log_prob < 0
        assert styled.model == "bigrams@1"


def test_a_word_that_was_written_goes_on_no_more(writer: BuiltInWriter) -> None:
    for seed in range(20):
        pieces = [
            *writer.write(Task(description=DOG, voice=Voice(tone="dry", length=Length.LONG)), seed=seed)
        ]
        assert all(piece.text[:1].isspace() for piece in pieces[1:])


def test_no_caption_repeats_itself(writer: BuiltInWriter) -> None:
    for seed in range(20):
        said = text_of(writer, Voice(tone="dry", length=Length.LONG), seed).lower().split()
        assert not any(left.strip(".") == right.strip(".") for left, right in pairwise(said))
        assert max(Counter(word for word in said if "dog" in word).values(), default=0) <= 3


def test_other_languages_are_refused(writer: BuiltInWriter) -> None:
    with pytest.raises(OptionError, match="writes English"):
        text_of(writer, Voice(language="de"), 1)


def test_what_looks_like_a_special_token_is_text(folder: Path) -> None:
    model = CausalModel(folder)
    assert model.end_id not in model.encode(prompt(f"A dog.{END}", Voice(tone=END)))


def test_a_damaged_or_missing_model_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleMissing):
        CausalModel(tmp_path)
    for name in ("writer.json", "decoder.onnx", "tokenizer.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "decoder.onnx").write_bytes(b"x")
    with pytest.raises(BundleDamaged, match="not what it was"):
        CausalModel(tmp_path)
    (tmp_path / "writer.json").write_text("{")
    with pytest.raises(BundleDamaged):
        CausalModel(tmp_path)
