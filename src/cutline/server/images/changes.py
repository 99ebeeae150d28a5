"""What every change of an image begins and ends with: its row, locked, and its event."""

from __future__ import annotations

from django.db import connection

from cutline.server.errors import NotFound
from cutline.server.events.services import emit
from cutline.server.images.models import Image


def locked(image: Image) -> Image:
    """The image's row with its owner, locked until the transaction ends. Raises NotFound."""
    fresh = (
        Image.objects.select_for_update(of=("self",) if connection.features.has_select_for_update_of else ())
        .select_related("owner")
        .filter(pk=image.pk, deleted_at=None)
        .first()
    )
    if fresh is None:
        raise NotFound("This image no longer exists.")
    return fresh


def emit_changed(image: Image) -> None:
    """Write the event image.changed, in the caller's transaction."""
    emit(
        image.owner_id,
        "image.changed",
        {"image": str(image.pk), "visibility": image.visibility, "moderation": image.moderation},
    )
