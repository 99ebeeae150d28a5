"""Diagnose a training before, during and after it runs. plots.py draws what is measured here.

Legend of shapes: V words, D width.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer

from cutline.errors import ConfigError, MissingExtra, TrainingError
from cutline.training.build import (
    Material,
    Models,
    build_models,
    build_objective,
    distilled,
    gather,
    open_features,
    read_vocabulary,
    sample,
)
from cutline.training.checkpoints import load_weights, read_checkpoint, seed_everything
from cutline.training.config import RecipeConfig, StageConfig, load_recipe
from cutline.training.loop import BEST, Batch, Objective, Stepper
from cutline.training.optim import set_rates
from cutline.training.runner import RECIPE
from cutline.training.tracking import FILE_NAME, read_metrics

Floats: TypeAlias = npt.NDArray[np.float64]
Method: TypeAlias = Literal["pca", "tsne"]

_SMOOTHING = 0.9
_DIVERGED = 4.0  # a loss of so many times the best ends a range test


# What is looked at


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A recipe, and the folder of its training where there is one."""

    recipe: RecipeConfig
    run: Path | None

    @property
    def folder(self) -> Path:
        """The folder of the plots."""
        return self.recipe.output / "diagnostics" if self.run is None else self.run / "diagnostics"


def find_subject(path: Path, overrides: Sequence[str] = ()) -> Subject:
    """Read a recipe file, or the recipe in the folder of a training.

    Raises ConfigError.
    """
    if not path.is_dir():
        return Subject(recipe=load_recipe(path, overrides), run=None)
    if not (path / RECIPE).exists():
        raise ConfigError(
            f"{path} is not the folder of a training: it has no {RECIPE}.",
            hint="Name a recipe, or an output folder.",
        )
    return Subject(recipe=load_recipe(path / RECIPE, overrides), run=path)


def choose_stage(recipe: RecipeConfig, name: str) -> StageConfig:
    """Find the named stage; unnamed, the first that writes captions, or else the first."""
    if name:
        for stage in recipe.stages:
            if stage.name == name:
                return stage
        known = ", ".join(stage.name for stage in recipe.stages)
        raise ConfigError(f"The recipe has no stage {name!r}.", hint=f"It has {known}.")
    return next((stage for stage in recipe.stages if stage.objective == "captions"), recipe.stages[0])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bench:
    """One stage, ready to take steps on a part of the data."""

    material: Material
    models: Models
    objective: Objective
    stepper: Stepper


def set_up(
    subject: Subject, stage: StageConfig, *, photos: int, device: torch.device, dev: int = 16
) -> Bench:
    """Build one stage on a sample of the photos, with the best weights of the run where there is one."""
    recipe = subject.recipe
    if stage.objective == "distil":
        raise ConfigError(f"Stage {stage.name} distils the encoder, which is not diagnosed.")
    vocabulary = read_vocabulary(subject.run) if subject.run is not None else None
    material = sample(gather(recipe, vocabulary), photos=photos, dev=dev, texts=photos)
    student = distilled(recipe, subject.run) if subject.run is not None else None
    models = build_models(recipe, material, student=student)
    if subject.run is not None:
        load_weights(models.system, read_checkpoint(_best_checkpoint(subject))["module"])
    store = open_features(recipe, material, models.encoder)
    objective = build_objective(recipe, stage, material, models, store)
    seed_everything(recipe.seed)
    stepper = Stepper(objective, stage, device=device)
    return Bench(material=material, models=models, objective=objective, stepper=stepper)


def _best_checkpoint(subject: Subject) -> Path:
    run = subject.run or subject.recipe.output
    for stage in reversed(subject.recipe.stages):
        if (run / stage.name / BEST).exists():
            return run / stage.name / BEST
    raise TrainingError(f"{run} has no {BEST} yet.", hint="Wait for its first evaluation.")


