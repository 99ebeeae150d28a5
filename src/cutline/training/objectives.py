"""What each stage of a recipe optimises: concepts, text, captions, rewards. `distil` stands in distil.py.

Legend of shapes: B images, S captions an image, L tokens, V vocabulary, R regions, F feature width,
C concepts, T concept tokens.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that torch's own documentation uses

from cutline.metrics import CiderD, DocumentFrequency, bleu, cider_d, sentence_bleu, tokenize
from cutline.training.class_names import classes_of_words
from cutline.training.config import StageConfig
from cutline.training.corpus import Captions, Corpus, concept_targets, pack
from cutline.training.generation import caption_ids, generate
from cutline.training.loop import Loss
from cutline.training.optim import ParameterGroup
from cutline.training.simulation import ConceptSimulator
from cutline.training.systems import CaptionDecoder, CaptionSystem, ConceptSystem
from cutline.training.vocabulary import END, END_ID, PAD_ID

Floats = npt.NDArray[np.float32]


class Store(Protocol):
    """Cached output of an encoder's trunk, several variants of each photo; variant 0 is the photo itself."""

    variants: int

    def read(self, rows: Sequence[int], variants: Sequence[int]) -> Tensor:
        """Read one variant of each photo: [B, H, W, C]."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One step's photos (None: captions alone), and captions without photos to mix in."""

    items: list[Captions]
    cached: Tensor | None
    tokens: Tensor
    texts: list[Captions]
    text_tokens: Tensor | None
    seed: int

    def to(self, device: torch.device) -> Batch:
        """The same batch, with its tensors there."""
        return replace(
            self,
            cached=None if self.cached is None else self.cached.to(device),
            tokens=self.tokens.to(device),
            text_tokens=None if self.text_tokens is None else self.text_tokens.to(device),
        )

    @property
    def photos(self) -> Tensor:
        """What the trunk made of the photos, [B, H, W, F]. Raises ValueError for captions alone."""
        if self.cached is None:
            raise ValueError("these captions come without photos")
        return self.cached


