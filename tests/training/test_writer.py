"""A writer's training: from a GGUF file and a corpus to a folder that writes."""

from __future__ import annotations

import copy
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from cutline.cli.main import main
from cutline.errors import ConfigError, DataError
from cutline.styles import Audience, Length, Voice
from cutline.styles.built_in import BuiltInWriter, prompt
from cutline.styles.causal import CausalModel
from cutline.styles.writing import Task
from cutline.training.checkpoints import load_weights, read_checkpoint
from cutline.training.config import StageConfig
from cutline.training.writer.base import needed_tokens, read_base, smaller
from cutline.training.writer.config import PairsConfig, load_writer_recipe
from cutline.training.writer.data import read_pairs, row_pair
from cutline.training.writer.export import EMBEDDINGS
from cutline.training.writer.objective import Encoded, WritingObjective, encode, padded
from cutline.training.writer.rounding import MOST, Rounding, round_weights
from cutline.training.writer.run import gather
from tests.tiny_gguf import LAYERS, write_tiny_gguf

ROW = {
    "description": "A dog runs.",
    "tone": "dry",
    "audience": "personal",
    "length": "short",
    "hashtags": 2,
    "emoji": True,
    "caption": "Off it goes. \U0001f415 #DogDay #OffItGoes",
    "split": "train",
}


@pytest.fixture(scope="module")
def gguf_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_gguf(tmp_path_factory.mktemp("base") / "tiny.gguf")


@pytest.fixture
def recipe(gguf_file: Path, tmp_path: Path) -> Path:
    rows = [ROW | {"caption": f"Dog {number}. #DogDay #Go"} for number in range(12)]
    rows += [ROW | {"split": "held-out"}] * 2
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "coco.json").write_text(json.dumps({"1": ["a dog on a beach .", "A brown dog is running"]}))
    stage = {"objective": "writing", "epochs": 1, "batch_size": 4, "amp": "none", "learning_rate": 1e-3}
    values: dict[str, Any] = {
        "kind": "writer",
        "name": "tiny",
        "output": str(tmp_path / "run"),
        "base": {"gguf": str(gguf_file), "layers": [0, 2], "minimum_count": 1},
        "data": [
            {"name": "corpus", "kind": "corpus", "path": str(tmp_path / "corpus.jsonl")},
            {"name": "coco", "kind": "paraphrases", "path": str(tmp_path / "coco.json")},
        ],
        "stages": [stage | {"name": "heal"}, stage | {"name": "tones", "sources": ["corpus"]}],
        "rounding": {"step": 0.7, "block": 16, "stages": ["tones"], "texts": 3},
        "export": {"name": "tiny", "version": "0.1.0"},
    }
    (tmp_path / "recipe.yaml").write_text(json.dumps(values))  # JSON is YAML
    return tmp_path / "recipe.yaml"


def floats(graph: Path) -> list[str]:
    """The matrices of a graph that are not rounded."""
    onnx = pytest.importorskip("onnx")
    model = onnx.load_from_string(gzip.decompress(graph.read_bytes()))
    matrices = [each for each in model.graph.initializer if len(each.dims) == 2]
    return [
        each.name
        for each in matrices
        if each.data_type == onnx.TensorProto.FLOAT and not each.name.endswith("_scales")
    ]


