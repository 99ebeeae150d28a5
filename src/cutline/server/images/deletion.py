"""The end of images: soft delete, undo, and the purge that follows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import timedelta
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from cutline.server import security_log, wiring
from cutline.server.config import settings
from cutline.server.errors import Conflict, NotFound
from cutline.server.events.services import emit, forget_images
from cutline.server.images import search, storage
from cutline.server.images.changes import emit_changed
from cutline.server.images.models import Image, Rendition
from cutline.server.jobs import services as jobs
from cutline.server.jobs.models import UNENDED, Job, JobKind
from cutline.server.security_log import Event
from cutline.server.transactions import retried

_AT_ONCE = 200


def delete(images: Iterable[Image]) -> int:
    """Soft-delete images: hidden at once, purged after the undo time. Returns how many were hidden."""
    ids = [image.pk for image in images]
    _stop_styling(ids)
    gone = _delete(ids)
    security_log.write(Event.IMAGES_DELETED, number=gone)
    return gone


def _stop_styling(ids: Sequence[UUID]) -> None:
    """Cancel what a language model writes about these images just now."""
    for start in range(0, len(ids), _AT_ONCE):
        some = ids[start : start + _AT_ONCE]
        for job in Job.objects.filter(image__in=some, kind=JobKind.STYLE, state__in=UNENDED):
            with suppress(Conflict):  # it has just ended
                jobs.cancel(job)


@retried
def _delete(ids: Sequence[UUID]) -> int:
    now = timezone.now()
    gone = 0
    for start in range(0, len(ids), _AT_ONCE):
        rows = list(
            Image.objects.select_for_update()
            .filter(pk__in=ids[start : start + _AT_ONCE], deleted_at=None)
            .order_by("pk")
            .values_list("pk", "owner_id")
        )
        Image.objects.filter(pk__in=[pk for pk, _ in rows]).update(deleted_at=now, changed_at=now)
        for pk, owner_id in rows:
            emit(owner_id, "image.deleted", {"image": str(pk)})
        gone += len(rows)
    return gone


@retried
def undelete(image: Image) -> Image:
    """Bring back a deleted image. Raises NotFound where it has been purged."""
    fresh = Image.objects.select_for_update().filter(pk=image.pk).first()
    if fresh is None:
        raise NotFound("This image no longer exists.")
    if fresh.deleted_at is not None:
        fresh.deleted_at = None
        fresh.changed_at = timezone.now()
        fresh.save(update_fields=["deleted_at", "changed_at"])
        emit_changed(fresh)
    image.deleted_at = None
    return fresh


def purge() -> int:
    """Purge images that were deleted longer ago than the undo time, or have expired. Returns how many."""
    gone = 0
    while True:
        now = timezone.now()
        over = Q(deleted_at__lt=now - timedelta(seconds=settings().undo_s)) | Q(expires_at__lt=now)
        some = _purge_batch(list(Image.objects.filter(over).values_list("pk", flat=True)[:_AT_ONCE]), over)
        gone += some
        if some < _AT_ONCE:
            break
    if gone:
        search.forget_words()
    return gone


def purge_now(images: Iterable[Image]) -> None:
    """Purge images now, with everything that was derived from them."""
    ids = [image.pk for image in images]
    for start in range(0, len(ids), _AT_ONCE):
        _purge_batch(ids[start : start + _AT_ONCE], Q())
    search.forget_words()


@retried
def _purge_batch(ids: Sequence[UUID], condition: Q) -> int:
    # Again with the condition, now that the rows are locked: one may just have been brought back.
    images = list(Image.objects.select_for_update().filter(condition, pk__in=ids).order_by("pk"))
    files = Rendition.objects.filter(image__in=images)
    storage.discard(files.values_list("file_id", flat=True))
    files.delete()
    for image in images:
        if image.deleted_at is None:
            emit(image.owner_id, "image.deleted", {"image": str(image.pk)})
    gone = [image.pk for image in images]
    forget_images({image.owner_id for image in images}, gone)
    wiring.call(wiring.IMAGES_PURGED, gone)
    Image.objects.filter(pk__in=gone).delete()
    return len(gone)
