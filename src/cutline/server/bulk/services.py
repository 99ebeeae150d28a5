"""Bulks: an archive or a list of URLs becomes items, items become images and caption jobs, jobs end items.

Everything can be begun again: an archive's members have the same numbers each time, a picture that was stored
is found by its content, and the job that fetches a URL has an id that follows from its item. So a worker may
be killed anywhere, and the next one goes on where the rows say.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any
from zipfile import ZipFile

from django.core.cache import cache
from django.db import transaction
from django.db.models import Count, Exists, OuterRef, QuerySet
from django.utils import timezone

from cutline.errors import CutlineError
from cutline.server import outbound
from cutline.server.bulk import archive
from cutline.server.bulk.models import Bulk, BulkItem, BulkState
from cutline.server.captions.models import Caption
from cutline.server.config import settings
from cutline.server.errors import ArchiveTooLarge, Cancelled, Conflict, Invalid, NotFound, QuotaExceeded
from cutline.server.events.services import emit
from cutline.server.images import storage
from cutline.server.images.models import Image, StoredFile
from cutline.server.jobs import services as jobs
from cutline.server.jobs.context import Context
from cutline.server.jobs.hints import hint
from cutline.server.jobs.models import Job, JobKind, JobState, Priority
from cutline.server.people.models import Owner
from cutline.server.transactions import retried
from cutline.server.uploads import quota
from cutline.server.uploads import services as uploads

logger = logging.getLogger(__name__)

MAX_UNENDED, MAX_UNENDED_ANONYMOUS = 10, 2  # bulks of one owner at a time
ANONYMOUS_SHARE = 8  # somebody without an account may send an archive of an eighth of what others may
UNPACKED_TIMES = 4  # an archive may unpack to so many times max_bulk_bytes
PROGRESS_S = 1  # progress is told no more often
_CHUNK = 200
_OPEN = (BulkState.QUEUED, BulkState.RUNNING, BulkState.PAUSED)
_UNENDED_JOB = (JobState.QUEUED, JobState.RUNNING)


# What owners do


def max_bytes(*, has_account: bool) -> int:
    """How large an archive may be."""
    return settings().max_bulk_bytes // (1 if has_account else ANONYMOUS_SHARE)


def create_from_archive(
    owner: Owner, file: IO[bytes], name: str, *, options: Mapping[str, Any], request_id: str = ""
) -> Bulk:
    """Store a zip and queue its expansion. Call it outside of a transaction (see storage.put).

    file: seekable. Raises ArchiveInvalid, ArchiveTooLarge, QuotaExceeded or ServiceUnavailable.
    """
    _check_unended(owner)
    most = max_bytes(has_account=owner.user_id is not None)
    size = file.seek(0, 2)
    if size > most:
        raise ArchiveTooLarge(f"The archive has {size:,} bytes; the limit is {most:,}.", hint="Send several.")
    archive.open_archive(file, max_members=settings().max_bulk_items).close()
    file.seek(0)
    bulk = Bulk(owner=owner, name=_one_line(name)[:255], options=dict(options))
    stored = storage.put(f"bulk/{bulk.pk}/archive.zip", file, "application/zip")
    return _save_archive(bulk, stored, request_id)


@retried
def _save_archive(bulk: Bulk, stored: StoredFile, request_id: str) -> Bulk:
    _check_unended(bulk.owner, lock=True)
    storage.keep(stored)
    bulk.archive = stored
    bulk.save(force_insert=True)
    _queue(bulk, request_id)
    return bulk


@retried
def create_from_urls(
    owner: Owner, urls: Sequence[str], *, name: str = "", options: Mapping[str, Any], request_id: str = ""
) -> Bulk:
    """Queue the fetching of these URLs. What is wrong with one of them, its item tells.

    Raises Invalid for an empty list, ArchiveTooLarge for too long a list, QuotaExceeded.
    """
    if not urls:
        raise Invalid("There are no URLs in the list.")
    if len(urls) > settings().max_bulk_items:
        raise ArchiveTooLarge(f"At most {settings().max_bulk_items:,} URLs are taken at once.")
    _check_unended(owner, lock=True)
    # Nobody gets a machine that calls others for photos which could not be kept anyway.
    room = quota.limit_of(owner)
    if Image.objects.filter(owner=owner).count() + len(urls) > room:
        raise QuotaExceeded(f"You may have {room:,} images in all.", hint="Send a shorter list.")
    bulk = Bulk.objects.create(owner=owner, name=_one_line(name)[:255], options=dict(options))
    BulkItem.objects.bulk_create(
        (BulkItem(bulk=bulk, number=number, **_url_item(url)) for number, url in enumerate(urls)),
        batch_size=1000,
    )
    _queue(bulk, request_id)
    return bulk


def _url_item(url: str) -> dict[str, Any]:
    try:
        outbound.check_url(url)
    except CutlineError as error:
        return {"name": _one_line(url)[:2000], **_failed(error)}
    return {"name": url.strip()}


def _check_unended(owner: Owner, *, lock: bool = False) -> None:
    if lock:  # the owner's row: two requests at once would both count too few
        Owner.objects.select_for_update(no_key=True).get(pk=owner.pk)
    most = MAX_UNENDED if owner.user_id else MAX_UNENDED_ANONYMOUS
    if Bulk.objects.filter(owner=owner, state__in=_OPEN).count() >= most:
        raise QuotaExceeded(
            f"You have {most} bulks that have not ended.", hint="Wait for one, or cancel one."
        )


def _queue(bulk: Bulk, request_id: str) -> None:
    jobs.create_job(
        owner=bulk.owner, kind=JobKind.BULK, priority=Priority.BULK, bulk_id=bulk.pk, request_id=request_id
    )


def pause(bulk: Bulk) -> Bulk:
    """Hold back what has not begun. Raises Conflict where the bulk has ended."""
    return _move(bulk, (BulkState.QUEUED, BulkState.RUNNING, BulkState.PAUSED), BulkState.PAUSED)


@retried
def resume(bulk: Bulk) -> Bulk:
    """Go on with a paused bulk. Raises Conflict where it is not paused or running."""
    bulk = _move(bulk, (BulkState.PAUSED, BulkState.RUNNING, BulkState.QUEUED), BulkState.RUNNING)
    if (
        bulk.expanded_at is None
        and not Job.objects.filter(bulk=bulk, kind=JobKind.BULK, state__in=_UNENDED_JOB).exists()
    ):
        _queue(bulk, "")
    else:
        transaction.on_commit(hint)
    transaction.on_commit(lambda: settle(bulk.pk))
    return bulk


@retried
def cancel(bulk: Bulk) -> Bulk:
    """End a bulk: what is captioned stays, the rest is not done. Raises Conflict where it has ended."""
    bulk = _move(bulk, _OPEN, BulkState.CANCELLED)
    _close(bulk, Cancelled("The bulk was cancelled."), BulkItem.State.CANCELLED)
    return bulk


@retried
def delete(bulk: Bulk) -> None:
    """Forget an ended bulk; its images stay. Raises Conflict where it has not ended."""
    bulk = Bulk.objects.select_for_update().get(pk=bulk.pk)
    if bulk.state in _OPEN:
        raise Conflict("The bulk has not ended.", hint="Cancel it first.")
    _drop_archive(bulk)
    bulk.delete()


@retried
def _move(bulk: Bulk, before: Iterable[str], after: BulkState) -> Bulk:
    bulk = Bulk.objects.select_for_update().get(pk=bulk.pk)
    if bulk.state not in before:
        raise Conflict(f"The bulk is {bulk.state} already.")
    if bulk.state != after:
        bulk.state = after
        if after not in _OPEN:
            bulk.ended_at = timezone.now()
        bulk.save(update_fields=["state", "ended_at"])
        _tell(bulk)
    return bulk


def _close(bulk: Bulk, reason: CutlineError, state: str) -> None:
    """End what is left of a bulk that has just ended, in the caller's transaction."""
    values = {**_failed(reason), "state": state}
    BulkItem.objects.filter(bulk=bulk, state=BulkItem.State.WAITING).update(**values)
    jobs.cancel_quietly(Job.objects.filter(bulk=bulk))
    _drop_archive(bulk)


