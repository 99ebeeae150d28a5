"""What every captioner offers (Captioner), and what it answers with (Caption, ModelInfo)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

from cutline.captioning.evidence import Evidence
from cutline.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from cutline.captioning.options import DecodingOptions
    from cutline.images import Source

    Sources: TypeAlias = Source | Sequence[Source]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Caption:
    """One sentence for one photo, with what the model thought while it wrote.

    ``log_prob`` is the natural logarithm of the sentence's probability: the sum of
    ``token_log_probs``, the end token's included. Both are of the model's own distribution, whatever
    temperature or length penalty chose the sentence. A captioner that cannot know them gives nan and
    an empty tuple.
    """

    text: str
    log_prob: float
    token_log_probs: tuple[float, ...] = ()
    words: tuple[str, ...] = ()
    attention: NDArray[np.float32] | None = None
    """[W, rows, cols]: for each of ``words``, how its look was shared among the cells of the image grid.
    A word's map sums to 1.
    """
    embedding: NDArray[np.float32] | None = None
    """[E], of length 1: where the photo lies among others, from the pass that wrote the caption. All captions
    of a photo have the same. None from a captioner that has none (see Embedder).
    """
    evidence: Evidence | None = None
    """What the model knew when it had written the sentence; None from what is not a bundle."""
    confidence: float | None = None
    """The calibrated probability that the caption is acceptable: that its CIDEr-D against people's captions
    would be at least ``ModelInfo.acceptable_cider``. None from a model that does not say.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """Which model it is, and what it says of itself. What nobody knows is empty.

    ``bundle_hash`` is ``Manifest.content_hash()``; empty for a model that is not a bundle. ``language`` is
    that of the captions, a tag of BCP 47; None where nobody says. ``description`` says what the model learned
    from, ``metrics`` how well it did on held-out data; ``card`` is its model card in Markdown.
    ``acceptable_cider`` is what a caption's ``confidence`` is about; None for a model that gives none.
    """

    name: str
    version: str
    bundle_hash: str = ""
    language: str | None = None
    licence: str = ""
    description: str = ""
    metrics: Mapping[str, object] = field(default_factory=dict)
    card: str = ""
    acceptable_cider: float | None = None

    @property
    def label(self) -> str:
        """name@version."""
        return f"{self.name}@{self.version}"


@runtime_checkable
class Captioner(Protocol):
    """Whatever writes sentences for photos."""

    @property
    def name(self) -> str:
        """The model's name."""
        ...

    @property
    def version(self) -> str:
        """The model's version."""
        ...

    def about(self) -> ModelInfo:
        """Say which model this is: the same for as long as the captioner lives."""
        ...

    def caption(
        self, images: Sources, *, n: int = 1, options: DecodingOptions | None = None
    ) -> list[list[Caption]]:
        """Write ``n`` captions for each image, best first: the first is the one that n = 1 gives.

        Takes one image or many; always gives one list for each image, in order. An option left None
        is the captioner's own default. Raises ImageError for an image that cannot be read, and
        OptionError for what the captioner cannot do.
        """
        ...


@runtime_checkable
class Embedder(Protocol):
    """A captioner that also says where photos lie among others: alike photos lie close together.

    Vectors are of length 1, and can be compared where their model is the same (``ModelInfo.bundle_hash``).
    E numbers each, N photos or texts.
    """

    @property
    def no_text_reason(self) -> str:
        """Why texts have no place among the photos; empty where they have."""
        ...

    def embed(self, images: Sources) -> NDArray[np.float32]:
        """[N, E]; the encoder's work alone. Raises ImageError for an image that cannot be read."""
        ...

    def embed_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """[N, E]: where photos lie that show what a text says. Raises OptionError with ``no_text_reason``."""
        ...


def embedder(captioner: Captioner) -> Embedder:
    """The captioner, if it can embed photos. Raises OptionError for others."""
    if isinstance(captioner, Embedder):
        return captioner
    raise OptionError(f"{captioner.name} does not say how photos are alike: only bundles do.")


def as_list(images: Sources) -> list[Source]:
    """Return a list of images, given one or many. An open file is neither: it would be read by lines."""
    from PIL import Image

    if isinstance(images, (str, bytes, os.PathLike, Image.Image)):
        return [images]
    if isinstance(images, (bytearray, memoryview)):
        return [bytes(images)]
    if not isinstance(images, Iterable) or hasattr(images, "read") or hasattr(images, "__array_interface__"):
        kind = type(images).__name__
        hint = ": give its read()" if hasattr(images, "read") else ""
        hint = ": give Image.fromarray(it)" if hasattr(images, "__array_interface__") else hint
        raise TypeError(f"A photo is a path, bytes or a PIL image, no {kind}{hint}.")
    return list(images)