# Which learning rate


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeTest:
    """Losses while the learning rate climbs; suggestion is the rate where the loss falls fastest."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    suggestion: float
    diverged: bool


def range_test(
    stepper: Stepper,
    batches: Iterator[list[Batch]],
    *,
    low: float = 1e-6,
    high: float = 1.0,
    steps: int = 100,
) -> RangeTest:
    """Raise the learning rate by the same factor at every step until the loss explodes (Smith, 2017).

    The rate is the highest group's; the others keep their proportion to it.
    """
    top = max(group["base_lr"] for group in stepper.optimiser.param_groups)
    rates: list[float] = []
    losses: list[float] = []
    average, best = math.nan, math.inf
    diverged = False
    for step, window in enumerate(islice(batches, steps)):
        rate = low * (high / low) ** (step / max(steps - 1, 1))
        set_rates(stepper.optimiser, rate / top)
        try:
            loss = stepper.step(window).loss
        except TrainingError:  # no longer finite: that is what the test looks for
            diverged = True
            break
        rates.append(rate)
        losses.append(loss)
        average = loss if math.isnan(average) else _SMOOTHING * average + (1 - _SMOOTHING) * loss
        best = min(best, average)
        if average > _DIVERGED * best:
            diverged = True
            break
    smoothed = centred(losses)
    return RangeTest(
        rates=tuple(rates),
        losses=tuple(losses),
        smoothed=tuple(smoothed),
        suggestion=suggest_rate(rates, smoothed),
        diverged=diverged,
    )


def centred(values: Sequence[float], *, reach: int = 5) -> list[float]:
    """Average each value with its neighbours on both sides, the near ones more: a trailing mean would lag."""
    found = []
    for place in range(len(values)):
        near = range(max(0, place - reach), min(len(values), place + reach + 1))
        weights = [reach + 1 - abs(place - other) for other in near]
        found.append(float(np.average([values[other] for other in near], weights=weights)))
    return found


def suggest_rate(rates: Sequence[float], losses: Sequence[float]) -> float:
    """The rate of the steepest fall of the smoothed loss, before its lowest point.

    Raises TrainingError when the loss never fell.
    """
    lowest = int(np.argmin(losses)) if losses else 0
    if lowest < 2:
        raise TrainingError(
            "The loss never fell: there is no rate to suggest.",
            hint="Start lower (--low), or overfit one batch first.",
        )
    slopes = np.gradient(np.asarray(losses[: lowest + 1]), np.log(rates[: lowest + 1]))
    return float(rates[int(np.argmin(slopes))])


# How gradients flow


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """The gradient of one parameter: root mean square, largest entry, its norm relative to the weights'."""

    name: str
    rms: float
    largest: float
    relative: float

    @property
    def verdict(self) -> str:
        """What is wrong with the gradient, or "" if nothing."""
        if self.largest == 0:
            return "no gradient"
        if self.rms < 1e-8:
            return "vanishing"
        return "exploding" if self.relative > 10 else ""


def unclipped(stage: StageConfig) -> StageConfig:
    """The stage without gradient clipping."""
    return replace(stage, clip_norm=0.0)


def gradient_flow(stepper: Stepper, batches: Iterator[list[Batch]], *, count: int = 4) -> list[Flow]:
    """Measure the unclipped gradients of every parameter that learns, averaged over some batches."""
    named = [(name, each) for name, each in stepper.module.named_parameters() if each.requires_grad]
    sums = {name: torch.zeros_like(parameter) for name, parameter in named}
    for window in islice(batches, count):
        stepper.backward(window)
        for name, parameter in named:
            if parameter.grad is not None:
                sums[name] += parameter.grad / count
    return [
        Flow(
            name=name,
            rms=float(sums[name].square().mean().sqrt()),
            largest=float(sums[name].abs().max()),
            relative=float(sums[name].norm() / parameter.detach().norm().clamp_min(1e-12)),
        )
        for name, parameter in named
    ]


# Can it learn at all


@dataclass(frozen=True, slots=True, kw_only=True)
class Overfit:
    """Losses on one batch, again and again; reached when the last is below the goal."""

    losses: tuple[float, ...]
    goal: float

    @property
    def reached(self) -> bool:
        """Whether the loss fell below the goal."""
        return self.losses[-1] < self.goal


def overfit_recipe(
    recipe: RecipeConfig, stage: StageConfig, *, photos: int
) -> tuple[RecipeConfig, StageConfig]:
    """The recipe without anything that keeps a model from overfitting.

    One caption per photo: with several, the same photo needs different words, and no model gets to zero.
    Raises ConfigError for a stage whose loss cannot reach zero.
    """
    if stage.objective != "captions":
        raise ConfigError(
            f"Stage {stage.name} ({stage.objective}) cannot reach a loss of zero.",
            hint="Choose a stage with the objective captions.",
        )
    stage = replace(
        stage,
        batch_size=photos,
        accumulate=1,
        captions_per_image=1,
        label_smoothing=0.0,
        feature_dropout=0.0,
        text_share=0.0,
        concept_weight=0.0,
        weight_decay=0.0,
        repeat={},
    )
    decoder = replace(recipe.decoder, dropout=0.0, scheduled_sampling=0.0, doubly_stochastic=0.0)
    return replace(recipe, decoder=decoder), stage


