"""Convert a Hugging Face captioner to a bundle, which our own runtime runs several times as fast.

Supported are vision encoder-decoders that write with GPT-2 or BERT (such as ViT-GPT2), and BLIP. Their
decoders are run here one token at a time over explicit state: keys and values of the image once for each
image, beams folded into query rows.

Legend of shapes: B images, K beams, t tokens so far, V vocabulary, R grid cells, T image tokens, H heads,
D width.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol, cast

import torch
from tokenizers import AddedToken, Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that torch's own documentation uses

from cutline.captioning.bundle import Architecture, Manifest, TrainingData
from cutline.captioning.options import DecodingOptions, Strategy
from cutline.errors import CaptionerUnavailable, MissingExtra
from cutline.images import Preprocessing
from cutline.training.export import (
    BundleDetails,
    Heads,
    bundle_graphs,
    export_with_heads,
    scores_and_best,
)
from cutline.training.transformer import HeadPairs
from cutline.training.vision import VisionNetwork, read_preprocessor, token_grid, without_progress_bars

_USUAL_LENGTH = 20
_MOST_TOKENS = 4096
_USUAL_TOP_K = 50
# What a generation config may ask for that our decoding has not.
_NOT_CARRIED = ("repetition_penalty", "num_beam_groups", "penalty_alpha", "encoder_no_repeat_ngram_size")


class Writer(Protocol):
    """A decoder, run step by step over explicit state."""

    heads: int
    head_width: int
    layers: nn.ModuleList
    vocabulary: int
    positions: int

    def remember(self, seen: Tensor) -> HeadPairs:
        """What the encoder saw, [B, T, D], to keys and values [B, H, T, D / H] of each layer."""
        ...

    def step(self, tokens: Tensor, past: HeadPairs, memory: HeadPairs) -> tuple[Tensor, HeadPairs, Tensor]:
        """Tokens [B, K] -> logits [B, K, V], the grown past, the last layer's attention [B, K, T]."""
        ...


