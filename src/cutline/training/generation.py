"""Writing captions with a torch model while it trains: greedy, or sampled for a reward.

Bundles are decoded by `cutline.captioning`; this exists because a model in training has no bundle yet.
Legend of shapes: B images, K captions an image, L tokens.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from cutline.training.vocabulary import END_ID, PAD_ID, START_ID, UNKNOWN_ID


class StepDecoder(Protocol):
    """What can be decoded one token at a time. Memory and states are the model's own affair."""

    def initial(self, memory: Any, count: int) -> Any:
        """The state before the first token, for ``count`` captions of each image."""
        ...

    def step(self, tokens: Tensor, state: Any, memory: Any) -> tuple[Tensor, Any, Tensor]:
        """Tokens [B, K] -> logits [B, K, V], the next state, attention [B, K, R]."""
        ...


@torch.no_grad()
def generate(
    model: StepDecoder,
    memory: Any,
    *,
    images: int,
    count: int = 1,
    max_tokens: int = 20,
    temperature: float = 0.0,
    device: torch.device | None = None,
    bonus: Tensor | None = None,
) -> Tensor:
    """Write ``count`` captions for each image -> ids [B, K, L], ended by <end> and padded.

    temperature: 0 is greedy; else drawn from the softmax of logits / temperature, by torch's generator.
    device: where the model is; by default the CPU. bonus [B, V]: what is added to the logits at each step.
    """
    state = model.initial(memory, count)
    tokens = torch.full((images, count), START_ID, device=device)
    ended = torch.zeros((images, count), dtype=torch.bool, device=device)
    written: list[Tensor] = []
    for _ in range(max_tokens):
        logits, state, _ = model.step(tokens, state, memory)
        logits = logits.float() if bonus is None else logits.float() + bonus.unsqueeze(1)
        logits[..., [PAD_ID, START_ID, UNKNOWN_ID]] = -torch.inf
        if temperature:
            # The largest of logits plus Gumbel noise is a draw from the softmax, without normalising.
            noise = -torch.log(-torch.log(torch.rand_like(logits).clamp_(1e-10, 1 - 1e-7)))
            logits = logits / temperature + noise
        tokens = logits.argmax(-1).masked_fill(ended, PAD_ID)
        written.append(tokens)
        ended = ended | (tokens == END_ID)
        if bool(ended.all()):
            break
    return torch.stack(written, dim=-1)


def caption_ids(row: Tensor) -> list[int]:
    """The tokens of one written caption [L], without <end> and what follows."""
    ids = row.tolist()
    return ids[: ids.index(END_ID)] if END_ID in ids else [token for token in ids if token != PAD_ID]
