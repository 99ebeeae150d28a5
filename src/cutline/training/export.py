"""From a trained captioner to the two ONNX graphs of a bundle.

Legend of shapes: B images, K beams, t tokens so far, V vocabulary, M candidates, R regions.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import onnx
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from cutline.captioning.bundle import (
    CARD,
    DECODER,
    ENCODER,
    TEXT,
    TOKENIZER,
    Architecture,
    Manifest,
    State,
    TextStyle,
    TrainingData,
    write_bundle,
)
from cutline.captioning.options import DecodingOptions
from cutline.images import Preprocessing
from cutline.training.concepts import ConceptBonus
from cutline.training.lstm import LstmCaptioner, LstmConfig, LstmMemory, LstmState
from cutline.training.systems import CaptionDecoder, CaptionSystem
from cutline.training.towers import TextTower
from cutline.training.transformer import HeadPairs, TransformerCaptioner, TransformerConfig
from cutline.training.vocabulary import END_ID, PAD_ID, START_ID, UNKNOWN_ID

CANDIDATES = 32
# torch calls what it looks up in a table by the first name, too: until it is done, the output has the second.
EMBEDDING, _FREE = "embedding", "cutline_embedding"
BONUS, SEEN = "memory.bonus", "concepts"


class TransformerEncoderGraph(nn.Module):
    """Pixels in; keys and values of the memory out, for each decoder layer."""

    def __init__(self, trunk: nn.Module, system: CaptionSystem, bonus: ConceptBonus | None = None) -> None:
        super().__init__()
        self.trunk = trunk
        self.system = system
        self.bonus = bonus

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Pixels uint8 [B, H, W, 3] -> key and value [B, H, M, D / H] of each layer.

        Then, where there is a bonus, it [B, V] and the words' concepts [B, 2, V]; and the embedding [B, E]
        where there is a matcher.
        """
        regions = self.system.regions(self.trunk(pixels))
        concepts = self.system.concept_logits(regions)
        memory = self.system.remember(regions, concepts)
        outputs = [part for pair in self.system.captioner.memory_heads(memory) for part in pair]
        if self.bonus is not None:
            outputs += [self.bonus(concepts), self.bonus.seen(concepts)]
        if self.system.matcher is not None:
            outputs.append(self.system.matcher.photo(regions))
        return tuple(outputs)


class TransformerDecoderGraph(nn.Module):
    """One token for each beam in; scores of the next out."""

    def __init__(self, captioner: TransformerCaptioner) -> None:
        super().__init__()
        self.captioner = captioner

    def forward(
        self, tokens: Tensor, memory: HeadPairs, state: HeadPairs, bonus: Tensor | None = None
    ) -> tuple[Tensor, ...]:
        """Tokens [B, K] -> log_probs [B, K, V], the best and their ids [B, K, M], attention [B, K, R].

        bonus [B, V] is added to the words' scores.
        """
        logits, grown, attention = self.captioner.step(tokens, state, memory)
        if bonus is not None:
            logits = logits + bonus.unsqueeze(1)
        return (*scores_and_best(logits), attention, *(part for pair in grown for part in pair))


def export_graph(
    module: nn.Module,
    arguments: tuple[object, ...],
    path: Path,
    *,
    inputs: list[str],
    outputs: list[str],
    dynamic: tuple[Any, ...],
) -> None:
    """Write one ONNX graph; ``dynamic`` names the axes whose size is free, argument by argument."""
    with warnings.catch_warnings(), _quiet_exporter():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module.eval(),
            arguments,
            path,
            input_names=inputs,
            output_names=[_FREE if name == EMBEDDING else name for name in outputs],
            dynamic_shapes=dynamic,
            external_data=False,
            verbose=False,
        )
    if EMBEDDING in outputs:
        _rename(path, {EMBEDDING: f"inner_{EMBEDDING}", _FREE: EMBEDDING})


