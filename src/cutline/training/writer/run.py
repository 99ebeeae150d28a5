"""Run the recipe of a writer: stage by stage, and in the end the folder that `cutline.styles` loads."""

from __future__ import annotations

import copy
import json
import logging
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from tokenizers import Tokenizer

from cutline.errors import ConfigError
from cutline.training.checkpoints import load_weights, read_checkpoint, seed_everything
from cutline.training.config import StageConfig
from cutline.training.distributed import ALONE, World
from cutline.training.loop import FitResult
from cutline.training.stages import chosen, refuse_second_training, run_stage, start_checkpoint
from cutline.training.writer.base import END, needed_tokens, read_base, smaller
from cutline.training.writer.config import WriterRecipe
from cutline.training.writer.data import Pair, read_pairs
from cutline.training.writer.drawing import draw, other_prompts
from cutline.training.writer.export import EMBEDDINGS, write_model
from cutline.training.writer.model import CausalTransformer
from cutline.training.writer.objective import Encoded, WritingObjective, encode
from cutline.training.writer.rounding import Rounding, round_weights

MODEL = "model"
TEXTS = "drawn.json"
_TELL_EVERY = 200
_log = logging.getLogger("cutline.training")


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """What a training begins with."""

    model: CausalTransformer
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
    model, tokenizer = smaller(base, layers=recipe.base.layers, tokens=tokens)
    _check_blocks(model, recipe.rounding.block)
    return Material(model=model, tokenizer=tokenizer, train=tuple(train), held_out=tuple(held_out))


def _check_blocks(model: CausalTransformer, block: int) -> None:
    if model.shape.width % block or model.shape.hidden % block:
        raise ConfigError(
            f"rounding.block: {block} does not divide {model.shape.width} and {model.shape.hidden},"
            " the widths of the base."
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
    rounding = Rounding(step=recipe.rounding.step, block=recipe.rounding.block)
    results: list[FitResult] = []
    for stage in stages:
        if start := start_checkpoint(recipe, stage):
            load_weights(material.model, read_checkpoint(start)["module"])
        is_rounded = stage.name in recipe.rounding.stages
        teacher = copy.deepcopy(material.model) if is_rounded else None
        drawn = _drawn_texts(recipe, stage, material, resume=resume) if is_rounded else []
        round_weights(material.model, *((rounding, EMBEDDINGS) if is_rounded else (None, None)))
        objective = WritingObjective(
            material.model,
            stage,
            train=[*_of_stage(stage, material, recipe.max_tokens), *drawn],
            held_out=held_out,
            seed=recipe.seed,
            teacher=teacher,
        )
        results.append(run_stage(recipe, stage, objective, resume=resume, device=device, world=world))
        if results[-1].stopped == "interrupted":
            return results
    if world.first and only in ("", recipe.stages[-1].name):
        write_model(material.model, material.tokenizer, recipe, recipe.output / MODEL, end=material.end)
        _log.info("%s: written", recipe.output / MODEL)
    return results


def _drawn_texts(
    recipe: WriterRecipe, stage: StageConfig, material: Material, *, resume: bool
) -> list[Encoded]:
    """Texts that the model as it is draws; they are kept in the stage's folder, for whoever resumes it."""
    kept = recipe.output / stage.name / TEXTS
    if resume and kept.exists():
        rows = json.loads(kept.read_text("utf-8"))
        return [Encoded(tokens=tuple(row["tokens"]), prompt=row["prompt"]) for row in rows]
    corpora = {each.source for each in recipe.data if each.kind == "corpus"}
    voices = [pair for pair in material.train if pair.source in corpora]
    asked = other_prompts(material.train, voices, recipe.rounding.texts, seed=recipe.seed) if voices else []
    prompts = [each.ids for each in material.tokenizer.encode_batch(asked, add_special_tokens=False)]
    writer = copy.deepcopy(material.model).bfloat16()
    drawn: list[Encoded] = []
    for text in draw(writer, prompts, end=material.end, most=recipe.max_tokens, seed=recipe.seed):
        drawn.append(text)
        if len(drawn) % _TELL_EVERY == 0:
            _log.info("%s: %d of %d texts are drawn", stage.name, len(drawn), len(prompts))
    kept.parent.mkdir(parents=True, exist_ok=True)
    draft = kept.with_suffix(".part")
    draft.write_text(json.dumps([asdict(each) for each in drawn]), "utf-8")
    os.replace(draft, kept)
    return drawn


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
