"""A recipe: one YAML file, plus ``key=value`` overrides, as frozen dataclasses.

Parsing is strict. An unknown key, a wrong type or a number out of range is a ConfigError that says where, and
what was probably meant. The dataclasses document what a recipe may contain: each class is one section, and
its defaults apply to keys that a recipe leaves out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, TypeVar, cast

from cutline.captioning.bundle import LANGUAGE, NAME, VERSION
from cutline.captioning.options import (
    OPTIONS,
    BeamSize,
    LengthPenalty,
    MinLength,
    NoRepeatNgram,
    SexConfidence,
)
from cutline.errors import ConfigError, MissingExtra
from cutline.strict import Between, Json, MismatchError, did_you_mean, parse_yaml_values
from cutline.training.examples import DataConfig
from cutline.training.text import TextConfig

T = TypeVar("T")

AmpKind: TypeAlias = Literal["none", "bf16", "fp16"]
DecoderKind: TypeAlias = Literal["transformer", "lstm-attention"]
EmbeddingKind: TypeAlias = Literal["own", "glove"]
ObjectiveKind: TypeAlias = Literal["distil", "match", "concepts", "text", "captions", "rewards", "writing"]
OptimiserKind: TypeAlias = Literal["adamw", "adam", "sgd"]
ScheduleKind: TypeAlias = Literal["one-cycle", "cosine", "plateau", "constant"]
TrackerKind: TypeAlias = Literal["tensorboard", "wandb", "mlflow"]
Trainable: TypeAlias = Literal["none", "tail", "all"]

# What a stage may watch, and the objectives that are measured by it. A source's name may follow: cider/coco.
MEASURES: Mapping[str, tuple[ObjectiveKind, ...]] = {
    "loss": ("distil", "match", "concepts", "text", "captions", "rewards", "writing"),
    "map": ("distil", "concepts"),
    "explained": ("distil",),
    "recall": ("match",),
    "bleu4": ("captions", "rewards"),
    "cider": ("captions", "rewards"),
}


Count: TypeAlias = Annotated[int, Between(1)]
Natural: TypeAlias = Annotated[int, Between(0)]
Rate: TypeAlias = Annotated[float, Between(0, 10, open_low=True)]
Share: TypeAlias = Annotated[float, Between(0, 1)]
Dropout: TypeAlias = Annotated[float, Between(0, 0.95)]
NonNegative: TypeAlias = Annotated[float, Between(0)]
Positive: TypeAlias = Annotated[float, Between(0, open_low=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageConfig:
    """How photos become the encoder's input; ``mode`` and sizes go into the bundle.

    variants: how many differently augmented copies of each photo a cache of features holds.
    """

    width_px: Annotated[int, Between(32, 4096)] = 288
    height_px: Annotated[int, Between(32, 4096)] = 288
    mode: Literal["squash", "crop", "pad"] = "squash"
    resample: Literal["bicubic", "bilinear"] = "bicubic"
    augmentation: Literal["off", "light", "strong"] = "off"
    variants: Annotated[int, Between(1, 64)] = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderConfig:
    """The image encoder: efficientnet-lite0|1|2, resnet50, or transformers:FOLDER.

    weights: a local state dict in torchvision's naming (resnet50), or the encoder.safetensors of a training
    that distilled this encoder. grid: rows and columns that the regions
    are pooled to; None keeps the encoder's own. trainable: none, tail (the last stage) or all.
    """

    name: str = "efficientnet-lite2"
    weights: Path | None = None
    trainable: Trainable = "none"
    learning_rate: Rate = 1e-4
    grid: tuple[Annotated[int, Between(1, 64)], Annotated[int, Between(1, 64)]] | None = None

    def __post_init__(self) -> None:
        """Refuse an unknown encoder."""
        if self.name.startswith("transformers:") and len(self.name) > len("transformers:"):
            return
        if self.name not in ENCODERS:
            raise ConfigError(
                f"Unknown encoder {self.name!r}.",
                hint=did_you_mean(self.name, (*ENCODERS, "transformers:FOLDER")),
            )


ENCODERS = ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2", "resnet50")


@dataclass(frozen=True, slots=True, kw_only=True)
class TeacherConfig:
    """What a `distil` stage learns from: a CLIP-like image tower, onnx:FILE or hf:FOLDER.

    side_px: of the square that photos are squashed to for it. grid: its patches are averaged over so many
    rows and columns. Its answers are kept in the recipe's cache; no bundle contains it.
    """

    model: str = ""
    side_px: Annotated[int, Between(32, 4096)] = 224
    grid: Annotated[int, Between(1, 64)] = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderConfig:
    """The caption decoder.

    Both kinds: width (of words), hidden, dropout, max_tokens. transformer: heads, encoder_layers, layers,
    concepts, concept_tokens and class_names (whether the encoder's ImageNet head teaches names that captions
    hardly hold, such as "espresso": they become concepts beside the others). lstm-attention:
    attention_width, embeddings, freeze_embeddings, scheduled_sampling (the share of words that are the
    model's own at the end of a stage) and doubly_stochastic (the weight of the penalty that makes attention
    visit every region).
    """

    kind: DecoderKind = "transformer"
    width: Annotated[int, Between(4, 8192)] = 320
    heads: Count = 8
    encoder_layers: Natural = 1
    layers: Count = 3
    hidden: Annotated[int, Between(4, 65536)] = 1280
    dropout: Dropout = 0.1
    max_tokens: Annotated[int, Between(2, 512)] = 24
    concepts: Natural = 0
    concept_tokens: Annotated[int, Between(1, 256)] = 16
    class_names: bool = False
    attention_width: Annotated[int, Between(4, 8192)] = 256
    embeddings: EmbeddingKind = "own"
    freeze_embeddings: bool = False
    scheduled_sampling: Annotated[float, Between(0, 0.9)] = 0.0
    doubly_stochastic: NonNegative = 1.0

    def __post_init__(self) -> None:
        """Refuse sizes that do not fit together."""
        if self.kind == "transformer" and self.width % self.heads:
            raise ConfigError(
                f"A width of {self.width} cannot be split into {self.heads} heads.",
                hint="Make width a multiple of heads.",
            )
        if self.kind == "transformer" and self.embeddings == "glove":
            raise ConfigError(
                "embeddings: glove needs the decoder lstm-attention.", hint="Use embeddings: own."
            )
        if self.freeze_embeddings and self.embeddings == "own":
            raise ConfigError(
                "freeze_embeddings with own embeddings: they would stay random.",
                hint="Use embeddings: glove.",
            )
        if self.class_names and not self.concepts:
            raise ConfigError("class_names without concepts teaches nothing.", hint="Set decoder.concepts.")
        if self.concepts and self.concepts < self.concept_tokens:
            raise ConfigError(
                f"concept_tokens is {self.concept_tokens}, but there are {self.concepts} concepts."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class MatcherConfig:
    """What finds photos by texts: a head of the encoder, and a transformer that reads texts.

    embedding: the length of what both give; 0 trains none. The others are sizes of the transformer.
    """

    embedding: Annotated[int, Between(0, 4096)] = 0
    width: Annotated[int, Between(4, 4096)] = 256
    heads: Count = 4
    hidden: Annotated[int, Between(4, 65536)] = 512
    layers: Natural = 2
    dropout: Dropout = 0.1

    def __post_init__(self) -> None:
        """Refuse sizes that do not fit together."""
        if self.width % self.heads:
            raise ConfigError(
                f"A width of {self.width} cannot be split into {self.heads} heads.",
                hint="Make width a multiple of heads.",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class StageConfig:
    """One stage of a training; stages run in order, each from the best weights of the one before.

    batch_size counts photos over all processes; accumulate that many batches make one step. warmup_steps,
    evaluate_every (epochs), patience (evaluations without improvement; 0 never stops early), checkpoint_every
    (steps; 0: at the end of each epoch alone). ema_decay: 0 is off. floor: the share of the learning rate
    that one-cycle, cosine and plateau end at. encoder_learning_rate: none given takes the
    encoder's own, 0 freezes it. start_from: the name of an earlier stage, a checkpoint's path,
    or "nothing". sources: names of the data sources that this stage reads; none named reads all.

    captions_per_image: how many captions of a photo are read in one step. repeat: how often an epoch shows
    the photos of a source. text_share: captions without photos, as a share of the batch, mixed in with
    text_weight. concept_weight: of the concepts' loss beside the words'. distill_weight: how much a
    concepts stage must not forget ImageNet, or a writer follows its teacher. rewards alone: samples
    (captions drawn for each photo), temperature (of the draws: below 1 they are nearer to what a beam
    writes), bleu_reward (BLEU-4's share beside CIDEr-D), likeness_reward (of the log-probability that the
    matcher finds the photo by its caption among the batch's, at least that of chance, against dullness) and
    caption_weight (of cross-entropy on people's captions beside the rewards, which alone narrow the language;
    text_share helps there too). distil alone:
    side_px (of the square photos it sees; 0 takes the recipe's image), augmentation (of each photo, anew each
    time), embedding_weight and patch_weight (of what the teacher says of the photo and of its parts),
    frozen_layers (how many of an EfficientNet's or ResNet's first layers stay as they are) and frozen_filters
    (whether filters of one channel each stay: on a CPU, their gradients take half of the time). match:
    embedding_weight (of a teacher's embeddings beside captions).
    """

    name: str
    objective: ObjectiveKind
    epochs: Count = 10
    batch_size: Count = 32
    accumulate: Count = 1
    optimiser: OptimiserKind = "adamw"
    learning_rate: Rate = 5e-4
    encoder_learning_rate: Annotated[float, Between(0, 10)] | None = None
    weight_decay: Annotated[float, Between(0, 1)] = 0.01
    momentum: Share = 0.9
    schedule: ScheduleKind = "cosine"
    warmup_steps: Natural = 0
    floor: Share = 0.01
    plateau_patience: Natural = 1
    plateau_factor: Annotated[float, Between(0, 0.99, open_low=True)] = 0.5
    clip_norm: NonNegative = 1.0
    label_smoothing: Annotated[float, Between(0, 0.5)] = 0.0
    ema_decay: Annotated[float, Between(0, 0.99999)] = 0.0
    amp: AmpKind = "none"
    monitor: str = "loss"
    patience: Natural = 0
    evaluate_every: Count = 1
    checkpoint_every: Natural = 200
    start_from: str = ""
    sources: tuple[str, ...] = ()
    repeat: Mapping[str, Count] = field(default_factory=dict)
    captions_per_image: Annotated[int, Between(1, 64)] = 5
    feature_dropout: Dropout = 0.0
    text_share: Annotated[float, Between(0, 16)] = 0.0
    text_weight: NonNegative = 0.5
    concept_weight: NonNegative = 0.02
    distill_weight: NonNegative = 2.0
    samples: Annotated[int, Between(2, 64)] = 5
    temperature: Annotated[float, Between(0.05, 5)] = 0.5
    bleu_reward: NonNegative = 0.0
    likeness_reward: NonNegative = 0.0
    caption_weight: NonNegative = 0.0
    side_px: Annotated[int, Between(0, 4096)] = 0
    augmentation: Literal["off", "light", "strong"] = "light"
    embedding_weight: NonNegative = 1.0
    patch_weight: NonNegative = 1.0
    frozen_layers: Natural = 0
    frozen_filters: bool = False

    def __post_init__(self) -> None:
        """Refuse combinations that make no sense."""
        if not self.name or not set(self.name) <= _NAME_LETTERS:
            raise ConfigError(
                f"A stage cannot be named {self.name!r}.",
                hint="Use letters, digits, - and _: it names a folder.",
            )
        measure = self.monitor.partition("/")[0]
        if measure not in MEASURES:
            raise ConfigError(
                f"Stage {self.name}: unknown monitor {self.monitor!r}.",
                hint=did_you_mean(measure, list(MEASURES)),
            )
        if self.objective not in MEASURES[measure]:
            raise ConfigError(
                f"Stage {self.name}: {self.objective} is not measured by {measure}.",
                hint="Use monitor: loss.",
            )

    @property
    def lower_is_better(self) -> bool:
        """Whether a lower value of the monitor is better."""
        return self.monitor.partition("/")[0] == "loss"


_NAME_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportConfig:
    """The bundle at the end, and the decoding defaults that it carries.

    quantise: full makes both graphs eight-bit, if that costs no more of dev CIDEr-D than the share
    max_loss_of_cider, and if the share of captions of dev photos that differ from those of exact arithmetic
    is at most max_differing_captions. card: a Markdown file that becomes the model card, @METRICS@ in it the
    dev scores.
    average: stages and their weights; what is exported is then the weighted mean of their best checkpoints
    (Wortsman et al., 2022: model soups), and none named exports the last stage's.
    language: that of the captions, a tag of BCP 47 such as en; left out where it is empty.
    function_words: words such as "a" and "of"; where there are any, no other word is written twice in a
    sentence. For tokenizers of words.
    max_length: 0 leaves it to what the decoder was trained for.
    concept_bonus: how much a word gains that the photo calls for more than photos usually do: so many times
    the logarithm of how many times likelier its concept is. It names what captions seldom name; 0 is none.
    For decoders with concepts and tokenizers of words.
    candidates: how many sentences a re-ranker chooses among, fitted on dev and left out where it gains
    nothing; 0 is none. acceptable: the CIDEr-D, against people's captions, from which on a caption is
    acceptable: the bundle then says how likely each is; 0 leaves that out.
    """

    name: str = ""
    version: str = "1.0.0"
    licence: str = "unstated"
    language: str = ""
    description: str = ""
    card: Path | None = None
    average: Mapping[str, Positive] = field(default_factory=dict)
    quantise: Literal["none", "full"] = "none"
    calibration_images: Annotated[int, Between(8, 10_000)] = 200
    beam_size: BeamSize = OPTIONS["beam_size"].default
    length_penalty: LengthPenalty = OPTIONS["length_penalty"].default
    min_length: MinLength = OPTIONS["min_length"].default
    max_length: Natural = 0
    no_repeat_ngram: NoRepeatNgram = OPTIONS["no_repeat_ngram"].default
    function_words: tuple[str, ...] = ()
    sex_confidence: SexConfidence = OPTIONS["sex_confidence"].default
    concept_bonus: NonNegative = 0.0
    candidates: Annotated[int, Between(0, 64)] = 0
    acceptable: Annotated[float, Between(0, 10)] = 0.0
    max_loss_of_cider: Share = 0.01
    max_differing_captions: Share = 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackingConfig:
    """Where the curves go besides ``metrics.jsonl``, which is always written."""

    backends: tuple[TrackerKind, ...] = ()
    project: str = "cutline"
    mlflow_uri: str = ""
    log_every: Count = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeConfig:
    """One training, from data to bundle. Relative paths are relative to the working directory.

    Every entry of data is a DataConfig; its ``name`` (and without one its source) is what overrides call it.
    cache: where the features of frozen encoders are kept, for all trainings.
    """

    name: str
    output: Path
    cache: Path = Path("runs/features")
    data: tuple[DataConfig, ...]
    stages: tuple[StageConfig, ...]
    seed: Annotated[int, Between(0, 2**31 - 1)] = 0
    text: TextConfig = field(default_factory=TextConfig)
    image: ImageConfig = field(default_factory=ImageConfig)
    encoder: EncoderConfig = field(default_factory=EncoderConfig)
    teacher: TeacherConfig = field(default_factory=TeacherConfig)
    decoder: DecoderConfig = field(default_factory=DecoderConfig)
    matcher: MatcherConfig = field(default_factory=MatcherConfig)
    export: ExportConfig = field(default_factory=ExportConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)

    def __post_init__(self) -> None:
        """Refuse a recipe whose stages could not all run."""
        if not self.data:
            raise ConfigError("The recipe names no data.", hint="Add a source under data:.")
        if not self.stages:
            raise ConfigError("The recipe has no stages.", hint="Add one under stages:.")
        bundle_name, export = self.export.name or self.name, self.export
        _check_label("name", bundle_name, NAME, "letters, digits, - . and _; begin with a letter or digit")
        _check_label("version", export.version, VERSION, "something like 1.2.0; quote it in YAML")
        if export.language:
            _check_label("language", export.language, LANGUAGE, "a tag of BCP 47, such as en or pt-BR")
        if export.concept_bonus and not self.decoder.concepts:
            raise ConfigError(
                "export.concept_bonus is for decoders with concepts, but decoder.concepts is 0.",
                hint="Set decoder.concepts, or export.concept_bonus: 0.",
            )
        seen: set[str] = set()
        for stage in self.stages:
            if stage.name in seen:
                raise ConfigError(f"Two stages are named {stage.name!r}.")
            if stage.objective == "concepts" and not self.decoder.concepts:
                raise ConfigError(f"Stage {stage.name} learns concepts, but decoder.concepts is 0.")
            if stage.objective == "match" and not self.matcher.embedding:
                raise ConfigError(f"Stage {stage.name} matches texts, but matcher.embedding is 0.")
            if stage.objective == "distil":
                self._check_distil(stage, seen)
            known = (*seen, "nothing", "")
            if stage.start_from not in known and not _is_path(stage.start_from):
                raise ConfigError(
                    f"Stage {stage.name} starts from {stage.start_from!r}, which is not an earlier stage.",
                    hint=did_you_mean(stage.start_from, [each for each in known if each]),
                )
            seen.add(stage.name)
        for name in self.export.average:
            if name not in seen:
                raise ConfigError(
                    f"export.average names {name!r}, which is not a stage.", hint=did_you_mean(name, [*seen])
                )

    def _check_distil(self, stage: StageConfig, before: set[str]) -> None:
        """Refuse to distil without a teacher, or after features were made with the encoder as it was."""
        if not self.teacher.model:
            raise ConfigError(f"Stage {stage.name} has no teacher.", hint="Set teacher.model.")
        if any(each.name in before and each.objective != "distil" for each in self.stages):
            raise ConfigError(f"Stage {stage.name} distils the encoder, so it must come first.")


def _check_label(what: str, value: str, pattern: str, wanted: str) -> None:
    """Refuse before the training a name that its bundle could not have."""
    if not re.fullmatch(pattern, value):
        raise ConfigError(f"A bundle's {what} cannot be {value!r}.", hint=f"Use {wanted}.")


def _is_path(name: str) -> bool:
    return "/" in name or name.endswith(".pt")


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> RecipeConfig:
    """Read a recipe and apply ``key=value`` overrides.

    Raises ConfigError, or MissingExtra without PyYAML.
    """
    return parse(RecipeConfig, read_recipe(path, overrides))


def read_recipe(path: Path, overrides: Sequence[str] = ()) -> Json:
    """The sections of a recipe, as YAML and the overrides have them.

    Raises ConfigError, or MissingExtra without PyYAML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The recipe {path} cannot be read ({error}).") from error
    values = parse_yaml(text, str(path))
    if not isinstance(values, dict):
        raise ConfigError(f"The recipe {path} is not a mapping of sections.")
    for override in overrides:
        apply_override(values, override)
    for source in values.get("data") or ():
        if isinstance(source, dict) and "name" in source:
            source.setdefault("source", source.pop("name"))
            source.pop("name", None)
    return cast(Json, values)


def parse_yaml(text: str, where: str) -> Any:
    """Read YAML with its safe loader. Raises ConfigError for a duplicate key, which YAML would drop."""
    try:
        import yaml
    except ImportError as error:
        raise MissingExtra(
            "Recipes need PyYAML.", hint="Install it with: pip install 'cutline[train]'"
        ) from error

    class Loader(yaml.SafeLoader):
        """Refuses duplicate keys."""

    def mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> Json:
        keys = [loader.construct_object(key) for key, _ in node.value]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise ConfigError(f"{where} gives the key {twice!r} twice (line {node.start_mark.line + 1}).")
        return cast(Json, loader.construct_mapping(node, deep=True))

    Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    try:
        return yaml.load(text, Loader)
    except yaml.YAMLError as error:
        raise ConfigError(f"{where} is not valid YAML: {error}") from error


def apply_override(values: Json, override: str) -> None:
    """Set one ``dotted.key=value`` in place; the value is read as YAML.

    A part of the key that meets a list is a place in it (``data.0.path``), the name of one of its entries
    (``stages.captions.epochs``), or ``*`` for all of them.
    """
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"The override {override!r} is not of the form key=value.", hint="Try seed=1.")
    _assign(values, key.strip().split("."), parse_yaml(text, override), override)


def _assign(target: Any, parts: list[str], value: object, override: str) -> None:
    head, rest = parts[0], parts[1:]
    if isinstance(target, list):
        for place in _places(target, head, override):
            if rest:
                _assign(target[place], rest, value, override)
            else:
                target[place] = value
        return
    if not isinstance(target, dict):
        raise ConfigError(f"The override {override!r} goes deeper than the recipe.")
    if not rest:
        target[head] = value
        return
    if target.get(head) is None:
        target[head] = {}
    _assign(target[head], rest, value, override)


def _places(entries: list[Any], name: str, override: str) -> list[int]:
    if name == "*":
        return list(range(len(entries)))
    if name.isdecimal() and int(name) < len(entries):
        return [int(name)]
    names = [str(each.get("name", "")) if isinstance(each, dict) else "" for each in entries]
    if name in names:
        return [names.index(name)]
    raise ConfigError(
        f"The override {override!r} asks for {name!r} in a list of {len(entries)}.",
        hint=did_you_mean(name, [each for each in names if each]),
    )


def parse(kind: type[T], value: object, where: str = "") -> T:
    """Parse plain YAML values as ``kind``: a section, or the type of one of its keys. Raises ConfigError.

    ``where`` is the value's place in the recipe, for messages; "" is the recipe itself.
    """
    try:
        return parse_yaml_values(kind, value, where)
    except MismatchError as error:
        raise ConfigError(f"{error}.", hint=error.hint) from error
