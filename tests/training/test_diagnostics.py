"""Diagnostics find what is planted, and leave pictures."""

from __future__ import annotations

import math
from itertools import repeat
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from tiny_captioner import TinyObjective, tiny_stage
from tiny_recipe import write_recipe

from cutline.cli.diagnose import command
from cutline.cli.train import command as train_command
from cutline.errors import ConfigError, TrainingError
from cutline.training.config import load_recipe
from cutline.training.diagnostics import (
    find_subject,
    gradient_flow,
    overfit,
    overfit_recipe,
    range_test,
    read_curves,
    smooth,
    suggest_rate,
    trained_words,
    word_map,
)
from cutline.training.loop import Stepper, endless_windows

pytestmark = pytest.mark.usefixtures("shallow_encoder")

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recipe of a finished training, whose output is the folder `run` beside it."""
    recipe = write_recipe(tmp_path_factory.mktemp("trained"))
    result = CliRunner().invoke(train_command, [str(recipe)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return recipe


def diagnose(*arguments: object) -> str:
    result = CliRunner().invoke(command, [str(each) for each in arguments], catch_exceptions=False)
    return result.output


def is_picture(path: Path) -> bool:
    """A PNG of a sensible size that is not one colour all over."""
    with Image.open(path) as image:
        return image.format == "PNG" and image.width > 400 and len(image.convert("RGB").getcolors(2**24)) > 10


def stepper_for(**changes: object) -> tuple[Stepper, TinyObjective]:
    stage = tiny_stage(**changes)
    objective = TinyObjective(stage)
    return Stepper(objective, stage, device=CPU), objective


def test_a_range_test_finds_a_rate_that_learns_between_one_that_does_not_and_one_that_explodes() -> None:
    stepper, objective = stepper_for(optimiser="sgd", momentum=0, weight_decay=0, clip_norm=0)
    test = range_test(stepper, endless_windows(objective, 1), low=1e-4, high=1e3, steps=100)
    assert test.diverged
    assert 1e-3 < test.suggestion < test.rates[-1]

    def loss_after(rate: float) -> float:
        stepper, objective = stepper_for(
            optimiser="sgd", momentum=0, weight_decay=0, clip_norm=0, learning_rate=rate
        )
        batches = endless_windows(objective, 1)
        return [stepper.step(next(batches)).loss for _ in range(20)][-1]

    assert loss_after(test.suggestion) < 0.75 * loss_after(1e-4)


def test_the_suggestion_is_where_the_loss_falls_fastest() -> None:
    rates = np.logspace(-5, 0, 51)
    losses = [2 - 1 / (1 + math.exp(-4 * (math.log10(rate) + 3))) for rate in rates]
    losses[45:] = [9.0] * 6
    assert suggest_rate(rates, losses) == pytest.approx(1e-3, rel=0.3)


def test_a_loss_that_never_falls_suggests_nothing() -> None:
    with pytest.raises(TrainingError, match="never fell"):
        suggest_rate([1e-3, 1e-2, 1e-1], [1.0, 2.0, 3.0])


def test_gradient_flow_finds_the_part_that_nothing_reaches() -> None:
    stage = tiny_stage(clip_norm=0)
    objective = TinyObjective(stage)
    objective.module.register_module("unused", torch.nn.Linear(2, 2))
    stepper = Stepper(objective, stage, device=CPU)
    verdicts = {flow.name: flow.verdict for flow in gradient_flow(stepper, endless_windows(objective, 1))}
    assert verdicts["unused.weight"] == "no gradient"
    assert verdicts["encoder.weight"] == verdicts["out.weight"] == ""
    assert "frozen.weight" not in verdicts


def test_one_batch_is_learnt_by_heart() -> None:
    stepper, objective = stepper_for(batch_size=4, learning_rate=0.02)
    result = overfit(stepper, next(endless_windows(objective, 1)), steps=200, goal=0.05)
    assert result.reached
    assert len(result.losses) < 200


def test_what_cannot_learn_by_heart_says_so() -> None:
    stepper, objective = stepper_for(batch_size=4)
    objective.module.get_submodule("out").requires_grad_(False)
    images, tokens = next(objective.batches(0))
    blind = (torch.zeros_like(images), tokens)  # the pictures differ in nothing, but the captions do
    result = overfit(stepper, [blind], steps=60, goal=0.05)
    assert not result.reached
    assert len(result.losses) == 60


def test_learning_by_heart_switches_off_all_that_forgets(trained: Path) -> None:
    recipe = load_recipe(trained, ["decoder.dropout=0.5", "stages.*.label_smoothing=0.2"])
    changed, stage = overfit_recipe(recipe, recipe.stages[0], photos=4)
    assert (changed.decoder.dropout, changed.decoder.doubly_stochastic) == (0, 0)
    assert (stage.label_smoothing, stage.captions_per_image, stage.batch_size) == (0, 1, 4)


def test_a_stage_without_a_zero_to_reach_is_refused(trained: Path) -> None:
    recipe = load_recipe(trained, ["decoder={concepts: 20}", "stages=[{name: see, objective: concepts}]"])
    with pytest.raises(ConfigError, match="cannot reach a loss of zero"):
        overfit_recipe(recipe, recipe.stages[0], photos=4)


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_words_that_are_alike_share_a_colour_and_are_neighbours(method: str) -> None:
    rng = np.random.default_rng(0)
    centres = 5 * rng.standard_normal((3, 16))
    vectors = np.concatenate([centre + 0.3 * rng.standard_normal((8, 16)) for centre in centres])
    words = [f"{group}{index}" for group in "abc" for index in range(8)]
    made = word_map(vectors, words, method="pca" if method == "pca" else "tsne", clusters=3)
    assert made.places.shape == (24, 2)
    for place, letter in enumerate("abc"):
        assert len(set(made.clusters[8 * place : 8 * place + 8].tolist())) == 1
        assert all(near.startswith(letter) for near in made.neighbours[f"{letter}0"])
    assert len(set(made.clusters.tolist())) == 3


def test_too_few_words_are_one_clear_error() -> None:
    with pytest.raises(ConfigError, match="too few"):
        word_map(np.ones((2, 4)), ["a", "b"])


def test_curves_are_read_back(trained: Path) -> None:
    curves = {curve.name: curve for curve in read_curves(trained.parent / "run")}
    assert curves["train/loss"].steps == tuple(range(1, 9))
    assert curves["dev/cider"].steps == (4, 8)
    with pytest.raises(TrainingError, match="no metrics"):
        read_curves(trained.parent / "data")


def test_smoothing_trails_and_keeps_a_constant() -> None:
    assert smooth([2.0] * 40) == [2.0] * 40
    assert smooth([0.0, 4.0, 8.0], share=0.7) == [0.0, 2.0, 6.0]


def test_the_words_of_a_run_come_with_their_vectors(trained: Path) -> None:
    vectors, words = trained_words(trained.parent / "run", load_recipe(trained), limit=10)
    assert vectors.shape == (10, 16)
    assert "square" in words
    assert "<pad>" not in words


def test_a_folder_that_is_no_training_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not the folder of a training"):
        find_subject(tmp_path)


def test_every_command_leaves_a_picture_and_says_what_it_shows(trained: Path) -> None:
    run = trained.parent / "run"
    said = diagnose("curves", run)
    assert "captions dev/cider: best" in said
    said += diagnose("embeddings", run, "--words", "10", "--method", "pca", "--clusters", "3")
    assert ": near " in said
    said += diagnose("gradients", trained, "--photos", "24")
    assert "parameters have healthy gradients" in said
    said += diagnose("lr-range", trained, "--steps", "40", "--low", "1e-4", "--high", "10", "--photos", "24")
    assert "stages.captions.learning_rate=" in said
    said += diagnose("overfit", trained, "--photos", "4")
    assert "Overfitted as it should" in said
    pictures = [Path(line) for line in said.splitlines() if line.endswith(".png")]
    assert [each.name for each in pictures] == [
        "curves.png", "embeddings-pca.png", "gradients.png", "lr-range.png", "overfit.png",
    ]  # fmt: skip
    assert all(is_picture(each) for each in pictures)


def test_the_command_fails_where_the_batch_was_not_learnt(trained: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(
        command,
        ["overfit", str(trained), "--photos", "4", "--steps", "3", "-o", str(tmp_path / "x.png")],
        standalone_mode=False,
    )
    assert result.return_value == 1
    assert "NOT overfitted" in result.output
    assert is_picture(tmp_path / "x.png")


def test_batches_go_on_epoch_after_epoch() -> None:
    _, objective = stepper_for(batch_size=24)
    windows = endless_windows(objective, 1)
    assert [len(next(windows)) for _ in repeat(None, 5)] == [1] * 5
