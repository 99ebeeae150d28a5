"""Reading captions. Others than the owner see what an image shows, not how it came to be."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from uuid import UUID

from django.db.models import OuterRef, Q, QuerySet, Subquery, UUIDField

from cutline.server.captions.models import Attention, Caption, Version
from cutline.server.config import settings
from cutline.server.errors import NotFound
from cutline.server.images import selectors as images
from cutline.server.images.models import Image
from cutline.server.people.viewers import Viewer


def candidates(viewer: Viewer, image: Image) -> QuerySet[Caption]:
    """The captions of an image that its viewer may see, unordered: the owner all, others the one it shows."""
    captions = Caption.objects.filter(image=image)
    return (
        captions
        if images.is_owner(viewer, image)
        else captions.filter(pk__in=_shown_to_others([image.pk]).values())
    )


def shown_id(image: Image) -> UUID | None:
    """The candidate that an image shows; None where it shows a person's text, or nothing yet."""
    return shown_ids([image.pk]).get(image.pk)


def shown_ids(image_ids: Collection[UUID]) -> dict[UUID, UUID]:
    """The candidates that these images show, by image, in one query."""
    last = Version.objects.filter(image=OuterRef("pk")).order_by("-number")
    shown = Image.objects.filter(pk__in=image_ids).annotate(
        last_by=Subquery(last.values("by")[:1]),
        last_caption=Subquery(last.values("caption_id")[:1], output_field=UUIDField()),
    )
    rows = shown.filter(last_by="model").exclude(last_caption=None)
    return dict(rows.values_list("pk", "last_caption"))


def _shown_to_others(image_ids: Collection[UUID]) -> dict[UUID, UUID]:
    """Those of shown_ids whose words others may read: not the ones that a moderator must read first."""
    shown = shown_ids(image_ids)
    if not settings().moderate_words:
        return shown
    led = Caption.objects.filter(
        Q(options__has_key="prefix") | Q(style__isnull=False),
        pk__in=shown.values(),
        image__words_unread_at__isnull=False,
    )
    hidden = set(led.values_list("pk", flat=True))
    return {image_id: caption_id for image_id, caption_id in shown.items() if caption_id not in hidden}


def caption_for(viewer: Viewer, caption_id: UUID, *, share_token: str = "") -> Caption:
    """A caption that the viewer may see. Raises NotFound for all others, whether they are there or not."""
    caption = Caption.objects.filter(pk=caption_id).first()
    if caption is not None:
        with suppress(NotFound):  # the same words, whether the caption or its image is hidden
            image = images.image_for(viewer, caption.image_id, share_token=share_token)
            if images.is_owner(viewer, image) or _shown_to_others([image.pk]).get(image.pk) == caption.pk:
                caption.image = image
                return caption
    raise NotFound("There is no such caption.")


def captions_for(viewer: Viewer, caption_ids: Collection[UUID]) -> list[Caption]:
    """Those of these captions that the viewer may see; the others are left out."""
    captions = list(Caption.objects.filter(pk__in=caption_ids).select_related("image"))
    image_ids = {caption.image_id for caption in captions}
    seen = set(images.visible_to(viewer).filter(pk__in=image_ids).values_list("pk", flat=True))
    shown = _shown_to_others(image_ids)
    return [
        caption
        for caption in captions
        if caption.image_id in seen
        and (images.is_owner(viewer, caption.image) or shown.get(caption.image_id) == caption.pk)
    ]


def attention_for(viewer: Viewer, caption_id: UUID, *, share_token: str = "") -> Attention:
    """Where the model looked. Raises NotFound also where it did not say."""
    caption = caption_for(viewer, caption_id, share_token=share_token)
    attention = Attention.objects.filter(caption=caption).first()
    if attention is None:
        raise NotFound("This caption has no attention maps.")
    return attention


def versions(image: Image) -> QuerySet[Version]:
    """The history of an own image, unordered."""
    return Version.objects.filter(image=image)
