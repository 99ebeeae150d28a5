"""The ``transformer`` decoder: regions and concepts are remembered once, words attend to them.

Legend of shapes: B images, S captions an image, L tokens, V vocabulary, D width, H heads, R regions,
C concepts, T concept tokens, M = R + T places in memory, K beams.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that torch's own documentation uses

from cutline.training.concepts import ConceptHead

# Keys and values, split in heads, of each decoder layer.
HeadPairs: TypeAlias = list[tuple[Tensor, Tensor]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformerConfig:
    """Sizes of a transformer captioner."""

    vocabulary: int
    concepts: int
    feature_width: int = 1280
    rows: int = 9
    columns: int = 9
    width: int = 320
    heads: int = 8
    encoder_layers: int = 1
    decoder_layers: int = 3
    hidden: int = 1280
    dropout: float = 0.1
    concept_tokens: int = 16
    max_tokens: int = 24

    @property
    def regions(self) -> int:
        """Cells of the grid."""
        return self.rows * self.columns

    @property
    def head_width(self) -> int:
        """Width of one attention head."""
        return self.width // self.heads


class Attention(nn.Module):
    """Multi-head attention (Vaswani et al., 2017)."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def split(self, values: Tensor) -> Tensor:
        """[B, L, D] -> [B, H, L, D / H]."""
        batch, length, width = values.shape
        return values.view(batch, length, self.heads, width // self.heads).transpose(1, 2)

    def forward(
        self,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        *,
        causal: bool = False,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Queries [B, L, D]; keys and values already split [B, H, M, D / H] -> [B, L, D].

        mask: boolean [B, 1, 1, M], True for what may be looked at.
        """
        mixed = F.scaled_dot_product_attention(
            self.split(self.query(queries)),
            keys,
            values,
            attn_mask=mask,
            is_causal=causal,
            dropout_p=self.dropout if self.training else 0.0,
        )
        return cast(Tensor, self.out(mixed.transpose(1, 2).flatten(2)))


class FeedForward(nn.Sequential):
    """Two linear layers with a rectifier between."""

    def __init__(self, width: int, hidden: int, dropout: float) -> None:
        super().__init__(nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, width))


class EncoderLayer(nn.Module):
    """Places in memory look at each other (pre-norm)."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.width)
        self.attention = Attention(config.width, config.heads, config.dropout)
        self.norm_out = nn.LayerNorm(config.width)
        self.feed_forward = FeedForward(config.width, config.hidden, config.dropout)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, memory: Tensor, mask: Tensor | None = None) -> Tensor:
        """[B, M, D] -> [B, M, D]. mask: as of `Attention`."""
        seen = self.norm(memory)
        attention = self.attention
        mixed = attention(
            seen, attention.split(attention.key(seen)), attention.split(attention.value(seen)), mask=mask
        )
        memory = memory + self.dropout(mixed)
        return cast(Tensor, memory + self.dropout(self.feed_forward(self.norm_out(memory))))


class DecoderLayer(nn.Module):
    """Words look back, then at the memory (pre-norm)."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.norm_self = nn.LayerNorm(config.width)
        self.attend_self = Attention(config.width, config.heads, config.dropout)
        self.norm_memory = nn.LayerNorm(config.width)
        self.attend_memory = Attention(config.width, config.heads, config.dropout)
        self.norm_out = nn.LayerNorm(config.width)
        self.feed_forward = FeedForward(config.width, config.hidden, config.dropout)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, words: Tensor, memory_key: Tensor, memory_value: Tensor) -> Tensor:
        """Words [B, S, L, D], memory split in heads [B, H, M, D / H] -> [B, S, L, D]."""
        batch, captions, length, width = words.shape
        seen = self.norm_self(words).flatten(0, 1)
        own = self.attend_self
        mixed = own(seen, own.split(own.key(seen)), own.split(own.value(seen)), causal=True)
        words = words + self.dropout(mixed.view_as(words))
        seen = self.norm_memory(words).view(batch, captions * length, width)
        words = words + self.dropout(self.attend_memory(seen, memory_key, memory_value).view_as(words))
        return cast(Tensor, words + self.dropout(self.feed_forward(self.norm_out(words))))

    def step(
        self, word: Tensor, past_key: Tensor, past_value: Tensor, memory_key: Tensor, memory_value: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """One token for each of K beams of B images.

        word [B, K, D], past [B, K, H, t, D / H], memory [B, H, M, D / H]
        -> word [B, K, D], past key and value with t + 1, attention to the memory [B, K, M].
        """
        own, other = self.attend_self, self.attend_memory
        batch, beams, width = word.shape
        heads, head_width = own.heads, width // own.heads
        shape = (batch, beams, heads, 1, head_width)
        seen = self.norm_self(word)
        key = torch.cat((past_key, own.key(seen).view(shape)), dim=3)
        value = torch.cat((past_value, own.value(seen).view(shape)), dim=3)
        query = own.query(seen).view(shape) / math.sqrt(head_width)
        weights = torch.softmax(query @ key.transpose(3, 4), dim=-1)
        word = word + own.out((weights @ value).reshape(batch, beams, width))
        query = other.split(other.query(self.norm_memory(word))) / math.sqrt(head_width)
        weights = torch.softmax(query @ memory_key.transpose(2, 3), dim=-1)
        word = word + other.out((weights @ memory_value).transpose(1, 2).reshape(batch, beams, width))
        return word + self.feed_forward(self.norm_out(word)), key, value, weights.mean(dim=1)


class TransformerCaptioner(nn.Module):
    """Region features in, a distribution over the next word out."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        self.concepts = ConceptHead(config.feature_width, config.concepts) if config.concepts else None
        self.project = nn.Linear(config.feature_width, config.width)
        self.norm_regions = nn.LayerNorm(config.width)
        self.places = nn.Parameter(torch.zeros(config.regions, config.width))
        # One more concept than there are: the last means "none".
        self.concept_embedding = nn.Embedding(config.concepts + 1, config.width)
        self.concept_score = nn.Linear(1, config.width)
        self.encoder = nn.ModuleList(EncoderLayer(config) for _ in range(config.encoder_layers))
        self.norm_memory = nn.LayerNorm(config.width)
        self.embedding = nn.Embedding(config.vocabulary, config.width)
        self.positions = nn.Parameter(torch.zeros(config.max_tokens + 1, config.width))
        self.decoder = nn.ModuleList(DecoderLayer(config) for _ in range(config.decoder_layers))
        self.norm_words = nn.LayerNorm(config.width)
        self.bias = nn.Parameter(torch.zeros(config.vocabulary))
        self.dropout = nn.Dropout(config.dropout)
        for parameter in (
            self.embedding.weight,
            self.concept_embedding.weight,
            self.places,
            self.positions,
        ):
            nn.init.normal_(parameter, std=0.02)

    def top_concepts(self, logits: Tensor) -> tuple[Tensor, Tensor]:
        """The likeliest concepts: logits [B, C] -> ids [B, T], probabilities [B, T]."""
        scores, ids = torch.topk(torch.sigmoid(logits), self.config.concept_tokens, dim=-1)
        return ids, scores

    def remember(self, features: Tensor | None, concept_ids: Tensor, concept_scores: Tensor) -> Tensor:
        """Features [B, R, F] (None: text alone), ids and probabilities [B, T] -> memory [B, M, D]."""
        places = [self.concept_embedding(concept_ids) + self.concept_score(concept_scores.unsqueeze(-1))]
        if features is not None:
            places.insert(0, self.norm_regions(self.project(features)) + self.places)
        return self._encoded(torch.cat(places, dim=1))

    def remember_regions(self, features: Tensor) -> Tensor:
        """As `remember`, for a captioner without concepts: features [B, R, F] -> memory [B, R, D]."""
        return self._encoded(self.norm_regions(self.project(features)) + self.places)

    def _encoded(self, places: Tensor) -> Tensor:
        memory = self.dropout(places)
        for layer in self.encoder:
            memory = layer(memory)
        return cast(Tensor, self.norm_memory(memory))

    def memory_heads(self, memory: Tensor) -> HeadPairs:
        """Keys and values of the memory for each decoder layer, each [B, H, M, D / H]."""
        pairs = []
        for layer in self.decoder:
            attention = cast(DecoderLayer, layer).attend_memory
            pairs.append((attention.split(attention.key(memory)), attention.split(attention.value(memory))))
        return pairs

    def forward(self, memory: Tensor, tokens: Tensor, keep: Tensor | None = None) -> Tensor:
        """Teacher forcing: memory [B, M, D], tokens [B, S, L] -> logits [B, S, L, V].

        keep [B, S, L], boolean: only these places get logits [P, V], for half of a padded batch is padding.
        """
        words = self.dropout(self.embed(tokens) + self.positions[: tokens.shape[-1]])
        for layer, (key, value) in zip(self.decoder, self.memory_heads(memory), strict=True):
            words = layer(words, key, value)
        return self.logits(words if keep is None else words[keep])

    def embed(self, tokens: Tensor) -> Tensor:
        """Token ids [...] -> vectors [..., D]."""
        return cast(Tensor, self.embedding(tokens) * math.sqrt(self.config.width))

    def logits(self, words: Tensor) -> Tensor:
        """Vectors [..., D] -> logits [..., V], through the shared embedding (Press and Wolf, 2017)."""
        return F.linear(self.norm_words(words), self.embedding.weight, self.bias)

    def initial(self, memory: HeadPairs, count: int) -> HeadPairs:
        """The empty past of ``count`` captions for each image, from what `memory_heads` gave."""
        key = memory[0][0]
        empty = key.new_zeros((key.shape[0], count, key.shape[1], 0, key.shape[3]))
        return [(empty, empty) for _ in memory]

    def step(self, tokens: Tensor, past: HeadPairs, memory: HeadPairs) -> tuple[Tensor, HeadPairs, Tensor]:
        """One step of decoding: tokens [B, K] -> logits [B, K, V], the grown past, attention [B, K, R]."""
        words = self.embed(tokens) + self.positions[past[0][0].shape[3]]
        grown: HeadPairs = []
        attention = words.new_zeros(())
        for layer, own, other in zip(self.decoder, past, memory, strict=True):
            words, key, value, attention = cast(DecoderLayer, layer).step(words, *own, *other)
            grown.append((key, value))
        return self.logits(words), grown, attention[..., : self.config.regions]
