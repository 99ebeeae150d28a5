"""An upload: the photo is checked, stored, and its caption queued; or nothing is left behind."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from django.db import IntegrityError, transaction
from django.utils import timezone

from cutline.server.captions.head_start import head_starts
from cutline.server.config import settings
from cutline.server.errors import Conflict, NotFound
from cutline.server.events.services import emit
from cutline.server.images import renditions, storage
from cutline.server.images.deletion import undelete
from cutline.server.images.models import Image, Rendition, RenditionKind, StoredFile
from cutline.server.images.verify import Photo, examine
from cutline.server.jobs import handover, hints, lending
from cutline.server.jobs.models import Job, JobKind, Priority
from cutline.server.jobs.services import create_job
from cutline.server.people.models import Owner
from cutline.server.steering import shares
from cutline.server.transactions import retried
from cutline.server.uploads import quota
from cutline.texts import is_readable

_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What became of an upload."""

    image: Image
    job: Job | None  # that captions it; of a picture that was there already: its latest
    is_new: bool


def store_upload(
    owner: Owner,
    data: bytes,
    file_name: str,
    *,
    keep_original: bool = False,
    source_url: str = "",
    priority: Priority = Priority.INTERACTIVE,
    options: Mapping[str, Any] | None = None,
    bulk_id: UUID | None = None,
    bulk_item_id: int | None = None,
    request_id: str = "",
) -> Stored:
    """Verify a photo, store it, and queue its caption. The same picture again gives the image that is there.

    A picture that was deleted and can still be brought back is brought back. Call it outside of a
    transaction (see storage.put).
    Raises ImageError, QuotaExceeded or ServiceUnavailable; then nothing is left behind.
    """
    photo = examine(data)
    original = data if keep_original else None
    for _ in range(_TRIES):
        if found := _again(owner, photo, original):
            return found
        quota.check(owner)
        image = _image_of(owner, photo, file_name, source_url, keep_original=keep_original)
        starts_ahead = priority < Priority.BULK and not lending.is_on()
        in_canary = (starts_ahead or lending.is_on()) and shares.current().has_in_canary(owner.pk)
        worker = _start_ahead(image, photo, options or {}, in_canary=in_canary) if starts_ahead else ""
        files = _put(image, photo, original)
        job = Job(
            owner=owner,
            image=image,
            priority=priority,
            options=dict(options or {}),
            bulk_id=bulk_id,
            bulk_item_id=bulk_item_id,
            request_id=request_id[:64],
        )
        try:
            job = _create(image, files, job, may_lend=not in_canary, worker=worker)
            return Stored(image=image, job=job, is_new=True)
        except IntegrityError:
            if written := Image.objects.filter(pk=image.pk).first():  # only the commit's answer was lost
                return Stored(image=written, job=written.jobs.first(), is_new=True)
            _abandon(files)  # the same picture came twice at once, and the other was faster
        except Exception:
            _abandon(files)
            raise
    raise Conflict("This picture is being uploaded and deleted at the same time.", hint="Send it again.")


def _start_ahead(image: Image, photo: Photo, options: Mapping[str, Any], *, in_canary: bool) -> str:
    """Have an idle worker caption a photo while it is stored; its name if it is another process, else ""."""
    if not hints.has_local_workers():
        offered = handover.Offered(
            image_id=image.pk, photo=photo.master, options=options, in_canary=in_canary
        )
        return handover.offer(offered)
    head_starts.begin(image.pk, photo.picture, options, in_canary=in_canary)
    return ""


def _abandon(files: Sequence[tuple[StoredFile, Rendition]]) -> None:
    storage.discard_pending(file for file, _ in files)


def _image_of(owner: Owner, photo: Photo, file_name: str, source_url: str, *, keep_original: bool) -> Image:
    now = timezone.now()
    return Image(
        id=uuid4(),
        owner=owner,
        content_hash=photo.content_hash,
        file_name=clean_file_name(file_name),
        source_url=source_url[:2000],
        width_px=photo.picture.width,
        height_px=photo.picture.height,
        placeholder=photo.placeholder,
        keep_original=keep_original,
        created_at=now,
        changed_at=now,
        expires_at=None if owner.user_id else now + timedelta(days=settings().anonymous_days),
    )


