"""What a challenger learns from: people's captions, and which of two captions people liked better.

Legend of shapes: B captions, L tokens, R regions, F feature width, V vocabulary.
"""

from __future__ import annotations

import copy
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, TypeAlias, TypeVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that torch's own documentation uses

from cutline.metrics import CiderD, DocumentFrequency
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
Learns: TypeAlias = Literal["sight", "whole"]

_ALL = re.compile(r"(?!concepts\.)")
_READS_PHOTOS = re.compile(
    r"(?:project|norm_regions|places|concept_embedding|concept_score|encoder|norm_memory)\b"
    r"|decoder\.\d+\.(?:attend_memory|norm_memory)\b"
)


class Seen(NamedTuple):
    """Photos as the champion sees them.

    Their regions [B, R, F], and what their concepts add to the scores of words [B, V], where a bundle has
    that (see `ConceptBonus`).
    """

    regions: Tensor
    bonus: Tensor | None = None


class Memory(NamedTuple):
    """What a captioner writes from: the memory of photos [B, M, D], and the bonus of `Seen`."""

    places: Tensor
    bonus: Tensor | None = None


class Photos(Protocol):
    """What the champion sees of each photo itself, and of it mirrored."""

    variants: int

    def read(self, rows: Sequence[int], variants: Sequence[int]) -> Seen:
        """One variant of each photo."""
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
    """All that is learned from.

    judged: captions that are held out, to tell what is better. rehearsed: rows of other photos, of which the
    champion's captions must not be forgotten; without any, it is those of the photos that are learned from.
    """

    references: tuple[Lesson, ...]
    judged: tuple[Lesson, ...]
    rehearsed: tuple[int, ...] = ()
    preferences: tuple[Preference, ...] = ()
    rated: tuple[Rated, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Lessons of one step, and what else the objective learns from in it."""

    lessons: tuple[Lesson, ...]
    variants: tuple[int, ...]
    rehearsed: tuple[int, ...] = ()
    preferences: tuple[Preference, ...] = ()
    rated: tuple[Rated, ...] = ()


def remember(captioner: TransformerCaptioner, seen: Seen) -> Memory:
    """The memory of photos. As in `ConceptSystem`, concepts get no gradient."""
    regions, bonus = seen
    if captioner.concepts is None:
        return Memory(captioner.remember_regions(regions), bonus)
    with torch.no_grad():
        ids, scores = captioner.top_concepts(captioner.concepts(regions).float())
    return Memory(captioner.remember(regions, ids, scores), bonus)


def logits_of(
    captioner: TransformerCaptioner, memory: Memory, tokens: Tensor, keep: Tensor | None = None
) -> Tensor:
    """The scores of words as a bundle's decoder gives them, in float32.

    tokens [B, S, L] -> [B, S, L, V]; keep [B, S, L], boolean: of these places alone [P, V].
    """
    logits: Tensor = captioner(memory.places, tokens, keep).float()
    if memory.bonus is None:
        return logits
    return logits + (memory.bonus[:, None, None] if keep is None else memory.bonus[keep.nonzero()[:, 0]])


def write(
    captioner: TransformerCaptioner, memory: Memory, *, count: int = 1, temperature: float = 0.0
) -> Tensor:
    """Captions of photos, word by word: ids [B, K, L], ended by <end> and padded (see `generate`)."""
    return generate(
        captioner,
        captioner.memory_heads(memory.places),
        images=len(memory.places),
        count=count,
        temperature=temperature,
        max_tokens=captioner.config.max_tokens - 2,
        bonus=memory.bonus,
    )


def packed(captions: Sequence[Sequence[int]], longest: int) -> Tensor:
    """<sos>, the caption and <end>, padded: [B, L]. Captions that are too long are cut."""
    cut = [list(ids[: longest - 2]) for ids in captions]
    tokens = torch.full((len(cut), max(map(len, cut)) + 2), PAD_ID)
    for row, ids in zip(tokens, cut, strict=True):
        row[: len(ids) + 2] = torch.tensor([START_ID, *ids, END_ID])
    return tokens


def log_probs(captioner: TransformerCaptioner, memory: Memory, tokens: Tensor) -> Tensor:
    """The log-probability of each token of the captions [B, L]; 0 where there is padding: [B, L - 1]."""
    logits = logits_of(captioner, memory, tokens[:, None, :-1]).squeeze(1)
    targets = tokens[:, 1:]
    found = torch.log_softmax(logits, -1).gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    return found * (targets != PAD_ID)


class Likeness:
    """How like people's captions of a photo another one is: CIDEr-D, its end counted as a word.

    Each of people's captions counts as much as it is trusted.
    """

    def __init__(self, lessons: Sequence[Lesson]) -> None:
        said: dict[int, list[int]] = defaultdict(list)
        for place, each in enumerate(lessons):
            said[each.row].append(place)
        ended = [(*each.ids, END_ID) for each in lessons]
        frequency = DocumentFrequency.of([[ended[place] for place in places] for places in said.values()])
        self._scorer = CiderD([[each] for each in ended], document_frequency=frequency)
        self._weights = {
            row: [(place, lessons[place].weight) for place in places] for row, places in said.items()
        }

    def of(self, row: int, ids: Sequence[int]) -> float:
        """Of a caption with its end, padded."""
        caption = [token for token in ids if token != PAD_ID]
        weights = self._weights[row]
        scores = sum(weight * self._scorer.score(place, caption) for place, weight in weights)
        return scores / max(sum(weight for _, weight in weights), 1e-9)


def drawn(items: Sequence[T], most: int, rng: np.random.Generator) -> list[T]:
    """So many different items, or all, in an order by chance."""
    return [items[int(place)] for place in rng.permutation(len(items))[:most]]


class EditsObjective:
    """People's captions, each as much as it is trusted, without forgetting what the champion would say.

    Three losses. Cross-entropy of the captions, times ``caption_weight``. Self-critical training (Rennie et
    al., 2017; baseline as Luo, 2020): of captions that the learner draws, those that are more like people's
    (CIDEr-D) become likelier. Cross-entropy alone would undo that part of the champion's own training. And
    learning without forgetting (Li and Hoiem, 2016), times ``distill_weight``: at each word of the champion's
    captions of rehearsed photos, the divergence from its distribution.
    """

    def __init__(
        self,
        captioner: TransformerCaptioner,
        lessons: Lessons,
        store: Photos,
        stage: StageConfig,
        *,
        seed: int,
        teacher: TransformerCaptioner | None = None,
        learns: Learns = "sight",
    ) -> None:
        self.learns = learns
        self.module: nn.Module = captioner
        self.captioner = captioner
        self.lessons = lessons
        self.store = store
        self.stage = stage
        self.seed = seed
        self.teacher = (teacher or copy.deepcopy(captioner)).eval().requires_grad_(False)
        self.said = self._teacher_captions()
        self.likeness = Likeness(lessons.references)

    def parameter_groups(self) -> list[ParameterGroup]:
        """What learns: by default what reads the photo, from regions to memory, and how words attend to it.

        The rest, which writes sentences, learns too little from few captions, and forgets too much. The head
        that recognises concepts gets no gradient.
        """
        learning = {"sight": _READS_PHOTOS, "whole": _ALL}[self.learns]
        return [
            ParameterGroup(
                name="captioner",
                parameters=[
                    value for name, value in self.captioner.named_parameters() if learning.match(name)
                ],
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
        return Batch(lessons=lessons, variants=variants, rehearsed=self._rehearsed(rng))

    def _rehearsed(self, rng: np.random.Generator) -> tuple[int, ...]:
        return tuple(drawn(self.lessons.rehearsed, self.stage.batch_size, rng))

    def loss(self, batch: Batch) -> Loss:
        """The loss of one batch."""
        stage = self.stage
        seen = self.store.read([each.row for each in batch.lessons], batch.variants)
        memory = remember(self.captioner, seen)
        value, rewarded = self._self_critical(batch.lessons, seen, memory)
        logs = {"reward": rewarded}
        if stage.caption_weight:
            taught = self._taught(batch.lessons, memory)
            value = value + stage.caption_weight * taught
            logs["edits"] = float(taught.detach())
        if stage.distill_weight:
            kept = self._kept(batch, seen, memory)
            value = value + stage.distill_weight * kept
            logs["forgetting"] = float(kept.detach())
        return Loss(value=value, weight=sum(each.weight for each in batch.lessons), logs=logs)

    def _self_critical(self, lessons: Sequence[Lesson], seen: Seen, memory: Memory) -> tuple[Tensor, float]:
        """The loss of captions that are drawn, against each other; and how like people's they are."""
        captioner, stage = self.captioner, self.stage
        was_training = captioner.training
        captioner.eval()
        with torch.no_grad():
            ids = write(
                captioner, remember(captioner, seen), count=stage.samples, temperature=stage.temperature
            )
        captioner.train(was_training)
        rewards = torch.tensor(
            [
                [self.likeness.of(each.row, caption) for caption in captions]
                for each, captions in zip(lessons, ids.tolist(), strict=True)
            ]
        )
        others = (rewards.sum(1, keepdim=True) - rewards) / (stage.samples - 1)
        weights = torch.tensor([each.weight for each in lessons])
        advantage = (rewards - others) * (weights / weights.mean())[:, None]
        written = ids != PAD_ID
        tokens = torch.cat((torch.full((*ids.shape[:2], 1), START_ID), ids), dim=2)
        logits = logits_of(captioner, memory, tokens[..., :-1], written)
        surprise = F.cross_entropy(logits / stage.temperature, ids[written], reduction="none")
        value = (advantage.unsqueeze(-1).expand_as(ids)[written] * surprise).mean()
        return value, float(rewards.mean())

    def _taught(self, lessons: Sequence[Lesson], memory: Memory) -> Tensor:
        tokens = self._packed([each.ids for each in lessons])[:, None]
        before, targets = tokens[..., :-1], tokens[..., 1:]
        keep = targets != PAD_ID
        losses = F.cross_entropy(
            logits_of(self.captioner, memory, before, keep),
            targets[keep],
            reduction="none",
            label_smoothing=self.stage.label_smoothing,
        )
        weights = torch.tensor([each.weight for each in lessons])[:, None, None].expand_as(targets)[keep]
        return (losses * weights).sum() / weights.sum()

    def _kept(self, batch: Batch, seen: Seen, memory: Memory) -> Tensor:
        rows = [each.row for each in batch.lessons]
        if batch.rehearsed:
            rows = list(batch.rehearsed)
            seen = self.store.read(rows, [0] * len(rows))
            memory = remember(self.captioner, seen)
        tokens = self._packed([self.said[row] for row in rows])[:, None]
        before, keep = tokens[..., :-1], tokens[..., 1:] != PAD_ID
        with torch.no_grad():
            taught = logits_of(self.teacher, remember(self.teacher, seen), before, keep)
        learnt = logits_of(self.captioner, memory, before, keep)
        return F.kl_div(
            F.log_softmax(learnt, -1),
            F.log_softmax(taught, -1),
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
        learned = (each.row for each in self.lessons.references)
        rows = sorted({*(self.lessons.rehearsed or learned)})
        said: dict[int, tuple[int, ...]] = {}
        for start in range(0, len(rows), _AT_ONCE):
            part = rows[start : start + _AT_ONCE]
            written = written_by(self.teacher, self.store.read(part, [0] * len(part)))
            said |= dict(zip(part, written, strict=True))
        return said


@torch.no_grad()
def written_by(captioner: TransformerCaptioner, seen: Seen) -> list[tuple[int, ...]]:
    """The likeliest captions of photos, word by word: ids without <sos> and <end>."""
    written = write(captioner, remember(captioner, seen))
    return [tuple(token for token in row[0].tolist() if token not in (PAD_ID, END_ID)) for row in written]


@torch.no_grad()
def mean_log_probs(
    captioner: TransformerCaptioner, lessons: Sequence[Lesson], store: Photos
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


def loss_of(captioner: TransformerCaptioner, lessons: Sequence[Lesson], store: Photos) -> float:
    """The loss of a word of these captions, in nats."""
    means, weights = mean_log_probs(captioner, lessons, store)
    return -float(np.average(np.asarray(means), weights=np.asarray(weights)))


class _RewardsObjective(EditsObjective):
    """People's captions as in `EditsObjective`, and beside them what people liked better or worse."""

    def _batch(
        self, lessons: tuple[Lesson, ...], variants: tuple[int, ...], rng: np.random.Generator
    ) -> Batch:
        some = self.stage.batch_size // 2
        return Batch(
            lessons=lessons,
            variants=variants,
            rehearsed=self._rehearsed(rng),
            preferences=tuple(drawn(self.lessons.preferences, some, rng)),
            rated=tuple(drawn(self.lessons.rated, some, rng)),
        )

    def loss(self, batch: Batch) -> Loss:
        """The loss of one batch."""
        taught = super().loss(batch)
        value, logs = self._rewarded(batch)
        return Loss(value=taught.value + value, weight=taught.weight, logs={**taught.logs, **logs})

    def _rewarded(self, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        raise NotImplementedError

    def _sums(
        self, captioner: TransformerCaptioner, seen: Seen, captions: Sequence[Sequence[int]]
    ) -> tuple[Tensor, Tensor]:
        """Log-probabilities of whole captions, and their numbers of tokens: [B] each."""
        tokens = self._packed(captions)
        found = log_probs(captioner, remember(captioner, seen), tokens)
        return found.sum(1), (tokens[:, 1:] != PAD_ID).sum(1)


class DpoObjective(_RewardsObjective):
    """Direct preference optimisation (Rafailov et al., 2023), with the champion as the reference."""

    def _rewarded(self, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        pairs = batch.preferences
        if not pairs:
            return torch.zeros(()), {}
        seen = self.store.read([each.row for each in pairs], [0] * len(pairs))
        chosen, rejected = [each.chosen for each in pairs], [each.rejected for each in pairs]
        with torch.no_grad():
            before = self._sums(self.teacher, seen, chosen)[0] - self._sums(self.teacher, seen, rejected)[0]
        now = self._sums(self.captioner, seen, chosen)[0] - self._sums(self.captioner, seen, rejected)[0]
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
        seen = self.store.read([each.row for each in rated], [0] * len(rated))
        captions = [each.ids for each in rated]
        with torch.no_grad():
            before, _ = self._sums(self.teacher, seen, captions)
        now, counts = self._sums(self.captioner, seen, captions)
        importance = torch.exp((now.detach() - before).clamp(max=_MOST_IMPORTANT)).clamp(max=_MOST_IMPORTANT)
        rewards = torch.tensor([each.reward for each in rated])
        weights = torch.tensor([each.weight for each in rated])
        value = -(weights * importance * rewards * now / counts).sum() / weights.sum()
        return value, {"importance": float(importance.mean())}


REWARDS: Mapping[str, type[EditsObjective]] = {"dpo": DpoObjective, "importance": ImportanceObjective}
"""The ways to learn from ratings and preferences, by their names in a learner's YAML."""
