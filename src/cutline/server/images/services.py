"""What is written to images: uploads, visibility, tags, deletion, reports and decisions."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from django.core.cache import cache
from django.db import IntegrityError, connection, transaction
from django.db.models import Q
from django.utils import timezone

from cutline.server.bulk.models import Bulk, BulkItem
from cutline.server.captions.head_start import head_starts
from cutline.server.config import settings
from cutline.server.errors import Conflict, Forbidden, Invalid, NotFound, QuotaExceeded
from cutline.server.events.services import emit, forget_images
from cutline.server.images import renditions, search, storage
from cutline.server.images.models import (
    Decision,
    Image,
    Moderation,
    Rendition,
    RenditionKind,
    Report,
    StoredFile,
    Tag,
    Visibility,
    share_token,
)
from cutline.server.images.verify import Photo, examine
from cutline.server.jobs.models import Job, JobKind, JobState, Priority
from cutline.server.jobs.services import create_job
from cutline.server.people.models import Owner, Role, User
from cutline.server.texts import is_readable
from cutline.server.transactions import retried

MOST_TAGS = 50
LONGEST_TAG = 40
HOLD_AFTER_REPORTS = 3  # people who object, before a picture waits for a moderator out of sight
_COUNT_EXACTLY = 5000  # quotas above this are checked against a count that is a minute old
_AT_ONCE = 200
_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What became of an upload."""

    image: Image
    job: Job | None  # that captions it; of a picture that was there already: its latest
    is_new: bool


# -- uploads ---------------------------------------------------------------------------------------------


