"""The recipe of a writer, as frozen dataclasses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from cutline.captioning.bundle import NAME, VERSION
from cutline.errors import ConfigError
from cutline.strict import Between, Like
from cutline.training.config import StageConfig, TrackingConfig, parse, read_recipe

PairsKind: TypeAlias = Literal["corpus", "paraphrases", "flickrstyle", "senticap"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseConfig:
    """What the training begins from: a GGUF file of the Llama family, and how much of it is kept.

    layers: the numbers of the layers to keep. minimum_count: a token that the data has less often is split
    into the tokens that it was merged from.
    """

    gguf: Path
    layers: tuple[Annotated[int, Between(0)], ...]
    minimum_count: Annotated[int, Between(0)] = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class PairsConfig:
    """A source of texts to learn from.

    corpus: JSON Lines as recipes/styles/corpus has them, a folder of such files. paraphrases: a JSON file
    from an image to its captions, of which one becomes another. flickrstyle, senticap: the files of those
    data sets; descriptions: the captions of their photos, in Flickr8k's token file or in JSON. most: how many
    pairs are taken, at random; 0 takes all.
    """

    source: str
    kind: PairsKind
    path: Path
    descriptions: Path | None = None
    most: Annotated[int, Between(0)] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundingConfig:
    """How the weights of layers are stored: as whole numbers, times a step that ``block`` neighbours share.

    step: in deviations of the block's weights; 0.35 loses least in four bits, more makes the file smaller.
    stages: those that train with rounded weights. Each also learns the odds of the checkpoint that it
    starts from, by its distill_weight, and from that many ``texts`` that this checkpoint draws for
    descriptions of all the data in voices of the corpus.
    """

    step: Annotated[float, Between(0.1, 2)] = 0.35
    block: Literal[16, 32, 64, 128, 192, 256] = 32
    stages: tuple[str, ...] = ()
    texts: Annotated[int, Between(0)] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WriterExport:
    """What the folder at the end is called."""

    name: Annotated[str, Like(NAME)] = "cutline-voice"
    version: Annotated[str, Like(VERSION)] = "1.0.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class WriterRecipe:
    """A whole recipe. max_tokens: longer pairs are left out."""

    kind: Literal["writer"]
    name: str
    output: Path
    base: BaseConfig
    data: tuple[PairsConfig, ...]
    stages: tuple[StageConfig, ...]
    seed: int = 0
    max_tokens: Annotated[int, Between(16, 4096)] = 256
    rounding: RoundingConfig = field(default_factory=RoundingConfig)
    export: WriterExport = field(default_factory=WriterExport)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)

    def __post_init__(self) -> None:
        """Refuse stages of other objectives, and what names no source."""
        names = {each.source for each in self.data}
        for stage in self.stages:
            if stage.objective != "writing":
                raise ConfigError(f"Stage {stage.name}: a writer learns by the objective writing alone.")
            if unknown := {*stage.sources, *stage.repeat} - names:
                raise ConfigError(f"Stage {stage.name}: there is no source {', '.join(sorted(unknown))}.")
        if unknown := {*self.rounding.stages} - {stage.name for stage in self.stages}:
            raise ConfigError(f"rounding: there is no stage {', '.join(sorted(unknown))}.")


def is_writer_recipe(values: object) -> bool:
    """Whether a recipe's values are those of a writer."""
    return isinstance(values, dict) and values.get("kind") == "writer"


def load_writer_recipe(path: Path, overrides: Sequence[str] = ()) -> WriterRecipe:
    """Read a recipe and apply ``key=value`` overrides. Raises ConfigError, MissingExtra."""
    return parse(WriterRecipe, read_recipe(path, overrides))
