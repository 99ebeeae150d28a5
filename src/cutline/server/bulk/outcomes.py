"""How items and bulks end: with their jobs, with a failed expansion, or found by the sweep."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from cutline.errors import CutlineError
from cutline.server.bulk import styling
from cutline.server.bulk.models import OPEN_STATES, Bulk, BulkItem, BulkState
from cutline.server.bulk.progress import emit_progress, end_if_done
from cutline.server.captions.models import Caption
from cutline.server.config import settings
from cutline.server.errors import Cancelled, NotFound
from cutline.server.images import storage
from cutline.server.jobs import services as jobs
from cutline.server.jobs.models import UNENDED, Job, JobKind, JobState
from cutline.server.transactions import retried


def job_ended(job: Job) -> None:
    """Note in a bulk's items how a job ended. Called in the transaction that ends any job."""
    bulk_id = job.bulk_id
    if bulk_id is None:
        return
    if job.kind == JobKind.BULK:
        _expansion_ended(job)
        return
    if job.kind == JobKind.STYLE:
        styling.job_ended(job)
        return
    values = _outcome(job)
    if job.kind == JobKind.FETCH:
        if values["state"] != BulkItem.State.DONE:
            end_items(BulkItem.objects.filter(pk=job.options.get("item")), values)
    elif job.image_id is not None:
        _captioning_ended(job, values)
    transaction.on_commit(lambda: end_if_done(bulk_id))


def _captioning_ended(job: Job, values: Mapping[str, Any]) -> None:
    """Note it in the items of the image; those of a bulk with a voice go on waiting, for captions in it."""
    assert job.image_id is not None
    is_done = values["state"] == BulkItem.State.DONE
    if job.bulk_item_id is not None:
        # Also after a failure: its owner may have tried again.
        item = BulkItem.objects.filter(pk=job.bulk_item_id).exclude(state=BulkItem.State.DONE)
        item.update(image_id=job.image_id, **values)
        if is_done:
            item = BulkItem.objects.filter(pk=job.bulk_item_id, bulk__options__has_key=styling.VOICE)
            item.update(state=BulkItem.State.WAITING)
    # The same picture may stand in a bulk several times, and in several bulks.
    items = BulkItem.objects.filter(image_id=job.image_id)
    if is_done:
        items = items.exclude(bulk__options__has_key=styling.VOICE)
        styling.ask_later(job.image_id)
    end_items(items, values)


def _outcome(job: Job) -> dict[str, Any]:
    match job.state:
        case JobState.DONE:
            return {"state": BulkItem.State.DONE, "error_code": "", "error_message": ""}
        case JobState.CANCELLED:
            return {**failure_values(Cancelled("The job was cancelled.")), "state": BulkItem.State.CANCELLED}
        case _:
            return {
                "state": BulkItem.State.FAILED,
                "error_code": job.error_code,
                "error_message": job.error_message,
            }


def _expansion_ended(job: Job) -> None:
    """End a bulk whose expansion failed or was cancelled."""
    assert job.bulk_id is not None
    if job.state == JobState.DONE:
        return
    bulk = Bulk.objects.select_for_update().get(pk=job.bulk_id)
    if bulk.state not in OPEN_STATES:
        return
    failed = job.state == JobState.FAILED
    bulk.state = BulkState.FAILED if failed else BulkState.CANCELLED
    bulk.error_code, bulk.error_message = job.error_code, job.error_message
    bulk.ended_at = timezone.now()
    bulk.save(update_fields=["state", "error_code", "error_message", "ended_at"])
    close(bulk, Cancelled("The bulk ended before this item was processed."), BulkItem.State.CANCELLED)
    emit_progress(bulk)


def close(bulk: Bulk, reason: CutlineError, state: str) -> None:
    """End what is left of a bulk that has just ended, in the caller's transaction."""
    waiting = BulkItem.objects.filter(bulk=bulk, state=BulkItem.State.WAITING)
    if styling.VOICE in bulk.options:  # what is captioned lacks the voice alone
        waiting.filter(_captioned()).update(state=BulkItem.State.DONE, **styling.cancelled())
    waiting.update(**{**failure_values(reason), "state": state})
    jobs.cancel_quietly(Job.objects.filter(bulk=bulk))
    drop_archive(bulk)


def drop_archive(bulk: Bulk) -> None:
    """Give a bulk's archive to the sweep of files, in the caller's transaction."""
    if bulk.archive_id is not None:
        key, bulk.archive = bulk.archive_id, None
        bulk.save(update_fields=["archive"])
        storage.discard([key])


def failure_values(error: CutlineError) -> dict[str, Any]:
    """What an item's row says after this error."""
    return {
        "state": BulkItem.State.FAILED,
        "error_code": error.code[:60],
        "error_message": str(error)[:1000],
    }


def end_items(items: QuerySet[BulkItem], values: Mapping[str, Any]) -> None:
    """End those of these items that still wait, with these values."""
    items.filter(state=BulkItem.State.WAITING).update(**values)


def sweep() -> None:
    """End what nobody was told of, items and whole bulks; forget old bulks of visitors without an account."""
    underway = Exists(Job.objects.filter(image_id=OuterRef("image_id"), state__in=UNENDED))
    waiting = BulkItem.objects.filter(
        bulk__state__in=OPEN_STATES, state=BulkItem.State.WAITING, image__isnull=False
    )
    unvoiced = ~Q(bulk__options__has_key=styling.VOICE)
    for item in waiting.filter((_captioned() & unvoiced) | ~underway).select_related("bulk")[:1000]:
        _end_stale_item(item)
    for bulk in Bulk.objects.filter(state=BulkState.RUNNING, expanded_at__isnull=False):
        if not Job.objects.filter(bulk=bulk, state__in=UNENDED).exists():
            # Nothing is left that could end them: their pictures were deleted.
            gone = BulkItem.objects.filter(bulk=bulk, image=None)
            end_items(gone, failure_values(NotFound("The photo was deleted before it was captioned.")))
        end_if_done(bulk.pk)
    before = timezone.now() - timedelta(days=settings().anonymous_days)
    for bulk in Bulk.objects.filter(owner__user=None, created_at__lt=before)[:1000]:
        _forget(bulk)


@retried
def _forget(bulk: Bulk) -> None:
    """Delete a bulk of somebody without an account, as its images are; one that is not done ends."""
    locked = Bulk.objects.select_for_update().filter(pk=bulk.pk, owner__user=None).first()
    if locked is not None:
        jobs.cancel_quietly(Job.objects.filter(bulk=locked))
        drop_archive(locked)
        locked.delete()


def _captioned() -> Exists:
    """Whether an item's picture has captions."""
    return Exists(Caption.objects.filter(image_id=OuterRef("image_id")))


def _end_stale_item(item: BulkItem) -> None:
    is_voiced = styling.VOICE in item.bulk.options
    if is_voiced and item.image_id and Caption.objects.filter(image_id=item.image_id).exists():
        styling.ask(item)
    else:
        _end_item(item)


@retried
def _end_item(item: BulkItem) -> None:
    if item.image_id is None:
        return
    if Caption.objects.filter(image_id=item.image_id).exists():
        values: dict[str, Any] = {"state": BulkItem.State.DONE}
    else:
        last = (
            Job.objects.filter(image_id=item.image_id, kind=JobKind.CAPTION).order_by("-created_at").first()
        )
        values = _outcome(last) if last else failure_values(Cancelled("The photo was not captioned."))
    end_items(BulkItem.objects.filter(pk=item.pk), values)
