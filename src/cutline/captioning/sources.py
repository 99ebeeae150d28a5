"""Which captioner a URI means."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import resources
from pathlib import Path

from cutline.captioning.caption import Captioner
from cutline.errors import BundleMissing

DEFAULT_BUNDLE = "cutline-base"


def default_bundle() -> Path:
    """Give the folder of the bundle that ships with Cutline. Raises BundleMissing where none does."""
    folder = Path(str(resources.files("cutline") / "bundles" / DEFAULT_BUNDLE))
    if not folder.is_dir():
        raise BundleMissing(
            f"This installation ships without its bundle {DEFAULT_BUNDLE}.",
            hint="Install Cutline again, or name a bundle.",
        )
    return folder


def load(uri: str | None = None) -> Captioner:
    """As cutline.load."""
    if uri is None:
        return _bundle(str(default_bundle()))
    scheme, _, rest = uri.partition(":")
    return SCHEMES[scheme](rest) if scheme in SCHEMES else _bundle(uri)


def _bundle(place: str) -> Captioner:
    from cutline.captioning.captioner import BundleCaptioner

    return BundleCaptioner(place)


def _on_openvino(place: str) -> Captioner:
    from cutline.captioning.captioner import BundleCaptioner
    from cutline.captioning.runtime import Engine

    return BundleCaptioner(place or default_bundle(), engine=Engine.OPENVINO)


def _hugging_face(place: str) -> Captioner:
    from cutline.captioning.hugging_face import HuggingFaceCaptioner

    return HuggingFaceCaptioner(place)


def _endpoint(place: str) -> Captioner:
    from cutline.captioning.endpoint import EndpointCaptioner

    return EndpointCaptioner.from_place(place)


SCHEMES: Mapping[str, Callable[[str], Captioner]] = {
    "hf": _hugging_face,
    "openai": _endpoint,
    "openvino": _on_openvino,
}
