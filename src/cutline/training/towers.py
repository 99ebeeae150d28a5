"""Photos and texts in one space: a photo and what is said of it lie close together.

Legend of shapes: B photos, S captions a photo, N texts, L tokens, R regions, F feature width, E width of an
embedding.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that torch's own documentation uses

from cutline.training.transformer import EncoderLayer, TransformerConfig
from cutline.training.vocabulary import PAD_ID

# Where CLIP's training starts, and where it is stopped (Radford et al., 2021).
_FIRST_SCALE, _LARGEST_SCALE = math.log(1 / 0.07), math.log(100)


class PhotoHead(nn.Module):
    """Where a photo lies: from the mean and the maximum of its regions."""

    def __init__(self, feature_width: int, width: int, embedding: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(2 * feature_width, width)
        self.out = nn.Linear(width, embedding)

    def forward(self, regions: Tensor) -> Tensor:
        """[B, R, F] -> [B, E]."""
        seen = torch.cat((regions.mean(dim=1), regions.amax(dim=1)), dim=-1)
        return cast(Tensor, self.out(torch.relu(self.hidden(seen))))


class TextTower(nn.Module):
    """Where a text lies: the mean of its words, once they have looked at each other."""

    def __init__(self, config: TransformerConfig, embedding: int) -> None:
        super().__init__()
        self.width = config.width
        self.embedding = nn.Embedding(config.vocabulary, config.width)
        self.positions = nn.Parameter(torch.zeros(config.max_tokens, config.width))
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.encoder_layers))
        self.norm = nn.LayerNorm(config.width)
        self.out = nn.Linear(config.width, embedding)
        self.dropout = nn.Dropout(config.dropout)
        for parameter in (self.embedding.weight, self.positions):
            nn.init.normal_(parameter, std=0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        """Token ids [N, L], padded at the end -> [N, E]. A text without a word is padding that is read."""
        first = torch.arange(tokens.shape[1], device=tokens.device) == 0
        read = (tokens != PAD_ID) | first
        words = self.embedding(tokens) * math.sqrt(self.width) + self.positions[: tokens.shape[1]]
        words = self.dropout(words)
        for layer in self.layers:
            words = layer(words, read[:, None, None])
        weights = read.unsqueeze(-1).to(words.dtype)
        return cast(Tensor, self.out((self.norm(words) * weights).sum(1) / weights.sum(1)))


class Matcher(nn.Module):
    """Both towers, and how sharply their likeness is read."""

    def __init__(self, photo: PhotoHead, text: TextTower) -> None:
        super().__init__()
        self.photo = photo
        self.text = text
        self.log_scale = nn.Parameter(torch.tensor(_FIRST_SCALE))

    def read(self, captions: Tensor) -> Tensor:
        """Where captions lie, with their start and end [B, S, L] -> [B, S, E]."""
        embedded = self.text(bare(captions).flatten(0, 1)).float()
        return cast(Tensor, embedded.view(*captions.shape[:2], -1))

    def found(self, photos: Tensor, texts: Tensor) -> Tensor:
        """How well each text [B, S, E] tells its photo [B, E] from the others: a log-probability [B, S]."""
        chances = F.log_softmax(self._likeness(photos, texts), dim=-1)  # [S, B, B]: of a text's photo
        return chances.diagonal(dim1=1, dim2=2).T

    def _likeness(self, photos: Tensor, texts: Tensor) -> Tensor:
        """Cosines, sharpened: of the S-th text of each photo with each photo, [S, B, B]."""
        scale = self.log_scale.clamp(max=_LARGEST_SCALE).exp()
        photos, texts = F.normalize(photos, dim=-1), F.normalize(texts, dim=-1)
        return scale * torch.einsum("be,cse->scb", photos, texts)

    def contrast(self, photos: Tensor, texts: Tensor) -> Tensor:
        """How badly photos [B, E] and texts [B, S, E] find each other in this batch (InfoNCE, both ways)."""
        likeness = self._likeness(photos, texts).transpose(1, 2)
        pairs = torch.arange(len(photos), device=photos.device).expand(likeness.shape[:2])
        there = F.cross_entropy(likeness.flatten(0, 1), pairs.flatten())
        back = F.cross_entropy(likeness.transpose(1, 2).flatten(0, 1), pairs.flatten())
        return (there + back) / 2


def bare(tokens: Tensor) -> Tensor:
    """Captions without <sos> and <end>, as texts are given to the tower: [..., L] -> [..., L - 1]."""
    shifted = tokens[..., 1:]
    ends = (shifted != PAD_ID).sum(-1, keepdim=True) - 1
    return shifted.scatter(-1, ends, PAD_ID)