def attend_past(
    query: Tensor, key: Tensor, value: Tensor, past: tuple[Tensor, Tensor], scale: float
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Self-attention of a beam: query, key, value [B, K, D], past [B, K, H, t, D / H] -> [B, K, D], t + 1."""
    batch, beams, width = query.shape
    heads, head_width = past[0].shape[2], past[0].shape[4]
    shape = (batch, beams, heads, 1, head_width)
    keys = torch.cat((past[0], key.reshape(shape)), dim=3)
    values = torch.cat((past[1], value.reshape(shape)), dim=3)
    weights = torch.softmax(query.reshape(shape) @ keys.transpose(3, 4) * scale, dim=-1)
    return (weights @ values).reshape(batch, beams, width), (keys, values)


def attend_memory(query: Tensor, memory: tuple[Tensor, Tensor], scale: float) -> tuple[Tensor, Tensor]:
    """Cross-attention of all beams: query [B, K, D] -> [B, K, D], and the weights [B, K, T]."""
    batch, beams, width = query.shape
    heads, head_width = memory[0].shape[1], memory[0].shape[3]
    split = query.reshape(batch, beams, heads, head_width).transpose(1, 2)
    weights = torch.softmax(split @ memory[0].transpose(2, 3) * scale, dim=-1)
    mixed = (weights @ memory[1]).transpose(1, 2).reshape(batch, beams, width)
    return mixed, weights.mean(dim=1)


def _split(values: Tensor, heads: int) -> Tensor:
    """[B, T, D] -> [B, H, T, D / H]."""
    return values.reshape(values.shape[0], values.shape[1], heads, -1).transpose(1, 2)


class Gpt2Writer(nn.Module):
    """GPT-2 with cross-attention: norms first, positions added."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        config = model.config
        self.heads = int(config.n_head)
        self.head_width = int(config.n_embd) // self.heads
        self.vocabulary = int(config.vocab_size)
        self.positions = int(config.n_positions)
        self.words = model.transformer.wte
        self.places = model.transformer.wpe
        self.layers = model.transformer.h
        self.norm = model.transformer.ln_f
        self.head = model.lm_head

    def remember(self, seen: Tensor) -> HeadPairs:
        """As Writer."""
        pairs = []
        for layer in self.layers:
            key, value = cast(Any, layer).crossattention.c_attn(seen).chunk(2, dim=-1)
            pairs.append((_split(key, self.heads), _split(value, self.heads)))
        return pairs

    def step(self, tokens: Tensor, past: HeadPairs, memory: HeadPairs) -> tuple[Tensor, HeadPairs, Tensor]:
        """As Writer."""
        words = self.words(tokens) + self.places.weight[past[0][0].shape[3]]
        grown, looked = [], words
        for each, own, other in zip(self.layers, past, memory, strict=True):
            layer = cast(Any, each)
            query, key, value = layer.attn.c_attn(layer.ln_1(words)).chunk(3, dim=-1)
            mixed, pair = attend_past(query, key, value, own, layer.attn.scaling)
            words = words + layer.attn.c_proj(mixed)
            query = layer.crossattention.q_attn(layer.ln_cross_attn(words))
            mixed, looked = attend_memory(query, other, layer.crossattention.scaling)
            words = words + layer.crossattention.c_proj(mixed)
            words = words + layer.mlp(layer.ln_2(words))
            grown.append(pair)
        return self.head(self.norm(words)), grown, looked


class BertWriter(nn.Module):
    """BERT as a decoder, and BLIP's text decoder, which is one: norms last, positions added."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        config = model.config
        self.heads = int(config.num_attention_heads)
        self.head_width = int(config.hidden_size) // self.heads
        self.vocabulary = int(config.vocab_size)
        self.positions = int(config.max_position_embeddings)
        self.embeddings = model.bert.embeddings
        self.layers = model.bert.encoder.layer
        self.head = model.cls

    def remember(self, seen: Tensor) -> HeadPairs:
        """As Writer."""
        pairs = []
        for layer in self.layers:
            attention = cast(Any, layer).crossattention.self
            pairs.append((_split(attention.key(seen), self.heads), _split(attention.value(seen), self.heads)))
        return pairs

    def step(self, tokens: Tensor, past: HeadPairs, memory: HeadPairs) -> tuple[Tensor, HeadPairs, Tensor]:
        """As Writer."""
        words = self._embed(tokens, past[0][0].shape[3])
        scale = self.head_width**-0.5
        grown, looked = [], words
        for each, own, other in zip(self.layers, past, memory, strict=True):
            layer = cast(Any, each)
            back, across = layer.attention, layer.crossattention
            query, key, value = (part(words) for part in (back.self.query, back.self.key, back.self.value))
            mixed, pair = attend_past(query, key, value, own, scale)
            words = back.output(mixed, words)
            mixed, looked = attend_memory(across.self.query(words), other, scale)
            words = across.output(mixed, words)
            words = layer.feed_forward_chunk(words)
            grown.append(pair)
        return self.head(words), grown, looked

    def _embed(self, tokens: Tensor, place: int) -> Tensor:
        parts = self.embeddings
        words = parts.word_embeddings(tokens) + parts.position_embeddings.weight[place]
        if hasattr(parts, "token_type_embeddings"):
            words = words + parts.token_type_embeddings.weight[0]
        return cast(Tensor, parts.LayerNorm(words))


class _EncoderGraph(nn.Module):
    """Pixels in; keys and values of the image out, for each decoder layer."""

    def __init__(self, vision: VisionNetwork, project: nn.Module, writer: Writer) -> None:
        super().__init__()
        self.vision = vision
        self.project = project
        self.writer = writer

    def forward(self, pixels: Tensor) -> tuple[Tensor, ...]:
        """Pixels uint8 [B, H, W, 3] -> key and value [B, H, T, D / H] of each layer in turn."""
        memory = self.writer.remember(self.project(self.vision.run(pixels)))
        return tuple(part for pair in memory for part in pair)


class _DecoderGraph(nn.Module):
    """One token for each beam in; scores of the next out."""

    def __init__(self, writer: Writer, words: _Words, regions: int) -> None:
        super().__init__()
        self.writer = writer
        self.words = words
        self.regions = regions

    def forward(self, tokens: Tensor, memory: HeadPairs, state: HeadPairs) -> tuple[Tensor, ...]:
        """Tokens [B, K] -> log_probs [B, K, V], the best and their ids [B, K, M], attention [B, K, R]."""
        known = torch.where(tokens < self.writer.vocabulary, tokens, self.words.own_start)
        logits, grown, looked = self.writer.step(known, state, memory)
        logits = F.pad(logits, (0, self.words.size - logits.shape[-1]), value=-torch.inf)
        attention = looked[..., looked.shape[-1] - self.regions :]  # class tokens come first
        return (*scores_and_best(logits), attention, *(part for pair in grown for part in pair))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Words:
    """A tokenizer, with the ids that a bundle wants apart: models may start with what they end with.

    own_start: the model's own start token, of which start_id may be another name.
    """

    tokenizer: Tokenizer
    size: int
    start_id: int
    end_id: int
    pad_id: int
    unknown_id: int
    own_start: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Loaded:
    """The parts of a loaded model."""

    vision: nn.Module
    project: nn.Module
    writer: Gpt2Writer | BertWriter
    generation: Any
    start_id: int
    end_id: int
    pad_id: int | None


def export_hugging_face(
    folder: Path, target: Path, *, name: str = "", version: str = "1.0.0", licence: str = "unstated"
) -> Manifest:
    """Write the captioner that transformers saved to ``folder`` as a bundle, its decoding defaults included.

    Nothing is downloaded, and no code of the folder's runs. Raises CaptionerUnavailable for a folder without
    a supported captioner, OutputError for a ``target`` that is something else.
    """
    model, fast = _load(folder)
    parts = _take_apart(model)
    content, normalisation = read_preprocessor(folder)
    preprocessing, notes = _preprocessing(content)
    decoding, more = _decoding(parts.generation)
    words = _words(Tokenizer.from_str(fast.backend_tokenizer.to_str()), fast.unk_token_id, parts)
    vision = VisionNetwork(
        parts.vision,
        normalisation,
        height_px=preprocessing.height_px,
        width_px=preprocessing.width_px,
    )
    label = name or re.sub(r"[^A-Za-z0-9._-]+", "-", folder.resolve().name).strip("-._") or "imported"
    details = BundleDetails(
        name=label,
        version=version,
        licence=licence,
        preprocessing=preprocessing,
        decoding=decoding,
        training_data=TrainingData(hash="unknown", description=f"as {label} was trained"),
        card=_card(label, type(model).__name__, licence, notes + more),
    )
    with TemporaryDirectory() as scratch, torch.no_grad():
        graphs = Path(scratch)
        grid = _export(vision, parts, words, graphs)
        return bundle_graphs(
            target, graphs, _architecture(parts.writer, words, grid), words.tokenizer, details
        )


def _load(folder: Path) -> tuple[Any, Any]:
    try:
        import transformers
    except ImportError as error:
        raise MissingExtra(
            "Hugging Face models need transformers.", hint="Install it with: pip install 'cutline[train]'"
        ) from error
    kinds: Mapping[str, Any] = {
        "vision-encoder-decoder": transformers.VisionEncoderDecoderModel,
        "blip": transformers.BlipForConditionalGeneration,
    }
    local = {"local_files_only": True, "trust_remote_code": False}
    try:
        kind = transformers.AutoConfig.from_pretrained(str(folder), **local).model_type
        if kind not in kinds:
            raise CaptionerUnavailable(
                f"A model of the kind {kind} cannot be converted to a bundle.",
                hint=f"Known: {', '.join(kinds)}.",
            )
        with without_progress_bars():
            model = (
                kinds[kind].from_pretrained(str(folder), local_files_only=True, dtype=torch.float32).eval()
            )
        fast = transformers.AutoTokenizer.from_pretrained(str(folder), **local)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise CaptionerUnavailable(
            f"No captioner could be loaded from {folder}: {next(iter(str(error).splitlines()), '')}",
            hint="Name a folder saved by transformers, with processor and tokenizer.",
        ) from error
    if not getattr(fast, "is_fast", False):
        raise CaptionerUnavailable(f"The tokenizer in {folder} has no fast version, which bundles need.")
    return model, fast


def _take_apart(model: Any) -> _Loaded:
    config = model.config
    if config.model_type == "blip":
        text = config.text_config
        return _Loaded(
            vision=model.vision_model,
            project=nn.Identity(),
            writer=BertWriter(model.text_decoder),
            generation=model.text_decoder.generation_config,
            start_id=int(text.bos_token_id),
            end_id=int(text.sep_token_id),
            pad_id=text.pad_token_id,
        )
    writers: Mapping[str, type[Gpt2Writer] | type[BertWriter]] = {"gpt2": Gpt2Writer, "bert": BertWriter}
    kind = model.decoder.config.model_type
    if kind not in writers:
        raise CaptionerUnavailable(
            f"A decoder of the kind {kind} cannot be converted to a bundle.",
            hint=f"Known: {', '.join(writers)}, BLIP.",
        )
    generation = model.generation_config
    start = _first(generation.decoder_start_token_id, config.decoder_start_token_id, generation.bos_token_id)
    end = _first(generation.eos_token_id, config.eos_token_id, model.decoder.config.eos_token_id)
    if start is None or end is None:
        raise CaptionerUnavailable("The model's configuration lacks a start or an end token.")
    return _Loaded(
        vision=model.encoder,
        project=getattr(model, "enc_to_dec_proj", nn.Identity()),
        writer=writers[kind](model.decoder),
        generation=generation,
        start_id=start,
        end_id=end,
        pad_id=_first(generation.pad_token_id, config.pad_token_id),
    )


def _first(*candidates: int | list[int] | None) -> int | None:
    """The first id that is given; of several end tokens, the first."""
    for each in candidates:
        if each is not None:
            return int(each[0] if isinstance(each, list) else each)
    return None


# Preprocessing and decoding


def _preprocessing(content: Mapping[str, Any]) -> tuple[Preprocessing, list[str]]:
    """An image processor's settings as ours, and what could not be converted."""
    notes = []
    size = content.get("size", 224)
    if isinstance(size, Mapping) and "shortest_edge" in size:
        mode, crop = "crop", content.get("crop_size", size["shortest_edge"])
        if isinstance(crop, Mapping):
            height, width = int(crop["height"]), int(crop["width"])
        else:
            height = width = int(crop)
        if size["shortest_edge"] != min(height, width):
            notes.append(f"its crop of {width} x {height} px was taken from a shorter side of more pixels")
    else:
        mode = "squash"
        height, width = (size, size) if isinstance(size, int) else (int(size["height"]), int(size["width"]))
    resample = {2: "bilinear", 3: "bicubic"}.get(content.get("resample", 2))
    if resample is None:
        notes.append("its photos were resampled in another way than bicubic")
    return Preprocessing(
        width_px=width,
        height_px=height,
        mode=cast(Any, mode),
        resample=cast(Any, resample or "bicubic"),
    ), notes


def _decoding(generation: Any) -> tuple[DecodingOptions, list[str]]:
    """A generation config as our options, and what could not be converted."""
    beams = generation.num_beams or 1
    strategy = Strategy.BEAM if beams > 1 else Strategy.GREEDY
    # Theirs counts the start and the end token, ours neither.
    longest = (generation.max_length or _USUAL_LENGTH) - 2
    if generation.max_new_tokens:
        longest = generation.max_new_tokens - 1
    shortest = max((generation.min_length or 0) - 1, generation.min_new_tokens or 0)
    decoding = DecodingOptions(
        strategy=strategy,
        beam_size=beams,
        length_penalty=1.0 if generation.length_penalty is None else float(generation.length_penalty),
        min_length=min(shortest, max(longest, 1)),
        max_length=max(longest, 1),
        no_repeat_ngram=generation.no_repeat_ngram_size or 0,
    )
    if generation.do_sample:
        decoding = replace(
            decoding,
            strategy=Strategy.SAMPLE,
            temperature=float(generation.temperature or 1),
            top_k=_USUAL_TOP_K if generation.top_k is None else int(generation.top_k),
            top_p=float(generation.top_p or 1),
        )
    usual = (None, 0, 1, 1.0)
    notes = [
        f"{name} {value} was left out"
        for name in _NOT_CARRIED
        if (value := getattr(generation, name, None)) not in usual
    ]
    return decoding, notes


def _card(name: str, kind: str, licence: str, notes: list[str]) -> str:
    lines = [
        f"# {name}",
        "",
        f"A {kind} from Hugging Face, converted to a bundle: the same weights, run step by step.",
        "",
        f"Licence: {licence}. Its own model card describes its training data and its quality.",
    ]
    if notes:
        lines += ["", "Not converted:", "", *(f"- {note}" for note in notes)]
    return "\n".join(lines) + "\n"


# Words


def _words(tokenizer: Tokenizer, unknown: int | None, parts: _Loaded) -> _Words:
    """Give start, end, padding and unknown their own ids; add a token where the model shares one."""
    tokenizer.no_padding()
    tokenizer.no_truncation()
    while tokenizer.get_vocab_size() < parts.writer.vocabulary:  # models round their vocabulary up
        _add(tokenizer, "unused")
    taken = {parts.end_id}

    def own(wanted: int | None, role: str) -> int:
        found = _add(tokenizer, role) if wanted is None or wanted in taken else wanted
        taken.add(found)
        return found

    start = own(parts.start_id, "start")
    pad = own(parts.pad_id, "pad")
    unknown_id = own(unknown, "unknown")
    return _Words(
        tokenizer=tokenizer,
        size=tokenizer.get_vocab_size(),
        start_id=start,
        end_id=parts.end_id,
        pad_id=pad,
        unknown_id=unknown_id,
        own_start=parts.start_id,
    )


def _add(tokenizer: Tokenizer, role: str) -> int:
    """Add a token that no text holds, and give its id."""
    place = tokenizer.get_vocab_size()
    text = f"<|{role} {place}|>"
    tokenizer.add_special_tokens([AddedToken(text, special=True)])
    found = tokenizer.token_to_id(text)
    if found != place:
        raise CaptionerUnavailable("The tokenizer's ids are not consecutive, which bundles need.")
    return found


# Graphs


def _heads_of(writer: Writer) -> Heads:
    return Heads(layers=len(writer.layers), heads=writer.heads, width=writer.head_width)


def _architecture(writer: Writer, words: _Words, grid: tuple[int, int]) -> Architecture:
    return Architecture(
        kind="transformer",
        grid=grid,
        max_tokens=min(writer.positions, _MOST_TOKENS),
        vocabulary=words.size,
        start_id=words.start_id,
        end_id=words.end_id,
        pad_id=words.pad_id,
        unknown_id=words.unknown_id,
        state=_heads_of(writer).states(),
    )


def _export(vision: VisionNetwork, parts: _Loaded, words: _Words, folder: Path) -> tuple[int, int]:
    """Write both graphs; give the grid that the image tokens lie on."""
    writer = parts.writer
    blank = torch.zeros(1, *vision.size, 3, dtype=torch.uint8)
    places = writer.remember(parts.project(vision.run(blank)))[0][0].shape[2]
    grid = token_grid(places, vision.size, vision.network.config)
    export_with_heads(
        _EncoderGraph(vision, parts.project, writer),
        _DecoderGraph(writer, words, grid[0] * grid[1]),
        folder,
        heads=_heads_of(writer),
        places=places,
        size=vision.size,
    )
    return grid
