"""Candidates in answers: what models wrote for an image, and of captions in a voice, how they came to be."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from ninja import Schema
from pydantic import Field

from cutline.server import styler
from cutline.server.api.paging import page
from cutline.server.api.schemas import CaptionOut, JobOut
from cutline.server.api.voice_fields import VoiceOut
from cutline.server.captions import selectors
from cutline.server.captions.models import Attention, Caption
from cutline.server.feedback.models import Rating
from cutline.server.images import selectors as images
from cutline.server.images.models import Image
from cutline.server.jobs.models import Job
from cutline.server.people.viewers import Viewer


class DescriptionOut(Schema):
    """The plain text that a caption in a voice was written from."""

    version: int = Field(description="Its number in the image's history.")
    by: Literal["model", "person"]
    text: str


class StyleOut(Schema):
    """How a caption in a voice came to be."""

    voice: VoiceOut
    body: str = Field(description="The text without prefix, suffix and hashtags.")
    hashtags: list[str]
    prompt: str = Field(description="The version of the prompt.")
    seed: int
    like: UUID | None = Field(description="The candidate that it was to resemble.")
    removed: list[str] = Field(description="What had been written, and was taken away.")
    description: DescriptionOut


class CandidateOut(CaptionOut):
    """A candidate, with its job, your rating, and whether it is shown."""

    created_at: datetime
    job: UUID | None = None
    shown: bool = Field(description="Whether it is what the image shows.")
    rating: Literal[1, -1] | None = Field(None, description="Your own rating.")
    has_attention: bool = Field(description="Whether GET /captions/{id}/attention has maps.")
    styled: bool = Field(False, description="Whether it is in a voice.")
    style: StyleOut | None = Field(None, description="Of one in a voice, for its owner.")


class StylesJobOut(JobOut):
    """A job that writes captions in a voice; once it is done, with them."""

    n: int
    seed: int
    like: UUID | None = None
    voice: VoiceOut
    description: DescriptionOut
    captions: list[CandidateOut] = Field(default_factory=list)


def candidates_page(
    viewer: Viewer, image: Image, *, styled: bool | None, cursor: str, limit: int
) -> dict[str, Any]:
    """The candidates of an image that its viewer may see, newest first: only those in a voice, or not."""
    found = selectors.candidates(viewer, image)
    rows = page(
        found if styled is None else found.filter(style__isnull=not styled),
        cursor=cursor,
        limit=limit,
        order=("-created_at", "rank", "id"),
    )
    return {"items": candidates_out(viewer, image, rows.rows), "next": rows.next}


def candidates_out(viewer: Viewer, image: Image, captions: Sequence[Caption]) -> list[dict[str, Any]]:
    """Candidates of an image that its viewer may see, as CandidateOut."""
    ids = [caption.pk for caption in captions]
    rated = Rating.objects.filter(viewer_id=viewer.owner_id, caption_id__in=ids)
    ratings = dict(rated.values_list("caption_id", "value"))
    mapped = set(Attention.objects.filter(caption_id__in=ids).values_list("caption_id", flat=True))
    shown = selectors.shown_id(image)
    is_owner = images.is_owner(viewer, image)
    return [
        {
            "id": caption.pk,
            "text": caption.text,
            "log_prob": caption.log_prob,
            "confidence": caption.confidence,
            "model": caption.model,
            "rank": caption.rank,
            "created_at": caption.created_at,
            "job": caption.job_id,
            "shown": caption.pk == shown,
            "rating": ratings.get(caption.pk),
            "has_attention": caption.pk in mapped,
            "styled": caption.is_styled,
            "style": _style(caption) if is_owner and caption.is_styled else None,
        }
        for caption in captions
    ]


def _style(caption: Caption) -> dict[str, Any]:
    style = caption.style or {}
    return {**style, "voice": styler.whole_record(style["voice"])}


def styles_job_out(viewer: Viewer, job: Job) -> StylesJobOut:
    """A job of the viewer that writes captions in a voice."""
    assert job.image is not None  # deleted with it
    captions = list(Caption.objects.filter(job=job).order_by("rank"))
    options = job.options
    return StylesJobOut.model_validate(
        {
            **JobOut.from_orm(job).model_dump(),
            "n": options["n"],
            "seed": options["seed"],
            "like": options["like"],
            "voice": styler.whole_record(options["voice"]),
            "description": options["description"],
            "captions": candidates_out(viewer, job.image, captions),
        }
    )