def _drop_archive(bulk: Bulk) -> None:
    if bulk.archive_id is not None:
        key, bulk.archive = bulk.archive_id, None
        bulk.save(update_fields=["archive"])
        storage.doom([key])


# What workers do


def run(job: Job, context: Context) -> None:
    """Expand a bulk into images and jobs (JobKind.BULK); end early where it is paused."""
    assert job.bulk_id is not None
    Bulk.objects.filter(pk=job.bulk_id, state__in=(BulkState.QUEUED, BulkState.FAILED)).update(
        state=BulkState.RUNNING, error_code="", error_message="", ended_at=None
    )
    bulk = Bulk.objects.select_related("owner__user").get(pk=job.bulk_id)
    while True:
        if bulk.archive_id is not None:
            _expand_archive(bulk, job, context)
        elif bulk.expanded_at is None:
            _expand_urls(bulk, job, context)
        if _finish_expansion(job, context):
            return
        bulk.refresh_from_db()  # it was paused and went on before we could end


def _expand_archive(bulk: Bulk, job: Job, context: Context) -> None:
    context.stage("opening")
    assert bulk.archive_id is not None
    with (
        storage.opened(bulk.archive_id) as file,
        archive.open_archive(file, max_members=settings().max_bulk_items) as opened,
    ):
        context.stage("listing")
        _list_members(bulk, opened, context)
        context.stage("expanding")
        for item in _unstored(bulk):
            context.check()
            if not _goes_on(bulk):
                return
            _store_member(bulk, item, opened, job.request_id)
            progress(bulk.pk)


