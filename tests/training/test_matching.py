"""A `match` stage: photos and captions find each other, and do so too as the graphs of a bundle."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from tiny_system import WIDTH, PlainTail, measured_around, tiny_config, tiny_corpus, tiny_transformer

from cutline.training.config import StageConfig
from cutline.training.matching import MatchObjective, recalls
from cutline.training.objectives import RewardObjective
from cutline.training.quantise import dequantised, quantise_graph
from cutline.training.systems import ConceptSystem
from cutline.training.towers import Matcher, PhotoHead, TextTower, bare
from cutline.training.vocabulary import END_ID, PAD_ID, START_ID

EMBEDDING = 12


def matcher() -> Matcher:
    torch.manual_seed(0)
    return Matcher(PhotoHead(WIDTH, 24, EMBEDDING), TextTower(tiny_config(), EMBEDDING))


def objective() -> MatchObjective:
    system = ConceptSystem(PlainTail(), tiny_transformer(), matcher())
    stage = StageConfig(
        name="match", objective="match", batch_size=16, learning_rate=3e-3, captions_per_image=3
    )
    return MatchObjective(system, *tiny_corpus(), stage, seed=0)


def test_photos_and_captions_learn_to_find_each_other() -> None:
    learning = objective()
    learning.module.eval()
    before, after = measured_around(learning, epochs=12)
    assert before["recall"] < 30 < after["recall"]
    assert after["recall/photo/10/photos"] == 100
    assert after["loss"] < before["loss"] / 2


def test_recall_counts_what_is_found() -> None:
    photos = torch.eye(3)
    texts = torch.stack((torch.eye(3), torch.eye(3)[[0, 2, 1]]), dim=1)
    found = recalls(photos, texts, "tiny")
    assert found["recall/text/1/tiny"] == pytest.approx(100 * 4 / 6)
    assert (found["recall/text/10/tiny"], found["recall/photo/1/tiny"]) == (100, 100)


def test_a_caption_tells_its_photo_from_others_or_does_not() -> None:
    photos = torch.eye(3)
    texts = torch.stack((torch.eye(3), torch.eye(3)[[1, 0, 2]], torch.ones(3, 3)), dim=1)
    found = matcher().found(photos, texts)
    assert found.shape == (3, 3)
    assert torch.allclose(found[:, 2], torch.tensor(1 / 3).log().expand(3))  # says the same of all
    assert bool((found[:, 0] > -0.01).all())
    assert bool((found[:2, 1] < -1).all())
    assert found[2, 1] == found[2, 0]


def test_rewards_are_higher_for_what_tells_a_photo_from_others(monkeypatch: pytest.MonkeyPatch) -> None:
    learning = objective()
    changes = {"objective": "rewards", "likeness_reward": 0.5, "concept_weight": 0.0, "batch_size": 8}
    stage = replace(learning.stage, **changes)  # type: ignore[arg-type]
    rewarding = RewardObjective(learning.system, learning.corpus, learning.store, stage, seed=0)
    monkeypatch.setattr(rewarding, "_rewards", lambda items, ids: torch.zeros(ids.shape[:2]))
    logs = rewarding.loss(next(rewarding.batches(0))).logs
    assert logs["likeness"] < 0 == logs["reward"]
    # What is worse than chance counts as chance: without bound, one sample would outweigh all others.
    far = torch.full((8, stage.samples), -1000.0)
    monkeypatch.setattr(Matcher, "found", lambda *_: far)
    logs = rewarding.loss(next(rewarding.batches(0))).logs
    assert logs["likeness"] == pytest.approx(-math.log(8))
    monkeypatch.undo()
    bare_system = ConceptSystem(PlainTail(), tiny_transformer())
    rewarding = RewardObjective(bare_system, learning.corpus, learning.store, stage, seed=0)
    with pytest.raises(ValueError, match="matcher"):
        rewarding.loss(next(rewarding.batches(0)))


def test_a_text_is_what_stands_between_start_and_end() -> None:
    captions = torch.tensor([[START_ID, 7, 8, END_ID], [START_ID, 9, END_ID, PAD_ID]])
    assert bare(captions).tolist() == [[7, 8, PAD_ID], [9, PAD_ID, PAD_ID]]


def test_padding_says_nothing_and_an_empty_text_has_a_place() -> None:
    tower = matcher().text.eval()
    short, long = torch.tensor([[5, 9]]), torch.tensor([[5, 9, PAD_ID, PAD_ID]])
    with torch.no_grad():
        assert torch.allclose(tower(short), tower(long), atol=1e-6)
        assert torch.isfinite(tower(torch.full((1, 4), PAD_ID))).all()


def test_words_are_looked_up_in_eight_bits(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    table = (rng.standard_normal((9, 8)) * rng.uniform(0.01, 5, (9, 1))).astype(np.float32)
    weights = rng.standard_normal((8, 4)).astype(np.float32)
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["table", "tokens"], ["words"]),
            helper.make_node("MatMul", ["words", "weights"], ["embedding"]),
        ],
        "tower",
        [helper.make_tensor_value_info("tokens", TensorProto.INT64, ["n"])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", 4])],
        [numpy_helper.from_array(table, "table"), numpy_helper.from_array(weights, "weights")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, tmp_path / "text.onnx")
    tokens = np.arange(9)
    quantise_graph(tmp_path / "text.onnx", tmp_path / "small.onnx", [{"tokens": tokens}])
    session = onnxruntime.InferenceSession(str(tmp_path / "small.onnx"), providers=["CPUExecutionProvider"])
    [found] = session.run(None, {"tokens": tokens})
    expected = table @ weights
    np.testing.assert_allclose(found, expected, atol=0.05 * np.abs(expected).max())
    kept = {tuple(each.dims): each.data_type for each in onnx.load(tmp_path / "small.onnx").graph.initializer}
    assert kept[9, 8] == TensorProto.INT8
    whole = dequantised(onnx.load(tmp_path / "small.onnx"))
    [kept_table] = [numpy_helper.to_array(each) for each in whole.graph.initializer if each.name == "table"]
    np.testing.assert_allclose(kept_table, table, atol=np.abs(table).max() / 250)
    session = onnxruntime.InferenceSession(whole.SerializeToString(), providers=["CPUExecutionProvider"])
    [again] = session.run(None, {"tokens": tokens})
    np.testing.assert_allclose(again, expected, atol=0.05 * np.abs(expected).max())