def _put(image: Image, photo: Photo, original: bytes | None) -> list[tuple[StoredFile, Rendition]]:
    """Write an image's first files, still pending."""
    wanted = [(RenditionKind.MASTER, "jpeg", photo.master)]
    if original is not None:
        wanted.append((RenditionKind.ORIGINAL, photo.format, original))
    files: list[tuple[StoredFile, Rendition]] = []
    try:
        for kind, format, data in wanted:
            file = storage.put(renditions.key_of(image.pk, kind, format), data)
            rendition = Rendition(
                image=image,
                kind=kind,
                format=format,
                width_px=image.width_px,
                height_px=image.height_px,
                file=file,
            )
            files.append((file, rendition))
    except Exception:
        storage.discard_pending(file for file, _ in files)
        raise
    return files


@retried
def _create(
    image: Image,
    files: Sequence[tuple[StoredFile, Rendition]],
    job: Job,
    *,
    may_lend: bool,
    worker: str,
) -> Job:
    owner = _locked_owner(image.owner_id)
    if owner.merged_into_id:  # an account claimed this session's things while the photo was on its way
        owner = _locked_owner(owner.merged_into_id)
        image.owner, job.owner = owner, owner
        image.expires_at = None
    if quota.is_exact(owner):
        quota.check_own(owner)
    image.save(force_insert=True)
    storage.keep(*(file for file, _ in files))
    for _, rendition in files:
        rendition.pk = None
    Rendition.objects.bulk_create(rendition for _, rendition in files)
    job = create_job(
        owner=owner,
        image_id=image.pk,
        priority=Priority(job.priority),
        options=job.options,
        bulk_id=job.bulk_id,
        bulk_item_id=job.bulk_item_id,
        request_id=job.request_id,
        may_lend=may_lend,
        given_to=worker,
    )
    emit(owner.pk, "image.created", {"image": str(image.pk), "job": str(job.pk)})
    return job


def _locked_owner(owner_id: UUID) -> Owner:
    """An owner whose images nobody else counts meanwhile. SQLite has one writer at a time anyway."""
    owner = Owner.objects.select_for_update(no_key=True).filter(pk=owner_id).first()
    if owner is None:
        raise NotFound("This account no longer exists.")
    return owner


def _again(owner: Owner, photo: Photo, original: bytes | None) -> Stored | None:
    """The owner's image of this picture, if there is one."""
    owner_id = owner.merged_into_id or owner.pk
    image = Image.objects.filter(owner_id=owner_id, content_hash=photo.content_hash).first()
    if image is None:
        return None
    if image.deleted_at is not None:
        try:
            undelete(image)
        except NotFound:  # purged just now
            return None
    if original is not None and not image.keep_original:
        keep_the_original(image, original, photo.format)
    job = image.jobs.filter(kind=JobKind.CAPTION).order_by("-created_at", "-pk").first()
    return Stored(image=image, job=job, is_new=False)


def keep_the_original(image: Image, original: bytes, format: str) -> None:
    """Keep the file as it was uploaded, for an image that is there already."""
    file = storage.put(renditions.key_of(image.pk, RenditionKind.ORIGINAL, format), original)
    with transaction.atomic():
        changed = Image.objects.filter(pk=image.pk, keep_original=False).update(
            keep_original=True, changed_at=timezone.now()
        )
        if changed:
            storage.keep(file)
            Rendition.objects.create(
                image=image,
                kind=RenditionKind.ORIGINAL,
                format=format,
                width_px=image.width_px,
                height_px=image.height_px,
                file=file,
            )
        else:
            storage.discard([file])
    image.keep_original = True


def clean_file_name(name: str) -> str:
    """A file's name for people to read: its last part, without what cannot be shown or would mislead."""
    name = re.split(r"[/\\]", name)[-1]
    kept = "".join(letter for letter in name if is_readable(letter))
    return kept.strip()[:255]
