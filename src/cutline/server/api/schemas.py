"""Schemas that several routers share. Each endpoint's own stand beside it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from ninja import Schema
from pydantic import ConfigDict, Field

from cutline.server.events.schema import CONFIDENCE, LOG_PROB

Item = TypeVar("Item")


class SchemaIn(Schema):
    """What a client sends: an unknown field is an error, so that a misspelt one is noticed."""

    model_config = ConfigDict(extra="forbid")


class Page(Schema, Generic[Item]):
    """A page of a list. `next` is the cursor of the next page, null at the end."""

    items: list[Item]
    next: str | None = None


class FieldErrorOut(Schema):
    """One field that is invalid."""

    where: list[str]
    message: str
    kind: str


class ProblemOut(Schema):
    """An error (RFC 9457). Programs may rely on `code`."""

    type: str = Field(description="An address that explains the code.")
    title: str
    status: int
    detail: str = Field(description="What happened.")
    code: str = Field(description="Stable; GET /api/v1/errors lists them all.")
    hint: str = Field("", description="What was kept, and what to do next.")
    request_id: str = ""
    errors: list[FieldErrorOut] | None = None


def problems(*statuses: int) -> dict[int, Any]:
    """Document error answers of an endpoint: response={200: ImageOut, **problems(404, 409)}.

    Every endpoint may answer 400, 401, 403, 413, 415, 422, 429, 500 and 503 from the middleware: openapi.py
    documents those for all. Name what your endpoint itself raises.
    """
    return dict.fromkeys(statuses, ProblemOut)


def a_file(*kinds: str) -> dict[str, Any]:
    """Document an endpoint whose answer is a file of one of these types: openapi_extra=a_file("text/csv")."""
    bytes_schema = {"type": "string", "format": "binary"}
    content = {kind: {"schema": {} if kind == "application/json" else bytes_schema} for kind in kinds}
    return {"responses": {200: {"description": "The file.", "content": content}}}


class CaptionOut(Schema):
    """A candidate that a model wrote."""

    id: UUID
    text: str
    log_prob: float | None = Field(description=LOG_PROB)
    confidence: float | None = Field(None, description=CONFIDENCE)
    model: str = Field("", description="name@version")
    rank: int = Field(0, description="0 is the best.")


class JobErrorOut(Schema):
    """Why a job failed."""

    code: str
    message: str


class JobOut(Schema):
    """What is, or was, being done to an image or a bulk."""

    id: UUID
    kind: str
    state: str = Field(description="queued, running, done, failed or cancelled.")
    stage: str = ""
    image: UUID | None = None
    bulk: UUID | None = None
    error: JobErrorOut | None = None
    attempts: int = 0
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @staticmethod
    def resolve_image(job: Any) -> UUID | None:
        """Its image's id."""
        found: UUID | None = _attribute(job, "image_id", "image")
        return found

    @staticmethod
    def resolve_bulk(job: Any) -> UUID | None:
        """Its bulk's id."""
        found: UUID | None = _attribute(job, "bulk_id", "bulk")
        return found

    @staticmethod
    def resolve_error(job: Any) -> dict[str, str] | None:
        """Its error, where it has one."""
        code = _attribute(job, "error_code", "")
        if code:
            return {"code": code, "message": _attribute(job, "error_message", "") or ""}
        return job.get("error") if isinstance(job, dict) else None


def _attribute(thing: Any, *names: str) -> Any:
    """The first of these that the thing has; never loads a related row."""
    for name in names:
        if name and isinstance(thing, dict) and name in thing:
            return thing[name]
        if name and hasattr(thing, name):
            return getattr(thing, name)
    return None


class ImageJobOut(Schema):
    """The latest job of an image."""

    id: UUID
    state: str
    stage: str = ""
    error: JobErrorOut | None = None
    position: int | None = Field(
        None, description="How many jobs are ahead of it (counted up to 1,000); null unless it is queued."
    )


class UrlsOut(Schema):
    """Where an image's files are, by format; those of images that are not public work for a short while."""

    thumbnail: dict[str, str] = Field(default_factory=dict)
    large: dict[str, str] = Field(default_factory=dict)
    master: dict[str, str] = Field(default_factory=dict)


class ImageOut(Schema):
    """A photo with its caption, as this viewer may see it."""

    id: UUID
    caption: str
    caption_by: str = Field(description="model, person, or empty if there is no caption yet.")
    caption_model: str = Field("", description="name@version of what wrote it.")
    styled: bool = Field(False, description="Whether the caption is in a voice.")
    description: str = Field("", description="The plain text: the caption, unless that is in a voice.")
    alt_text: str = Field("", description="The description, shortened.")
    width_px: int
    height_px: int
    placeholder: str = Field("", description="A tiny picture as a data: URL.")
    urls: UrlsOut
    tags: list[str]
    visibility: str
    moderation: str
    job: ImageJobOut | None = None
    mine: bool
    created_at: datetime
    changed_at: datetime
    published_at: datetime | None = None
    expires_at: datetime | None = None
    file_name: str | None = Field(None, description="Only for the owner, as are the fields below.")
    words_unread: bool | None = Field(
        None, description="Whether others see the earlier words until a moderator has read yours."
    )
    source_url: str | None = None
    share_url: str | None = None
    keep_original: bool | None = None
    original_url: str | None = None


class EventOut(Schema):
    """One event, as /ws sends it: contracts/events.schema.json has each type's data."""

    id: int
    type: str
    data: dict[str, Any]
    at: datetime
