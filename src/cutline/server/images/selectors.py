"""Reading images. Every read is authorised here, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery
from django.utils.crypto import constant_time_compare

from cutline.server.config import settings
from cutline.server.errors import Forbidden, NotFound
from cutline.server.images import search as text_search
from cutline.server.images import storage
from cutline.server.images.models import Image, Rendition, RenditionKind, Tag, Visibility
from cutline.server.jobs.models import Job, JobKind
from cutline.server.people.selectors import owned_by
from cutline.server.people.viewers import Viewer

_FEW = 3000
_CLOCKS_DIFFER = timedelta(minutes=5)
_IN_GALLERY = Q(published_at__isnull=False, deleted_at__isnull=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """What a list is narrowed to; empty fields narrow nothing."""

    text: str = ""
    tags: Sequence[str] = ()
    visibility: str = ""
    state: str = ""  # of the latest caption job
    since: datetime | None = None  # when it was uploaded
    until: datetime | None = None


# -- who may see what ------------------------------------------------------------------------------------


def visible_to(viewer: Viewer) -> QuerySet[Image]:
    """Their own, what stands in the gallery, and for staff what was offered to the public."""
    allowed = _IN_GALLERY
    if viewer.owner_id is not None and _for_images(viewer):
        allowed |= Q(owner_id=viewer.owner_id, deleted_at__isnull=True)
    if viewer.is_staff_reader:
        allowed |= Q(visibility=Visibility.PUBLIC, deleted_at__isnull=True)
    return Image.objects.filter(allowed)


def image_for(viewer: Viewer, image_id: UUID, *, share_token: str = "") -> Image:
    """An image that the viewer may see. Raises NotFound for all others, whether they are there or not.

    share_token: the secret of its link; it opens what is not private.
    """
    image = Image.objects.filter(pk=image_id, deleted_at=None).first()
    if image is not None and (may_see(viewer, image) or _has_link(image, share_token)):
        return image
    raise NotFound("There is no such image.")


def may_see(viewer: Viewer, image: Image) -> bool:
    """Whether `visible_to` has this image."""
    if image.deleted_at is not None:
        return False
    offered = image.visibility == Visibility.PUBLIC
    return is_owner(viewer, image) or image.published_at is not None or (offered and viewer.is_staff_reader)


def is_owner(viewer: Viewer, image: Image) -> bool:
    """Whether the image is the viewer's; to a key for other things than images it is a stranger's."""
    return viewer.owner_id is not None and image.owner_id == viewer.owner_id and _for_images(viewer)


def _for_images(viewer: Viewer) -> bool:
    return viewer.has("images:read") or viewer.has("images:write")


def _has_link(image: Image, token: str) -> bool:
    shared = image.visibility in (Visibility.UNLISTED, Visibility.PUBLIC)
    return shared and bool(token) and constant_time_compare(token, image.share_token)


def shared_image(token: str) -> Image:
    """The image that a link leads to. Raises NotFound, also where it is private by now."""
    image = Image.objects.filter(share_token=token, deleted_at=None).first() if token else None
    if image is None or not _has_link(image, token):
        raise NotFound("This link does not work or has expired.")
    return image


def own_image(viewer: Viewer, image_id: UUID) -> Image:
    """An image that the viewer may change. Raises NotFound; Forbidden where they may only see it."""
    image = image_for(viewer, image_id)
    if not is_owner(viewer, image):
        raise Forbidden("Only its owner may change this image.")
    return image


def own_images(viewer: Viewer, image_ids: Iterable[UUID], *, deleted: bool = False) -> list[Image]:
    """Those of these images that are the viewer's: the deleted ones, or the others."""
    images = owned_by(viewer, Image.objects.filter(pk__in=list(image_ids)))
    return list(images.filter(deleted_at__isnull=not deleted))


def own_deleted_image(viewer: Viewer, image_id: UUID) -> Image:
    """A deleted image that its owner may bring back; one that is not deleted is given too.

    Raises NotFound.
    """
    image = Image.objects.filter(pk=image_id).first()
    if image is None or not is_owner(viewer, image):
        raise NotFound("There is no such image, or it was deleted for good.")
    return image


# -- lists -----------------------------------------------------------------------------------------------


def library(viewer: Viewer, filters: Filters | None = None) -> QuerySet[Image]:
    """The viewer's own images, unordered."""
    if viewer.owner_id is None:
        return Image.objects.none()
    images = Image.objects.filter(owner_id=viewer.owner_id, deleted_at=None)
    return _narrowed(images, filters or Filters(), viewer.owner_id)


def gallery(filters: Filters | None = None) -> QuerySet[Image]:
    """What everybody may see, unordered. By words, only what has none that a moderator must read first."""
    images, wanted = Image.objects.filter(_IN_GALLERY), filters or Filters()
    if (wanted.text or wanted.tags) and settings().moderate_words:
        images = images.filter(words_unread_at=None)
    return _narrowed(images, wanted, text_search.IN_GALLERY)


def search(images: QuerySet[Image], text: str) -> QuerySet[Image]:
    """Those whose caption or tags have all these words, or words that begin so. All for an empty text."""
    return text_search.matching(images, text)


