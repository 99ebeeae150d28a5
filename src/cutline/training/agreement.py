"""Whether a bundle writes the same captions on every machine: its quick kernels against exact arithmetic."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from cutline.captioning.bundle import Bundle
from cutline.captioning.bundle_captioner import BundleCaptioner
from cutline.images import Source


def share_of_differing(bundle: Bundle | Path, photos: Iterable[Source]) -> float:
    """The share of photos whose caption differs when every layer is computed in float, as the graph says."""
    chosen = list(photos)
    texts = [_texts(BundleCaptioner(bundle, is_exact=is_exact), chosen) for is_exact in (False, True)]
    differing = sum(bool(quick != exact) for quick, exact in zip(*texts, strict=True))
    return float(differing / max(1, len(chosen)))


def _texts(captioner: BundleCaptioner, photos: list[Source]) -> list[str]:
    texts = []
    for outcome in captioner.caption_each(photos):
        if not isinstance(outcome, list):
            raise outcome
        texts.append(outcome[0].text)
    return texts
