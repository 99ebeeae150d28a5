"""Run the recipe of a writer: stage by stage, and in the end the folder that `cutline.styles` loads."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer

from cutline.training.checkpoints import load_weights, read_checkpoint, seed_everything
from cutline.training.config import StageConfig
from cutline.training.distributed import ALONE, World
from cutline.training.loop import FitResult
from cutline.training.stages import chosen, refuse_second_training, run_stage, start_checkpoint
from cutline.training.writer.base import END, needed_tokens, read_base, smaller, thinned
from cutline.training.writer.config import WriterRecipe
from cutline.training.writer.data import Pair, read_pairs
from cutline.training.writer.export import write_model
from cutline.training.writer.model import CausalTransformer
from cutline.training.writer.objective import Encoded, WritingObjective, encode

MODEL = "model"
_log = logging.getLogger("cutline.training")


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What a training begins with."""

    model: CausalTransformer
    teacher: CausalTransformer | None
    tokenizer: Tokenizer
    train: tuple[Pair, ...]
    held_out: tuple[Pair, ...]

    @property
    def end(self) -> int:
        """The token that ends a text."""
        end = self.tokenizer.token_to_id(END)
        assert end is not None
        return end


def gather(recipe: WriterRecipe) -> Material:
    """Read the data and the base, and make the smaller model. Raises DataError, ConfigError."""
    train, held_out = read_pairs(recipe.data, seed=recipe.seed)
    base = read_base(recipe.base.gguf)
    texts = (pair.prompt + pair.text for pair in (*train, *held_out))
    tokens = needed_tokens(base, texts, minimum_count=recipe.base.minimum_count)
    teacher = None
    if recipe.base.teacher:
        teacher, tokenizer = smaller(base, layers=range(base.shape.layers), tokens=tokens)
        load_weights(teacher, read_checkpoint(recipe.base.teacher)["module"])
        model = thinned(teacher, recipe.base.layers)
    else:
        model, tokenizer = smaller(base, layers=recipe.base.layers, tokens=tokens)
    return Material(
        model=model, teacher=teacher, tokenizer=tokenizer, train=tuple(train), held_out=tuple(held_out)
    )


def run_writer_recipe(
    recipe: WriterRecipe,
    *,
    resume: bool = False,
    device: torch.device | None = None,
    world: World = ALONE,
    only: str = "",
) -> list[FitResult]:
    """Train every stage (or only one) into ``recipe.output / STAGE``; the last one ends in ``.../model``.

    Raises TrainingError if the folder already has a training and ``resume`` is off.
    """
    refuse_second_training(recipe, resume=resume)
    stages = chosen(recipe, only)
    seed_everything(recipe.seed)
    material = gather(recipe)
    held_out = encode(material.held_out, material.tokenizer, end=material.end, most=recipe.max_tokens)
    results: list[FitResult] = []
    for stage in stages:
        if start := start_checkpoint(recipe, stage):
            load_weights(material.model, read_checkpoint(start)["module"])
        objective = WritingObjective(
            material.model,
            stage,
            train=_of_stage(stage, material, recipe.max_tokens),
            held_out=held_out,
            seed=recipe.seed,
            teacher=material.teacher,
        )
        results.append(run_stage(recipe, stage, objective, resume=resume, device=device, world=world))
        if results[-1].stopped == "interrupted":
            return results
    if world.first and only in ("", recipe.stages[-1].name):
        write_model(material.model, material.tokenizer, recipe, recipe.output / MODEL, end=material.end)
        _log.info("%s: written", recipe.output / MODEL)
    return results


def describe(recipe: WriterRecipe) -> str:
    """What the recipe will do: the sizes of model, tokens and data, and the steps of each stage."""
    material = gather(recipe)
    parameters = sum(each.numel() for each in material.model.parameters())
    lines = [
        f"{recipe.name}: {len(recipe.base.layers)} layers, {parameters:,} parameters,"
        f" {material.tokenizer.get_vocab_size():,} tokens; {len(material.held_out):,} pairs are held out"
    ]
    for stage in recipe.stages:
        pairs = _of_stage(stage, material, recipe.max_tokens)
        steps = stage.epochs * -(-len(pairs) // stage.batch_size)
        tokens = sum(len(each.tokens) for each in pairs)
        lines.append(f"  {stage.name}: {len(pairs):,} pairs, {tokens:,} tokens an epoch, {steps:,} steps")
    return "\n".join(lines)


def _of_stage(stage: StageConfig, material: Material, most: int) -> Sequence[Encoded]:
    """The stage's pairs in tokens, those of some sources several times."""
    chosen = [pair for pair in material.train if not stage.sources or pair.source in stage.sources]
    repeated = [pair for pair in chosen for _ in range(stage.repeat.get(pair.source, 1))]
    return encode(repeated, material.tokenizer, end=material.end, most=most)