def _list_members(bulk: Bulk, opened: ZipFile, context: Context) -> None:
    """Write an item for each member; those that stand already stay as they are."""
    found = archive.members(
        opened,
        max_bytes=settings().max_upload_bytes,
        max_total_bytes=UNPACKED_TIMES * settings().max_bulk_bytes,
    )
    rows: list[BulkItem] = []
    for member in found:
        values = _failed(member.refusal) if member.refusal else {}
        rows.append(BulkItem(bulk=bulk, number=member.number, name=member.name, **values))
        if len(rows) == 1000:
            BulkItem.objects.bulk_create(rows, ignore_conflicts=True)
            rows.clear()
            context.check()
    BulkItem.objects.bulk_create(rows, ignore_conflicts=True)


def _unstored(bulk: Bulk) -> Iterable[BulkItem]:
    """The items that have neither an image nor an error, in their order, a chunk at a time."""
    after = -1
    waiting = BulkItem.objects.filter(bulk=bulk, state=BulkItem.State.WAITING, image=None).order_by("number")
    while chunk := list(waiting.filter(number__gt=after)[:_CHUNK]):
        yield from chunk
        after = chunk[-1].number


def _goes_on(bulk: Bulk) -> bool:
    return Bulk.objects.filter(pk=bulk.pk, state=BulkState.RUNNING).exists()


def _store_member(bulk: Bulk, item: BulkItem, opened: ZipFile, request_id: str) -> None:
    try:
        data = archive.read_member(opened, item.number, max_bytes=settings().max_upload_bytes)
        _store(bulk, item, data, item.name.rpartition("/")[2], request_id=request_id)
    except CutlineError as error:
        if jobs.is_transient(error):
            raise
        _end_items(BulkItem.objects.filter(pk=item.pk), _failed(error))


def _store(
    bulk: Bulk, item: BulkItem, data: bytes, name: str, *, source_url: str = "", request_id: str
) -> None:
    """Make an item's image and its job. Raises what uploads.services.store_upload raises."""
    options = dict(bulk.options)
    stored = uploads.store_upload(
        bulk.owner,
        data,
        name,
        keep_original=bool(options.pop("keep_original", False)),
        source_url=source_url,
        priority=Priority.BULK,
        options=options,
        bulk_id=bulk.pk,
        bulk_item_id=item.pk,
        request_id=request_id,
    )
    _attach(bulk, item, stored, options, request_id)


@retried
def _attach(
    bulk: Bulk, item: BulkItem, stored: uploads.Stored, options: Mapping[str, Any], request_id: str
) -> None:
    """Note an item's image. One that was there already may be captioned, or its job may be on its way."""
    image = stored.image
    mine = BulkItem.objects.filter(pk=item.pk, state=BulkItem.State.WAITING)
    if not mine.update(image=image):
        jobs.cancel_quietly(Job.objects.filter(bulk_item=item))
        return  # it was cancelled meanwhile
    if not stored.is_new and not Job.objects.filter(bulk_item=item).exists():
        if Caption.objects.filter(image=image).exists():
            _end_items(mine, {"state": BulkItem.State.DONE})
        elif not Job.objects.filter(image=image, kind=JobKind.CAPTION, state__in=_UNENDED_JOB).exists():
            jobs.create_job(
                owner=bulk.owner,
                image_id=image.pk,
                priority=Priority.BULK,
                options=options,
                bulk_id=bulk.pk,
                bulk_item_id=item.pk,
                request_id=request_id,
            )


