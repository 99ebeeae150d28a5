"""Keeps the captions that a model is sure enough of: what ``--min-confidence`` does."""

from __future__ import annotations

from collections.abc import Sequence

from cutline.captioning.protocol import Caption, ModelInfo
from cutline.errors import CaptionUnsure, OptionError


def check_says_confidence(model: ModelInfo, least: float | None) -> None:
    """Refuse (OptionError) to ask for a confidence where the model gives none. least None: nobody asks."""
    if least is not None and model.acceptable_cider is None:
        raise OptionError(
            f"{model.label} does not say how sure it is of a caption.",
            hint="--min-confidence needs a bundle with confidence.json; see cutline bundle calibrate --help.",
        )


def sure_ones(captions: Sequence[Caption], least: float | None) -> Sequence[Caption]:
    """The captions whose confidence is at least so high; all where nobody asks.

    Raises CaptionUnsure where the first is not: it is the photo's caption, however many there are.
    """
    if least is None:
        return captions
    sure = [each for each in captions if (each.confidence or 0.0) >= least]
    if captions and captions[0] not in sure:
        raise CaptionUnsure(
            f"The model is not sure of its caption: its confidence is {captions[0].confidence or 0.0:.2f}, "
            f"below {least:g}."
        )
    return sure
