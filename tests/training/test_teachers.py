"""What a teacher says of photos is asked once, kept, and found again by what the photos show."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
import transformers
from onnx import TensorProto, helper
from tiny_data import write_photos

from cutline.errors import ConfigError
from cutline.training.datasets import Example
from cutline.training.teachers import EMBEDDINGS, PATCHES, Teacher, ask, load_teacher

SIDE = 16


class Counting:
    """A teacher that says the mean colour of a photo and of its quarters, and counts what it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def __call__(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        self.asked += len(pixels)
        half = SIDE // 2
        quarters = pixels.reshape(-1, 2, half, 2, half, 3).mean((2, 4))
        return {EMBEDDINGS: quarters.mean((1, 2)), PATCHES: quarters}


def photos(folder: Path, names: list[str], *, first_seed: int = 0) -> list[Example]:
    write_photos(folder, names, first_seed=first_seed)
    return [
        Example(key=name, image=folder / name, captions=("a dog",), split="train", source="tiny")
        for name in names
    ]


def teacher(answer: Counting) -> Teacher:
    return Teacher(name="colours", size=(SIDE, SIDE), answer=answer)


def test_a_photo_is_asked_about_once_wherever_it_lies(tmp_path: Path) -> None:
    first = photos(tmp_path / "a", ["0.jpg", "1.jpg"])
    answer = Counting()
    before = ask(tmp_path / "cache", teacher(answer), first, quiet=True).read(EMBEDDINGS, [0, 1])
    answer.asked = 0
    moved = [*photos(tmp_path / "b", ["new.jpg"], first_seed=7), *photos(tmp_path / "b", ["x.jpg", "y.jpg"])]
    after = ask(tmp_path / "cache", teacher(answer), moved, quiet=True)
    assert answer.asked == 2, "one photo is new, and a blank one tells the shapes"
    assert torch.equal(after.read(EMBEDDINGS, [1, 2]), before)
    assert after.read(PATCHES, [0]).shape == (1, 2, 2, 3)


def test_a_photo_that_is_there_twice_is_asked_about_once(tmp_path: Path) -> None:
    twice = [*photos(tmp_path / "a", ["0.jpg"]), *photos(tmp_path / "b", ["0.jpg"])]
    answer = Counting()
    found = ask(tmp_path / "cache", teacher(answer), twice, quiet=True)
    assert answer.asked == 2
    assert torch.equal(*found.read(EMBEDDINGS, [0, 1]))


def test_what_a_kill_left_half_written_is_asked_again(tmp_path: Path) -> None:
    asked = photos(tmp_path, ["0.jpg", "1.jpg", "2.jpg"])
    whole = ask(tmp_path / "cache", teacher(Counting()), asked, quiet=True).read(PATCHES, [0, 1, 2])
    [folder] = (tmp_path / "cache").iterdir()
    for name, size in (("keys.sha256", 64), (f"{PATCHES}.f16", 2 * 24 + 5)):
        (folder / name).write_bytes((folder / name).read_bytes()[:size])
    again = ask(tmp_path / "cache", teacher(Counting()), asked, quiet=True)
    assert torch.equal(again.read(PATCHES, [0, 1, 2]), whole)


def test_two_trainings_that_ask_at_once_take_turns(
    tmp_path: Path, begun: Callable[[Callable[[], object]], threading.Thread]
) -> None:
    """Else the answers of one could stand beside the keys of the other."""
    asked = photos(tmp_path, ["0.jpg", "1.jpg"])
    first, second = Counting(), Counting()
    others: list[threading.Thread] = []

    def while_another_comes(pixels: np.ndarray) -> dict[str, np.ndarray]:
        if first.asked == 1 and not others:
            others.append(begun(lambda: ask(tmp_path / "cache", teacher(second), asked, quiet=True)))
        return first(pixels)

    busy = Teacher(name="colours", size=(SIDE, SIDE), answer=while_another_comes)
    ask(tmp_path / "cache", busy, asked, quiet=True)
    others[0].join()
    assert (first.asked, second.asked) == (3, 1), "a blank photo tells the shapes"


def test_another_teacher_finds_nothing_of_it(tmp_path: Path) -> None:
    asked = photos(tmp_path, ["0.jpg"])
    ask(tmp_path / "cache", teacher(Counting()), asked, quiet=True)
    other = Counting()
    ask(tmp_path / "cache", Teacher(name="other", size=(SIDE, SIDE), answer=other), asked, quiet=True)
    assert other.asked == 2


def test_a_tower_in_onnx_answers_with_an_embedding_and_a_grid_of_patches(tmp_path: Path) -> None:
    """Tokens: a class token, then 4 x 4 patches, each the mean of the photo plus its own number."""
    places = np.arange(17, dtype=np.float32).reshape(1, 17, 1)
    nodes = [
        helper.make_node("ReduceMean", ["pixels", "axes"], ["means"], keepdims=0),
        helper.make_node("Unsqueeze", ["means", "one"], ["row"]),
        helper.make_node("Add", ["row", "places"], ["tokens"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tower",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])],
        [
            helper.make_tensor_value_info("means", TensorProto.FLOAT, ["n", 3]),
            helper.make_tensor_value_info("tokens", TensorProto.FLOAT, ["n", 17, 3]),
        ],
        [
            onnx.numpy_helper.from_array(np.array([2, 3]), "axes"),
            onnx.numpy_helper.from_array(np.array([1]), "one"),
            onnx.numpy_helper.from_array(places, "places"),
        ],
    )
    path = tmp_path / "tower.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, path)
    found = load_teacher(f"onnx:{path}", side_px=SIDE, grid=2).answer(np.zeros((2, SIDE, SIDE, 3), np.uint8))
    black = -np.array([0.48145466, 0.4578275, 0.40821073]) / [0.26862954, 0.26130258, 0.27577711]
    np.testing.assert_allclose(found[EMBEDDINGS], np.tile(black, (2, 1)), rtol=1e-5)
    np.testing.assert_allclose(found[PATCHES][0, ..., 0] - black[0], [[3.5, 5.5], [11.5, 13.5]], rtol=1e-5)


def test_a_tower_of_transformers_answers_too(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = transformers.CLIPVisionConfig(
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=8,
        image_size=SIDE,
        patch_size=4,
    )
    transformers.CLIPVisionModel(config).save_pretrained(tmp_path / "tower")
    found = load_teacher(f"hf:{tmp_path / 'tower'}", side_px=SIDE, grid=2)
    answers = found.answer(np.zeros((2, SIDE, SIDE, 3), np.uint8))
    assert answers[EMBEDDINGS].shape == (2, 8)
    assert answers[PATCHES].shape == (2, 2, 2, 8)


@pytest.mark.parametrize("model", ["", "clip.onnx", "onnx:", "onnx:missing.onnx", "hub:clip"])
def test_a_teacher_that_is_not_there_is_one_clear_error(model: str) -> None:
    with pytest.raises(ConfigError):
        load_teacher(model, side_px=SIDE, grid=2)
