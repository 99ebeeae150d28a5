"""Cutline: a photo goes in, a good sentence comes out.

    import cutline

    captioner = cutline.load()
    [[caption]] = captioner.caption(["photo.jpg"], options=cutline.DecodingOptions(beam_size=5))
    print(caption.text)

Errors are kinds of cutline.CutlineError; cutline.errors draws the tree. Importing this package is quick:
numpy and the runtime are imported on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from cutline import telemetry
from cutline.errors import (
    BundleError,
    CaptionerUnavailable,
    CutlineError,
    ImageError,
    MissingExtra,
    OptionError,
)

if TYPE_CHECKING:
    import os

    from cutline.captioning.options import DecodingOptions
    from cutline.captioning.protocol import Caption, Captioner

__all__ = [
    "BundleError",
    "Caption",
    "Captioner",
    "CaptionerUnavailable",
    "CutlineError",
    "DecodingOptions",
    "ImageError",
    "MissingExtra",
    "OptionError",
    "load",
]

telemetry.turn_off()  # the one thing that importing does: the runtime reads the environment on its own import

_IMPORTED_WHEN_USED = {
    "Caption": "cutline.captioning.protocol",
    "Captioner": "cutline.captioning.protocol",
    "DecodingOptions": "cutline.captioning.options",
}


def load(uri: str | os.PathLike[str] | None = None) -> Captioner:
    """Load a captioner: the one that ships when ``uri`` is None, else the one it names.

    ``uri`` is a bundle (the path of a folder or a zip, or its ``file:`` URI), ``openvino:BUNDLE`` (the same
    on OpenVINO; ``openvino:`` alone is the bundle that ships), ``hf:FOLDER`` (a Hugging Face image-to-text
    model), ``openai:BASE_URL#MODEL`` (any OpenAI-compatible endpoint that sees) or
    ``registry:PLACE#ALIAS-OR-ID`` (a version of a registry in a folder or an S3 bucket; the champion where
    nothing follows the place). Raises BundleError, CaptionerUnavailable, MissingExtra, and for a registry
    errors.RegistryError.
    """
    from cutline.captioning.sources import load as load_source

    if isinstance(uri, str) and "registry:" in uri:
        from cutline.registry.places import local

        uri = local(uri)
    return load_source(uri)


def __getattr__(name: str) -> object:
    """Import what is not needed by everybody on first use (PEP 562)."""
    if name in _IMPORTED_WHEN_USED:
        return getattr(importlib.import_module(_IMPORTED_WHEN_USED[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
