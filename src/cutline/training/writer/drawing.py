"""Texts that a writer draws from its own odds, for another one to learn from (Kim and Rush, 2016)."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from cutline.training.writer.data import Pair
from cutline.training.writer.model import CausalTransformer
from cutline.training.writer.objective import Encoded

_BATCH = 48
_TEMPERATURE = 0.8
_TOP_P = 0.95
_LIKELIEST = 64


def other_prompts(pairs: Sequence[Pair], voices: Sequence[Pair], count: int, *, seed: int) -> list[str]:
    """Prompts of descriptions and voices that pairs have, in new combinations."""
    chance = random.Random(f"{seed} prompts")
    found = []
    for _ in range(count):
        description, _, _ = chance.choice(pairs).prompt.partition("\n")
        _, _, voice = chance.choice(voices).prompt.partition("\n")
        found.append(f"{description}\n{voice}")
    return found


@torch.no_grad()
def draw(
    model: CausalTransformer, prompts: Sequence[Sequence[int]], *, end: int, most: int, seed: int
) -> Iterator[Encoded]:
    """A text of each prompt, in another order. Those that have not ended after ``most`` tokens are left out.

    Tokens are drawn from the likeliest that make up 95% together (Holtzman et al., 2020: top-p).
    """
    torch.manual_seed(seed)
    alike: dict[int, list[Sequence[int]]] = defaultdict(list)
    for prompt in prompts:
        alike[len(prompt)].append(prompt)
    for length in sorted(alike):
        for start in range(0, len(alike[length]), _BATCH):
            batch = alike[length][start : start + _BATCH]
            for prompt, text in zip(batch, _texts(model, batch, end, most - length), strict=True):
                if end in text:
                    tokens = (*prompt, *text[: text.index(end) + 1])
                    yield Encoded(tokens=tokens, prompt=length)


def _texts(
    model: CausalTransformer, prompts: Sequence[Sequence[int]], end: int, most: int
) -> list[list[int]]:
    kind = model.embedding.weight.dtype
    tokens, past = torch.tensor(prompts), model.empty_past(len(prompts)).to(kind)
    drawn: list[Tensor] = []
    ended = torch.zeros(len(prompts), dtype=torch.bool)
    while len(drawn) < most and not ended.all():
        states, past = model(tokens, past)
        tokens = _drawn(model.logits(states[:, -1]).float() / _TEMPERATURE)
        drawn.append(tokens[:, 0])
        ended |= tokens[:, 0] == end
    return torch.stack(drawn, dim=1).tolist()


def _drawn(logits: Tensor) -> Tensor:
    """A token [B, 1] from logits [B, V]."""
    odds, tokens = logits.softmax(-1).topk(min(_LIKELIEST, logits.shape[-1]))
    odds = odds.masked_fill(odds.cumsum(-1) - odds > _TOP_P, 0)
    return tokens.gather(-1, torch.multinomial(odds, 1))