def overfit(stepper: Stepper, window: list[Batch], *, steps: int = 300, goal: float = 0.05) -> Overfit:
    """Train on one batch until its loss is below the goal, or the steps are spent."""
    losses: list[float] = []
    for step in range(steps):
        set_rates(stepper.optimiser, min(1.0, (step + 1) / 10))
        losses.append(stepper.step(window).loss)
        if losses[-1] < goal:
            break
    return Overfit(losses=tuple(losses), goal=goal)


# What the words have become


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WordMap:
    """Words on a plane: places [V, 2] and the cluster of each [V]; neighbours are the nearest vectors."""

    words: tuple[str, ...]
    places: Floats
    clusters: npt.NDArray[np.int64]
    neighbours: dict[str, tuple[str, ...]]


def word_map(
    vectors: Floats, words: Sequence[str], *, method: Method = "pca", clusters: int = 8, seed: int = 0
) -> WordMap:
    """Project word vectors [V, D] to a plane; colours are k-means clusters of the full vectors.

    Raises MissingExtra without scikit-learn, ConfigError for fewer words than clusters.
    """
    try:
        cluster = importlib.import_module("sklearn.cluster")
        decomposition = importlib.import_module("sklearn.decomposition")
        manifold = importlib.import_module("sklearn.manifold")
    except ImportError as error:
        raise MissingExtra(
            "A map of words needs scikit-learn.", hint="Install it with: pip install 'cutline[train]'"
        ) from error
    if len(words) < max(clusters, 4):
        raise ConfigError(f"{len(words)} words are too few for {clusters} clusters.")
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    if method == "pca":
        places = decomposition.PCA(2, random_state=seed).fit_transform(unit)
    else:
        perplexity = min(30.0, (len(words) - 1) / 3)
        places = manifold.TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(unit)
    labels = cluster.KMeans(clusters, n_init=10, random_state=seed).fit_predict(unit)
    order = np.argsort(-(unit @ unit.T), axis=1)
    neighbours = {
        word: tuple(words[int(other)] for other in row if int(other) != place)[:5]
        for place, (word, row) in enumerate(zip(words, order, strict=True))
    }
    return WordMap(
        words=tuple(words),
        places=np.asarray(places, dtype=np.float64),
        clusters=np.asarray(labels, dtype=np.int64),
        neighbours=neighbours,
    )


def trained_words(run: Path, recipe: RecipeConfig, *, limit: int = 300) -> tuple[Floats, list[str]]:
    """Read the vectors of a run's most frequent words: [V, D] and the words.

    Raises TrainingError when the run has no tokenizer or no checkpoint yet.
    """
    path = run / "tokenizer.json"
    if not path.exists():
        raise TrainingError(f"{run} has no tokenizer.json: nothing has been trained there yet.")
    tokenizer = Tokenizer.from_file(str(path))
    weights = read_checkpoint(_best_checkpoint(Subject(recipe=recipe, run=run)))["module"]
    vectors = weights["captioner.embedding.weight"].double().numpy()
    # The vocabulary is ordered by frequency, after the four special tokens.
    ids = range(4, min(4 + limit, len(vectors)))
    return vectors[list(ids)], [str(tokenizer.id_to_token(place)) for place in ids]


# How it went


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """One number over the steps of one stage."""

    stage: str
    name: str
    steps: tuple[int, ...]
    values: tuple[float, ...]


def read_curves(run: Path) -> list[Curve]:
    """Read every number that a run has logged.

    Raises TrainingError when there is none.
    """
    found: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for line in read_metrics(run / FILE_NAME):
        for name, value in line.items():
            if name not in ("stage", "step", "seconds", "epoch") and math.isfinite(value):
                found.setdefault((str(line["stage"]), name), []).append((int(line["step"]), float(value)))
    if not found:
        raise TrainingError(f"{run} has no metrics in {FILE_NAME}.")
    return [
        Curve(stage=stage, name=name, steps=tuple(s for s, _ in points), values=tuple(v for _, v in points))
        for (stage, name), points in found.items()
    ]


def smooth(values: Sequence[float], *, share: float = 0.05) -> list[float]:
    """Average over a trailing window of this share of the values."""
    width = max(1, round(len(values) * share))
    sums = np.cumsum([0.0, *values])
    return [
        float((sums[i + 1] - sums[max(0, i + 1 - width)]) / min(i + 1, width)) for i in range(len(values))
    ]