def _narrowed(images: QuerySet[Image], filters: Filters, shelf: UUID) -> QuerySet[Image]:
    if filters.text:
        listed = not (filters.tags or filters.visibility or filters.state)
        images = text_search.matching(images, filters.text, shelf, listed=listed)
    for tag in filters.tags:
        images = _tagged(images, tag)
    if filters.visibility:
        images = images.filter(visibility=filters.visibility)
    if filters.since:
        images = images.filter(created_at__gte=filters.since)
    if filters.until:
        images = images.filter(created_at__lt=filters.until)
    if filters.state:
        images = _in_state(images, filters.state, shelf)
    return images


def _tagged(images: QuerySet[Image], name: str) -> QuerySet[Image]:
    tagged = Tag.objects.filter(name=name)
    if _are_few(tagged):
        return images.filter(pk__in=tagged.values("image"))
    return images.filter(Exists(tagged.filter(image=OuterRef("pk"))))


def _in_state(images: QuerySet[Image], state: str, shelf: UUID) -> QuerySet[Image]:
    """Those whose latest caption job is in a state. The jobs of an image are its owner's, and younger."""
    latest = Subquery(_caption_jobs(OuterRef("pk")).values("state")[:1])
    if shelf == text_search.IN_GALLERY:
        return images.annotate(latest_state=latest).filter(latest_state=state)
    jobs = Job.objects.filter(owner_id=shelf, kind=JobKind.CAPTION, state=state)
    if _are_few(jobs):
        later = Q(created_at__gt=OuterRef("created_at"))
        later |= Q(created_at=OuterRef("created_at"), pk__gt=OuterRef("pk"))
        newer = Job.objects.filter(later, image=OuterRef("image"), kind=JobKind.CAPTION)
        return images.filter(pk__in=jobs.filter(~Exists(newer)).values("image"))
    last = jobs.order_by("-created_at").values_list("created_at", flat=True).first()
    if last is not None:  # all may be old: then the list begins with them, give or take what clocks differ
        images = images.filter(created_at__lt=last + _CLOCKS_DIFFER)
    return images.annotate(latest_state=latest).filter(latest_state=state)


def _are_few(rows: QuerySet[Any]) -> bool:
    """Whether it is quicker to begin with these rows, and sort, than to look through a list in its order."""
    return rows[: _FEW + 1].count() <= _FEW


def _caption_jobs(image: OuterRef) -> QuerySet[Job]:
    return Job.objects.filter(image=image, kind=JobKind.CAPTION).order_by("-created_at", "-pk")


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """What a list shows beside the rows of its images, by the images' ids."""

    renditions: Mapping[UUID, Sequence[Rendition]]
    tags: Mapping[UUID, Sequence[str]]
    jobs: Mapping[UUID, Job]


def details(images: Sequence[Image]) -> Details:
    """Renditions, tags and latest caption jobs of images: three queries, however many images."""
    ids = [image.pk for image in images]
    renditions: dict[UUID, list[Rendition]] = {image_id: [] for image_id in ids}
    tags: dict[UUID, list[str]] = {image_id: [] for image_id in ids}
    if not ids:
        return Details(renditions=renditions, tags=tags, jobs={})
    for rendition in Rendition.objects.filter(image__in=ids):
        renditions[rendition.image_id].append(rendition)
    for image_id, name in Tag.objects.filter(image__in=ids).order_by("pk").values_list("image_id", "name"):
        tags[image_id].append(name)
    latest = Image.objects.filter(pk__in=ids).values_list(
        Subquery(_caption_jobs(OuterRef("pk")).values("pk")[:1])
    )
    jobs = {job.image_id: job for job in Job.objects.filter(pk__in=latest) if job.image_id}
    return Details(renditions=renditions, tags=tags, jobs=jobs)


# -- links to files --------------------------------------------------------------------------------------


def rendition_url(image: Image, kind: str, format: str, viewer: Viewer) -> str | None:
    """A link to a file of an image that the viewer may see; None where it has none of that kind.

    The original is its owner's alone.
    """
    if kind == RenditionKind.ORIGINAL and not is_owner(viewer, image):
        return None
    renditions = image.renditions.filter(kind=kind)
    found = (renditions.filter(format=format) if format else renditions).first()
    return file_url(found) if found else None


def file_url(rendition: Rendition, download_name: str = "") -> str:
    """A link to a file that is allowed already; it works for a short while (see settings.link_s)."""
    return storage.url(rendition.file_id, settings().link_s, download_name)


def urls(renditions: Iterable[Rendition]) -> dict[str, dict[str, str]]:
    """Links to the files of an image that the viewer may see, by kind and format; without the original.

    Where a kind has not been made yet, or would be no other than the master, the master stands in.
    """
    found: dict[str, dict[str, str]] = {kind: {} for kind in ("thumbnail", "large", "master")}
    for rendition in renditions:
        if rendition.kind in found:
            found[rendition.kind][rendition.format] = file_url(rendition)
    for kind in ("thumbnail", "large"):
        for format, link in found["master"].items():
            found[kind].setdefault(format, link)
    return found
