"""Captions: candidates, what is shown and what was, where the model looked; a photo captioned on the spot."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from django.http import HttpRequest
from ninja import File, Form, Router, Schema, Status, UploadedFile
from ninja.decorators import decorate_view
from pydantic import Field, model_validator

from cutline.server import captioner, decoding
from cutline.server.api import limits, restyle
from cutline.server.api.auth import anyone, needs
from cutline.server.api.candidates import CandidateOut, candidates_page
from cutline.server.api.inline_photos import photo_as_text, takes_text
from cutline.server.api.options import CaptionOptionsIn, CaptionPhotoIn
from cutline.server.api.paging import DEFAULT_LIMIT, Cursor, Limit, page
from cutline.server.api.schemas import CaptionOut, JobErrorOut, JobOut, Page, SchemaIn, problems
from cutline.server.api.voice_fields import StyledTextOut, VoiceOut
from cutline.server.api.wait import PREFER, when_done
from cutline.server.canary.past import past
from cutline.server.captions import selectors, services
from cutline.server.captions.attention import unpacked
from cutline.server.captions.models import Caption, Version
from cutline.server.config import settings
from cutline.server.errors import NotFound
from cutline.server.events.schema import CONFIDENCE
from cutline.server.images import selectors as images
from cutline.server.images.models import Image
from cutline.server.jobs.models import Job, JobKind
from cutline.server.jobs.services import create_job
from cutline.server.observability.request_id import current as current_request_id
from cutline.server.people.viewers import ensure_owner, viewer_of
from cutline.server.transactions import lend_connection

router = Router(tags=["captions"])

_MODELS_CHOICE = CaptionOptionsIn.model_validate({})


class WrittenOut(Schema):
    """A caption that is not kept."""

    text: str
    log_prob: float | None = Field(description="Natural logarithm of its probability; null if unknown.")
    confidence: float | None = Field(None, description=CONFIDENCE)


class CaptionedOut(Schema):
    """Captions of a photo that is not kept, best first. With fields of a voice, the first one in it, too."""

    captions: list[WrittenOut]
    model: str = Field(description="name@version")
    voice: VoiceOut | None = Field(None, description="Where one was asked for, as the fields below.")
    seed: int | None = None
    styled: list[StyledTextOut] | None = Field(
        None, description="Captions in the voice; empty where none could be written: `error` says why."
    )
    error: JobErrorOut | None = None


class PastModelOut(Schema):
    """A model that captioned by default."""

    model: str = Field(description="name@version")
    since: datetime | None = Field(description="From when on; null: from the beginning.")
    learned: str = Field(description="What it learned from.")
    parents: list[str] = Field(description="name@version of the models whose weights it began with.")


class ModelCardOut(Schema):
    """A model's description of itself; empty if it is not a bundle."""

    licence: str
    description: str = Field(description="What it was trained on.")
    metrics: dict[str, Any] = Field(description="As measured on held-out data, by source.")
    card: str = Field(description="Its model card, in Markdown.")
    past: list[PastModelOut] = Field(
        default_factory=list,
        description="Of the default model, where it comes from a registry: which versions captioned, the"
        " present one first.",
    )


class ModelOut(Schema):
    """A model that may be asked for. name and version are empty until it was first used."""

    id: str
    name: str
    version: str
    is_default: bool


class CaptionJobOut(JobOut):
    """A job; once it is done, with what it wrote."""

    captions: list[CaptionOut] = Field(default_factory=list)


class VersionOut(Schema):
    """A version of an image's caption, shown from some moment on."""

    number: int
    text: str
    by: Literal["model", "person"]
    action: Literal["generated", "picked", "edited", "restored"]
    styled: bool = Field(False, description="Whether it is in a voice: then it is no alternative text.")
    model: str = Field(description="name@version of what wrote it; empty for a person's.")
    caption: UUID | None = Field(
        None, description="The candidate that it is, or grew out of.", alias="caption_id"
    )
    restored_from: int | None = None
    created_at: datetime


class TextIn(SchemaIn):
    """What the image shall show: your own words, a candidate, or your edit of a candidate."""

    text: str | None = Field(None, min_length=1, max_length=services.LONGEST_TEXT)
    caption: UUID | None = Field(
        None, description="A candidate: shown as it is, or with text, what that grew out of."
    )
    styled: bool | None = Field(
        None, description="Whether the text is in a voice; if left out, as what it grew out of."
    )

    @model_validator(mode="after")
    def _complete(self) -> TextIn:
        if self.text is None and self.caption is None:
            raise ValueError("text or caption is needed")
        if self.text is None and self.styled is not None:
            raise ValueError("styled is for a text")
        return self


