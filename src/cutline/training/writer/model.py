"""A causal transformer of the Llama family (Touvron et al., 2023), in torch.

Shapes: B texts, T tokens, P tokens before them, H heads, K heads of keys and values, W width of a head.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from cutline.training.writer.rounding import RoundedEmbedding, RoundedLinear


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The sizes of a model, as a GGUF file or a checkpoint has them."""

    vocabulary: int
    width: int
    hidden: int
    layers: int
    heads: int
    key_heads: int
    rope_base: float
    epsilon: float

    @property
    def head_width(self) -> int:
        """W."""
        return self.width // self.heads


class CausalTransformer(nn.Module):
    """Token embeddings, layers, and the embeddings again as the output's weights."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = RoundedEmbedding(shape.vocabulary, shape.width)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.norm = nn.RMSNorm(shape.width, eps=shape.epsilon)

    def forward(self, tokens: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens [B, T] after ``past`` [2 * layers, B, K, P, W] -> states [B, T, width], all keys and values.

        ``past`` is empty (P = 0) in training.
        """
        hidden = self.embedding(tokens)
        before = past.shape[3]
        positions = torch.arange(tokens.shape[1], device=tokens.device) + before
        turn = rotations(positions, self.shape)
        present = []
        for number, layer in enumerate(self.layers):
            hidden, kept = layer(hidden, turn, past[2 * number], past[2 * number + 1])
            present += kept
        return self.norm(hidden), torch.stack(present)

    def logits(self, states: Tensor) -> Tensor:
        """States [..., width] -> unnormalised log-probabilities [..., vocabulary]."""
        logits: Tensor = self.embedding.logits(states)
        return logits

    def empty_past(self, texts: int) -> Tensor:
        """The ``past`` of texts at their beginning."""
        shape = self.shape
        return torch.zeros(2 * shape.layers, texts, shape.key_heads, 0, shape.head_width)


class Layer(nn.Module):
    """Grouped-query attention (Ainslie et al., 2023) and a gated feed-forward network (Shazeer, 2020)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        keys = shape.key_heads * shape.head_width
        self.attention_norm = nn.RMSNorm(shape.width, eps=shape.epsilon)
        self.queries = RoundedLinear(shape.width, shape.width, bias=False)
        self.keys = RoundedLinear(shape.width, keys, bias=False)
        self.values = RoundedLinear(shape.width, keys, bias=False)
        self.output = RoundedLinear(shape.width, shape.width, bias=False)
        self.hidden_norm = nn.RMSNorm(shape.width, eps=shape.epsilon)
        self.gate = RoundedLinear(shape.width, shape.hidden, bias=False)
        self.up = RoundedLinear(shape.width, shape.hidden, bias=False)
        self.down = RoundedLinear(shape.hidden, shape.width, bias=False)

    def forward(
        self, hidden: Tensor, turn: tuple[Tensor, Tensor], past_keys: Tensor, past_values: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        """One layer; also returns the keys and values of all tokens, [B, K, P + T, W] each."""
        normed = self.attention_norm(hidden)
        queries = rotated(self._split(self.queries(normed)), turn)
        keys = torch.cat([past_keys, rotated(self._split(self.keys(normed)), turn)], dim=2)
        values = torch.cat([past_values, self._split(self.values(normed))], dim=2)
        hidden = hidden + self.output(self._attend(queries, keys, values))
        normed = self.hidden_norm(hidden)
        hidden = hidden + self.down(functional.silu(self.gate(normed)) * self.up(normed))
        return hidden, [keys, values]

    def _split(self, states: Tensor) -> Tensor:
        texts, tokens, _ = states.shape
        return states.view(texts, tokens, -1, self.shape.head_width).transpose(1, 2)

    def _attend(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        groups = self.shape.heads // self.shape.key_heads
        keys, values = (each.repeat_interleave(groups, dim=1) for each in (keys, values))
        scores = queries @ keys.transpose(2, 3) * self.shape.head_width**-0.5
        tokens, known = scores.shape[2:]
        hidden = torch.ones(tokens, known, dtype=torch.bool, device=scores.device).triu(known - tokens + 1)
        odds = scores.masked_fill(hidden, float("-inf")).float().softmax(-1).to(values.dtype)
        mixed: Tensor = odds @ values
        return mixed.transpose(1, 2).flatten(2)


def rotations(positions: Tensor, shape: Shape) -> tuple[Tensor, Tensor]:
    """Cosines and sines [T, W / 2] of rotary position embeddings (Su et al., 2021)."""
    width = shape.head_width
    steps = torch.arange(0, width, 2, device=positions.device, dtype=torch.float32)
    angles = positions[:, None].float() * shape.rope_base ** (-steps / width)
    return angles.cos(), angles.sin()


def rotated(states: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """Turn neighbouring pairs of [B, heads, T, W] by their positions, as GGUF's order of weights wants it."""
    cosine, sine = (each.to(states.dtype) for each in turn)
    even, odd = states[..., 0::2], states[..., 1::2]
    return torch.stack((even * cosine - odd * sine, even * sine + odd * cosine), dim=-1).flatten(-2)