def _expand_urls(bulk: Bulk, job: Job, context: Context) -> None:
    """Make a job for each URL; its id follows from the item's number, so that none gets two."""
    context.stage("expanding")
    chunk: list[Job] = []
    for item in _unstored(bulk):
        options = {"item": item.pk}
        chunk.append(
            Job(
                pk=uuid.uuid5(bulk.pk, str(item.number)),
                owner=bulk.owner,
                kind=JobKind.FETCH,
                priority=Priority.BULK,
                options=options,
                bulk=bulk,
                request_id=job.request_id,
            )
        )
        if len(chunk) == _CHUNK:
            _create_missing(chunk)
            chunk.clear()
            context.check()
            if not _goes_on(bulk):
                return
    _create_missing(chunk)


@retried
def _create_missing(chunk: Sequence[Job]) -> None:
    there = set(Job.objects.filter(pk__in=[each.pk for each in chunk]).values_list("pk", flat=True))
    jobs.create_jobs([each for each in chunk if each.pk not in there])


@retried
def _finish_expansion(job: Job, context: Context) -> bool:
    """End the job, and say whether it may: not where the bulk was paused and goes on."""
    assert job.bulk_id is not None
    bulk = Bulk.objects.select_for_update().get(pk=job.bulk_id)
    left = bulk.archive_id is not None and next(iter(_unstored(bulk)), None) is not None
    if left and bulk.state == BulkState.RUNNING:
        return False
    jobs.finish(job, context.token)
    if bulk.state == BulkState.RUNNING:
        bulk.expanded_at = timezone.now()
        bulk.save(update_fields=["expanded_at"])
        _drop_archive(bulk)
        transaction.on_commit(lambda: settle(bulk.pk))
    return True


def run_fetch(job: Job, context: Context) -> None:
    """Get the photo of a URL and store it (JobKind.FETCH); a caption job of its own follows."""
    item = BulkItem.objects.select_related("bulk__owner__user").filter(pk=job.options.get("item")).first()
    if item is not None and item.state == BulkItem.State.WAITING and item.image_id is None:
        context.stage("fetching")
        data, name = outbound.fetch_photo(item.name, max_bytes=settings().max_upload_bytes)
        context.stage("storing")
        _store(item.bulk, item, data, name, source_url=item.name, request_id=job.request_id)
    _finish_fetch(job, context)


@retried
def _finish_fetch(job: Job, context: Context) -> None:
    jobs.finish(job, context.token)


# What ends items


def job_ended(job: Job) -> None:
    """Note in a bulk's items how a job ended. Called in the transaction that ends any job."""
    bulk_id = job.bulk_id
    if bulk_id is None:
        return
    if job.kind == JobKind.BULK:
        _expansion_ended(job)
        return
    values = _outcome(job)
    if job.kind == JobKind.FETCH:
        if values["state"] != BulkItem.State.DONE:
            _end_items(BulkItem.objects.filter(pk=job.options.get("item")), values)
    elif job.image_id is not None:
        if job.bulk_item_id is not None:
            # Also after a failure: its owner may have tried again.
            item = BulkItem.objects.filter(pk=job.bulk_item_id).exclude(state=BulkItem.State.DONE)
            item.update(image_id=job.image_id, **values)
        # The same picture may stand in a bulk several times, and in several bulks.
        _end_items(BulkItem.objects.filter(image_id=job.image_id), values)
    transaction.on_commit(lambda: settle(bulk_id))


def _outcome(job: Job) -> dict[str, Any]:
    match job.state:
        case JobState.DONE:
            return {"state": BulkItem.State.DONE, "error_code": "", "error_message": ""}
        case JobState.CANCELLED:
            return {**_failed(Cancelled("The job was cancelled.")), "state": BulkItem.State.CANCELLED}
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
    if bulk.state not in _OPEN:
        return
    failed = job.state == JobState.FAILED
    bulk.state = BulkState.FAILED if failed else BulkState.CANCELLED
    bulk.error_code, bulk.error_message = job.error_code, job.error_message
    bulk.ended_at = timezone.now()
    bulk.save(update_fields=["state", "error_code", "error_message", "ended_at"])
    _close(bulk, Cancelled("The bulk ended before this was its turn."), BulkItem.State.CANCELLED)
    _tell(bulk)


