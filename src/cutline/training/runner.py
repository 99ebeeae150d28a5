"""Run a whole recipe, stage by stage; or a dry run, which estimates what it will take."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from cutline.atomic_files import output_errors, write_text
from cutline.errors import ConfigError, TrainingError
from cutline.strict import dump
from cutline.training.build import (
    Material,
    Models,
    batches_per_epoch,
    build_distillation,
    build_models,
    build_objective,
    distilled,
    gather,
    keep_encoder,
    open_features,
    read_vocabulary,
    sample,
    warn_of_dev_photos,
    write_vocabulary,
)
from cutline.training.checkpoints import load_weights, read_checkpoint
from cutline.training.config import RecipeConfig, StageConfig, load_recipe
from cutline.training.distributed import ALONE, World
from cutline.training.features import FeatureStore
from cutline.training.loop import FitResult, Objective, Stepper, endless_windows
from cutline.training.optim import set_rates
from cutline.training.publish import publish
from cutline.training.stages import chosen, refuse_second_training, run_stage, start_checkpoint
from cutline.training.transformer import TransformerCaptioner
from cutline.training.weights import WEIGHTS, write_weights

T = TypeVar("T")

RECIPE = "recipe.yaml"
# What a resumed training may not change. Data may have moved; stages are checked one by one.
_FIXED = ("seed", "text", "image", "encoder", "decoder")

_log = logging.getLogger("cutline.training")


def run_recipe(
    recipe: RecipeConfig,
    *,
    resume: bool = False,
    device: torch.device | None = None,
    world: World = ALONE,
    only: str = "",
) -> list[FitResult]:
    """Train every stage (or only one) into ``recipe.output / STAGE``. An interrupted stage ends the run.

    A last stage that writes captions ends in ``recipe.output / "bundle"``, and with a transformer also in the
    ``weights.safetensors`` that it was made of; the last one that distils leaves
    its encoder in ``recipe.output / "encoder.safetensors"``.

    Raises TrainingError if the folder already has a training and ``resume`` is off, and ConfigError for what
    several processes cannot share.
    """
    _refuse_missing_card(recipe)
    _refuse_to_share(recipe, chosen(recipe, only), world)
    if world.first:
        _claim(recipe, resume=resume)
    world.from_first(None)  # nobody reads what the first is writing
    begun = read_vocabulary(recipe.output) if resume else None
    material = gather(recipe, begun)
    world.from_first(None)  # nobody looks for what the first is writing
    if world.first and begun is None:
        write_vocabulary(recipe.output, material.corpus)
    if world.first:
        warn_of_dev_photos(material.photos)
    results: list[FitResult] = []
    for stage, objective in _objectives(recipe, material, chosen(recipe, only), world):
        results.append(run_stage(recipe, stage, objective, resume=resume, device=device, world=world))
        if results[-1].stopped == "interrupted":
            return results
        if world.first and results[-1].best == distilled(recipe):
            _log.info(
                "%s: the encoder, for other trainings", keep_encoder(recipe, material, results[-1].best)
            )
    if world.first and only in ("", recipe.stages[-1].name):
        _publish(recipe)
    return results


def _refuse_missing_card(recipe: RecipeConfig) -> None:
    """It is read when all stages have ended."""
    card = recipe.export.card
    if card is not None and not card.is_file():
        raise ConfigError(f"There is no model card at {card}.", hint="Set export.card.")


def _refuse_to_share(recipe: RecipeConfig, stages: Sequence[StageConfig], world: World) -> None:
    """Refuse what would be learnt otherwise by several processes than by one, or not at all."""
    if world.size == 1:
        return
    for stage in stages:
        if stage.objective == "match" or (stage.objective == "rewards" and stage.likeness_reward):
            raise ConfigError(
                f"Stage {stage.name} compares the photos of a batch, which several processes would share.",
                hint=f"Train this stage with one process: --stage {stage.name}.",
            )
        texts = round(stage.batch_size * stage.text_share)
        if min(stage.batch_size, texts or stage.batch_size) < world.size:
            raise ConfigError(
                f"Stage {stage.name} has {stage.batch_size} photos and {texts} texts in a batch, too few for"
                f" {world.size} processes.",
                hint="Raise batch_size, or text_share.",
            )


def _objectives(
    recipe: RecipeConfig, material: Material, stages: Sequence[StageConfig], world: World
) -> Iterator[tuple[StageConfig, Objective]]:
    """The objective of each stage, built when those before have ended."""
    for stage in (each for each in stages if each.objective == "distil"):
        distillation = _first_alone(world, partial(build_distillation, recipe, stage, material))
        _load(distillation.student, start_checkpoint(recipe, stage), stage)
        yield stage, distillation
    student, models, store = distilled(recipe), None, None
    for stage in (each for each in stages if each.objective != "distil"):
        start = start_checkpoint(recipe, stage)
        if models is None or start in (None, student):
            models = build_models(recipe, material, student=student)
        if store is None:  # what it keeps is of the encoder's part that no stage trains
            features = partial(open_features, recipe, material, models.encoder, quiet=not world.first)
            store = _first_alone(world, features)
        if start != student:  # whose weights are those that the models were built with
            _load(models.system, start, stage)
        build = partial(build_objective, recipe, stage, material, models, store)
        yield stage, _first_alone(world, build)


def _first_alone(world: World, build: Callable[[], T]) -> T:
    """What ``build`` makes, first in the first process: the others find in the cache what it computed."""
    if not world.first:
        world.from_first(None)
    made = build()
    if world.first:
        world.from_first(None)
    return made


def _publish(recipe: RecipeConfig) -> None:
    """Write the bundle, where the last stage writes captions at all, and what learning can begin with."""
    last = recipe.stages[-1].objective
    if last not in ("captions", "rewards"):
        if last != "distil":  # which has no captioner, and has told of its encoder
            _log.info(
                "No bundle after a stage of %s: `cutline bundle build %s TARGET`",
                last,
                recipe.output / RECIPE,
            )
        return
    target = recipe.output / "bundle"
    published = publish(recipe, target)
    if isinstance(published.system.captioner, TransformerCaptioner):
        write_weights(recipe.output / WEIGHTS, published.system.captioner, precision=torch.float16)
    _log.info(
        "%s: CIDEr-D %.1f on dev, by beam search (%.1f in float32)",
        target,
        published.cider,
        published.cider_float,
    )


def _load(module: nn.Module, path: Path | None, stage: StageConfig) -> None:
    """Take the weights that a stage starts from, and say which do not fit; None: as the module is."""
    if path is None:
        return
    fresh, unused = load_weights(module, read_checkpoint(path)["module"])
    _log.info("%s starts from %s", stage.name, path)
    for what, names in (("keep their initial values", fresh), ("are not used", unused)):
        if names:
            _log.warning("%s: %d weights %s: %s ...", stage.name, len(names), what, ", ".join(names[:4]))


def _claim(recipe: RecipeConfig, *, resume: bool) -> None:
    """Refuse to overwrite another training, and write the recipe down."""
    path = recipe.output / RECIPE
    refuse_second_training(recipe, resume=resume)
    now = dump(recipe, keep_none=True)
    if resume and path.exists():
        before = dump(load_recipe(path), keep_none=True)  # with the defaults of options that are younger
        changed = [name for name in _FIXED if before[name] != now[name]]
        if changed:
            raise TrainingError(
                f"The training in {recipe.output} was started with another {', '.join(changed)}.",
                hint="Resume with the original recipe, or choose another output=FOLDER.",
                kept="Nothing was changed.",
            )
    import yaml  # of the extra that also reads recipes

    with output_errors(str(recipe.output)):
        recipe.output.mkdir(parents=True, exist_ok=True)
    write_text(str(path), yaml.safe_dump(now, sort_keys=False))


@dataclass(frozen=True, slots=True, kw_only=True)
class StagePlan:
    """What one stage will do, and what it will cost on this machine."""

    name: str
    objective: str
    steps: int
    trainable: int
    parameters: int
    loss: float
    step_s: float
    evaluation_s: float
    metrics: Mapping[str, float]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a recipe will do. photos and captions are of the training split."""

    photos: int
    dev_photos: int
    captions: int
    text_captions: int
    vocabulary: int
    concepts: int
    features: str
    feature_seconds: float
    stages: tuple[StagePlan, ...]

    @property
    def seconds(self) -> float:
        """The whole training's estimated time."""
        return self.feature_seconds + sum(stage.seconds for stage in self.stages)


