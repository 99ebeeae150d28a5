"""The objective ``distil``: the whole encoder learns to see what a larger model sees, and to name it.

Legend of shapes: B photos, C channels, h and w rows and columns of the encoder's grid, F feature width,
E width of an embedding, G rows and columns of the teacher's patches, D their width, K concepts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that torch's own documentation uses

from cutline.errors import ConfigError
from cutline.images import Preprocessing, to_pixels
from cutline.training.concepts import ConceptHead
from cutline.training.config import StageConfig
from cutline.training.corpus import Captions, Corpus, concept_targets
from cutline.training.datasets import open_example
from cutline.training.encoders import Network
from cutline.training.examples import Example
from cutline.training.loop import Loss
from cutline.training.objectives import concept_loss, concept_scores, forgetting, learnable_concepts
from cutline.training.optim import ParameterGroup
from cutline.training.teachers import CLASSES, EMBEDDINGS, PATCHES, Answers
from cutline.training.transforms import View, augment_with_view, augmentation_rng, may_flip

# A tensor whose weights are all zero would never learn at a rate in proportion to them.
_LEAST_SCALE = 1e-2
# Photos that the moments of the teacher's numbers are taken from, about; photos evaluated at once; threads.
_MOMENTS_OF = 1000
_EVALUATED = 50
_OPENERS = 2


class Student(nn.Module):
    """An encoder, whole, and what it is asked for while it learns: heads that no bundle has, and concepts."""

    def __init__(self, network: Network, width: int, *, embedding: int, patch: int, concepts: int) -> None:
        super().__init__()
        self.network = network
        self.embedding = nn.Linear(width, embedding)
        self.patches = nn.Linear(width, patch)
        self.concepts = ConceptHead(width, concepts) if concepts else None

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels uint8 [B, H, W, 3] -> features [B, h, w, F]."""
        return cast(Tensor, self.network(pixels)).permute(0, 2, 3, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taught:
    """What the teachers said of all photos, by their row. classes: None without an ImageNet head."""

    teacher: Answers
    classes: Answers | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoBatch:
    """Variations of photos, uint8 [B, H, W, 3], and which part of each they show."""

    items: list[Captions]
    pixels: Tensor
    views: list[View]


class DistilObjective:
    """Agree with a teacher on photos, and on their parts; name their concepts; keep what ImageNet taught.

    The teacher's embedding [B, E] and patches [B, G, G, D], each number at zero mean and unit deviation, are
    predicted by linear heads on the mean of the regions and on each region (mimicking features does best in
    CLIP-KD, Yang et al., 2024). Where a variation shows part of a photo, its regions are compared with the
    patches of that part. Concepts and ImageNet as in `ConceptObjective`.

    Each tensor of the encoder learns at ``stage.encoder_learning_rate`` times the size of its weights, for
    folded batch norms leave sizes that differ a hundredfold; the heads at ``stage.learning_rate``.
    """

    def __init__(
        self,
        student: Student,
        classifier: nn.Linear | None,
        corpus: Corpus,
        photos: Sequence[Example],
        taught: Taught,
        stage: StageConfig,
        *,
        size: Preprocessing,
        seed: int,
    ) -> None:
        self.module: nn.Module = student
        self.student = student
        self.classifier = classifier.requires_grad_(False) if classifier is not None else None
        self.corpus = corpus
        self.photos = photos
        self.taught = taught
        self.stage = stage
        self.size = size
        self.seed = seed
        self.items = [item for item in corpus.train for _ in range(stage.repeat.get(item.source, 1))]
        self.learnt = learnable_concepts(corpus)
        rows = [item.row for item in corpus.train[:: max(1, len(corpus.train) // _MOMENTS_OF)]]
        self.moments = {name: taught.teacher.moments(name, rows) for name in (EMBEDDINGS, PATCHES)}

    @property
    def device(self) -> torch.device:
        """Where the module is now: the loop may have moved it."""
        return next(self.module.parameters()).device

    def parameter_groups(self) -> list[ParameterGroup]:
        """The heads, and each tensor of the encoder at a rate of its own."""
        stage, student = self.stage, self.student
        heads = [each for name, each in student.named_parameters() if not name.startswith("network.")]
        groups = [
            ParameterGroup(
                name="heads",
                parameters=heads,
                learning_rate=stage.learning_rate,
                weight_decay=stage.weight_decay,
            )
        ]
        frozen = {id(each) for each in _frozen(student.network, stage)}
        for name, tensor in student.network.named_parameters():
            if tensor.requires_grad and id(tensor) not in frozen:
                size = float(tensor.detach().square().mean().sqrt())
                groups.append(
                    ParameterGroup(
                        name=name,
                        parameters=[tensor],
                        learning_rate=(stage.encoder_learning_rate or 0.0) * max(size, _LEAST_SCALE),
                        weight_decay=0.0,
                    )
                )
        return groups

    def steps_per_epoch(self) -> int:
        """The number of whole batches; photos left over may come in the next epoch."""
        return max(1, len(self.items) // self.stage.batch_size)

    def batches(self, epoch: int, *, rank: int = 0, world: int = 1, start: int = 0) -> Iterator[PhotoBatch]:
        """The epoch's batches from step ``start``, opened ahead; rank r of w takes every w-th photo."""
        order = np.random.default_rng([self.seed, epoch]).permutation(len(self.items))
        size = self.stage.batch_size
        with ThreadPoolExecutor(_OPENERS) as pool:

            def submit(step: int) -> list[Future[tuple[Captions, Tensor, View]]]:
                chosen = order[step * size : (step + 1) * size][rank::world]
                return [pool.submit(self._variation, int(place), epoch) for place in chosen]

            coming: deque[list[Future[tuple[Captions, Tensor, View]]]] = deque()
            for step in range(start, self.steps_per_epoch() + 1):
                if step < self.steps_per_epoch():
                    coming.append(submit(step))
                if step > start:
                    items, pixels, views = zip(*(each.result() for each in coming.popleft()), strict=True)
                    yield PhotoBatch(items=list(items), pixels=torch.stack(pixels), views=list(views))

    def _variation(self, place: int, epoch: int) -> tuple[Captions, Tensor, View]:
        item = self.items[place]
        example = self.photos[item.row]
        image, view = augment_with_view(
            open_example(example, enough_px=self.size.enough_px),
            self.stage.augmentation,
            augmentation_rng(self.seed, epoch, place),
            flip=may_flip(example.captions),
        )
        return item, torch.from_numpy(to_pixels(image, self.size)), view

    def loss(self, batch: PhotoBatch) -> Loss:
        """The loss of one batch."""
        stage, device = self.stage, self.device
        rows = [item.row for item in batch.items]
        features = self.student(batch.pixels.to(device)).float()
        errors = self._errors(features, rows, batch.views)
        value = stage.embedding_weight * errors[EMBEDDINGS] + stage.patch_weight * errors[PATCHES]
        regions = features.flatten(1, 2)
        if self.student.concepts is not None:
            targets = torch.from_numpy(concept_targets(batch.items, len(self.corpus.concepts))).to(device)
            errors["concepts"] = concept_loss(self.student.concepts(regions), targets, self.learnt.to(device))
            value = value + stage.concept_weight * errors["concepts"]
        if self.classifier is not None and self.taught.classes is not None:
            logits = self.classifier.to(device)(regions.mean(1))
            before = self.taught.classes.read(CLASSES, rows).to(device)
            errors["forgetting"] = forgetting(logits, before)
            value = value + stage.distill_weight * errors["forgetting"]
        logs = {name: float(error.detach()) for name, error in errors.items()}
        return Loss(value=value, weight=len(rows), logs=logs)

    def _errors(self, features: Tensor, rows: Sequence[int], views: Sequence[View]) -> dict[str, Tensor]:
        """Mean squared errors of both heads, in parts of the teacher's variance. Features [B, h, w, F]."""
        patches = self._target(PATCHES, rows)
        patches = shown(patches, views, (features.shape[1], features.shape[2]))
        return {
            EMBEDDINGS: F.mse_loss(
                self.student.embedding(features.mean((1, 2))), self._target(EMBEDDINGS, rows)
            ),
            PATCHES: F.mse_loss(self.student.patches(features), patches),
        }

    def _target(self, name: str, rows: Sequence[int]) -> Tensor:
        mean, deviation = self.moments[name]
        return ((self.taught.teacher.read(name, rows) - mean) / deviation).to(self.device)

    def evaluate(self) -> dict[str, float]:
        """Loss on the dev photos; how much of the teacher's variance is explained; concepts, by source."""
        dev = list(self.corpus.dev)
        totals: dict[str, float] = {EMBEDDINGS: 0.0, PATCHES: 0.0}
        scores = []
        for start in range(0, len(dev), _EVALUATED):
            part = dev[start : start + _EVALUATED]
            features = self.student(self._photos(part).to(self.device)).float()
            for name, error in self._errors(
                features, [item.row for item in part], [View()] * len(part)
            ).items():
                totals[name] += float(error) * len(part) / len(dev)
            if self.student.concepts is not None:
                scores.append(torch.sigmoid(self.student.concepts(features.flatten(1, 2))).cpu().numpy())
        loss = self.stage.embedding_weight * totals[EMBEDDINGS] + self.stage.patch_weight * totals[PATCHES]
        result = {f"explained/{name}": 1 - error for name, error in totals.items()}
        result["explained"] = float(np.mean(list(result.values())))
        if scores:
            named = concept_scores(np.concatenate(scores), dev, len(self.corpus.concepts))
            loss += self.stage.concept_weight * named.pop("loss")
            result |= named
        return {"loss": loss, **result}

    def _photos(self, items: Sequence[Captions]) -> Tensor:
        opened = (open_example(self.photos[item.row], enough_px=self.size.enough_px) for item in items)
        return torch.from_numpy(np.stack([to_pixels(image, self.size) for image in opened]))


def _frozen(network: Network, stage: StageConfig) -> Iterator[nn.Parameter]:
    """The parameters of the encoder that a stage leaves as they are; ImageNet's head is one of them."""
    classifier, layers = getattr(network, "classifier", None), getattr(network, "stem", None)
    if classifier is not None:
        yield from classifier.parameters()
    if stage.frozen_layers:
        if layers is None:
            raise ConfigError(f"Stage {stage.name}: this encoder has no first layers to freeze.")
        yield from layers[: stage.frozen_layers].parameters()
    if stage.frozen_filters:
        for module in network.modules():
            if isinstance(module, nn.Conv2d) and module.groups > 1:
                yield from module.parameters()


def width_of(network: Network, size: Preprocessing) -> int:
    """The width F of a network's features."""
    with torch.no_grad():
        blank = torch.zeros(1, size.height_px, size.width_px, 3, dtype=torch.uint8)
        return int(network.eval()(blank).shape[1])


def shown(patches: Tensor, views: Sequence[View], grid: tuple[int, int]) -> Tensor:
    """What lies under a grid over part of each photo: [B, G, G, D] -> [B, h, w, D], interpolated."""
    places = torch.stack([_places(view, grid) for view in views]).to(patches.device)
    under = F.grid_sample(patches.permute(0, 3, 1, 2), places, padding_mode="border", align_corners=False)
    return under.permute(0, 2, 3, 1)


def _places(view: View, grid: tuple[int, int]) -> Tensor:
    """The centres of the cells, in -1..1 of the whole photo, as `grid_sample` counts: [h, w, 2]."""
    down, across = ((torch.arange(cells) + 0.5) / cells for cells in grid)
    if view.mirrored:
        across = 1 - across
    x = view.left + across * (view.right - view.left)
    y = view.top + down * (view.bottom - view.top)
    rows, columns = torch.meshgrid(y, x, indexing="ij")
    return torch.stack((columns, rows), dim=-1) * 2 - 1


def parts_of(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The weights of one part of a student, by their names within it."""
    return {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
