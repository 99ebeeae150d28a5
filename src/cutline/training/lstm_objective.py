"""What ``lstm-attention`` adds to teacher forcing: its penalty on attention, and scheduled sampling.

Legend of shapes: B images, S captions an image, L tokens, V vocabulary, R regions, F feature width.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name that torch's own documentation uses

from cutline.training.loop import Loss
from cutline.training.lstm import LstmCaptioner, uneven_attention
from cutline.training.objectives import Batch, CaptionObjective
from cutline.training.optim import ParameterGroup
from cutline.training.vocabulary import PAD_ID


@dataclass(frozen=True, slots=True, kw_only=True)
class SampledBatch:
    """A batch, and the share of words that the model feeds itself in it."""

    batch: Batch
    own_share: float


class LstmCaptionObjective:
    """Write the captions of photos, looking at all of each photo.

    The share of words that are the model's own grows along a line, from 0 to ``scheduled_sampling`` at the
    end of the last epoch. Batches, scores and all else are those of the objective that it wraps.
    """

    def __init__(
        self,
        captions: CaptionObjective,
        *,
        epochs: int,
        doubly_stochastic: float = 1.0,
        scheduled_sampling: float = 0.0,
    ) -> None:
        self.captions = captions
        self.module: nn.Module = captions.module
        captioner = captions.system.captioner
        if not isinstance(captioner, LstmCaptioner):
            raise TypeError(f"a {type(captioner).__name__} is not an LstmCaptioner")
        self.captioner = captioner
        self.epochs = epochs
        self.doubly_stochastic = doubly_stochastic
        self.scheduled_sampling = scheduled_sampling

    def parameter_groups(self) -> Sequence[ParameterGroup]:
        """As CaptionObjective."""
        return self.captions.parameter_groups()

    def steps_per_epoch(self) -> int:
        """As CaptionObjective."""
        return self.captions.steps_per_epoch()

    def batches(self, epoch: int, *, rank: int = 0, world: int = 1, start: int = 0) -> Iterator[SampledBatch]:
        """The epoch's batches from batch ``start``, each with its share."""
        steps = self.steps_per_epoch()
        found = self.captions.batches(epoch, rank=rank, world=world, start=start)
        for step, batch in enumerate(found, start=epoch * steps + start):
            share = self.scheduled_sampling * step / max(self.epochs * steps - 1, 1)
            yield SampledBatch(batch=batch, own_share=share)

    def loss(self, batch: SampledBatch) -> Loss:
        """The loss of one batch."""
        captions = self.captions
        given = batch.batch.to(captions.device)
        regions = captions.system.regions(given.photos)
        memory = self.captioner.remember_regions(captions.dropout(regions))
        taught = self.captioner.teach(memory, given.tokens[..., :-1], own_share=batch.own_share)
        targets = given.tokens[..., 1:]
        words = F.cross_entropy(
            taught.logits.float().flatten(0, 2),
            targets.flatten(),
            ignore_index=PAD_ID,
            label_smoothing=captions.stage.label_smoothing,
        )
        written = (targets != PAD_ID).float()
        uneven = uneven_attention(taught.attention.float(), written)
        value = words + self.doubly_stochastic * uneven
        logs = {"captions": float(words.detach()), "uneven_attention": float(uneven.detach())}
        return Loss(value=value, weight=float(written.sum()), logs=logs)

    def evaluate(self) -> dict[str, float]:
        """Loss, BLEU-4 and CIDEr-D on dev."""
        return self.captions.evaluate()
