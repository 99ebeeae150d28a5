"""What a writer learns: each token of a text from the prompt and the tokens before it."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

from cutline.training.config import StageConfig
from cutline.training.loop import Loss
from cutline.training.optim import ParameterGroup
from cutline.training.writer.data import Pair
from cutline.training.writer.model import CausalTransformer

_WINDOW = 32  # batches whose pairs are sorted by length, so that little is padded
_NOTHING = -100
_LIKELIEST = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """A pair in tokens, its end included. prompt: how many of them are read only."""

    tokens: tuple[int, ...]
    prompt: int


def encode(pairs: Sequence[Pair], tokenizer: Tokenizer, *, end: int, most: int) -> list[Encoded]:
    """The pairs in tokens; those of more than ``most`` are left out."""
    prompts = tokenizer.encode_batch([pair.prompt for pair in pairs], add_special_tokens=False)
    texts = tokenizer.encode_batch([pair.text for pair in pairs], add_special_tokens=False)
    found = [
        Encoded(tokens=(*read.ids, *written.ids, end), prompt=len(read.ids))
        for read, written in zip(prompts, texts, strict=True)
    ]
    return [each for each in found if len(each.tokens) <= most]


class WritingObjective:
    """Cross-entropy of the tokens of texts, given their prompts; with a teacher also how far its odds are.

    That is the divergence of the model's odds from the teacher's (Hinton et al., 2015), at temperature 1,
    over those that it finds likeliest, and the rest. What the teacher says of a text is kept for later.
    """

    def __init__(
        self,
        model: CausalTransformer,
        stage: StageConfig,
        *,
        train: Sequence[Encoded],
        held_out: Sequence[Encoded],
        seed: int,
        teacher: CausalTransformer | None = None,
    ) -> None:
        self.module: nn.Module = model
        self._model = model
        self._stage = stage
        self._train = train
        self._held_out = held_out
        self._seed = seed
        self._teacher = teacher.requires_grad_(False).eval() if teacher else None
        self._taught: dict[Encoded, tuple[Tensor, Tensor]] = {}

    def parameter_groups(self) -> Sequence[ParameterGroup]:
        """Everything, at the stage's rate."""
        return [
            ParameterGroup(
                name="writer",
                parameters=list(self._model.parameters()),
                learning_rate=self._stage.learning_rate,
                weight_decay=self._stage.weight_decay,
            )
        ]

    def steps_per_epoch(self) -> int:
        """As Objective."""
        return -(-len(self._train) // self._stage.batch_size)

    def batches(
        self, epoch: int, *, rank: int = 0, world: int = 1, start: int = 0
    ) -> Iterator[list[Encoded]]:
        """As Objective."""
        for batch in self._plan(epoch)[start:]:
            yield batch[rank::world]

    def loss(self, batch: list[Encoded]) -> Loss:
        """As Objective."""
        logits, wanted = self._logits(self._model, batch)
        total = self._cross_entropy(logits, wanted)
        if self._teacher is not None and self._stage.distill_weight:
            total = total + self._stage.distill_weight * self._divergence(logits, batch)
        return Loss(value=total / max(1, len(wanted)), weight=len(wanted))

    def evaluate(self) -> dict[str, float]:
        """The mean cross-entropy of a token, in nats."""
        size = self._stage.batch_size
        ordered = sorted(self._held_out, key=lambda each: len(each.tokens))
        total, count = 0.0, 0
        with torch.no_grad():
            for start in range(0, len(ordered), size):
                logits, wanted = self._logits(self._model, ordered[start : start + size])
                total, count = total + float(self._cross_entropy(logits, wanted)), count + len(wanted)
        return {"loss": total / max(1, count)}

    def _logits(self, model: CausalTransformer, batch: Sequence[Encoded]) -> tuple[Tensor, Tensor]:
        """A model's logits [N, V] for the N tokens to predict, and these [N]."""
        device = self._model.embedding.weight.device
        tokens, wanted = (each.to(device) for each in padded(batch))
        states, _ = model(tokens, model.empty_past(len(tokens)).to(device))
        matters = wanted != _NOTHING
        return model.logits(states[matters]).float(), wanted[matters]

    def _cross_entropy(self, logits: Tensor, wanted: Tensor) -> Tensor:
        return functional.cross_entropy(
            logits, wanted, reduction="sum", label_smoothing=self._stage.label_smoothing
        )

    def _divergence(self, logits: Tensor, batch: Sequence[Encoded]) -> Tensor:
        if not all(each in self._taught for each in batch):
            self._learn(batch)
        tokens, odds = (torch.cat(each) for each in zip(*map(self._taught.__getitem__, batch), strict=True))
        odds = odds.to(logits.device)
        chosen = logits.log_softmax(-1).gather(-1, tokens.long().to(logits.device))
        return functional.kl_div(_whole(chosen), _whole(odds), reduction="sum", log_target=True)

    @torch.no_grad()
    def _learn(self, batch: Sequence[Encoded]) -> None:
        """Keep what the teacher finds likeliest after each token: [N, K], and their log-probabilities."""
        assert self._teacher is not None
        logits, _ = self._logits(self._teacher.to(self._model.embedding.weight.device), batch)
        likeliest = logits.log_softmax(-1).topk(min(_LIKELIEST, logits.shape[-1]))
        odds = likeliest.values.cpu()
        sizes = [len(each.tokens) - each.prompt for each in batch]
        tokens = likeliest.indices.int().cpu()
        said = zip(torch.split(tokens, sizes), torch.split(odds, sizes), strict=True)
        self._taught |= dict(zip(batch, said, strict=True))

    def _plan(self, epoch: int) -> list[list[Encoded]]:
        """The epoch's batches, in an order of its own."""
        chance = random.Random(f"{self._seed} {self._stage.name} {epoch}")
        order = list(self._train)
        chance.shuffle(order)
        size = self._stage.batch_size
        batches: list[list[Encoded]] = []
        for start in range(0, len(order), size * _WINDOW):
            window = sorted(order[start : start + size * _WINDOW], key=lambda each: len(each.tokens))
            alike = [window[at : at + size] for at in range(0, len(window), size)]
            chance.shuffle(alike)
            batches += alike
        return batches


def _whole(odds: Tensor) -> Tensor:
    """Log-probabilities [N, K] of some tokens, and that of all others together: [N, K + 1]."""
    others = (1 - odds.exp().sum(-1, keepdim=True)).clamp_min(1e-6).log()
    return torch.cat((odds, others), dim=-1)


def padded(batch: Sequence[Encoded]) -> tuple[Tensor, Tensor]:
    """Tokens [B, T], filled up with zeros, and what follows each of them, where that is to be learned."""
    longest = max((len(each.tokens) for each in batch), default=1) - 1
    tokens = torch.zeros(len(batch), longest, dtype=torch.long)
    wanted = torch.full((len(batch), longest), _NOTHING)
    for row, each in enumerate(batch):
        ids = torch.tensor(each.tokens)
        tokens[row, : len(ids) - 1] = ids[:-1]
        wanted[row, each.prompt - 1 : len(ids) - 1] = ids[each.prompt :]
    return tokens, wanted