def store_upload(
    owner: Owner,
    data: bytes,
    file_name: str,
    *,
    keep_original: bool = False,
    source_url: str = "",
    priority: Priority = Priority.INTERACTIVE,
    options: Mapping[str, Any] | None = None,
    bulk: Bulk | None = None,
    bulk_item: BulkItem | None = None,
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
        _check_quota(owner)
        image = _image_of(owner, photo, file_name, source_url, keep_original=keep_original)
        if priority < Priority.BULK:
            head_starts.begin(image.pk, photo.picture, options or {})
        files = _put(image, photo, original)
        job = Job(
            owner=owner,
            image=image,
            priority=priority,
            options=dict(options or {}),
            bulk=bulk,
            bulk_item=bulk_item,
            request_id=request_id[:64],
        )
        renditions.recent.put(image.pk, photo.picture)
        try:
            return Stored(image=image, job=_create(image, files, job), is_new=True)
        except IntegrityError:
            if written := Image.objects.filter(pk=image.pk).first():  # only the commit's answer was lost
                return Stored(image=written, job=written.jobs.first(), is_new=True)
            _abandon(image, files)  # the same picture came twice at once, and the other was faster
        except Exception:
            _abandon(image, files)
            raise
    raise Conflict("This picture is being stored and deleted at once.", hint="Send it again.")


def _abandon(image: Image, files: Sequence[tuple[StoredFile, Rendition]]) -> None:
    renditions.recent.forget(image.pk)
    storage.abandon(file for file, _ in files)


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
        storage.abandon(file for file, _ in files)
        raise
    return files


@retried
def _create(image: Image, files: Sequence[tuple[StoredFile, Rendition]], job: Job) -> Job:
    owner = _locked_owner(image.owner_id)
    if owner.merged_into_id:  # an account claimed this session's things while the photo was on its way
        owner = _locked_owner(owner.merged_into_id)
        image.owner, job.owner = owner, owner
        image.expires_at = None
    if _quota(owner) <= _COUNT_EXACTLY:
        _check_quota(owner)
    image.save(force_insert=True)
    storage.keep(*(file for file, _ in files))
    for _, rendition in files:
        rendition.pk = None
    Rendition.objects.bulk_create(rendition for _, rendition in files)
    job = create_job(
        owner=owner,
        image=image,
        priority=Priority(job.priority),
        options=job.options,
        bulk=job.bulk,
        bulk_item=job.bulk_item,
        request_id=job.request_id,
    )
    emit(owner.pk, "image.created", {"image": str(image.pk), "job": str(job.pk)})
    return job


def _locked_owner(owner_id: UUID) -> Owner:
    """An owner whose images nobody else counts meanwhile. SQLite has one writer at a time anyway."""
    owner = Owner.objects.select_for_update(no_key=True).filter(pk=owner_id).first()
    if owner is None:
        raise NotFound("This account is gone.")
    return owner


def _again(owner: Owner, photo: Photo, original: bytes | None) -> Stored | None:
    """The owner's image of this picture, if there is one."""
    owner_id = owner.merged_into_id or owner.pk
    image = Image.objects.filter(owner_id=owner_id, content_hash=photo.content_hash).first()
    if image is None:
        return None
    if image.deleted_at is not None:
        try:
            _revive(image)
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
            storage.doom([file])
    image.keep_original = True


def clean_file_name(name: str) -> str:
    """A file's name for people to read: its last part, without what cannot be shown or would mislead."""
    name = re.split(r"[/\\]", name)[-1]
    kept = "".join(letter for letter in name if is_readable(letter))
    return kept.strip()[:255]


def _quota(owner: Owner) -> int:
    return settings().max_images if owner.user_id else settings().max_images_anonymous


def _check_quota(owner: Owner) -> None:
    limit = _quota(owner)
    owned = Image.objects.filter(owner=owner)
    if limit <= _COUNT_EXACTLY:
        count = owned.count()
    else:
        key = f"images-of:{owner.pk.hex}"
        known = cache.get(key)
        count = int(known) if known is not None else owned.count()
        if known is None:
            cache.set(key, count, 60)
    if count >= limit:
        raise QuotaExceeded(
            f"You have {count:,} images; the limit is {limit:,}.",
            hint="Delete some, or sign in: accounts may have more." if not owner.user_id else "Delete some.",
        )


# -- what owners change ----------------------------------------------------------------------------------


@retried
def set_visibility(image: Image, visibility: Visibility) -> Image:
    """Show an image to others, or no longer. A public one passes moderation first, and stands then.

    A link's secret is new each time that an image stops being shared by link.
    Raises NotFound; Conflict for a picture that was refused.
    """
    image = _locked(image)
    if image.visibility == visibility:
        return image
    if visibility == Visibility.PUBLIC and image.moderation == Moderation.REJECTED:
        raise Conflict("This picture was refused for the gallery.", hint="It can be shared by link.")
    if visibility == Visibility.PRIVATE:
        image.share_token = share_token()
    image.visibility = visibility
    image.words_unread_at = None
    if image.caption_by == "person" or image.tags.exists():
        let_words_be_read(image)
    if visibility == Visibility.PUBLIC and image.moderation in (Moderation.NONE, Moderation.PENDING):
        image.moderation = Moderation.PENDING
        open_jobs = image.jobs.filter(kind=JobKind.MODERATE, state__in=(JobState.QUEUED, JobState.RUNNING))
        if not open_jobs.exists():
            create_job(owner=image.owner, image=image, kind=JobKind.MODERATE)
    _publish(image)
    image.changed_at = timezone.now()
    image.save(
        update_fields=[
            "visibility",
            "moderation",
            "share_token",
            "published_at",
            "words_unread_at",
            "changed_at",
        ]
    )
    _emit_changed(image)
    return image


def let_words_be_read(image: Image) -> None:
    """Put a locked image, if it is public, before moderators: a person's words changed. Not saved.

    The words show meanwhile: the machine judges pictures alone, and to hold every edit would stop a gallery
    that has no moderator at hand.
    """
    if image.visibility == Visibility.PUBLIC and image.words_unread_at is None:
        image.words_unread_at = timezone.now()


def _publish(image: Image) -> None:
    """Set whether a locked image stands in the gallery; not saved."""
    stands = image.visibility == Visibility.PUBLIC and image.moderation == Moderation.APPROVED
    if stands and image.published_at is None:
        image.published_at = timezone.now()
    elif not stands:
        image.published_at = None


@retried
def set_tags(image: Image, names: Sequence[str]) -> list[str]:
    """Replace an image's tags; gives them as they are kept: trimmed, once each, in order.

    Raises NotFound; Invalid for too many, or one that is empty, too long or cannot be shown.
    """
    wanted = list(dict.fromkeys(clean_tag(name) for name in names))
    if len(wanted) > MOST_TAGS:
        raise Invalid(f"An image has at most {MOST_TAGS} tags.")
    image = _locked(image)
    had = set(image.tags.values_list("name", flat=True))
    if had == set(wanted):
        return wanted
    image.tags.exclude(name__in=wanted).delete()
    Tag.objects.bulk_create(
        (Tag(image=image, name=name) for name in wanted if name not in had), ignore_conflicts=True
    )
    if not had.issuperset(wanted):
        let_words_be_read(image)
    image.search_text = search.text_of(image.caption, wanted)
    image.changed_at = timezone.now()
    image.save(update_fields=["search_text", "words_unread_at", "changed_at"])
    _emit_changed(image)
    return wanted


def clean_tag(name: str) -> str:
    """A tag as it is kept: white space is one blank, no # in front, lower case. Raises Invalid."""
    tag = unicodedata.normalize("NFC", " ".join(name.split()).lstrip("#").strip().lower())
    if not tag or len(tag) > LONGEST_TAG or not is_readable(tag):
        raise Invalid(f"A tag has 1 to {LONGEST_TAG} letters, none of them a control character.")
    return tag


def delete(images: Iterable[Image]) -> int:
    """Hide images at once; `purge` takes them away after the undo time. Gives how many were hidden."""
    return _delete([image.pk for image in images])


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


def undelete(image: Image) -> Image:
    """Bring back a deleted image. Raises NotFound where the undo time is over."""
    return _revive(image)


@retried
def _revive(image: Image) -> Image:
    fresh = Image.objects.select_for_update().filter(pk=image.pk).first()
    if fresh is None:
        raise NotFound("This image is gone.")
    if fresh.deleted_at is not None:
        fresh.deleted_at = None
        fresh.changed_at = timezone.now()
        fresh.save(update_fields=["deleted_at", "changed_at"])
        _emit_changed(fresh)
    image.deleted_at = None
    return fresh


def purge() -> int:
    """Take away for good what was deleted or has expired. Gives how many images went."""
    gone = 0
    while True:
        now = timezone.now()
        over = Q(deleted_at__lt=now - timedelta(seconds=settings().undo_s)) | Q(expires_at__lt=now)
        some = _destroy_some(list(Image.objects.filter(over).values_list("pk", flat=True)[:_AT_ONCE]), over)
        gone += some
        if some < _AT_ONCE:
            break
    if gone:
        search.forget_words()
    return gone


def destroy(images: Iterable[Image]) -> None:
    """Take images away for good, now, with everything that was derived from them."""
    ids = [image.pk for image in images]
    for start in range(0, len(ids), _AT_ONCE):
        _destroy_some(ids[start : start + _AT_ONCE], Q())
    search.forget_words()


@retried
def _destroy_some(ids: Sequence[UUID], condition: Q) -> int:
    # Again with the condition, now that the rows are locked: one may just have been brought back.
    images = list(Image.objects.select_for_update().filter(condition, pk__in=ids).order_by("pk"))
    files = Rendition.objects.filter(image__in=images)
    storage.doom(files.values_list("file_id", flat=True))
    files.delete()
    for image in images:
        if image.deleted_at is None:
            emit(image.owner_id, "image.deleted", {"image": str(image.pk)})
    forget_images({image.owner_id for image in images}, [image.pk for image in images])
    Image.objects.filter(pk__in=[image.pk for image in images]).delete()
    return len(images)


def _locked(image: Image) -> Image:
    fresh = (
        Image.objects.select_for_update(of=("self",) if connection.features.has_select_for_update_of else ())
        .select_related("owner")
        .filter(pk=image.pk, deleted_at=None)
        .first()
    )
    if fresh is None:
        raise NotFound("This image is gone.")
    return fresh


def _emit_changed(image: Image) -> None:
    emit(
        image.owner_id,
        "image.changed",
        {"image": str(image.pk), "visibility": image.visibility, "moderation": image.moderation},
    )


# -- moderation ------------------------------------------------------------------------------------------


@retried
def report(image: Image, reporter: Owner, reason: Report.Reason, text: str = "") -> Report:
    """Note that somebody objects to an image; once for each who does, their later words replace the first.

    When several people object to a picture that no moderator has looked at, it waits out of sight.
    Raises NotFound.
    """
    image = _locked(image)
    made, _ = Report.objects.update_or_create(
        image=image,
        reporter=reporter,
        defaults={"reason": reason, "text": text.strip()[:2000]},
    )
    if image.published_at is not None and not _was_decided(image):
        people = image.reports.filter(resolved_at=None).count()
        if people >= HOLD_AFTER_REPORTS:
            _decided(image, None, Moderation.HELD, f"{people} people objected", None)
    return made


@retried
def decide(image: Image, by: User, moderation: Moderation, reason: str = "") -> Image:
    """Let a moderator publish, hold or refuse an image: reports of it are settled, its words are read.

    Raises Forbidden for others, NotFound, Invalid for what is no decision.
    """
    if by.role not in (Role.MODERATOR, Role.ADMIN):
        raise Forbidden("Only moderators decide about pictures.")
    if moderation not in (Moderation.APPROVED, Moderation.HELD, Moderation.REJECTED):
        raise Invalid("A picture is approved, held or rejected.")
    image = _locked(image)
    image.words_unread_at = None
    _decided(image, by, moderation, reason, image.nsfw_score)
    if moderation != Moderation.HELD:
        image.reports.filter(resolved_at=None).update(resolved_at=timezone.now())
    return image


@retried
def judged(image: Image, nsfw_score: float) -> Image:
    """Note what the classifier says, where it was asked and no person has decided since."""
    image = _locked(image)
    if image.moderation != Moderation.PENDING:
        return image
    if nsfw_score < settings().publish_below:
        moderation = Moderation.APPROVED
    elif nsfw_score > settings().hold_above:
        moderation = Moderation.REJECTED
    else:
        moderation = Moderation.HELD
    _decided(image, None, moderation, "", nsfw_score)
    return image


def _was_decided(image: Image) -> bool:
    return image.decisions.filter(by__isnull=False).exists()


def _decided(
    image: Image, by: User | None, moderation: Moderation, reason: str, nsfw_score: float | None
) -> None:
    """Write a decision about a locked image."""
    Decision.objects.create(
        image=image, by=by, moderation=moderation, reason=reason[:500], nsfw_score=nsfw_score
    )
    image.moderation = moderation
    image.nsfw_score = nsfw_score
    image.changed_at = timezone.now()
    _publish(image)
    image.save(update_fields=["moderation", "nsfw_score", "published_at", "words_unread_at", "changed_at"])
    emit(
        image.owner_id,
        "moderation.changed",
        {
            "image": str(image.pk),
            "moderation": moderation,
            "published": image.published_at is not None,
            "reason": reason if by else "",
        },
    )
