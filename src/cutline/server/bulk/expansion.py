"""What workers do for bulks: an archive or a list of URLs becomes items, images and caption jobs.

Everything can be begun again: an archive's members have the same numbers each time, a picture that was stored
is found by its content, and the job that fetches a URL has an id that follows from its item. So a worker may
be killed anywhere, and the next one goes on where the rows say.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from zipfile import ZipFile

from django.db import transaction
from django.utils import timezone

from cutline import archives
from cutline.errors import CutlineError
from cutline.server import decoding, outbound
from cutline.server.bulk import styling
from cutline.server.bulk.models import Bulk, BulkItem, BulkState
from cutline.server.bulk.outcomes import drop_archive, end_items, failure_values
from cutline.server.bulk.progress import end_if_done, progress
from cutline.server.captions.models import Caption
from cutline.server.config import settings
from cutline.server.images import storage
from cutline.server.jobs import services as jobs
from cutline.server.jobs.attempts import is_transient
from cutline.server.jobs.context import Context
from cutline.server.jobs.models import UNENDED, Job, JobKind, Priority
from cutline.server.shares import Payer
from cutline.server.transactions import retried
from cutline.server.uploads import services as uploads

UNPACKED_TIMES = 4  # an archive may unpack to so many times max_bulk_bytes
_CHUNK = 200


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
        archives.open_archive(file, max_members=settings().max_bulk_items) as opened,
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
    found = archives.members(
        opened,
        max_bytes=settings().max_upload_bytes,
        max_total_bytes=UNPACKED_TIMES * settings().max_bulk_bytes,
    )
    rows: list[BulkItem] = []
    for member in found:
        values = failure_values(member.refusal) if member.refusal else {}
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
    most_bytes = settings().max_upload_bytes
    try:
        with decoding.room_for_file(min(most_bytes, opened.infolist()[item.number].file_size)):
            data = archives.read_member(opened, item.number, max_bytes=most_bytes)
            _store(bulk, item, data, item.name.rpartition("/")[2], request_id=request_id)
    except CutlineError as error:
        if is_transient(error):
            raise
        end_items(BulkItem.objects.filter(pk=item.pk), failure_values(error))


def _store(
    bulk: Bulk, item: BulkItem, data: bytes, name: str, *, source_url: str = "", request_id: str
) -> None:
    """Make an item's image and its job. Raises what uploads.services.store_upload raises."""
    options = {name: value for name, value in bulk.options.items() if name not in styling.OPTIONS}
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
            if styling.VOICE in bulk.options:
                styling.ask_later(image.pk)
            else:
                end_items(mine, {"state": BulkItem.State.DONE})
        elif not Job.objects.filter(image=image, kind=JobKind.CAPTION, state__in=UNENDED).exists():
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
        drop_archive(bulk)
        transaction.on_commit(lambda: end_if_done(bulk.pk))
    return True


def run_fetch(job: Job, context: Context) -> None:
    """Get the photo of a URL and store it (JobKind.FETCH); a caption job of its own follows."""
    item = BulkItem.objects.select_related("bulk__owner__user").filter(pk=job.options.get("item")).first()
    if item is not None and item.state == BulkItem.State.WAITING and item.image_id is None:
        context.stage("fetching")
        payer = Payer(names=(f"owner:{job.owner_id}",))
        with outbound.fetched_photo(item.name, max_bytes=settings().max_upload_bytes, payer=payer) as (
            data,
            name,
        ):
            context.stage("storing")
            _store(item.bulk, item, data, name, source_url=item.name, request_id=job.request_id)
    _finish_fetch(job, context)


@retried
def _finish_fetch(job: Job, context: Context) -> None:
    jobs.finish(job, context.token)
