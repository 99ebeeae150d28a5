"""What a challenger learns from: people's captions, and which of two captions people liked better.

Legend of shapes: B captions, L tokens, R regions, F feature width, V vocabulary.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that torch's own documentation uses

from cutline.training.config import StageConfig
from cutline.training.generation import generate
from cutline.training.loop import Loss
from cutline.training.optim import ParameterGroup
from cutline.training.transformer import TransformerCaptioner
from cutline.training.vocabulary import END_ID, PAD_ID, START_ID

T = TypeVar("T")

_AT_ONCE = 32
_BETA = 0.1  # of DPO, as in the paper
_MOST_IMPORTANT = 2.0


class Regions(Protocol):
    """Regions of photos, as the champion's eyes see them.

    Of each photo itself, and mirrored where it may be.
    """

    variants: int

    def read(self, rows: Sequence[int], variants: Sequence[int]) -> Tensor:
        """One variant of each photo: [B, R, F]."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """A caption of the photo in ``row``, without <sos> and <end>; mirrored: the photo may be, too."""

    row: int
    ids: tuple[int, ...]
    weight: float = 1.0
    mirrored: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """Of two captions of one photo, the one that people liked better."""

    row: int
    chosen: tuple[int, ...]
    rejected: tuple[int, ...]
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rated:
    """A caption that the champion wrote, and what people thought of it: from -1 to 1."""

    row: int
    ids: tuple[int, ...]
    reward: float
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Lessons:
    """All that is learned from. judged: captions that are held out, to tell when to stop."""

    references: tuple[Lesson, ...]
    judged: tuple[Lesson, ...]
    preferences: tuple[Preference, ...] = ()
    rated: tuple[Rated, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Lessons of one step, and what else the objective learns from in it."""

    lessons: tuple[Lesson, ...]
    variants: tuple[int, ...]
    preferences: tuple[Preference, ...] = ()
    rated: tuple[Rated, ...] = ()


def remember(captioner: TransformerCaptioner, regions: Tensor) -> Tensor:
    """The memory of photos.

    Regions [B, R, F] -> [B, M, D]. As in `ConceptSystem`, concepts get no gradient.
    """
    if captioner.concepts is None:
        return captioner.remember_regions(regions)
    with torch.no_grad():
        ids, scores = captioner.top_concepts(captioner.concepts(regions).float())
    return captioner.remember(regions, ids, scores)


def packed(captions: Sequence[Sequence[int]], longest: int) -> Tensor:
    """<sos>, the caption and <end>, padded: [B, L]. Captions that are too long are cut."""
    cut = [list(ids[: longest - 2]) for ids in captions]
    tokens = torch.full((len(cut), max(map(len, cut)) + 2), PAD_ID)
    for row, ids in zip(tokens, cut, strict=True):
        row[: len(ids) + 2] = torch.tensor([START_ID, *ids, END_ID])
    return tokens


def log_probs(captioner: TransformerCaptioner, memory: Tensor, tokens: Tensor) -> Tensor:
    """The log-probability of each token of the captions [B, L]; 0 where there is padding: [B, L - 1]."""
    logits = captioner(memory, tokens[:, None, :-1]).squeeze(1).float()
    targets = tokens[:, 1:]
    found = torch.log_softmax(logits, -1).gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    return found * (targets != PAD_ID)


