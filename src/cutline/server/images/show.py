"""Images as the API shows them: to this viewer, in a constant number of queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from cutline.alt_text import shorten
from cutline.server.config import settings
from cutline.server.images import selectors
from cutline.server.images.models import Image, Rendition, RenditionKind, Visibility
from cutline.server.images.words import Words, words_for_others
from cutline.server.jobs import queue
from cutline.server.jobs.models import Job
from cutline.server.people.viewers import Viewer

_ALT_TEXT = 125  # letters: screen readers cut longer ones


def shown(images: Sequence[Image], viewer: Viewer, site: str) -> list[Mapping[str, Any]]:
    """What the viewer sees of images that they may see: the fields of api.schemas.ImageOut.

    site: where people reach the service, as https://HOST; links to share begin with it.
    """
    details = selectors.details(images)
    positions = queue.positions(details.jobs.values())
    seen: list[Mapping[str, Any]] = []
    for image in images:
        job = details.jobs.get(image.pk)
        found = _job(job, positions.get(job.pk)) if job else None
        fields = _one(image, details.renditions[image.pk])
        if selectors.is_owner(viewer, image):
            fields |= _words(image, details.tags[image.pk])
            fields |= _for_owner(image, details.renditions[image.pk], found, site)
        else:
            others = words_for_others(image, details.tags[image.pk])
            fields |= _words(others, others.tags)
        seen.append(fields)
    return seen


def _words(shown: Image | Words, tags: Sequence[str]) -> dict[str, Any]:
    plain = shown.description or shown.caption  # alternative text is never in a voice
    return {
        "caption": shown.caption,
        "caption_by": shown.caption_by,
        "caption_model": shown.caption_model,
        "styled": bool(shown.description),
        "description": plain,
        "alt_text": shorten(plain, _ALT_TEXT) if plain else "",
        "tags": list(tags),
    }


def _one(image: Image, renditions: Sequence[Rendition]) -> dict[str, Any]:
    return {
        "id": image.pk,
        "width_px": image.width_px,
        "height_px": image.height_px,
        "placeholder": image.placeholder,
        "urls": selectors.urls(renditions),
        "visibility": image.visibility,
        "moderation": image.moderation,
        "job": None,
        "mine": False,
        "created_at": image.created_at,
        "changed_at": image.changed_at,
        "published_at": image.published_at,
        "expires_at": image.expires_at,
    }


def _for_owner(
    image: Image, renditions: Sequence[Rendition], job: Mapping[str, Any] | None, site: str
) -> Mapping[str, Any]:
    original = next((each for each in renditions if each.kind == RenditionKind.ORIGINAL), None)
    return {
        "mine": True,
        "words_unread": image.words_unread_at is not None and settings().moderate_words,
        "job": job,
        "file_name": image.file_name,
        "source_url": image.source_url,
        "share_url": share_url(image, site),
        "keep_original": image.keep_original,
        "original_url": selectors.file_url(original, _download_name(image, original)) if original else None,
    }


def _job(job: Job, position: int | None) -> Mapping[str, Any]:
    error = {"code": job.error_code, "message": job.error_message} if job.error_code else None
    return {"id": job.pk, "state": job.state, "stage": job.stage, "error": error, "position": position}


def share_url(image: Image, site: str) -> str | None:
    """The link of an image that is shared; None for a private one."""
    if image.visibility == Visibility.PRIVATE:
        return None
    return f"{site}/shared/{image.share_token}"


def _download_name(image: Image, original: Rendition) -> str:
    ending = original.file_id.rpartition(".")[2]
    name = image.file_name or f"photo-{UUID(str(image.pk)).hex[:8]}"
    return name if name.lower().endswith(f".{ending}") else f"{name}.{ending}"