class AttentionOut(Schema):
    """Where the model looked for each word."""

    caption: UUID
    words: list[str]
    rows: int
    columns: int
    maps: list[list[int]] = Field(
        description="For each word rows x columns weights, row by row, 0 to 255; 255 is its own maximum."
    )


# -- on the spot -----------------------------------------------------------------------------------------


@router.post(
    "/caption",
    auth=needs("caption"),
    response={200: CaptionedOut, **problems(413, 422, 503)},
    openapi_extra=takes_text(CaptionPhotoIn),
    exclude_unset=True,
)
@decorate_view(photo_as_text(CaptionPhotoIn))
def caption_photo(
    request: HttpRequest, image: File[UploadedFile], options: Form[CaptionPhotoIn]
) -> dict[str, object]:
    """Caption a photo and keep nothing: neither the photo nor the captions.

    The photo is a file of a form; or, up to 16 MiB, base64 or a data: URL in JSON. With a field of a voice
    (preset, tone, audience, length, hashtags, emoji, language or avoid) the first caption is written in that
    voice, too; prefix and suffix then stand around that. Where this fails, the captions are there still.
    """
    wanted = captioner.wanted(options.as_kept(n=1))
    voice = options.voice_of(viewer_of(request))
    if voice is not None:
        limits.count_styles(request)
    payer = limits.payer_of(viewer_of(request))
    with decoding.on_behalf_of(payer), decoding.room_for_file(image.size or 0):
        with captioner.about_to_ask():
            data = image.read()
        lend_connection()  # others need it while the model writes
        written = captioner.write(data, wanted)
    answer: dict[str, object] = {
        "captions": [
            {
                "text": each.text,
                "log_prob": each.log_prob if math.isfinite(each.log_prob) else None,
                "confidence": each.confidence,
            }
            for each in written.captions
        ],
        "model": written.model.label,
    }
    if voice is None:
        return answer
    first, *others = (each.text for each in written.captions)
    with decoding.on_behalf_of(payer):
        return answer | restyle.in_voice(first, voice, n=options.variants, context=others)


@router.get("/models", auth=anyone, response={200: Page[ModelOut]})
def list_models(request: HttpRequest) -> dict[str, object]:
    """The models that can be asked for."""
    return {"items": captioner.models(), "next": None}


@router.get("/models/{model}/card", auth=anyone, response={200: ModelCardOut, **problems(422)})
def get_model_card(request: HttpRequest, model: str) -> ModelCardOut:
    """A model's card: its origin, its quality and its known failures; and which came before it."""
    about = captioner.about(model)
    return ModelCardOut(
        licence=about.licence,
        description=about.description,
        metrics=dict(about.metrics),
        card=about.card,
        past=[PastModelOut.from_orm(each) for each in past()] if model == captioner.DEFAULT else [],
    )


# -- candidates ------------------------------------------------------------------------------------------


@router.get(
    "/images/{uuid:image_id}/captions",
    auth=needs("images:read"),
    response={200: Page[CandidateOut], **problems(404)},
)
def list_captions(
    request: HttpRequest,
    image_id: UUID,
    token: str = "",
    styled: bool | None = None,
    cursor: Cursor = "",
    limit: Limit = DEFAULT_LIMIT,
) -> dict[str, object]:
    """The candidates of an image, newest first; of somebody else's image only the one that is shown.

    token: of the link, where the image is only shared. styled: only those in a voice, or only the others.
    """
    viewer = viewer_of(request)
    image = images.image_for(viewer, image_id, share_token=token)
    return candidates_page(viewer, image, styled=styled, cursor=cursor, limit=limit)


@router.post(
    "/images/{uuid:image_id}/captions",
    auth=needs("images:write"),
    response={200: CaptionJobOut, 202: CaptionJobOut, **problems(404, 409)},
    openapi_extra=dict(PREFER),
)
def request_captions(
    request: HttpRequest, image_id: UUID, options: CaptionOptionsIn = _MODELS_CHOICE
) -> Status[Job]:
    """Ask for new candidates of your image. What you picked or wrote yourself stays what it shows."""
    image = images.own_image(viewer_of(request), image_id)
    services.check_candidates(image)
    job = create_job(
        owner=ensure_owner(request),
        image_id=image.pk,
        kind=JobKind.CAPTION,
        options=options.as_kept(n=settings().candidates),
        request_id=current_request_id(),
    )
    when_done(request, owner_id=job.owner_id, jobs=[job.pk], then=lambda: _done(job.pk))
    return Status(202, job)


