"""Which captioner a URI means."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path
from urllib.parse import unquote, urlsplit

from cutline.captioning.protocol import Captioner
from cutline.errors import BundleMissing

DEFAULT_BUNDLE = "cutline-base"


def default_bundle() -> Path:
    """Return the folder of the bundle that ships with Cutline. Raises BundleMissing where none does."""
    folder = Path(str(resources.files("cutline") / "bundles" / DEFAULT_BUNDLE))
    if not folder.is_dir():
        raise BundleMissing(
            f"This installation ships without its bundle {DEFAULT_BUNDLE}.",
            hint="Install Cutline again, or name a bundle.",
        )
    return folder


_WEB_LIKE = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


def load(uri: str | os.PathLike[str] | None = None) -> Captioner:
    """As cutline.load."""
    if uri is None:
        return _bundle(str(default_bundle()))
    if not isinstance(uri, str):
        return _bundle(os.fspath(uri))
    scheme, _, rest = uri.partition(":")
    if scheme in SCHEMES:
        return SCHEMES[scheme](rest)
    if _WEB_LIKE.match(uri):
        raise BundleMissing(
            f"Cutline does not download models: {uri}.",
            hint="Download it, and give the path of the file."
            f" Known schemes: {', '.join(SCHEMES)}, registry.",
        )
    return _bundle(uri)


def _bundle(place: str) -> Captioner:
    from cutline.captioning.bundle_captioner import BundleCaptioner

    return BundleCaptioner(place)


def _local_file(place: str) -> Captioner:
    return _bundle(unquote(urlsplit(f"file:{place}").path))


def _on_openvino(place: str) -> Captioner:
    from cutline.captioning.bundle_captioner import BundleCaptioner
    from cutline.captioning.runtime import Engine

    return BundleCaptioner(place or default_bundle(), engine=Engine.OPENVINO)


def _hugging_face(place: str) -> Captioner:
    from cutline.captioning.hugging_face import HuggingFaceCaptioner

    return HuggingFaceCaptioner(place)


def _endpoint(place: str) -> Captioner:
    from cutline.captioning.endpoint import EndpointCaptioner

    return EndpointCaptioner.from_place(place)


SCHEMES: Mapping[str, Callable[[str], Captioner]] = {
    "file": _local_file,
    "hf": _hugging_face,
    "openai": _endpoint,
    "openvino": _on_openvino,
}
