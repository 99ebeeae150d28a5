"""A bulk's voice: each photo that has its caption is asked for captions in the voice, and its item waits.

An item ends as done also where none could be written: the plain caption is there, and the item says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import transaction

from cutline.errors import CutlineError
from cutline.server import styler
from cutline.server.bulk.models import Bulk, BulkItem
from cutline.server.bulk.progress import end_if_done
from cutline.server.captions import styling
from cutline.server.errors import Cancelled, NotFound
from cutline.server.jobs.models import UNENDED, Job, JobKind, JobState, Priority
from cutline.server.transactions import retried

VOICE, VARIANTS = "voice", "variants"
OPTIONS = (VOICE, VARIANTS)
"""The options of a bulk that are none of its caption jobs'."""


def options_of(voice: styler.Voice, *, variants: int) -> dict[str, Any]:
    """What a bulk keeps of a voice. Raises RestylerUnavailable, OptionError."""
    styler.check_can_write(voice)
    return {VOICE: styler.record_of(voice), VARIANTS: variants}


def ask_later(image_id: UUID) -> None:
    """Ask for what the items of an image wait for, once the caller's transaction is committed."""
    transaction.on_commit(lambda: _ask_for(image_id))


def _ask_for(image_id: UUID) -> None:
    waiting = BulkItem.objects.filter(
        image_id=image_id, state=BulkItem.State.WAITING, bulk__options__has_key=VOICE
    )
    for item in waiting.select_related("bulk"):
        ask(item)


def ask(item: BulkItem) -> None:
    """Ask for the captions that an item waits for, or end it: they are written, or cannot be."""
    _ask(item.bulk_id, item.pk)
    end_if_done(item.bulk_id)


@retried
def _ask(bulk_id: UUID, item_id: int) -> None:
    # One at a time: the same picture may stand in a bulk twice, and is written of once.
    bulk = Bulk.objects.select_for_update().select_related("owner").filter(pk=bulk_id).first()
    item = BulkItem.objects.select_related("image").filter(pk=item_id, state=BulkItem.State.WAITING).first()
    if bulk is None or item is None:
        return
    job = _last_job(bulk, item.image_id) if item.image_id else None
    if job is None:
        _request(bulk, item)
    elif job.state not in UNENDED:
        _end(item, outcome(job))


def _last_job(bulk: Bulk, image_id: UUID) -> Job | None:
    jobs = Job.objects.filter(bulk=bulk, image_id=image_id, kind=JobKind.STYLE)
    return jobs.order_by("created_at").last()


def _request(bulk: Bulk, item: BulkItem) -> None:
    try:
        if item.image is None or item.image.deleted_at is not None:
            raise NotFound("The photo was deleted before it was written of in the voice.")
        styling.request(
            item.image,
            bulk.owner,
            voice=bulk.options[VOICE],
            n=int(bulk.options[VARIANTS]),
            priority=Priority.BULK,
            bulk_id=bulk.pk,
        )
    except CutlineError as error:
        _end(item, _failure(error.code, str(error)))


def _end(item: BulkItem, values: Mapping[str, str]) -> None:
    BulkItem.objects.filter(pk=item.pk).update(state=BulkItem.State.DONE, **values)


def job_ended(job: Job) -> None:
    """Note how the writing ended, in the transaction that ends the job."""
    bulk_id, image_id = job.bulk_id, job.image_id
    assert bulk_id is not None
    assert image_id is not None
    # Also of one that was done: its owner may have tried again.
    items = BulkItem.objects.filter(bulk_id=bulk_id, image_id=image_id)
    items.filter(state__in=(BulkItem.State.WAITING, BulkItem.State.DONE)).update(
        state=BulkItem.State.DONE, **outcome(job)
    )
    transaction.on_commit(lambda: end_if_done(bulk_id))


def outcome(job: Job) -> dict[str, str]:
    """What an item says of an ended job of its voice."""
    match job.state:
        case JobState.DONE:
            return _failure("", "")
        case JobState.CANCELLED:
            return cancelled()
        case _:
            return _failure(job.error_code, job.error_message)


def cancelled() -> dict[str, str]:
    """What an item says whose captions in the voice nobody waits for any more."""
    return _failure(Cancelled.code, "It was cancelled before it was written.")


def _failure(code: str, message: str) -> dict[str, str]:
    return {"style_code": code[:60], "style_message": message[:1000]}
