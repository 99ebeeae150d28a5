"""Weights rounded to few levels while they are still trained, so that little is lost in the end."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

MOST = 7  # of the whole numbers on either side of 0: four bits hold them


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounding:
    """Each weight becomes a whole number times a step, which the ``block`` neighbours of a row share.

    The step is ``step`` times their deviation, and more where the largest would not fit otherwise. Coarse
    steps lose more, but their whole numbers are nearly all small, and take few bits in a compressed file.
    """

    step: float
    block: int

    def parts(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Whole numbers [rows, blocks, block], and the steps [rows, blocks, 1], in bfloat16's precision."""
        blocks = weights.reshape(*weights.shape[:-1], -1, self.block)
        deviation = blocks.square().mean(-1, keepdim=True).sqrt()
        largest = blocks.abs().amax(-1, keepdim=True)
        steps = torch.maximum(self.step * deviation, largest / (MOST + 0.49))
        steps = steps.clamp_min(1e-8).bfloat16().float()
        return (blocks / steps).round_().clamp_(-MOST, MOST), steps

    def rounded(self, weights: Tensor) -> Tensor:
        """Weights of the same shape, of which each is what it will be when it is stored."""
        numbers, steps = self.parts(weights)
        return numbers.mul_(steps).flatten(-2)


class RoundedLinear(nn.Linear):
    """A product that computes with rounded weights where ``rounding`` says so."""

    rounding: Rounding | None = None

    def forward(self, states: Tensor) -> Tensor:
        """States [..., in] -> [..., out]."""
        return functional.linear(states, straight_through(self.weight, self.rounding))


class RoundedEmbedding(nn.Embedding):
    """Embeddings that are rounded where ``rounding`` says so, also as the weights of the output."""

    rounding: Rounding | None = None

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens [...] -> states [..., width]."""
        return functional.embedding(tokens, straight_through(self.weight, self.rounding))

    def logits(self, states: Tensor) -> Tensor:
        """States [..., width] -> [..., vocabulary]."""
        return functional.linear(states, straight_through(self.weight, self.rounding))


def straight_through(weights: Tensor, rounding: Rounding | None) -> Tensor:
    """Rounded weights, whose gradients are those of the weights (Bengio et al., 2013)."""
    if rounding is None:
        return weights
    with torch.no_grad():
        change = rounding.rounded(weights).sub_(weights)
    return weights + change


def round_weights(model: nn.Module, layers: Rounding | None, embeddings: Rounding | None) -> None:
    """Let a model compute with rounded weights, or with those that it has."""
    for module in model.modules():
        if isinstance(module, RoundedLinear):
            module.rounding = layers
        elif isinstance(module, RoundedEmbedding):
            module.rounding = embeddings
