"""The objective ``match``: photos and captions find each other, for search and to judge captions by.

Legend of shapes: B photos, S captions a photo, L tokens, D width of a teacher's embedding, E of ours.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812 - the name that torch's own documentation uses

from cutline.metrics import retrieval
from cutline.training.config import StageConfig
from cutline.training.corpus import Corpus
from cutline.training.loop import Loss
from cutline.training.objectives import Batch, PhotoObjective, Store, by_source
from cutline.training.optim import ParameterGroup
from cutline.training.systems import CaptionSystem
from cutline.training.teachers import EMBEDDINGS, Answers


class MatchObjective(PhotoObjective):
    """Photos and their captions find each other among those of a batch (Radford et al., 2021).

    A teacher's embeddings of the photos, in as many principal components as an embedding has, are a third
    thing to be found, by photos and by captions alike: with few captions, they say more than other photos do.
    """

    def __init__(
        self,
        system: CaptionSystem,
        corpus: Corpus,
        store: Store,
        stage: StageConfig,
        *,
        seed: int,
        teacher: Answers | None = None,
    ) -> None:
        super().__init__(system, corpus, store, stage, seed=seed)
        if system.matcher is None:
            raise ValueError("this system has no matcher")
        self.matcher = system.matcher
        self.teacher = teacher
        self.components = None
        if teacher is not None:
            rows = [item.row for item in corpus.train]
            self.components = _principal(teacher.read(EMBEDDINGS, rows), self.matcher.text.out.out_features)

    def parameter_groups(self) -> list[ParameterGroup]:
        """The towers, and the encoder's tail where it learns."""
        others = [group for group in super().parameter_groups() if group.name == "encoder"]
        towers = ParameterGroup(
            name="towers",
            parameters=list(self.matcher.parameters()),
            learning_rate=self.stage.learning_rate,
            weight_decay=self.stage.weight_decay,
        )
        return [towers, *others]

    def loss(self, batch: Batch) -> Loss:
        """The loss of one batch."""
        batch = batch.to(self.device)
        photos = self.matcher.photo(self.system.regions(batch.photos)).float()
        texts = self.matcher.read(batch.tokens)
        value = self.matcher.contrast(photos, texts)
        logs = {"contrast": float(value.detach())}
        if self.teacher is not None and self.components is not None:
            mean, directions = (each.to(self.device) for each in self.components)
            answers = self.teacher.read(EMBEDDINGS, [item.row for item in batch.items]).to(self.device)
            taught = (answers - mean) @ directions
            agreement = self.matcher.contrast(taught, texts) + self.matcher.contrast(photos, taught[:, None])
            value = value + self.stage.embedding_weight * agreement
            logs["teacher"] = float(agreement.detach())
        return Loss(value=value, weight=len(batch.items), logs=logs)

    def evaluate(self) -> dict[str, float]:
        """Loss on the dev photos, and by source how many are found by a caption, and find one of theirs."""
        photos, texts = [], []
        rng = np.random.default_rng(0)
        loss, dev = 0.0, list(self.corpus.dev)
        for items, cached in self._dev_batches():
            seen = self.matcher.photo(self.system.regions(cached)).float()
            read = self.matcher.read(self._packed(items, rng).to(self.device))
            loss += float(self.matcher.contrast(seen, read)) * len(items) / len(dev)
            photos.append(F.normalize(seen, dim=-1).cpu())
            texts.append(F.normalize(read, dim=-1).cpu())
        all_photos, all_texts = torch.cat(photos), torch.cat(texts)
        result = {"loss": loss}
        sources = by_source(dev)
        for source, places in sources.items():
            result |= recalls(all_photos[places], all_texts[places], source)
        result["recall"] = float(np.mean([result[f"recall/text/1/{source}"] for source in sources]))
        return result


def recalls(photos: Tensor, texts: Tensor, source: str) -> dict[str, float]:
    """In percent, how many texts [B, S, E] find their photo [B, E] among the first, and photos a text."""
    count, captions = texts.shape[:2]
    own = np.repeat(np.arange(count), captions)
    found = retrieval.recalls(photos.numpy(), texts.flatten(0, 1).numpy(), own)
    return {f"recall/{asked}/{first}/{source}": share for (asked, first), share in found.items()}


def _principal(vectors: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The mean [D] of vectors [N, D], and their first principal directions [D, E]."""
    mean = vectors.mean(0)
    _, directions = torch.linalg.eigh((vectors - mean).T @ (vectors - mean))
    return mean, directions[:, -count:]
