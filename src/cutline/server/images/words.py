"""What others read below a public image: what a model wrote, or a person and then a moderator has read it.

Whoever changes words of a locked image takes `words_of` before, and gives it to `queue_for_review` after.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from django.utils import timezone

from cutline.server.config import settings
from cutline.server.images.models import Image, Visibility

FIELDS = (
    "words_unread_at",
    "read_caption",
    "read_caption_by",
    "read_caption_model",
    "read_description",
    "read_tags",
)
"""What queue_for_review sets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A caption with its provenance, and tags in order. description: as Image.description."""

    caption: str
    caption_by: str
    caption_model: str
    tags: Sequence[str]
    description: str = ""


def words_of(image: Image) -> Words:
    """The words of an image now, whoever wrote them."""
    return Words(
        caption=image.caption,
        caption_by=image.caption_by,
        caption_model=image.caption_model,
        tags=list(image.tags.order_by("pk").values_list("name", flat=True)),
        description=image.description,
    )


class Version(Protocol):
    """A version, as far as its words' author goes: captions.models.Version stands above."""

    by: str
    styled: bool
    caption: Any


def is_model_s(version: Version) -> bool:
    """Whether a model alone wrote these words: not where a person gave their beginning, or their tone."""
    is_led = version.styled or (version.caption and version.caption.options.get("prefix"))
    return version.by == "model" and not is_led


def of_the_model(image: Image) -> Words:
    """What a model wrote for an image last; no tags."""
    versions = image.versions.select_related("caption").order_by("-number")
    written = next((each for each in versions if is_model_s(each)), None)
    return Words(
        caption=written.text if written else "",
        caption_by="model" if written else "",
        caption_model=written.model if written else "",
        tags=(),
    )


def words_for_others(image: Image, tags: Sequence[str]) -> Words:
    """What others than its owner read below an image. tags: those that it has."""
    if (
        image.words_unread_at is None
        or image.visibility != Visibility.PUBLIC
        or not settings().moderate_words
    ):
        return Words(
            caption=image.caption,
            caption_by=image.caption_by,
            caption_model=image.caption_model,
            tags=tags,
            description=image.description,
        )
    return Words(
        caption=image.read_caption,
        caption_by=image.read_caption_by,
        caption_model=image.read_caption_model,
        tags=[tag for tag in tags if tag in image.read_tags],
        description=image.read_description,
    )


def queue_for_review(image: Image, before: Words) -> None:
    """Mark a locked image, if it is public, as having words that no moderator has read.

    The caller saves FIELDS. before: what others go on reading, unless such words wait already.
    """
    if image.visibility != Visibility.PUBLIC or image.words_unread_at is not None:
        return
    image.words_unread_at = timezone.now()
    _keep(image, before)
    image.read_tags = list(before.tags)


def show_model_words(image: Image) -> None:
    """Let others read what a model wrote just now, while tags or a person's caption still wait."""
    if image.words_unread_at is not None:
        _keep(image, words_of(image))


def _keep(image: Image, words: Words) -> None:
    image.read_caption, image.read_caption_by = words.caption, words.caption_by
    image.read_caption_model, image.read_description = words.caption_model, words.description
