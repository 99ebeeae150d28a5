"""A bundle so small that a test can train it further.

Pixels to a grid, and a transformer that knows few words.
"""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from torch import Tensor, nn

from cutline.captioning.bundle import TrainingData
from cutline.captioning.options import DecodingOptions, Strategy
from cutline.images import Preprocessing
from cutline.training.export import BundleDetails, export_bundle
from cutline.training.systems import ConceptSystem
from cutline.training.towers import Matcher, PhotoHead, TextTower
from cutline.training.transformer import TransformerCaptioner, TransformerConfig
from tests.learning.exports import WORDS

SIDE, ROWS, COLUMNS, WIDTH = 18, 3, 3, 12
VOCABULARY = ("<pad>", "<sos>", "<end>", "<unk>", *sorted(WORDS))


class _Trunk(nn.Module):
    """Colours of nine cells."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.Conv2d(3, WIDTH, SIDE // ROWS, SIDE // ROWS)

    def forward(self, pixels: Tensor) -> Tensor:
        """[B, H, W, 3] -> [B, ROWS, COLUMNS, WIDTH]."""
        found: Tensor = self.cells(pixels.permute(0, 3, 1, 2).float() / 64 - 2)
        return found.permute(0, 2, 3, 1)


class _Tail(nn.Module):
    def forward(self, cached: Tensor) -> Tensor:
        """[B, H, W, C] -> [B, R, C]."""
        return cached.flatten(1, 2)


def tiny_captioner() -> TransformerCaptioner:
    """Random weights, with concepts. No two are alike, or the exporter would make one of them."""
    torch.manual_seed(1)
    captioner = TransformerCaptioner(
        TransformerConfig(
            vocabulary=len(VOCABULARY),
            concepts=6,
            feature_width=WIDTH,
            rows=ROWS,
            columns=COLUMNS,
            width=16,
            heads=2,
            encoder_layers=1,
            decoder_layers=1,
            hidden=24,
            dropout=0.0,
            concept_tokens=2,
            max_tokens=14,
        )
    )
    with torch.no_grad():
        for parameter in captioner.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.01)
    return captioner.eval()


def write_tiny_bundle(folder: Path) -> TransformerCaptioner:
    """Write the bundle; give the captioner in it."""
    captioner = tiny_captioner()
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(VOCABULARY)}, unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    details = BundleDetails(
        name="tiny",
        version="1.0",
        licence="Apache-2.0",
        preprocessing=Preprocessing(width_px=SIDE, height_px=SIDE, mode="squash", resample="bilinear"),
        decoding=DecodingOptions(strategy=Strategy.GREEDY, max_length=12),
        training_data=TrainingData(hash="0" * 64, description="nothing"),
        card="# tiny\n",
    )
    matcher = Matcher(PhotoHead(WIDTH, 8, 4), TextTower(captioner.config, 4)).eval()
    export_bundle(folder, _Trunk(), ConceptSystem(_Tail(), captioner, matcher), tokenizer, details)
    return captioner
