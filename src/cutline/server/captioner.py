"""The one door to the captioner: one micro-batcher for each model, made when it is first asked for."""

from __future__ import annotations

from cutline.captioning.batching import MicroBatcher


def captioner(model: str = "") -> MicroBatcher:
    """The captioner of a model's id (as GET /models lists them); the default model where empty.

    Raises Invalid for a model that the settings do not allow, CaptionerUnavailable or BundleError.
    """
    raise NotImplementedError


def model_label(model: str = "") -> str:
    """The model's "name@version"."""
    raise NotImplementedError
