"""What is trained and saved as one: the encoder's trainable part and a decoder.

Legend of shapes: B images, S captions an image, L tokens, K beams, V vocabulary, H, W, R the grid's rows,
columns and regions, F feature width, C concepts, T concept tokens, P places.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from cutline.training.concepts import ConceptHead
from cutline.training.towers import Matcher
from cutline.training.transformer import TransformerCaptioner


class DecoderSizes(Protocol):
    """The size that every decoder has, whatever its kind."""

    @property
    def max_tokens(self) -> int:
        """The most tokens that it can be fed, <start> and <end> among them."""
        ...


class CaptionDecoder(Protocol):
    """What the decoders share; each is an ``nn.Module``. Memory and states are of the decoder's own kind."""

    training: bool

    @property
    def config(self) -> DecoderSizes:
        """Its sizes."""
        ...

    def parameters(self) -> Iterator[nn.Parameter]:
        """As nn.Module."""
        ...

    def train(self, mode: bool = True) -> object:
        """As nn.Module."""
        ...

    def eval(self) -> object:
        """As nn.Module."""
        ...

    def __call__(self, memory: Tensor, tokens: Tensor, keep: Tensor | None = None) -> Tensor:
        """Teacher forcing: tokens [B, S, L] -> logits [B, S, L, V]; of the places ``keep`` alone, [P, V]."""
        ...

    def remember_regions(self, features: Tensor) -> Tensor:
        """Features [B, R, F] -> the memory that words attend to."""
        ...

    def memory_heads(self, memory: Tensor) -> Any:
        """What each step needs of the memory, computed once."""
        ...

    def initial(self, memory: Any, count: int) -> Any:
        """The state before the first token, for ``count`` captions of each image."""
        ...

    def step(self, tokens: Tensor, state: Any, memory: Any) -> tuple[Tensor, Any, Tensor]:
        """Tokens [B, K] -> logits [B, K, V], the next state, attention [B, K, R]."""
        ...


class CaptionSystem(nn.Module):
    """An encoder's tail, a decoder that reads its regions alone, and perhaps what finds photos by texts."""

    captioner: CaptionDecoder

    def __init__(self, tail: nn.Module, captioner: CaptionDecoder, matcher: Matcher | None = None) -> None:
        super().__init__()
        self.tail = tail
        self.captioner = captioner
        self.matcher = matcher
        self.train_tail = True

    def regions(self, cached: Tensor) -> Tensor:
        """What the trunk made, [B, H, W, F], to region features [B, R, F]; a frozen tail gets no gradient."""
        with torch.set_grad_enabled(self.train_tail and torch.is_grad_enabled()):
            return cast(Tensor, self.tail(cached)).float()

    def concept_logits(self, regions: Tensor) -> Tensor:
        """Regions [B, R, F] -> a logit for each concept [B, C]; without concepts [B, 0]."""
        return regions.new_zeros((regions.shape[0], 0))

    def remember(self, regions: Tensor, logits: Tensor) -> Tensor:
        """Regions [B, R, F] and the concepts' logits [B, C] -> the memory of the photos."""
        return self.captioner.remember_regions(regions)


class ConceptSystem(CaptionSystem):
    """An encoder's tail and a transformer that reads regions and their likeliest concepts.

    Raises ValueError for a transformer without concepts.
    """

    captioner: TransformerCaptioner

    def __init__(
        self, tail: nn.Module, captioner: TransformerCaptioner, matcher: Matcher | None = None
    ) -> None:
        super().__init__(tail, captioner, matcher)
        if captioner.concepts is None:
            raise ValueError("this captioner has no concepts")

    @property
    def concepts(self) -> ConceptHead:
        """The head that recognises concepts in regions."""
        head = self.captioner.concepts
        assert head is not None  # as __init__ saw to
        return head

    def concept_logits(self, regions: Tensor) -> Tensor:
        """Regions [B, R, F] -> a logit for each concept [B, C]."""
        return cast(Tensor, self.concepts(regions))

    def remember(self, regions: Tensor, logits: Tensor) -> Tensor:
        """The memory of photos: their regions and their likeliest concepts."""
        ids, scores = self.captioner.top_concepts(logits.detach().float())
        return self.captioner.remember(regions, ids, scores)

    def remember_text(self, ids: Tensor, scores: Tensor) -> Tensor:
        """The memory of captions without photos: concepts [B, T] and their probabilities alone."""
        return self.captioner.remember(None, ids, scores)
