"""What is read of images. Every read is authorised here, and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet

from cutline.server.images.models import Image, RenditionKind, Visibility
from cutline.server.people.viewers import Viewer


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What a list is narrowed to; empty fields narrow nothing."""

    text: str = ""
    tags: Sequence[str] = ()
    visibility: Visibility | None = None
    state: str = ""  # of the latest job
    since: datetime | None = None
    until: datetime | None = None


def visible_to(viewer: Viewer) -> QuerySet[Image]:
    """Their own, what stands in the gallery, and for staff what was offered to the public."""
    raise NotImplementedError


def image_for(viewer: Viewer, image_id: UUID, *, share_token: str = "") -> Image:
    """An image that the viewer may see. Raises NotFound for all others, whether they are there or not."""
    raise NotImplementedError


def own_image(viewer: Viewer, image_id: UUID) -> Image:
    """An image that the viewer may change. Raises NotFound; Forbidden where they may only see it."""
    raise NotImplementedError


def rendition_url(image: Image, kind: RenditionKind, format: str, viewer: Viewer) -> str | None:
    """A link to a file of an image that the viewer may see; None where it has none of that kind."""
    raise NotImplementedError


def library(viewer: Viewer, filters: Filters | None = None) -> QuerySet[Image]:
    """The viewer's own images, unordered."""
    raise NotImplementedError


def gallery(filters: Filters | None = None) -> QuerySet[Image]:
    """What everybody may see, unordered."""
    raise NotImplementedError


def search(images: QuerySet[Image], text: str) -> QuerySet[Image]:
    """Those whose caption or tags have all these words, or words that begin so."""
    raise NotImplementedError
