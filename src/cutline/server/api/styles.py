"""Captions in a voice of an image: asked for, written by a job, and kept as candidates."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Router, Schema, Status
from pydantic import Field, model_validator

from cutline.server import styler
from cutline.server.api import event_streams, limits
from cutline.server.api.auth import anyone, needs
from cutline.server.api.candidates import CandidateOut, StylesJobOut, candidates_page, styles_job_out
from cutline.server.api.event_streams import wants_events
from cutline.server.api.job_events import path_of
from cutline.server.api.paging import DEFAULT_LIMIT, Cursor, Limit
from cutline.server.api.schemas import Page, problems
from cutline.server.api.voice_fields import VoiceIn
from cutline.server.api.wait import PREFER, when_done
from cutline.server.captions import services, styling
from cutline.server.captions.models import Caption
from cutline.server.errors import NotFound
from cutline.server.images import selectors as images
from cutline.server.images.models import Image
from cutline.server.jobs.models import Job
from cutline.server.observability.request_id import current as current_request_id
from cutline.server.people.viewers import ensure_owner, viewer_of
from cutline.server.voices.services import remember

router = Router(tags=["styles"])


class StylesHereOut(Schema):
    """Whether this service writes captions in a voice, and within which bounds."""

    available: bool
    reason: str = Field(description="Why not: off, missing or damaged; else empty.")
    model: str = Field(description="name@version; empty where there is none.")
    prompt: str = Field(description="The version of its prompt.")
    language: str = Field(description="The one language that it writes; empty for any.")
    audiences: list[str]
    lengths: list[str]
    max_variants: int
    max_tone_chars: int
    max_fix_chars: int = Field(description="Of prefix and suffix.")
    max_hashtags: int
    max_avoided: int


class StylesIn(VoiceIn):
    """Which voice, and how many captions in it."""

    n: int = Field(styling.DEFAULT_N, ge=1, le=styler.MAX_STYLED, description="How many captions.")
    seed: int | None = Field(
        None, ge=0, le=styler.MAX_SEED, description="The same seed gives the same captions; else a new one."
    )
    like: UUID | None = Field(
        None, description="More like this candidate in a voice: in its voice, unless other fields say else."
    )

    @model_validator(mode="after")
    def _one_base(self) -> StylesIn:
        if self.like is not None and self.preset is not None:
            raise ValueError("either like or preset is the voice to begin with")
        return self


_ANY_VOICE = StylesIn.model_validate({})


@router.get("/styles", auth=anyone, response=StylesHereOut)
def about_styles(request: HttpRequest) -> dict[str, object]:
    """Whether captions in a voice can be written here. Creates no session."""
    here = styler.about()
    return {
        "available": here.available,
        "reason": here.reason,
        "model": here.model,
        "prompt": here.prompt,
        "language": here.language,
        "audiences": styler.AUDIENCES,
        "lengths": styler.LENGTHS,
        "max_variants": styler.MAX_STYLED,
        "max_tone_chars": styler.MAX_TONE_CHARS,
        "max_fix_chars": styler.MAX_FIX_CHARS,
        "max_hashtags": styler.MAX_HASHTAGS,
        "max_avoided": styler.MAX_AVOIDED,
    }


@router.get(
    "/images/{uuid:image_id}/styles",
    auth=needs("images:read"),
    response={200: Page[CandidateOut], **problems(404)},
)
def list_styles(
    request: HttpRequest, image_id: UUID, token: str = "", cursor: Cursor = "", limit: Limit = DEFAULT_LIMIT
) -> dict[str, object]:
    """The captions in a voice of an image, newest first; of somebody else's only one that is shown.

    token: of the link, where the image is only shared.
    """
    viewer = viewer_of(request)
    image = images.image_for(viewer, image_id, share_token=token)
    return candidates_page(viewer, image, styled=True, cursor=cursor, limit=limit)


@router.post(
    "/images/{uuid:image_id}/styles",
    auth=needs("images:write"),
    response={200: StylesJobOut, 202: StylesJobOut, **problems(404, 409)},
    openapi_extra={**event_streams.documented("as GET /jobs/{job_id}/events"), **PREFER},
)
def request_styles(
    request: HttpRequest, response: HttpResponse, image_id: UUID, wanted: StylesIn = _ANY_VOICE
) -> Status[StylesJobOut]:
    """Ask for captions of your image in a voice, from its plain text. What it shows stays.

    With `Accept: text/event-stream` the words come as they are written. Location: where the job's events are.
    """
    viewer = viewer_of(request)
    image = images.own_image(viewer, image_id)
    services.check_candidates(image)
    like = _liked(image, wanted.like)
    voice = styler.record_of(_like_this(like, wanted) if like else wanted.voice(viewer))
    limits.count_styles(request)
    owner = ensure_owner(request)
    job = styling.request(
        image, owner, voice=voice, n=wanted.n, seed=wanted.seed, like=like, request_id=current_request_id()
    )
    if viewer.key_id is None:
        remember(owner, voice)
    response["Location"] = path_of(job.pk)
    if not wants_events(request):
        when_done(
            request,
            owner_id=job.owner_id,
            jobs=[job.pk],
            then=lambda: styles_job_out(viewer, Job.objects.get(pk=job.pk)),
        )
    return Status(202, styles_job_out(viewer, job))


def _like_this(like: Caption, wanted: StylesIn) -> styler.Voice:
    assert like.style is not None  # _liked finds no other
    return styler.voice_of({**like.style["voice"], **wanted.given()})


def _liked(image: Image, caption_id: UUID | None) -> Caption | None:
    if caption_id is None:
        return None
    caption = Caption.objects.filter(pk=caption_id, image=image, style__isnull=False).first()
    if caption is None:
        raise NotFound("This image has no such caption in a voice.")
    return caption
