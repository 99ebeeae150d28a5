"""A `distil` stage: an encoder learns what a teacher says of photos and of their parts, and to name them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from tiny_recipe import write_recipe
from tiny_system import measured_around, word_tokenizer
from torch import Tensor, nn

from cutline.errors import ConfigError
from cutline.images import Preprocessing
from cutline.training.build import build_distillation, build_models, distilled, gather
from cutline.training.config import RecipeConfig, StageConfig, load_recipe
from cutline.training.corpus import Captions, Corpus, tokenise_captions, with_concepts
from cutline.training.datasets import Example
from cutline.training.distil import DistilObjective, Student, Taught, shown
from cutline.training.runner import dry_run, run_recipe
from cutline.training.teachers import EMBEDDINGS, PATCHES, Teacher, ask
from cutline.training.transforms import View, augment_with_view, augmentation_rng

SIDE, GRID = 16, 2
COLOURS = {"red": (220, 30, 30), "blue": (40, 60, 220)}


class Colours(nn.Module):
    """A network that sees the mean colour of each quarter, each squared, and learns from there."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.mix = nn.Conv2d(3, 6, 1)

    def forward(self, pixels: Tensor) -> Tensor:
        """[B, H, W, 3] -> [B, 6, 2, 2]."""
        means = nn.functional.adaptive_avg_pool2d(pixels.permute(0, 3, 1, 2).float() / 255, GRID)
        return torch.relu(self.mix(means))