def _rename(path: Path, names: Mapping[str, str]) -> None:
    """Give values of a graph other names."""
    model = onnx.load(path)
    graph = model.graph
    for node in graph.node:
        for places in (node.input, node.output):
            places[:] = [names.get(name, name) for name in places]
    for value in (*graph.output, *graph.value_info):
        value.name = names.get(value.name, value.name)
    onnx.save(model, path)


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Silence the exporter's warning that torchvision's operators are missing."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heads:
    """The attention of a transformer's decoder: what its graphs and bundle.json call its keys and values.

    ``width`` is of one head.
    """

    layers: int
    heads: int
    width: int

    @property
    def memory_names(self) -> list[str]:
        """The inputs of the photo's memory, in order."""
        return [f"memory.{part}" for part in self._parts("")]

    @property
    def state_names(self) -> list[str]:
        """The states of the words so far, in order."""
        return self._parts("self_")

    def _parts(self, prefix: str) -> list[str]:
        return [f"{prefix}{part}_{layer}" for layer in range(self.layers) for part in ("key", "value")]

    def states(self) -> dict[str, State]:
        """The states as bundle.json describes them."""
        return dict.fromkeys(self.state_names, State(shape=(self.heads, 0, self.width), grows_on=1))

    def examples(self, *shape: int) -> list[tuple[Tensor, Tensor]]:
        """Keys and values of each layer, to trace a graph with."""
        return [
            (torch.randn(*shape, self.width), torch.randn(*shape, self.width)) for _ in range(self.layers)
        ]


def export_with_heads(
    encoder: nn.Module,
    decoder: nn.Module,
    folder: Path,
    *,
    heads: Heads,
    places: int,
    size: tuple[int, int],
    words: int = 0,
    more: Sequence[str] = (),
) -> None:
    """Write the graphs of a transformer: encoder.onnx and decoder.onnx, in float32, into ``folder``.

    encoder: pixels [B, H, W, 3] -> keys and values of the memory, which has ``places`` entries, and ``more``
    outputs of these names. decoder: tokens, memory and state, as `TransformerDecoderGraph`. size: H and W.
    words: the vocabulary's size where the encoder says, before ``more``, what is added to each word's score.
    """
    bonus = [BONUS] if words else []
    batch, beams, past = torch.export.Dim("batch"), torch.export.Dim("beams"), torch.export.Dim("past")
    export_graph(
        encoder,
        (torch.zeros(2, *size, 3, dtype=torch.uint8),),
        folder / ENCODER,
        inputs=["pixels"],
        outputs=[*heads.memory_names, *bonus, *more],
        dynamic=({0: batch},),
    )
    grows = {0: batch, 1: beams, 3: past}
    export_graph(
        decoder,
        (
            torch.ones(2, 3, dtype=torch.int64),
            heads.examples(2, heads.heads, places),
            heads.examples(2, 3, heads.heads, 4),
            *(torch.zeros(2, words) for _ in bonus),
        ),
        folder / DECODER,
        inputs=["tokens", *heads.memory_names, *(f"state.{name}" for name in heads.state_names), *bonus],
        outputs=_decoder_outputs(heads.state_names),
        dynamic=(
            {0: batch, 1: beams},
            [({0: batch}, {0: batch})] * heads.layers,
            [(grows, grows)] * heads.layers,
            *({0: batch} for _ in bonus),
        ),
    )


def _decoder_outputs(states: list[str]) -> list[str]:
    return ["log_probs", "top_log_probs", "top_tokens", "attention", *(f"next.{name}" for name in states)]