def _failed(error: CutlineError) -> dict[str, Any]:
    return {
        "state": BulkItem.State.FAILED,
        "error_code": error.code[:60],
        "error_message": str(error)[:1000],
    }


def _end_items(items: QuerySet[BulkItem], values: Mapping[str, Any]) -> None:
    """Give those of these items that still wait their end."""
    items.filter(state=BulkItem.State.WAITING).update(**values)


def settle(bulk_id: uuid.UUID) -> None:
    """End a bulk none of whose items waits any more; else tell its progress. Call it after commit."""
    waiting = BulkItem.objects.filter(bulk_id=bulk_id, state=BulkItem.State.WAITING)
    if waiting.exists() or not _done(bulk_id):
        progress(bulk_id)


@retried
def _done(bulk_id: uuid.UUID) -> bool:
    ended = Bulk.objects.filter(pk=bulk_id, state=BulkState.RUNNING, expanded_at__isnull=False).update(
        state=BulkState.DONE, ended_at=timezone.now()
    )
    if ended:
        _tell(Bulk.objects.get(pk=bulk_id))
    return bool(ended)


# What is told


def counts(bulk: Bulk) -> dict[str, int]:
    """How many items stand where; and their total."""
    found = dict(
        BulkItem.objects.filter(bulk=bulk).values_list("state").annotate(number=Count("pk")).order_by()
    )
    return with_total(found)


def with_total(found: Mapping[str, int]) -> dict[str, int]:
    """Numbers of items by state, those of no items and the total among them."""
    by_state = {str(state): found.get(state, 0) for state in BulkItem.State}
    return {"total": sum(by_state.values()), **by_state}


@retried
def progress(bulk_id: uuid.UUID) -> None:
    """Tell how far a bulk is, if nobody did within the last second."""
    if not cache.add(f"bulk-progress-{bulk_id.hex}", 1, PROGRESS_S):
        return
    bulk = Bulk.objects.filter(pk=bulk_id, state__in=_OPEN).first()
    if bulk is not None:
        _tell(bulk)


def _tell(bulk: Bulk) -> None:
    data: dict[str, Any] = {"bulk": str(bulk.pk), "state": str(bulk.state), "counts": counts(bulk)}
    if bulk.error_code:
        data["error"] = {"code": bulk.error_code, "message": bulk.error_message}
    emit(bulk.owner_id, "bulk.progress" if bulk.state in _OPEN else "bulk.done", data)


# What the clock does


def sweep() -> None:
    """Settle what ended while nobody looked: items whose picture others captioned, and whole bulks."""
    captioned = Exists(Caption.objects.filter(image_id=OuterRef("image_id")))
    underway = Exists(Job.objects.filter(image_id=OuterRef("image_id"), state__in=_UNENDED_JOB))
    waiting = BulkItem.objects.filter(
        bulk__state__in=_OPEN, state=BulkItem.State.WAITING, image__isnull=False
    )
    for item in waiting.filter(captioned | ~underway)[:1000]:
        _settle_item(item)
    for bulk in Bulk.objects.filter(state=BulkState.RUNNING, expanded_at__isnull=False):
        if not Job.objects.filter(bulk=bulk, state__in=_UNENDED_JOB).exists():
            # Nothing is left that could end them: their pictures were deleted.
            gone = BulkItem.objects.filter(bulk=bulk, image=None)
            _end_items(gone, _failed(NotFound("The photo was deleted before it was captioned.")))
        settle(bulk.pk)


@retried
def _settle_item(item: BulkItem) -> None:
    if item.image_id is None:
        return
    if Caption.objects.filter(image_id=item.image_id).exists():
        values: dict[str, Any] = {"state": BulkItem.State.DONE}
    else:
        last = (
            Job.objects.filter(image_id=item.image_id, kind=JobKind.CAPTION).order_by("-created_at").first()
        )
        values = _outcome(last) if last else _failed(Cancelled("The photo was never captioned."))
    _end_items(BulkItem.objects.filter(pk=item.pk), values)


def _one_line(text: str) -> str:
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