class EditsObjective:
    """Cross-entropy of people's captions, each as much as it is trusted, and of what the champion would say.

    The second keeps what the champion knows (learning without forgetting; Li and Hoiem, 2016): at each word
    of the champion's own caption of a photo, the divergence from its distribution.
    """

    def __init__(
        self,
        captioner: TransformerCaptioner,
        lessons: Lessons,
        store: Regions,
        stage: StageConfig,
        *,
        seed: int,
        teacher: TransformerCaptioner | None = None,
    ) -> None:
        self.module: nn.Module = captioner
        self.captioner = captioner
        self.lessons = lessons
        self.store = store
        self.stage = stage
        self.seed = seed
        self.teacher = (teacher or copy.deepcopy(captioner)).eval().requires_grad_(False)
        self.said = self._teacher_captions()

    def parameter_groups(self) -> list[ParameterGroup]:
        """All of the captioner but the head that recognises concepts, which gets no gradient."""
        idle = {id(each) for each in (self.captioner.concepts or nn.Module()).parameters()}
        return [
            ParameterGroup(
                name="captioner",
                parameters=[each for each in self.captioner.parameters() if id(each) not in idle],
                learning_rate=self.stage.learning_rate,
                weight_decay=self.stage.weight_decay,
            )
        ]

    def steps_per_epoch(self) -> int:
        """The number of batches; what is left over makes the last one."""
        return max(1, -(-len(self.lessons.references) // self.stage.batch_size))

    def batches(self, epoch: int, *, rank: int = 0, world: int = 1, start: int = 0) -> Iterator[Batch]:
        """The epoch's batches from step ``start``; rank r of w takes every w-th lesson of each."""
        rng = np.random.default_rng([self.seed, epoch])
        order = rng.permutation(len(self.lessons.references))
        mirrored = rng.integers(0, self.store.variants, len(order))
        size = self.stage.batch_size
        for step in range(start, self.steps_per_epoch()):
            chosen = order[step * size : (step + 1) * size][rank::world]
            lessons = tuple(self.lessons.references[place] for place in chosen)
            yield self._batch(
                lessons,
                tuple(
                    int(mirrored[place]) if each.mirrored else 0
                    for place, each in zip(chosen, lessons, strict=True)
                ),
                np.random.default_rng([self.seed, epoch, step]),
            )

    def _batch(
        self, lessons: tuple[Lesson, ...], variants: tuple[int, ...], rng: np.random.Generator
    ) -> Batch:
        return Batch(lessons=lessons, variants=variants)

    def loss(self, batch: Batch) -> Loss:
        """The loss of one batch."""
        regions = self.store.read([each.row for each in batch.lessons], batch.variants)
        memory = remember(self.captioner, regions)
        value, weight = self._taught(batch.lessons, memory)
        logs = {"edits": float(value.detach())}
        if self.stage.distill_weight:
            kept = self._kept(batch.lessons, regions, memory)
            value = value + self.stage.distill_weight * kept
            logs["forgetting"] = float(kept.detach())
        return Loss(value=value, weight=weight, logs=logs)

    def _taught(self, lessons: Sequence[Lesson], memory: Tensor) -> tuple[Tensor, float]:
        tokens = self._packed([each.ids for each in lessons])
        targets = tokens[:, 1:]
        keep = targets != PAD_ID
        logits = self.captioner(memory, tokens[:, None, :-1]).squeeze(1).float()
        losses = F.cross_entropy(
            logits[keep], targets[keep], reduction="none", label_smoothing=self.stage.label_smoothing
        )
        weights = torch.tensor([each.weight for each in lessons])[:, None].expand_as(targets)[keep]
        return (losses * weights).sum() / weights.sum(), float(weights.sum())

    def _kept(self, lessons: Sequence[Lesson], regions: Tensor, memory: Tensor) -> Tensor:
        tokens = self._packed([self.said[each.row] for each in lessons])
        keep = tokens[:, 1:] != PAD_ID
        with torch.no_grad():
            taught = self.teacher(remember(self.teacher, regions), tokens[:, None, :-1]).squeeze(1)[keep]
        learnt = self.captioner(memory, tokens[:, None, :-1]).squeeze(1)[keep]
        return F.kl_div(
            F.log_softmax(learnt.float(), -1),
            F.log_softmax(taught.float(), -1),
            log_target=True,
            reduction="batchmean",
        )

    def evaluate(self) -> dict[str, float]:
        """The loss of a word of the captions that are held out, in nats."""
        return {"loss": loss_of(self.captioner, self.lessons.judged, self.store)}

    def _packed(self, captions: Sequence[Sequence[int]]) -> Tensor:
        return packed(captions, self.captioner.config.max_tokens)

    @torch.no_grad()
    def _teacher_captions(self) -> Mapping[int, tuple[int, ...]]:
        """What the champion itself would say, word by word: by row."""
        rows = sorted({each.row for each in self.lessons.references})
        said: dict[int, tuple[int, ...]] = {}
        for start in range(0, len(rows), _AT_ONCE):
            part = rows[start : start + _AT_ONCE]
            regions = self.store.read(part, [0] * len(part))
            written = written_by(self.teacher, regions)
            said |= dict(zip(part, written, strict=True))
        return said


@torch.no_grad()
def written_by(captioner: TransformerCaptioner, regions: Tensor) -> list[tuple[int, ...]]:
    """The likeliest captions, word by word, of regions [B, R, F]: ids without <sos> and <end>."""
    heads = captioner.memory_heads(remember(captioner, regions))
    longest = captioner.config.max_tokens - 2
    written = generate(captioner, heads, images=len(regions), max_tokens=longest)
    return [tuple(token for token in row[0].tolist() if token not in (PAD_ID, END_ID)) for row in written]


@torch.no_grad()
def mean_log_probs(
    captioner: TransformerCaptioner, lessons: Sequence[Lesson], store: Regions
) -> tuple[list[float], list[float]]:
    """For each caption, the mean log-probability of a word; and its weight times the number of its words."""
    means, weights = [], []
    for start in range(0, len(lessons), _AT_ONCE):
        part = lessons[start : start + _AT_ONCE]
        memory = remember(captioner, store.read([each.row for each in part], [0] * len(part)))
        tokens = packed([each.ids for each in part], captioner.config.max_tokens)
        counts = (tokens[:, 1:] != PAD_ID).sum(1)
        means += (log_probs(captioner, memory, tokens).sum(1) / counts).tolist()
        weights += [each.weight * count for each, count in zip(part, counts.tolist(), strict=True)]
    return means, weights


def loss_of(captioner: TransformerCaptioner, lessons: Sequence[Lesson], store: Regions) -> float:
    """The loss of a word of these captions, in nats."""
    means, weights = mean_log_probs(captioner, lessons, store)
    return -float(np.average(np.asarray(means), weights=np.asarray(weights)))


class _RewardsObjective(EditsObjective):
    """People's captions as in `EditsObjective`, and beside them what people liked better or worse."""

    def _batch(
        self, lessons: tuple[Lesson, ...], variants: tuple[int, ...], rng: np.random.Generator
    ) -> Batch:
        liked = self._drawn(self.lessons.preferences, rng)
        rated = self._drawn(self.lessons.rated, rng)
        return Batch(lessons=lessons, variants=variants, preferences=tuple(liked), rated=tuple(rated))

    def _drawn(self, items: Sequence[T], rng: np.random.Generator) -> list[T]:
        count = min(len(items), self.stage.batch_size // 2)
        return [items[int(place)] for place in rng.permutation(len(items))[:count]]

    def loss(self, batch: Batch) -> Loss:
        """The loss of one batch."""
        taught = super().loss(batch)
        value, logs = self._rewarded(batch)
        return Loss(value=taught.value + value, weight=taught.weight, logs={**taught.logs, **logs})

    def _rewarded(self, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        raise NotImplementedError

    def _sums(
        self, captioner: TransformerCaptioner, regions: Tensor, captions: Sequence[Sequence[int]]
    ) -> tuple[Tensor, Tensor]:
        """Log-probabilities of whole captions, and their numbers of tokens: [B] each."""
        tokens = self._packed(captions)
        found = log_probs(captioner, remember(captioner, regions), tokens)
        return found.sum(1), (tokens[:, 1:] != PAD_ID).sum(1)


class DpoObjective(_RewardsObjective):
    """Direct preference optimisation (Rafailov et al., 2023), with the champion as the reference."""

    def _rewarded(self, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        pairs = batch.preferences
        if not pairs:
            return torch.zeros(()), {}
        regions = self.store.read([each.row for each in pairs], [0] * len(pairs))
        chosen, rejected = [each.chosen for each in pairs], [each.rejected for each in pairs]
        with torch.no_grad():
            before = (
                self._sums(self.teacher, regions, chosen)[0] - self._sums(self.teacher, regions, rejected)[0]
            )
        now = (
            self._sums(self.captioner, regions, chosen)[0] - self._sums(self.captioner, regions, rejected)[0]
        )
        margins = _BETA * (now - before)
        weights = torch.tensor([each.weight for each in pairs])
        value = -(weights * F.logsigmoid(margins)).sum() / weights.sum()
        return value, {"dpo": float(value.detach()), "preferred": float((margins > 0).float().mean())}


class ImportanceObjective(_RewardsObjective):
    """Offline policy gradient.

    What was rated is weighted by how much likelier it is now than when it was written.

    Importance weights as Precup et al. (2000), of whole captions and clipped; for text see Pang and He
    (2021).
    """

    def _rewarded(self, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        rated = batch.rated
        if not rated:
            return torch.zeros(()), {}
        regions = self.store.read([each.row for each in rated], [0] * len(rated))
        captions = [each.ids for each in rated]
        with torch.no_grad():
            before, _ = self._sums(self.teacher, regions, captions)
        now, counts = self._sums(self.captioner, regions, captions)
        importance = torch.exp((now.detach() - before).clamp(max=_MOST_IMPORTANT)).clamp(max=_MOST_IMPORTANT)
        rewards = torch.tensor([each.reward for each in rated])
        weights = torch.tensor([each.weight for each in rated])
        value = -(weights * importance * rewards * now / counts).sum() / weights.sum()
        return value, {"importance": float(importance.mean())}


REWARDS: Mapping[str, type[EditsObjective]] = {"dpo": DpoObjective, "importance": ImportanceObjective}
"""The ways to learn from ratings and preferences, by their names in a learner's YAML."""