def scores_and_best(logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Logits [B, K, V] -> log-probabilities, and the best of them with their ids [B, K, M]."""
    log_probs = torch.log_softmax(logits, dim=-1)
    best, ids = torch.topk(log_probs, min(CANDIDATES, log_probs.shape[-1]), dim=-1)
    return log_probs, best, ids


def _heads_of(config: TransformerConfig) -> Heads:
    return Heads(layers=config.decoder_layers, heads=config.heads, width=config.head_width)


def export_transformer(
    trunk: nn.Module,
    system: CaptionSystem,
    captioner: TransformerCaptioner,
    folder: Path,
    *,
    height: int,
    width: int,
    bonus: ConceptBonus | None = None,
) -> None:
    """Write encoder.onnx and decoder.onnx, in float32, into ``folder``. captioner: that of the system."""
    config = captioner.config
    export_with_heads(
        TransformerEncoderGraph(trunk, system, bonus),
        TransformerDecoderGraph(captioner),
        folder,
        heads=_heads_of(config),
        places=config.regions + (config.concept_tokens if config.concepts else 0),
        size=(height, width),
        words=0 if bonus is None else config.vocabulary,
        more=[*([] if bonus is None else [SEEN]), *([] if system.matcher is None else [EMBEDDING])],
    )
    if system.matcher is not None:
        export_text_tower(system.matcher.text, folder)


def export_text_tower(tower: TextTower, folder: Path) -> None:
    """Write text.onnx, in float32, into ``folder``."""
    export_graph(
        tower,
        (torch.ones(2, 5, dtype=torch.int64),),
        folder / TEXT,
        inputs=["tokens"],
        outputs=[EMBEDDING],
        dynamic=({0: torch.export.Dim("batch"), 1: torch.export.Dim("length")},),
    )


class LstmEncoderGraph(nn.Module):
    """Pixels in; keys and values of the regions, and the state before the first word, out."""

    def __init__(self, trunk: nn.Module, tail: nn.Module, captioner: LstmCaptioner) -> None:
        super().__init__()
        self.trunk = trunk
        self.tail = tail
        self.captioner = captioner

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Pixels uint8 [B, H, W, 3] -> key [B, R, A], value [B, R, D], hidden and cell [B, D]."""
        memory = self.captioner.remember_regions(self.tail(self.trunk(pixels)))
        return (*self.captioner.memory_heads(memory), *self.captioner.first_state(memory))


class LstmDecoderGraph(nn.Module):
    """One token for each beam in; scores of the next out."""

    def __init__(self, captioner: LstmCaptioner) -> None:
        super().__init__()
        self.captioner = captioner

    def forward(self, tokens: Tensor, memory: LstmMemory, state: LstmState) -> tuple[Tensor, ...]:
        """Tokens [B, K] -> log_probs [B, K, V], the best and their ids [B, K, M], attention, hidden, cell."""
        logits, after, attention = self.captioner.step(tokens, state, memory)
        return *scores_and_best(logits), attention, *after


def export_lstm(
    trunk: nn.Module, tail: nn.Module, captioner: LstmCaptioner, folder: Path, *, height: int, width: int
) -> None:
    """Write encoder.onnx and decoder.onnx, in float32, into ``folder``."""
    config = captioner.config
    memory_names, state_names = ["memory.key", "memory.value"], ["hidden", "cell"]
    batch, beams = torch.export.Dim("batch"), torch.export.Dim("beams")
    export_graph(
        LstmEncoderGraph(trunk, tail, captioner),
        (torch.zeros(2, height, width, 3, dtype=torch.uint8),),
        folder / ENCODER,
        inputs=["pixels"],
        outputs=memory_names + [f"initial.{name}" for name in state_names],
        dynamic=({0: batch},),
    )
    memory = (
        torch.randn(2, config.regions, config.attention_width),
        torch.randn(2, config.regions, config.hidden),
    )
    state = (torch.randn(2, 3, config.hidden), torch.randn(2, 3, config.hidden))
    export_graph(
        LstmDecoderGraph(captioner),
        (torch.ones(2, 3, dtype=torch.int64), memory, state),
        folder / DECODER,
        inputs=["tokens", *memory_names, *(f"state.{name}" for name in state_names)],
        outputs=_decoder_outputs(state_names),
        dynamic=(
            {0: batch, 1: beams},
            ({0: batch}, {0: batch}),
            ({0: batch, 1: beams}, {0: batch, 1: beams}),
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleDetails:
    """What bundle.json says besides the graphs. ``card`` is the model card, in Markdown."""

    name: str
    version: str
    licence: str
    preprocessing: Preprocessing
    decoding: DecodingOptions
    training_data: TrainingData
    card: str
    text: TextStyle = field(default_factory=TextStyle)
    metrics: Mapping[str, object] = field(default_factory=dict)
    created: str = ""


def export_graphs(
    trunk: nn.Module,
    system: CaptionSystem,
    folder: Path,
    *,
    height: int,
    width: int,
    bonus: ConceptBonus | None = None,
) -> Architecture:
    """Write encoder.onnx and decoder.onnx, in float32; return what bundle.json says of them.

    bonus: what a transformer's concepts add to the scores of their words; by default nothing.
    """
    captioner = system.captioner
    modes = {module: module.training for module in (*trunk.modules(), *system.modules())}
    try:
        if isinstance(captioner, LstmCaptioner):
            export_lstm(trunk, system.tail, captioner, folder, height=height, width=width)
        elif isinstance(captioner, TransformerCaptioner):
            export_transformer(trunk, system, captioner, folder, height=height, width=width, bonus=bonus)
    finally:
        for module, mode in modes.items():
            module.training = mode
    return architecture_of(captioner)


def architecture_of(captioner: CaptionDecoder) -> Architecture:
    """What the runtime must know of a decoder's graphs. Raises TypeError for one that has none."""
    if isinstance(captioner, LstmCaptioner):
        state = State(shape=(captioner.config.hidden,))
        return _architecture(captioner.config, "lstm-attention", {"hidden": state, "cell": state})
    if isinstance(captioner, TransformerCaptioner):
        return _architecture(captioner.config, "transformer", _heads_of(captioner.config).states())
    raise TypeError(f"a {type(captioner).__name__} cannot be exported")


def _architecture(
    config: LstmConfig | TransformerConfig,
    kind: Literal["transformer", "lstm-attention"],
    state: Mapping[str, State],
) -> Architecture:
    return Architecture(
        kind=kind,
        grid=(config.rows, config.columns),
        max_tokens=config.max_tokens,
        vocabulary=config.vocabulary,
        start_id=START_ID,
        end_id=END_ID,
        pad_id=PAD_ID,
        unknown_id=UNKNOWN_ID,
        state=state,
    )


def bundle_graphs(
    folder: Path, graphs: Path, architecture: Architecture, tokenizer: Tokenizer, details: BundleDetails
) -> Manifest:
    """Write a whole bundle around the two graphs in ``graphs``, as they are or quantised.

    Raises BundleDamaged for details that contradict each other, OutputError for a folder with other content.
    """
    manifest = Manifest(
        format_version=1,
        name=details.name,
        version=details.version,
        licence=details.licence,
        created=details.created or datetime.now(UTC).isoformat(timespec="seconds"),
        architecture=architecture,
        preprocessing=details.preprocessing,
        text=details.text,
        decoding=details.decoding,
        training_data=details.training_data,
        metrics=details.metrics,
    )
    with tempfile.TemporaryDirectory() as scratch:
        texts = Path(scratch)
        (texts / TOKENIZER).write_text(tokenizer.to_str(), encoding="utf-8")
        (texts / CARD).write_text(details.card, encoding="utf-8")
        places = {ENCODER: graphs, DECODER: graphs, TOKENIZER: texts, CARD: texts}
        if (graphs / TEXT).exists():
            places[TEXT] = graphs
        return write_bundle(folder, manifest, {name: place / name for name, place in places.items()})


def export_bundle(
    folder: Path,
    trunk: nn.Module,
    system: CaptionSystem,
    tokenizer: Tokenizer,
    details: BundleDetails,
    *,
    bonus: ConceptBonus | None = None,
) -> Manifest:
    """Write a whole bundle, in float32, of a trained system: all of it or nothing.

    bonus: as of `export_graphs`. To quantise, call that, change the graphs, then call `bundle_graphs`.
    """
    size = details.preprocessing
    with tempfile.TemporaryDirectory() as scratch:
        graphs = Path(scratch)
        architecture = export_graphs(
            trunk, system, graphs, height=size.height_px, width=size.width_px, bonus=bonus
        )
        return bundle_graphs(folder, graphs, architecture, tokenizer, details)
