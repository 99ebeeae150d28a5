"""Cutline: a photo goes in, a good sentence comes out.

    import cutline

    captioner = cutline.load()
    [[caption]] = captioner.caption(["photo.jpg"])
    print(caption.text)

Importing this package is quick: what needs numpy or a runtime is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cutline.errors import CutlineError

if TYPE_CHECKING:
    import os

    from cutline.captioning.protocol import Caption, Captioner

__all__ = ["Caption", "Captioner", "CutlineError", "load"]


def load(uri: str | os.PathLike[str] | None = None) -> Captioner:
    """Load a captioner: the one that ships when ``uri`` is None, else the one it names.

    ``uri`` is a bundle (the path of a folder or a zip, or its ``file:`` URI), ``openvino:BUNDLE`` (the same
    on OpenVINO; ``openvino:`` alone is the one that ships), ``hf:FOLDER`` (a Hugging Face image-to-text
    model) or ``openai:BASE_URL#MODEL`` (any OpenAI-compatible endpoint that sees). Raises BundleError,
    CaptionerUnavailable or MissingExtra.
    """
    from cutline.captioning.sources import load as load_source

    return load_source(uri)


def __getattr__(name: str) -> object:
    """Import Caption and Captioner on first use (PEP 562)."""
    if name in {"Caption", "Captioner"}:
        from cutline.captioning import protocol

        return getattr(protocol, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