_DRY_DEV = 24


def dry_run(recipe: RecipeConfig, *, device: torch.device | None = None) -> Plan:
    """Take two real steps and one evaluation of every stage on a part of the data, and write nothing.

    Raises what the training would raise: DataError, ImageError, ConfigError, TrainingError.
    """
    _refuse_missing_card(recipe)
    material = gather(recipe)
    warn_of_dev_photos(material.photos)
    largest = max(stage.batch_size for stage in recipe.stages)
    texts = max(round(stage.batch_size * max(1.0, stage.text_share)) for stage in recipe.stages)
    small = sample(material, photos=largest, dev=_DRY_DEV, texts=texts)
    models = build_models(recipe, small)
    with tempfile.TemporaryDirectory() as folder:
        first = sample(material, photos=1, dev=0, texts=0)
        fixed_s, _ = _timed_features(recipe, first, models, Path(folder))
        small_s, store = _timed_features(recipe, small, models, Path(folder))
        per_photo_s = max(small_s - fixed_s, 0.0) / max(len(small.photos) - 1, 1)
        stages = tuple(
            _plan_stage(
                recipe, stage, material, small, models, store, Path(folder), device or torch.device("cpu")
            )
            for stage in recipe.stages
        )
        shape = " x ".join(map(str, store.read([0], [0]).shape[1:]))
    corpus = material.corpus
    return Plan(
        photos=len(corpus.train),
        dev_photos=len(corpus.dev),
        captions=sum(len(item.words) for item in corpus.train),
        text_captions=sum(len(item.words) for item in corpus.texts),
        vocabulary=corpus.tokenizer.get_vocab_size(),
        concepts=len(corpus.concepts),
        features=f"{shape}, {recipe.image.variants} variants",
        feature_seconds=fixed_s + per_photo_s * len(material.photos) * recipe.image.variants,
        stages=stages,
    )