def test_one_command_trains_a_model_that_writes(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", str(recipe), "--dry-run"]) == 0
    assert "2 layers" in capsys.readouterr().out
    assert main(["train", str(recipe)]) == 0
    model = CausalModel(recipe.parent / "run" / "model")
    assert (model.name, model.version) == ("tiny", "0.1.0")
    assert floats(recipe.parent / "run" / "model" / "decoder.onnx.gz") == []
    writer = BuiltInWriter(model)
    pieces = list(writer.write(Task(description="A dog runs.", voice=Voice(length=Length.SHORT)), seed=1))
    assert all(piece.log_prob is not None for piece in pieces)
    assert main(["train", str(recipe)]) == 1
    assert "already contains a training" in capsys.readouterr().err
    assert main(["train", str(recipe), "--resume", "--stage", "tones", "rounding.step=0.35"]) == 0
    finer = CausalModel(recipe.parent / "run" / "model")
    tokens = finer.encode("A dog runs along the beach.")
    context = finer.read(tokens[:3])
    for token in tokens[3:]:
        context = finer.read([token], context)
    assert abs(finer.read(tokens).log_probs - context.log_probs).max() < 1e-3


def test_layers_and_tokens_are_kept_as_they_were(gguf_file: Path) -> None:
    base = read_base(gguf_file)
    every = range(len(base.tokens))
    whole, tokenizer = smaller(base, layers=range(LAYERS), tokens=every)
    ids = torch.tensor([tokenizer.encode("the dog").ids])
    assert tokenizer.decode(ids[0].tolist()) == "the dog"
    kept = needed_tokens(base, ["the dog"], minimum_count=1)
    fewer, small_tokenizer = smaller(base, layers=range(LAYERS), tokens=kept)
    assert len(kept) == len(base.tokens) - 1  # the merge of " b" is in no text
    small_ids = torch.tensor([small_tokenizer.encode("the dog").ids])
    states, _ = whole(ids, whole.empty_past(1))
    small_states, _ = fewer(small_ids, fewer.empty_past(1))
    assert torch.allclose(states, small_states, atol=1e-5)
    with pytest.raises(ConfigError, match="no layer 7"):
        smaller(base, layers=[7], tokens=every)
    with pytest.raises(ConfigError, match="cannot be the base"):
        read_base(gguf_file.with_name("none.gguf"))


def test_rounded_weights_learn_the_odds_of_those_that_they_were(recipe: Path) -> None:
    material = gather(load_writer_recipe(recipe))
    teacher = copy.deepcopy(material.model)
    stage = StageConfig(name="tones", objective="writing", batch_size=4, distill_weight=1.0)
    pairs = encode(material.train, material.tokenizer, end=material.end, most=256)

    def losses() -> list[float]:
        found = []
        for taught_by in (None, teacher):
            objective = WritingObjective(
                material.model, stage, train=pairs, held_out=[], seed=0, teacher=taught_by
            )
            batch = next(objective.batches(0))
            first, again = (objective.loss(batch).value.item() for _ in range(2))
            assert first == again  # what the teacher said was kept
            found.append(first)
        return found

    alone, taught = losses()
    assert taught == pytest.approx(alone, abs=1e-4)  # it is as far from itself as nothing is
    round_weights(material.model, Rounding(step=1.2, block=16), None)
    alone, taught = losses()
    assert taught > alone + 1e-3


def test_the_graph_computes_with_the_rounded_weights(recipe: Path) -> None:
    assert main(["train", str(recipe), "--stage", "heal", "output=" + str(recipe.parent / "run")]) == 0
    assert main(["train", str(recipe), "--stage", "tones", "--resume"]) == 0
    model = gather(load_writer_recipe(recipe)).model
    load_weights(model, read_checkpoint(recipe.parent / "run" / "tones" / "last.pt")["module"])
    written = CausalModel(recipe.parent / "run" / "model")
    tokens = written.encode("A dog runs.")

    def distance(rounding: Rounding | None) -> float:
        round_weights(model, rounding, rounding and EMBEDDINGS)
        with torch.no_grad():
            states, _ = model(torch.tensor([tokens]), model.empty_past(1))
            log_probs = model.logits(states[0, -1]).log_softmax(-1)
        return float(abs(written.read(tokens).log_probs - log_probs.numpy()).max())

    assert distance(Rounding(step=0.7, block=16)) < distance(None) / 20


def test_rounding_keeps_the_largest_weights() -> None:
    weights = torch.randn(64, 64, generator=torch.Generator().manual_seed(0))
    weights[0, 0] = 50.0
    numbers, steps = Rounding(step=0.35, block=32).parts(weights)
    assert numbers.abs().max() == MOST
    rounded = (numbers * steps).flatten(-2)
    assert rounded[0, 0] == pytest.approx(50.0, rel=0.08)
    assert (rounded - weights)[1:].square().mean() == pytest.approx(0.35**2 / 12, rel=0.1)


def test_a_row_becomes_what_the_writer_reads_in_use() -> None:
    pair = row_pair(ROW)
    voice = Voice(tone="dry", length=Length.SHORT, audience=Audience.PERSONAL, hashtags=2, emoji=True)
    assert pair.prompt == prompt("A dog runs.", voice)
    assert pair.text == "Off it goes. \U0001f415\n#DogDay #OffItGoes"


def test_the_end_of_a_prompt_is_the_first_to_predict_a_text() -> None:
    tokens, wanted = padded([Encoded(tokens=(5, 6, 7, 0), prompt=2), Encoded(tokens=(5, 0), prompt=1)])
    assert tokens.tolist() == [[5, 6, 7], [5, 0, 0]]
    assert wanted.tolist() == [[-100, 7, 0], [0, -100, -100]]


def test_other_data_sets_are_read(tmp_path: Path) -> None:
    (tmp_path / "style.json").write_text(
        json.dumps([{"image": "a.jpg", "funny": "ha .", "romantic": "oh ."}])
    )
    (tmp_path / "tokens.txt").write_text("a.jpg#0\tA dog runs .\n")
    (tmp_path / "senti.json").write_text(
        json.dumps([{"coco_id": 1, "positive": ["nice dog."], "negative": []}])
    )
    (tmp_path / "coco.json").write_text(json.dumps({"1": ["a dog runs ."]}))
    sources = [
        PairsConfig(
            source="f", kind="flickrstyle", path=tmp_path / "style.json", descriptions=tmp_path / "tokens.txt"
        ),
        PairsConfig(
            source="s", kind="senticap", path=tmp_path / "senti.json", descriptions=tmp_path / "coco.json"
        ),
    ]
    train, held_out = read_pairs(sources, seed=0)
    assert [pair.text for pair in train] == ["Ha.", "Oh.", "Nice dog."]
    assert not held_out
    with pytest.raises(DataError, match="cannot be read as corpus"):
        read_pairs([PairsConfig(source="c", kind="corpus", path=tmp_path / "none.jsonl")], seed=0)


def test_what_makes_no_sense_in_a_recipe_is_refused(recipe: Path) -> None:
    with pytest.raises(ConfigError, match="objective writing alone"):
        load_writer_recipe(recipe, ["stages.heal.objective=captions"])
    with pytest.raises(ConfigError, match="no source nothing"):
        load_writer_recipe(recipe, ["stages.heal.sources=[nothing]"])
    with pytest.raises(ConfigError, match="no stage nothing"):
        load_writer_recipe(recipe, ["rounding.stages=[nothing]"])
    with pytest.raises(ConfigError, match="does not divide"):
        gather(load_writer_recipe(recipe, ["rounding.block=128"]))