def quarters(pixels: np.ndarray) -> dict[str, np.ndarray]:
    """A teacher that says the mean colour of each quarter."""
    found = pixels.reshape(-1, GRID, SIDE // GRID, GRID, SIDE // GRID, 3).mean((2, 4))
    return {EMBEDDINGS: found.mean((1, 2)), PATCHES: found}


def objective(folder: Path, **changes: Any) -> DistilObjective:
    """Photos of two colours side by side, captioned with them."""
    rng, tokenizer = np.random.default_rng(0), word_tokenizer()
    items: list[Captions] = []
    photos: list[Example] = []
    for row in range(24):
        left, right = (str(each) for each in rng.choice(list(COLOURS), 2))
        picture = Image.new("RGB", (SIDE, SIDE), COLOURS[left])
        picture.paste(COLOURS[right], (SIDE // 2, int(rng.integers(SIDE // 2)), SIDE, SIDE))
        picture.save(folder / f"{row}.png")
        texts = (f"a {left} ball and a {right} ball",)
        photos.append(
            Example(key=str(row), image=folder / f"{row}.png", captions=texts, split="train", source="tiny")
        )
        one = tokenise_captions(tokenizer, texts, key=str(row), source="tiny", row=row)
        assert one is not None
        items.append(with_concepts(one, {"red": 0, "blue": 1}))
    corpus = Corpus(
        tokenizer=tokenizer,
        concepts=("red", "blue"),
        train=tuple(items[:16]),
        dev=tuple(items[16:]),
        texts=(),
    )
    teacher = Teacher(name="quarters", size=(SIDE, SIDE), answer=quarters)
    settings = {"batch_size": 8, "learning_rate": 0.05, "encoder_learning_rate": 0.01, "concept_weight": 1.0}
    return DistilObjective(
        Student(Colours(), 6, embedding=3, patch=3, concepts=2),  # type: ignore[arg-type]
        None,
        corpus,
        photos,
        Taught(teacher=ask(folder, teacher, photos, quiet=True), classes=None),
        StageConfig(name="encoder", objective="distil", **(settings | changes)),
        size=Preprocessing(width_px=SIDE, height_px=SIDE),
        seed=0,
    )


def test_it_learns_what_the_teacher_says_and_what_captions_name(tmp_path: Path) -> None:
    learning = objective(tmp_path)
    before, after = measured_around(learning, epochs=40)
    assert before["explained/embeddings"] < 0.5 < after["explained/embeddings"]
    assert before["explained/patches"] < 0.5 < after["explained/patches"]
    assert after["explained"] == (after["explained/embeddings"] + after["explained/patches"]) / 2
    assert after["map"] == after["map/tiny"] > 0.95
    assert after["loss"] < before["loss"] / 2


def test_batches_begin_anywhere_and_are_shared_among_processes(tmp_path: Path) -> None:
    learning = objective(tmp_path, batch_size=4)
    whole = list(learning.batches(1))
    [third, fourth] = list(learning.batches(1, start=2))
    assert torch.equal(third.pixels, whole[2].pixels)
    assert fourth.views == whole[3].views
    halves = [next(learning.batches(1, rank=rank, world=2)) for rank in range(2)]
    assert [len(half.items) for half in halves] == [2, 2]
    assert torch.equal(torch.stack((halves[0].pixels, halves[1].pixels), 1).flatten(0, 1), whole[0].pixels)


def test_each_tensor_learns_in_proportion_to_its_weights(tmp_path: Path) -> None:
    learning = objective(tmp_path)
    with torch.no_grad():
        for parameter in learning.student.network.parameters():
            parameter.fill_(0.5)
    rates = {group.name: group.learning_rate for group in learning.parameter_groups()}
    assert rates == {"heads": 0.05, "mix.weight": 0.005, "mix.bias": 0.005}


def test_the_part_of_the_teachers_patches_that_a_view_shows() -> None:
    ramp = torch.arange(4.0).view(1, 1, 4, 1).expand(1, 4, 4, 1)
    assert torch.equal(shown(ramp, [View()], (4, 4)), ramp)
    assert shown(ramp, [View()], (2, 2))[0, 0, :, 0].tolist() == [0.5, 2.5]
    assert shown(ramp, [View(left=0.5)], (2, 2))[0, 0, :, 0].tolist() == [2.0, 3.0]
    assert shown(ramp, [View(mirrored=True)], (2, 2))[0, 0, :, 0].tolist() == [2.5, 0.5]
    assert shown(ramp, [View(left=0.5, mirrored=True)], (2, 2))[0, 0, :, 0].tolist() == [3.0, 2.0]


def test_a_view_says_which_part_a_variation_shows() -> None:
    """Of a photo whose red tells the column and whose green tells the row."""
    columns, rows = np.meshgrid(np.arange(100), np.arange(80))
    picture = Image.fromarray(np.stack((columns, rows, rows), -1).astype(np.uint8))
    seen = set()
    for epoch in range(8):
        image, view = augment_with_view(picture, "light", augmentation_rng(0, epoch, 0))
        share = image.width / 100, image.height / 80
        assert (view.right - view.left, view.bottom - view.top) == pytest.approx(share)
        seen.add(view.mirrored)
    assert seen == {True, False}


def vit(folder: Path, seed: int) -> Path:
    torch.manual_seed(seed)
    config = transformers.CLIPVisionConfig(
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=8,
        image_size=32,
        patch_size=8,
    )
    transformers.CLIPVisionModel(config).save_pretrained(folder)
    return folder


STAGE = (
    "{name: encoder, objective: distil, epochs: 1, batch_size: 8,"
    " learning_rate: 1e-3, encoder_learning_rate: 1e-2, side_px: 32}"
)


def distilling(tmp_path: Path, *stages: str) -> RecipeConfig:
    return load_recipe(
        write_recipe(tmp_path),
        [
            f"stages=[{', '.join((STAGE, *stages))}]",
            f"encoder.name=transformers:{vit(tmp_path / 'student', 0)}",
            f"teacher={{model: 'hf:{vit(tmp_path / 'teacher', 1)}', side_px: 32, grid: 2}}",
            "image={width_px: 32, height_px: 32}",
            "decoder={kind: transformer, width: 8, heads: 2, layers: 1, hidden: 8, max_tokens: 12,"
            " concepts: 8, concept_tokens: 4}",
            "matcher={embedding: 4, width: 8, heads: 2, hidden: 8, layers: 1}",
        ],
    )


def test_the_stages_after_it_start_from_the_encoder_that_it_left(tmp_path: Path) -> None:
    recipe = distilling(tmp_path)
    [result] = run_recipe(recipe)
    assert result.best == distilled(recipe)
    material = gather(recipe)
    fresh, taught = (build_models(recipe, material, student=student) for student in (None, result.best))
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), dtype=np.uint8))
    before, after = (models.encoder.tail(models.encoder.trunk(pixels)) for models in (fresh, taught))
    assert not torch.allclose(before, after)
    weights = torch.load(result.best, weights_only=True)["module"]
    head = taught.system.captioner.concepts  # type: ignore[attr-defined]
    assert torch.equal(head.mean.weight, weights["concepts.mean.weight"])