class PhotoObjective:
    """What all objectives share: batches of photos, reshuffled each epoch, the same in every process.

    stage.encoder_learning_rate: None trains no tail (`build.resolve` fills in the encoder's own).
    """

    def __init__(
        self, system: CaptionSystem, corpus: Corpus, store: Store, stage: StageConfig, *, seed: int
    ) -> None:
        self.module: nn.Module = system
        self.system = system
        self.corpus = corpus
        self.store = store
        self.stage = stage
        self.seed = seed
        self.items = [item for item in corpus.train for _ in range(stage.repeat.get(item.source, 1))]

    @property
    def device(self) -> torch.device:
        """Where the module is now: the loop may have moved it."""
        return next(self.module.parameters()).device

    def steps_per_epoch(self) -> int:
        """The number of whole batches; photos left over may come in the next epoch."""
        return max(1, len(self.items) // self.stage.batch_size)

    def batches(self, epoch: int, *, rank: int = 0, world: int = 1, start: int = 0) -> Iterator[Batch]:
        """The epoch's batches from step ``start``; rank r of w takes every w-th item of each batch."""
        rng = np.random.default_rng([self.seed, epoch])
        order = rng.permutation(len(self.items))
        texts = rng.permutation(len(self.corpus.texts))
        text_count = round(self.stage.batch_size * self.stage.text_share)
        for step in range(start, self.steps_per_epoch()):
            begin = step * self.stage.batch_size
            chosen = order[begin : begin + self.stage.batch_size]
            extra = texts[np.arange(step * text_count, (step + 1) * text_count) % max(1, len(texts))]
            yield self._batch(
                [self.items[place] for place in chosen],
                [self.corpus.texts[place] for place in extra] if len(texts) else [],
                np.random.default_rng([self.seed, epoch, step, 0]),
                slice(rank, None, world),
            )

    def _batch(
        self, items: list[Captions], texts: list[Captions], rng: np.random.Generator, ours: slice
    ) -> Batch:
        """Draw randomly for the whole batch, and keep this rank's part: ranks must draw alike."""
        with_photo = items[0].row >= 0
        variants = rng.integers(0, self.store.variants, len(items))[ours] if with_photo else ()
        tokens = self._packed(items, rng)[ours]
        text_tokens = self._packed(texts, rng)[ours] if texts else None
        items, texts = items[ours], texts[ours]
        return Batch(
            items=items,
            cached=self.store.read([item.row for item in items], [int(v) for v in variants])
            if with_photo
            else None,
            tokens=tokens,
            texts=texts,
            text_tokens=text_tokens,
            seed=int(rng.integers(2**31)) + (ours.start or 0),
        )

    def _packed(self, items: Sequence[Captions], rng: np.random.Generator) -> Tensor:
        count, length = self.stage.captions_per_image, self.system.captioner.config.max_tokens
        packed = np.stack([pack(item, count=count, length=length, rng=rng) for item in items])
        longest = int((packed != PAD_ID).sum(-1).max())
        return torch.from_numpy(packed[..., :longest])

    def parameter_groups(self) -> list[ParameterGroup]:
        """The captioner, and the encoder's tail where it learns."""
        stage = self.stage
        groups = [
            ParameterGroup(
                name="captioner",
                parameters=list(self.system.captioner.parameters()),
                learning_rate=stage.learning_rate,
                weight_decay=stage.weight_decay,
            )
        ]
        encoder_rate = stage.encoder_learning_rate or 0.0
        self.system.train_tail = encoder_rate > 0
        if self.system.train_tail:
            groups.append(
                ParameterGroup(
                    name="encoder",
                    parameters=list(self.system.tail.parameters()),
                    learning_rate=encoder_rate,
                    weight_decay=stage.weight_decay,
                )
            )
        return groups

    def _concept_targets(self, items: Sequence[Captions]) -> Tensor:
        """The share of each photo's captions that name each concept, beside the module: [B, C]."""
        return torch.from_numpy(concept_targets(items, len(self.corpus.concepts))).to(self.device)

    @torch.no_grad()
    def dev_scores(self) -> Floats:
        """The concept head's probabilities for the dev photos: [N, C]."""
        scores = [
            torch.sigmoid(self.system.concept_logits(self.system.regions(cached))).float().cpu().numpy()
            for _, cached in self._dev_batches()
        ]
        return np.concatenate(scores)

    def simulator(self) -> ConceptSimulator:
        """Learn how the concept head errs, on dev photos of the texts' own source where there are some."""
        corpus = self.corpus
        sources = {text.source for text in corpus.texts}
        alike = [place for place, item in enumerate(corpus.dev) if item.source in sources]
        places = alike or list(range(len(corpus.dev)))
        targets = concept_targets(corpus.dev, len(corpus.concepts))
        return ConceptSimulator(self.dev_scores()[places], targets[places])

    def _dev_batches(self, size: int = 50) -> Iterator[tuple[list[Captions], Tensor]]:
        dev = list(self.corpus.dev)
        for start in range(0, len(dev), size):
            chosen = dev[start : start + size]
            cached = self.store.read([item.row for item in chosen], [0] * len(chosen))
            yield chosen, cached.to(self.device)


class ConceptObjective(PhotoObjective):
    """Recognise the concepts that captions name, without forgetting what ImageNet taught.

    Binary cross-entropy against each concept's share of the captions, plus the divergence of ImageNet's class
    distribution from what the untrained tail says (learning without forgetting, Li and Hoiem, 2016). Concepts
    after the first ``learnt`` are words of ImageNet's own names: the target is what its head says of them.
    """

    def __init__(
        self,
        system: ConceptSystem,
        corpus: Corpus,
        store: Store,
        stage: StageConfig,
        *,
        seed: int,
        teacher: nn.Module,
        classifier: nn.Linear,
        learnt: int,
    ) -> None:
        super().__init__(system, corpus, store, stage, seed=seed)
        self.teacher = teacher.requires_grad_(False)
        self.classifier = classifier.requires_grad_(False)
        self.learnt = learnable_concepts(corpus)
        self.learnt[learnt:] = 1
        words = corpus.concepts[learnt:]
        classes = classes_of_words(words)
        self.words = torch.zeros(classifier.out_features, len(words))
        for column, word in enumerate(words):
            self.words[list(classes[word]), column] = 1
        self.dropout = nn.Dropout(0.2)

    def loss(self, batch: Batch) -> Loss:
        """The loss of one batch."""
        device = self.device
        cached = batch.to(device).photos
        teacher, classifier = self.teacher.to(device), self.classifier.to(device)
        regions = self.system.regions(cached)
        with torch.no_grad():
            taught = classifier(teacher(cached).float().mean(1))
        targets = self._concept_targets(batch.items)
        if self.words.shape[1]:
            targets[:, -self.words.shape[1] :] = taught.softmax(-1) @ self.words.to(device)
        logits = self.system.concept_logits(self.dropout(regions))
        named = concept_loss(logits, targets, self.learnt.to(device))
        kept = forgetting(classifier(regions.mean(1)), taught)
        return Loss(
            value=named + self.stage.distill_weight * kept,
            weight=len(batch.items),
            logs={"concepts": float(named.detach()), "forgetting": float(kept.detach())},
        )

    def evaluate(self) -> dict[str, float]:
        """Loss on dev, and the mean average precision of concepts that some photos show."""
        return concept_scores(self.dev_scores(), self.corpus.dev, len(self.corpus.concepts))


class TextObjective(PhotoObjective):
    """Write captions from concepts alone: what captions without photos can teach the decoder."""

    def __init__(
        self, system: ConceptSystem, corpus: Corpus, store: Store, stage: StageConfig, *, seed: int
    ) -> None:
        super().__init__(system, corpus, store, stage, seed=seed)
        self.items = list(corpus.texts)
        self.text = TextTask(system, self.simulator())

    def loss(self, batch: Batch) -> Loss:
        """The loss of one batch."""
        tokens = batch.to(self.device).tokens
        return self.text.loss(batch.items, tokens, self.stage.label_smoothing, seed=batch.seed)

    def evaluate(self) -> dict[str, float]:
        """Loss of the dev captions, written from the concepts that the head sees in the dev photos."""
        scores = torch.from_numpy(self.dev_scores()).to(self.device)
        system = self.text.system
        top, ids = torch.topk(scores, system.captioner.config.concept_tokens)
        total, tokens = 0.0, 0.0
        rng = np.random.default_rng(0)
        dev = list(self.corpus.dev)
        for start in range(0, len(dev), 50):
            part = slice(start, start + 50)
            with torch.no_grad():
                memory = system.remember_text(ids[part], top[part])
                tokens_of_part = self._packed(dev[part], rng).to(self.device)
                value, weight = _cross_entropy(system.captioner, memory, tokens_of_part, 0.0)
            total, tokens = total + float(value) * weight, tokens + weight
        return {"loss": total / tokens}


class CaptionObjective(PhotoObjective):
    """Write the captions of photos (teacher forcing), with concepts as a side task and text mixed in."""

    def __init__(
        self, system: CaptionSystem, corpus: Corpus, store: Store, stage: StageConfig, *, seed: int
    ) -> None:
        super().__init__(system, corpus, store, stage, seed=seed)
        self.text = None
        if stage.text_share:
            if not isinstance(system, ConceptSystem):
                raise ValueError("mixing in text needs a captioner with concepts")
            self.text = TextTask(system, self.simulator())
        self.dropout = nn.Dropout(stage.feature_dropout)

    def loss(self, batch: Batch) -> Loss:
        """The loss of one batch."""
        stage = self.stage
        batch = batch.to(self.device)
        regions = self.system.regions(batch.photos)
        logits = self.system.concept_logits(regions)
        memory = self.system.remember(self.dropout(regions), logits)
        value, weight = _cross_entropy(self.system.captioner, memory, batch.tokens, stage.label_smoothing)
        logs = {"captions": float(value.detach())}
        value = self._with_side_tasks(value, logs, batch, logits)
        return Loss(value=value, weight=weight, logs=logs)

    def _with_side_tasks(self, value: Tensor, logs: dict[str, float], batch: Batch, logits: Tensor) -> Tensor:
        """Add what the stage asks for beside its main loss: concepts [B, C], and captions without photos."""
        stage = self.stage
        if stage.concept_weight:
            targets = self._concept_targets(batch.items)
            named = concept_loss(logits.float(), targets)
            value = value + stage.concept_weight * named
            logs["concepts"] = float(named.detach())
        if batch.text_tokens is not None and self.text is not None:
            text = self.text.loss(batch.texts, batch.text_tokens, stage.label_smoothing, seed=batch.seed)
            value = value + stage.text_weight * text.value
            logs["text"] = float(text.value.detach())
        return value

    def evaluate(self) -> dict[str, float]:
        """Loss, and BLEU-4 and CIDEr-D (times 100) of greedy captions, on dev and by source."""
        total, tokens = 0.0, 0.0
        rng = np.random.default_rng(0)
        written: list[list[str]] = []
        for items, cached in self._dev_batches():
            with torch.no_grad():
                regions = self.system.regions(cached)
                memory = self.system.remember(regions, self.system.concept_logits(regions))
                tokens_of_part = self._packed(items, rng).to(self.device)
                value, weight = _cross_entropy(self.system.captioner, memory, tokens_of_part, 0.0)
                ids = self._generate(memory, count=1)
            total, tokens = total + float(value) * weight, tokens + weight
            written += [self._words(row[0]) for row in ids]
        result = {"loss": total / tokens}
        groups = by_source(self.corpus.dev)
        for source, places in groups.items():
            references = [self.corpus.dev[place].references for place in places]
            hypotheses = [written[place] for place in places]
            result[f"cider/{source}"] = 100 * cider_d(references, hypotheses)[0]
            result[f"bleu4/{source}"] = 100 * float(bleu(references, hypotheses)[0][3])
        result["cider"] = float(np.mean([result[f"cider/{source}"] for source in groups]))
        result["bleu4"] = float(np.mean([result[f"bleu4/{source}"] for source in groups]))
        return result

    def _generate(self, memory: Tensor, *, count: int, temperature: float = 0.0) -> Tensor:
        captioner = self.system.captioner
        return generate(
            captioner,
            captioner.memory_heads(memory),
            images=memory.shape[0],
            count=count,
            temperature=temperature,
            max_tokens=self.system.captioner.config.max_tokens - 2,
            device=memory.device,
        )

    def _words(self, row: Tensor) -> list[str]:
        """The words of one written caption [L], split as those of its references are."""
        return tokenize(self.corpus.tokenizer.decode(caption_ids(row)))


class RewardObjective(CaptionObjective):
    """Self-critical training (Rennie et al., 2017): samples that beat their siblings become likelier.

    The baseline of a sample is the mean reward of the image's other samples (Luo, 2020). The reward is
    CIDEr-D, with each source's own document frequencies, plus ``bleu_reward`` times smoothed BLEU-4. The
    policy is the softmax of logits / temperature: below 1, samples are as good as what a beam writes, and
    each has something to teach. Rewards alone narrow the language; cross-entropy of people's captions beside
    them (``caption_weight``; Paulus et al., 2018) and of text alone (``text_share``) keep it broad. They also
    reward what can be said of anything; ``likeness_reward`` times the log-probability that the system's
    matcher picks the photo by its caption among those of the batch rewards what tells it from others (Luo et
    al., 2018; with CLIP as the judge: Cho et al., 2022).
    """

    def __init__(
        self, system: CaptionSystem, corpus: Corpus, store: Store, stage: StageConfig, *, seed: int
    ) -> None:
        super().__init__(system, corpus, store, stage, seed=seed)
        self.scorers = _scorers(corpus)

    def loss(self, batch: Batch) -> Loss:
        """The loss of one batch."""
        captioner, stage = self.system.captioner, self.stage
        batch = batch.to(self.device)
        regions = self.system.regions(batch.photos)
        logits = self.system.concept_logits(regions)
        was_training = captioner.training
        captioner.eval()
        with torch.no_grad():
            ids = self._generate(
                self.system.remember(regions, logits),
                count=stage.samples,
                temperature=stage.temperature,
            )
        captioner.train(was_training)
        rewards = self._rewards(batch.items, ids).to(ids.device)
        start = batch.tokens[:, :1, :1].expand(-1, ids.shape[1], -1)
        tokens = torch.cat((start, ids), dim=2)
        logs = {"reward": float(rewards.mean())}
        if stage.likeness_reward:
            found = self._found(regions, tokens)
            rewards = rewards + stage.likeness_reward * found
            logs["likeness"] = float(found.mean())
        others = (rewards.sum(1, keepdim=True) - rewards) / (rewards.shape[1] - 1)
        memory = self.system.remember(self.dropout(regions), logits)
        written = ids != PAD_ID
        logits_written = captioner(memory, tokens[..., :-1], written).float()
        advantage = (rewards - others).unsqueeze(-1).expand_as(ids)[written]
        surprise = F.cross_entropy(logits_written / stage.temperature, ids[written], reduction="none")
        value = (advantage * surprise).mean()
        if stage.caption_weight:
            taught, _ = _cross_entropy(captioner, memory, batch.tokens, stage.label_smoothing)
            value = value + stage.caption_weight * taught
            logs["captions"] = float(taught.detach())
        value = self._with_side_tasks(value, logs, batch, logits)
        return Loss(value=value, weight=float(written.sum()), logs=logs)

    @torch.no_grad()
    def _found(self, regions: Tensor, tokens: Tensor) -> Tensor:
        """How well each caption [B, K, L] tells its photo from the batch's others: [B, K], at least chance.

        What is worse than chance would else be punished without bound, and training diverges.
        """
        matcher = self.system.matcher
        if matcher is None:
            raise ValueError("likeness is judged by a matcher, and this system has none")
        found = matcher.found(matcher.photo(regions).float(), matcher.read(tokens))
        return found.clamp(min=-math.log(len(regions)))

    def _rewards(self, items: Sequence[Captions], ids: Tensor) -> Tensor:
        """CIDEr-D, and some BLEU-4, of written captions [B, K, L], on the CPU: [B, K]."""
        ids = ids.cpu()
        rewards = torch.zeros(ids.shape[:2])
        for row, item in enumerate(items):
            for column in range(ids.shape[1]):
                words = self._words(ids[row, column])
                if bool((ids[row, column] == END_ID).any()):
                    words.append(END)
                reward = self.scorers[item.source].score(item.key, words)
                if self.stage.bleu_reward:
                    reward += self.stage.bleu_reward * sentence_bleu(_ended(item), words)
                rewards[row, column] = reward
        return rewards


@dataclass(frozen=True, slots=True)
class TextTask:
    """Captions without photos, written from simulated concepts."""

    system: ConceptSystem
    simulator: ConceptSimulator

    def loss(self, items: Sequence[Captions], tokens: Tensor, label_smoothing: float, *, seed: int) -> Loss:
        """Cross-entropy of the captions [B, S, L]."""
        captioner = self.system.captioner
        rng = np.random.default_rng(seed)
        concepts = [item.concepts for item in items]
        ids, scores = self.simulator.draw(concepts, captioner.config.concept_tokens, rng)
        device = tokens.device
        memory = self.system.remember_text(
            torch.from_numpy(ids).to(device), torch.from_numpy(scores).to(device)
        )
        value, weight = _cross_entropy(captioner, memory, tokens, label_smoothing)
        return Loss(value=value, weight=weight, logs={"text": float(value.detach())})


def _cross_entropy(
    captioner: CaptionDecoder, memory: Tensor, tokens: Tensor, label_smoothing: float
) -> tuple[Tensor, float]:
    """Tokens [B, S, L] -> mean over tokens, and how many there were."""
    targets = tokens[..., 1:]
    keep = targets != PAD_ID
    logits = captioner(memory, tokens[..., :-1], keep).float()
    return F.cross_entropy(logits, targets[keep], label_smoothing=label_smoothing), float(keep.sum())


def _scorers(corpus: Corpus) -> dict[str, CiderD]:
    """A CIDEr-D scorer for each source, whose word rarities come from that source's captions alone."""
    scorers = {}
    for source, places in by_source(corpus.train).items():
        references = {corpus.train[place].key: _ended(corpus.train[place]) for place in places}
        texts = [_ended(text) for text in corpus.texts if text.source == source]
        frequencies = DocumentFrequency.of([*references.values(), *texts])
        scorers[source] = CiderD(references, document_frequency=frequencies)
    return scorers


def _ended(item: Captions) -> list[list[str]]:
    """References with their end as a word: else captions that break off ("in a red") score as well."""
    return [[*words, END] for words in item.words]


def by_source(items: Sequence[Captions]) -> dict[str, list[int]]:
    """The places of each source's items."""
    places: dict[str, list[int]] = {}
    for place, item in enumerate(items):
        places.setdefault(item.source, []).append(place)
    return places


def learnable_concepts(corpus: Corpus, *, minimum_photos: int = 3) -> Tensor:
    """1 for concepts that enough photos show, else 0: those keep what ImageNet's class names gave them."""
    counts = (concept_targets(corpus.train, len(corpus.concepts)) > 0).sum(0)
    return torch.from_numpy((counts >= minimum_photos).astype(np.float32))


def concept_loss(logits: Tensor, targets: Tensor, learnt: Tensor | None = None) -> Tensor:
    """Binary cross-entropy, summed over concepts: logits and targets [B, C], weights [C] -> scalar."""
    named = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return (named if learnt is None else named * learnt).sum(1).mean()


def forgetting(logits: Tensor, before: Tensor) -> Tensor:
    """How far a classifier's distribution went from what it was: logits [B, K] of both -> scalar."""
    return F.kl_div(
        F.log_softmax(logits, -1), F.log_softmax(before, -1), log_target=True, reduction="batchmean"
    )


def concept_scores(scores: Floats, items: Sequence[Captions], concepts: int) -> dict[str, float]:
    """Cross-entropy, and mean average precision by source and over them, of probabilities [N, C]."""
    targets = concept_targets(items, concepts)
    clipped = np.clip(scores, 1e-6, 1 - 1e-6)
    entropy = -(targets * np.log(clipped) + (1 - targets) * np.log(1 - clipped))
    result = {"loss": float(entropy.sum(1).mean())}
    by = {
        f"map/{source}": mean_average_precision(scores[places], targets[places] > 0)
        for source, places in by_source(items).items()
    }
    return result | by | {"map": float(np.mean(list(by.values())))}


def mean_average_precision(scores: Floats, targets: npt.NDArray[np.bool_], *, minimum: int = 3) -> float:
    """Mean over concepts that at least ``minimum`` photos show: scores and targets [N, C]."""
    values = []
    for column in np.flatnonzero(targets.sum(0) >= minimum):
        hits = targets[np.argsort(-scores[:, column], kind="stable"), column]
        values.append(float((np.cumsum(hits) / np.arange(1, len(hits) + 1))[hits].mean()))
    return float(np.mean(values)) if values else 0.0