def _done(job_id: UUID) -> CaptionJobOut:
    job = Job.objects.get(pk=job_id)
    captions = Caption.objects.filter(job=job).order_by("rank")
    return CaptionJobOut(
        **JobOut.from_orm(job).model_dump(), captions=[CaptionOut.from_orm(each) for each in captions]
    )


@router.post(
    "/images/{uuid:image_id}/captions/{uuid:caption_id}/pick",
    auth=needs("images:write"),
    response={200: VersionOut, **problems(404, 409)},
)
def pick_caption(request: HttpRequest, image_id: UUID, caption_id: UUID) -> Version:
    """Show this candidate."""
    image = images.own_image(viewer_of(request), image_id)
    return services.pick(image, _candidate(image, caption_id), ensure_owner(request))


def _candidate(image: Image, caption_id: UUID) -> Caption:
    caption = Caption.objects.filter(pk=caption_id, image=image).first()
    if caption is None:
        raise NotFound("This image has no such caption.")
    return caption


@router.get(
    "/captions/{uuid:caption_id}/attention",
    auth=needs("images:read"),
    response={200: AttentionOut, **problems(404)},
)
def get_attention(request: HttpRequest, caption_id: UUID, token: str = "") -> dict[str, object]:
    """Where the model looked for each word of a caption."""
    found = selectors.attention_for(viewer_of(request), caption_id, share_token=token)
    looks = unpacked(bytes(found.maps), words=found.words, rows=found.rows, columns=found.columns)
    return {
        "caption": caption_id,
        "words": list(looks.words),
        "rows": looks.rows,
        "columns": looks.columns,
        "maps": looks.maps.reshape(len(looks.words), -1).tolist(),
    }


# -- what is shown ---------------------------------------------------------------------------------------


@router.get(
    "/images/{uuid:image_id}/caption",
    auth=needs("images:read"),
    response={200: VersionOut, **problems(404)},
)
def get_caption(request: HttpRequest, image_id: UUID) -> Version:
    """The current caption of your image."""
    image = images.own_image(viewer_of(request), image_id)
    version = selectors.versions(image).order_by("-number").first()
    if version is None:
        raise NotFound("This image has no caption yet.")
    return version


@router.put(
    "/images/{uuid:image_id}/caption",
    auth=needs("images:write"),
    response={200: VersionOut, **problems(404, 409)},
)
def edit_caption(request: HttpRequest, image_id: UUID, wanted: TextIn) -> Version:
    """Write the caption yourself, or use a candidate. No model ever replaces it.

    While a caption in a voice is shown, the plain text stays: it is the alternative text.
    """
    image = images.own_image(viewer_of(request), image_id)
    caption = _candidate(image, wanted.caption) if wanted.caption else None
    if wanted.text is None:
        assert caption is not None  # TextIn has one of them
        return services.pick(image, caption, ensure_owner(request))
    return services.edit(image, wanted.text, ensure_owner(request), caption=caption, styled=wanted.styled)


@router.get(
    "/images/{uuid:image_id}/versions",
    auth=needs("images:read"),
    response={200: Page[VersionOut], **problems(404)},
)
def list_versions(
    request: HttpRequest, image_id: UUID, cursor: Cursor = "", limit: Limit = DEFAULT_LIMIT
) -> dict[str, object]:
    """All versions of your image's caption, newest first."""
    image = images.own_image(viewer_of(request), image_id)
    found = page(selectors.versions(image), cursor=cursor, limit=limit, order=("-number",))
    return {"items": found.rows, "next": found.next}


@router.post(
    "/images/{uuid:image_id}/versions/{int:number}/restore",
    auth=needs("images:write"),
    response={200: VersionOut, **problems(404, 409)},
)
def restore_version(request: HttpRequest, image_id: UUID, number: int) -> Version:
    """Show an earlier version again."""
    image = images.own_image(viewer_of(request), image_id)
    return services.restore(image, number, ensure_owner(request))