def test_the_encoder_is_kept_for_trainings_without_a_teacher(tmp_path: Path) -> None:
    recipe = distilling(tmp_path)
    [result] = run_recipe(recipe)
    kept = recipe.output / "encoder.safetensors"
    captions = "stages=[{name: captions, objective: captions}]"
    changes = [captions, f"encoder.weights={kept}", "teacher={}"]
    again = load_recipe(recipe.output / "recipe.yaml", changes)
    material = gather(again)
    one, other = build_models(recipe, material, student=result.best), build_models(again, material)
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), dtype=np.uint8))
    before, after = (models.encoder.tail(models.encoder.trunk(pixels)) for models in (one, other))
    assert torch.allclose(before, after, atol=1e-2)
    assert not torch.equal(before, after)  # it is half as precise
    heads = [models.system.captioner.concepts.mean.weight for models in (one, other)]  # type: ignore[attr-defined]
    assert torch.equal(heads[0].half().float(), heads[1])
    distil = f"stages=[{STAGE}]"
    student = build_distillation(
        load_recipe(recipe.output / "recipe.yaml", [distil, f"encoder.weights={kept}"]),
        again.stages[0],
        material,
    ).student
    assert torch.equal(student.concepts.mean.weight, heads[1])  # type: ignore[union-attr]


def test_weights_that_no_training_kept_are_refused(tmp_path: Path) -> None:
    recipe = distilling(tmp_path)
    run_recipe(recipe)
    kept = recipe.output / "encoder.safetensors"
    captions = "stages=[{name: captions, objective: captions}]"
    for more, words in (
        (f"encoder={{name: resnet50, weights: {kept}}}", "is transformers, not resnet50"),
        (f"encoder.weights={tmp_path / 'none.safetensors'}", "no encoder that a training kept"),
    ):
        again = load_recipe(recipe.output / "recipe.yaml", [captions, more, "teacher={}"])
        with pytest.raises(ConfigError, match=words):
            build_models(again, gather(again))


def test_a_later_stage_that_names_it_begins_with_its_weights_again(tmp_path: Path) -> None:
    """What a stage between them learnt is not kept; and a dry run keeps no teacher's answers."""
    recipe = distilling(
        tmp_path,
        "{name: captions, objective: captions, epochs: 1, batch_size: 8, learning_rate: 1e-1}",
        "{name: match, objective: match, epochs: 1, batch_size: 8, learning_rate: 1e-3, start_from: encoder}",
    )
    dry_run(recipe)
    assert not recipe.cache.exists()
    weights = {
        result.best.parent.name: torch.load(result.best, weights_only=True)["module"]
        for result in run_recipe(recipe)
    }
    head = "captioner.concepts.mean.weight"
    distilled_head = weights["encoder"]["concepts.mean.weight"]
    assert not torch.equal(weights["captions"][head], distilled_head)
    assert torch.equal(weights["match"][head], distilled_head)


def test_a_recipe_that_distils_names_its_teacher_and_does_it_first(tmp_path: Path) -> None:
    path = write_recipe(tmp_path)
    distil = "{name: encoder, objective: distil}"
    with pytest.raises(ConfigError, match="no teacher"):
        load_recipe(path, [f"stages=[{distil}]"])
    recipe = load_recipe(path, [f"stages=[{distil}]", "teacher.model=onnx:x.onnx"])
    with pytest.raises(ConfigError, match="must come first"):
        replace(recipe, stages=(StageConfig(name="say", objective="captions"), *recipe.stages))
