"""What owners do with bulks: make one of an archive or a list of URLs, pause, resume, cancel, delete."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import IO, Any

from django.db import transaction
from django.utils import timezone

from cutline import archives
from cutline.errors import ArchiveTooLarge, CutlineError
from cutline.server import outbound
from cutline.server.bulk.models import OPEN_STATES, Bulk, BulkItem, BulkState
from cutline.server.bulk.outcomes import close, drop_archive, failure_values
from cutline.server.bulk.progress import emit_progress, end_if_done
from cutline.server.config import settings
from cutline.server.errors import Cancelled, Conflict, Invalid, QuotaExceeded
from cutline.server.images import storage
from cutline.server.images.models import Image, StoredFile
from cutline.server.jobs import services as jobs
from cutline.server.jobs.hints import hint
from cutline.server.jobs.models import UNENDED, Job, JobKind, Priority
from cutline.server.people.models import Owner
from cutline.server.transactions import retried
from cutline.server.uploads import quota

MAX_UNENDED, MAX_UNENDED_ANONYMOUS = 10, 2  # bulks of one owner at a time
_FOLDERS = 1000  # entries of an archive that may be no files
KEPT_TIMES = 25  # ended bulks of a network may be so many times the unended ones
ANONYMOUS_SHARE = 8  # somebody without an account may send an archive of an eighth of what others may


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
    _check_files(owner, file)
    file.seek(0)
    bulk = Bulk(owner=owner, name=_one_line(name)[:255], options=dict(options))
    stored = storage.put(f"bulk/{bulk.pk}/archive.zip", file, "application/zip")
    return _save_archive(bulk, stored, request_id)


def _check_files(owner: Owner, file: IO[bytes]) -> None:
    """Refuse an archive of too many files. Each becomes a row that is kept, also of one that is no photo."""
    most = settings().max_bulk_items
    if owner.user_id is not None:
        archives.open_archive(file, max_members=most).close()
        return
    room = quota.limit_of(owner)
    too_many = QuotaExceeded(
        f"Without an account, an archive may hold {room:,} files.", hint="Sign in, or send fewer."
    )
    try:
        # Counted before it is read: reading a directory costs thirty times as much.
        with archives.open_archive(file, max_members=min(most, room + _FOLDERS)) as opened:
            files = sum(not archives.is_folder(member) for member in opened.infolist())
    except ArchiveTooLarge as error:
        raise too_many from error
    if files > room:
        raise too_many


@retried
def _save_archive(bulk: Bulk, stored: StoredFile, request_id: str) -> Bulk:
    _check_unended(bulk.owner, lock=True)
    storage.keep(stored)
    bulk.archive = stored
    bulk.save(force_insert=True)
    queue_expansion(bulk, request_id)
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
        raise ArchiveTooLarge(f"At most {settings().max_bulk_items:,} URLs are accepted at once.")
    _check_unended(owner, lock=True)
    # Nobody gets a machine that calls others for photos which could not be kept anyway.
    room = quota.limit_of(owner)
    if Image.objects.filter(owner=owner).count() + len(urls) > room:
        raise QuotaExceeded(f"The limit is {room:,} images in all.", hint="Send a shorter list.")
    bulk = Bulk.objects.create(owner=owner, name=_one_line(name)[:255], options=dict(options))
    BulkItem.objects.bulk_create(
        (BulkItem(bulk=bulk, number=number, **_url_item(url)) for number, url in enumerate(urls)),
        batch_size=1000,
    )
    queue_expansion(bulk, request_id)
    return bulk


def _url_item(url: str) -> dict[str, Any]:
    try:
        outbound.check_url(url)
    except CutlineError as error:
        return {"name": _one_line(url)[:2000], **failure_values(error)}
    return {"name": url.strip()}


def _check_unended(owner: Owner, *, lock: bool = False) -> None:
    if lock:  # the owner's row: two requests at once would both count too few
        Owner.objects.select_for_update(no_key=True).get(pk=owner.pk)
    most = MAX_UNENDED if owner.user_id else MAX_UNENDED_ANONYMOUS
    if Bulk.objects.filter(owner=owner, state__in=OPEN_STATES).count() >= most:
        raise QuotaExceeded(f"You have {most} unfinished bulks.", hint="Wait for one, or cancel one.")
    if owner.user_id is None and owner.network:
        _check_network(owner.network)


def _check_network(network: str) -> None:
    """Raise QuotaExceeded where those without an account in a network have as many bulks as they may have."""
    unended = settings().max_bulks_network
    theirs = Bulk.objects.filter(owner__network=network)
    if theirs.filter(state__in=OPEN_STATES).count() >= unended:
        raise QuotaExceeded(
            f"Visitors of your network have {unended} unfinished bulks.", hint="Sign in, or wait for one."
        )
    if theirs.count() >= KEPT_TIMES * unended:
        raise QuotaExceeded(
            f"Visitors of your network have {KEPT_TIMES * unended} bulks; that is the limit.",
            hint="Sign in, or delete one that is done.",
        )


def queue_expansion(bulk: Bulk, request_id: str) -> None:
    """Make the job that expands a bulk, in the caller's transaction."""
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
        and not Job.objects.filter(bulk=bulk, kind=JobKind.BULK, state__in=UNENDED).exists()
    ):
        queue_expansion(bulk, "")
    else:
        transaction.on_commit(hint)
    transaction.on_commit(lambda: end_if_done(bulk.pk))
    return bulk


@retried
def cancel(bulk: Bulk) -> Bulk:
    """End a bulk: what is captioned stays, the rest is not done. Raises Conflict where it has ended."""
    bulk = _move(bulk, OPEN_STATES, BulkState.CANCELLED)
    close(bulk, Cancelled("The bulk was cancelled."), BulkItem.State.CANCELLED)
    return bulk


@retried
def delete(bulk: Bulk) -> None:
    """Delete a finished bulk; its images stay. Raises Conflict where it has not ended."""
    bulk = Bulk.objects.select_for_update().get(pk=bulk.pk)
    if bulk.state in OPEN_STATES:
        raise Conflict("The bulk is not finished.", hint="Cancel it first.")
    drop_archive(bulk)
    bulk.delete()


@retried
def _move(bulk: Bulk, before: Iterable[str], after: BulkState) -> Bulk:
    bulk = Bulk.objects.select_for_update().get(pk=bulk.pk)
    if bulk.state not in before:
        raise Conflict(f"The bulk is already {bulk.state}.")
    if bulk.state != after:
        bulk.state = after
        if after not in OPEN_STATES:
            bulk.ended_at = timezone.now()
        bulk.save(update_fields=["state", "ended_at"])
        emit_progress(bulk)
    return bulk


def _one_line(text: str) -> str:
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