def _timed_features(
    recipe: RecipeConfig, material: Material, models: Models, folder: Path
) -> tuple[float, FeatureStore]:
    start = time.perf_counter()
    store = open_features(recipe, material, models.encoder, folder=folder, quiet=True)
    return (time.perf_counter() - start) / recipe.image.variants, store


def _plan_stage(
    recipe: RecipeConfig,
    stage: StageConfig,
    material: Material,
    small: Material,
    models: Models,
    store: FeatureStore,
    folder: Path,
    device: torch.device,
) -> StagePlan:
    named = Path(stage.start_from) if "/" in stage.start_from else None
    if named is not None and not named.exists():
        raise TrainingError(f"Stage {stage.name} starts from {named}, which does not exist.")
    objective: Objective
    if stage.objective == "distil":
        objective = build_distillation(recipe, stage, small, folder=folder)
    else:
        objective = build_objective(recipe, stage, small, models, store, folder=folder)
    stepper = Stepper(objective, stage, device=device)
    set_rates(stepper.optimiser, 0.0)  # what is measured must not move the next stage's weights
    loss, step_s = 0.0, 0.0
    for window in islice(endless_windows(objective, stage.accumulate), 2):  # the first step warms up
        start = time.perf_counter()
        loss = stepper.step(window).loss
        step_s = time.perf_counter() - start
    start = time.perf_counter()
    stepper.module.eval()
    with torch.no_grad():
        metrics = objective.evaluate()
    evaluation_s = (time.perf_counter() - start) * len(material.corpus.dev) / max(len(small.corpus.dev), 1)
    stepper.release()
    if stage.monitor not in metrics:
        raise ConfigError(
            f"Stage {stage.name} watches {stage.monitor}, which its evaluation does not compute.",
            hint=f"It computes {', '.join(metrics)}.",
        )
    steps = stage.epochs * -(-batches_per_epoch(stage, material.corpus) // stage.accumulate)
    evaluations = -(-stage.epochs // stage.evaluate_every)
    return StagePlan(
        name=stage.name,
        objective=stage.objective,
        steps=steps,
        trainable=sum(each.numel() for each in stepper.parameters),
        parameters=sum(each.numel() for each in stepper.module.parameters()),
        loss=loss,
        step_s=step_s,
        evaluation_s=evaluation_s,
        metrics=metrics,
        seconds=steps * step_s + evaluations * evaluation_s,
    )


def describe_plan(recipe: RecipeConfig, plan: Plan) -> str:
    """The plan as text for a terminal."""
    lines = [
        f"{recipe.name} -> {recipe.output}",
        f"  data      {plan.photos:,} photos with {plan.captions:,} captions, {plan.text_captions:,} captions"
        f" without photos, {plan.dev_photos:,} photos to evaluate on",
        f"  text      {plan.vocabulary:,} tokens ({recipe.text.tokenizer}), {plan.concepts:,} concepts",
        f"  images    {recipe.image.width_px} x {recipe.image.height_px} px, {recipe.image.mode},"
        f" augmentation {recipe.image.augmentation}",
        f"  features  {recipe.encoder.name}, {plan.features}; about {duration(plan.feature_seconds)},"
        f" unless cached in {recipe.cache}",
    ]
    for stage in plan.stages:
        whole = {name: value for name, value in stage.metrics.items() if "/" not in name}
        metrics = ", ".join(f"{name} {value:.3g}" for name, value in whole.items())
        lines += [
            f"  stage {stage.name} ({stage.objective})",
            f"    {stage.trainable:,} of {stage.parameters:,} parameters are trained",
            f"    {stage.steps:,} steps of {stage.step_s:.2f} s, {duration(stage.evaluation_s)} an evaluation"
            f": about {duration(stage.seconds)}",
            f"    one step: loss {stage.loss:.3f}; one evaluation: {metrics}",
        ]
    return "\n".join([*lines, f"  about {duration(plan.seconds)} in total on this machine"])


def duration(seconds: float) -> str:
    """A time in at most two units: 42 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if whole < 10 else f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
