"""Many photos at once: send an archive or a list of URLs, watch the progress, read the result."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import IO, TYPE_CHECKING, Annotated, Any, Literal
from uuid import UUID

from django.http import HttpRequest, StreamingHttpResponse
from ninja import Router, Schema, Status
from pydantic import Field, TypeAdapter, create_model
from pydantic import ValidationError as PydanticValidationError

from cutline.server import captioner, decoding, security_log, styler
from cutline.server.api import limits
from cutline.server.api.auth import needs
from cutline.server.api.inline_photos import LISTS
from cutline.server.api.options import decoding_fields
from cutline.server.api.paging import DEFAULT_LIMIT, Cursor, Limit, page
from cutline.server.api.parsing import SafeParser, check_fields, check_json, check_text, how_to_send
from cutline.server.api.schemas import JobErrorOut, Page, SchemaIn, problems
from cutline.server.api.streams import streamed
from cutline.server.api.voice_fields import VoiceIn, VoiceOut
from cutline.server.bulk import selectors, services, styling
from cutline.server.bulk.models import Bulk, BulkItem
from cutline.server.bulk.progress import counts
from cutline.server.bulk.sidecars import sidecar_files
from cutline.server.config import MOST_CAPTIONS, settings
from cutline.server.errors import Invalid
from cutline.server.images.models import Image
from cutline.server.observability.request_id import current as current_request_id
from cutline.server.people.models import Owner
from cutline.server.people.viewers import ensure_owner, viewer_of
from cutline.server.security_log import Event
from cutline.server.voices import services as voices

_TIMES_IN_MEMORY = 3  # a list while it is read

router = Router(tags=["bulk"], auth=needs("bulk"))


if TYPE_CHECKING:
    _StrategyIn = SchemaIn
else:
    _StrategyIn = create_model("StrategyIn", __base__=SchemaIn, **decoding_fields("strategy"))


class BulkOptionsIn(VoiceIn, _StrategyIn):
    """How the photos are captioned; with fields of a voice, also in that voice."""

    n: int | None = Field(None, ge=1, le=MOST_CAPTIONS, description="Captions of each photo.")
    model: str | None = Field(None, max_length=100, description="One of GET /models.")
    keep_original: bool = Field(False, description="Keep the files as they were sent, beside our copies.")
    name: str = Field("", max_length=255, description="Your name for it; if empty, the archive's file name.")
    variants: int = Field(1, ge=1, le=styler.MAX_STYLED, description="Captions of each photo in the voice.")


class BulkUrlsIn(BulkOptionsIn):
    """A list of photos by URL."""

    urls: list[Annotated[str, Field(max_length=2000)]] = Field(min_length=1)


class CountsOut(Schema):
    """How many items are in each state. total grows while an archive is read."""

    total: int
    waiting: int
    done: int
    failed: int
    cancelled: int


class BulkOut(Schema):
    """A bulk and its progress."""

    id: UUID
    name: str
    state: str = Field(description="queued, running, paused, done, failed or cancelled.")
    counts: CountsOut
    error: JobErrorOut | None = None
    created_at: datetime
    ended_at: datetime | None = None
    voice: VoiceOut | None = Field(None, description="The voice that its photos are captioned in besides.")
    result_urls: dict[str, str] = Field(description="By format: jsonl, csv, and zip for text files.")

    @staticmethod
    def resolve_counts(bulk: Bulk) -> Mapping[str, int]:
        """Counted from its items."""
        known: Mapping[str, int] | None = getattr(bulk, "counts", None)
        return known if known is not None else counts(bulk)

    @staticmethod
    def resolve_error(bulk: Bulk) -> dict[str, str] | None:
        """Why the archive could not be used."""
        return {"code": bulk.error_code, "message": bulk.error_message} if bulk.error_code else None

    @staticmethod
    def resolve_voice(bulk: Bulk) -> dict[str, Any] | None:
        """The voice, whole."""
        record = bulk.options.get(styling.VOICE)
        return None if record is None else styler.whole_record(record)

    @staticmethod
    def resolve_result_urls(bulk: Bulk) -> dict[str, str]:
        """Where the result is."""
        return {kind: f"/api/v1/bulk/{bulk.pk}/result.{kind}" for kind in ("jsonl", "csv", "zip")}


class BulkItemOut(Schema):
    """One file or URL."""

    number: int = Field(description="Its place in the archive or list, from 0.")
    file: str = Field(validation_alias="name")
    state: str = Field(description="waiting, done, failed or cancelled.")
    image: UUID | None = Field(
        None, description="The photo; null before it is stored and after it is deleted."
    )
    caption: str | None = Field(None, description="What the photo's caption is now; null while it has none.")
    error: JobErrorOut | None = None
    styled: list[str] = Field(description="The captions that were written in the bulk's voice, best first.")
    styled_error: JobErrorOut | None = Field(
        None, description="Why there are none; the plain caption is there all the same."
    )

    @staticmethod
    def resolve_styled(item: BulkItem) -> list[str]:
        """Found for all items of the page at once."""
        found: list[str] = getattr(item, "styled", [])
        return found

    @staticmethod
    def resolve_styled_error(item: BulkItem) -> dict[str, str] | None:
        """Why the voice is missing."""
        return {"code": item.style_code, "message": item.style_message} if item.style_code else None

    @staticmethod
    def resolve_image(item: BulkItem) -> UUID | None:
        """The photo, if it still exists."""
        image = _shown(item)
        return image.pk if image else None

    @staticmethod
    def resolve_caption(item: BulkItem) -> str | None:
        """The photo's current caption, a person's own included."""
        image = _shown(item)
        return image.caption or None if image else None

    @staticmethod
    def resolve_error(item: BulkItem) -> dict[str, str] | None:
        """Why there is no caption."""
        return {"code": item.error_code, "message": item.error_message} if item.error_code else None


def _shown(item: BulkItem) -> Image | None:
    return item.image if item.image is not None and item.image.deleted_at is None else None


_BODIES: Mapping[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["archive"],
                    "properties": {
                        "archive": {"type": "string", "format": "binary", "description": "A zip of photos."},
                        **BulkOptionsIn.model_json_schema()["properties"],
                    },
                }
            },
            "application/json": {"schema": BulkUrlsIn.model_json_schema()},
        },
    }
}


@router.post("/bulk", response={202: BulkOut, **problems(409, 413, 422)}, openapi_extra=dict(_BODIES))
def create_bulk(request: HttpRequest) -> Status[Bulk]:
    """Caption every photo of a zip archive (multipart field `archive`), or of a list of URLs (JSON).

    What cannot be captioned becomes an item with an error; the rest goes on.
    """
    if request.content_type == "multipart/form-data":
        return Status(202, _from_archive(request))
    size_bytes = _TIMES_IN_MEMORY * int(request.META.get("CONTENT_LENGTH") or 0)
    payer = limits.payer_of(viewer_of(request))
    with decoding.on_behalf_of(payer), decoding.room_for_file(size_bytes):
        return Status(202, _from_urls(request))


def _from_urls(request: HttpRequest) -> Bulk:
    found = SafeParser().parse_body(request)
    wanted = _checked(BulkUrlsIn, found)
    assert isinstance(wanted, BulkUrlsIn)
    options = _options(request, wanted)
    return services.create_from_urls(
        _owner_with(request, options),
        wanted.urls,
        name=wanted.name,
        options=options,
        request_id=current_request_id(),
    )


def _from_archive(request: HttpRequest) -> Bulk:
    check_fields(request, request.POST)
    check_fields(request, request.FILES)
    files = request.FILES.getlist("archive")
    if len(files) != 1 or len(request.FILES) != 1:
        raise Invalid("Send one archive, in the field `archive`.", hint=how_to_send("archive"))
    fields: dict[str, Any] = {name: value for name, value in request.POST.items() if value != ""}
    fields |= {name: request.POST.getlist(name) for name in LISTS & fields.keys()}
    check_json(fields)
    wanted = _checked(BulkOptionsIn, fields)
    upload = files[0]
    file: IO[bytes] = upload.file  # type: ignore[assignment]
    name = wanted.name or upload.name or ""
    check_text(name)
    options = _options(request, wanted)
    return services.create_from_archive(
        _owner_with(request, options), file, name, options=options, request_id=current_request_id()
    )


def _checked(kind: type[BulkOptionsIn], found: object) -> BulkOptionsIn:
    try:
        wanted = TypeAdapter(kind).validate_python(found)
    except PydanticValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Invalid(f"{where or 'The body'}: {first['msg']}.") from error
    captioner.wanted(wanted.model_dump(include={"n", "model", "strategy"}), n=settings().candidates)
    return wanted


def _options(request: HttpRequest, wanted: BulkOptionsIn) -> dict[str, Any]:
    """What the bulk keeps. Raises Invalid, OptionError, RestylerUnavailable for the voice."""
    options: dict[str, Any] = wanted.model_dump(
        include={"n", "model", "strategy", "keep_original"}, exclude_none=True
    )
    if wanted.given():
        voice = wanted.voice(viewer_of(request))
        options |= styling.options_of(voice, variants=wanted.variants)
    return options


def _owner_with(request: HttpRequest, options: Mapping[str, Any]) -> Owner:
    """Whose the bulk will be. The voice that a person uses is remembered."""
    owner = ensure_owner(request)
    if styling.VOICE in options and viewer_of(request).key_id is None:
        voices.remember(owner, options[styling.VOICE])
    return owner


@router.get("/bulk", response={200: Page[BulkOut], **problems(422)})
def list_bulks(request: HttpRequest, cursor: Cursor = "", limit: Limit = DEFAULT_LIMIT) -> Any:
    """Your bulks, newest first."""
    found = page(selectors.bulks_of(viewer_of(request)), cursor=cursor, limit=limit)
    selectors.add_counts(found.rows)
    return found


@router.get("/bulk/{bulk_id}", response={200: BulkOut, **problems(404)})
def get_bulk(request: HttpRequest, bulk_id: UUID) -> Bulk:
    """One bulk and its progress. Events of type bulk.progress report it as it goes."""
    return selectors.bulk_for(viewer_of(request), bulk_id)


@router.delete("/bulk/{bulk_id}", response={204: None, **problems(404, 409)})
def delete_bulk(request: HttpRequest, bulk_id: UUID) -> Status[None]:
    """Delete a finished bulk; its images stay."""
    services.delete(selectors.bulk_for(viewer_of(request), bulk_id))
    return Status(204, None)


@router.get("/bulk/{bulk_id}/items", response={200: Page[BulkItemOut], **problems(404, 422)})
def list_bulk_items(
    request: HttpRequest,
    bulk_id: UUID,
    state: Literal["", "waiting", "done", "failed", "cancelled"] = "",
    cursor: Cursor = "",
    limit: Limit = DEFAULT_LIMIT,
) -> Any:
    """A bulk's files or URLs, in their order."""
    items = selectors.items_of(selectors.bulk_for(viewer_of(request), bulk_id))
    if state:
        items = items.filter(state=state)
    found = page(items, cursor=cursor, limit=limit, order=("number",))
    selectors.add_styled(found.rows)
    return found


@router.post("/bulk/{bulk_id}/pause", response={200: BulkOut, **problems(404, 409)})
def pause_bulk(request: HttpRequest, bulk_id: UUID) -> Bulk:
    """Pause a bulk: items that have not started wait."""
    return services.pause(selectors.bulk_for(viewer_of(request), bulk_id))


@router.post("/bulk/{bulk_id}/resume", response={200: BulkOut, **problems(404, 409)})
def resume_bulk(request: HttpRequest, bulk_id: UUID) -> Bulk:
    """Resume a paused bulk."""
    return services.resume(selectors.bulk_for(viewer_of(request), bulk_id))


@router.post("/bulk/{bulk_id}/cancel", response={200: BulkOut, **problems(404, 409)})
def cancel_bulk(request: HttpRequest, bulk_id: UUID) -> Bulk:
    """Cancel a bulk. What is captioned stays; the rest is not processed."""
    return services.cancel(selectors.bulk_for(viewer_of(request), bulk_id))


def _file(kind: str) -> Mapping[str, Any]:
    schema = {"type": "string", "format": "binary"}
    return {"responses": {200: {"description": "The result.", "content": {kind: {"schema": schema}}}}}


@router.get(
    "/bulk/{bulk_id}/result.jsonl",
    response={**problems(404)},
    openapi_extra=dict(_file("application/x-ndjson")),
)
def bulk_result_jsonl(request: HttpRequest, bulk_id: UUID) -> StreamingHttpResponse:
    """A line for each item that has ended: {"file", "model", "captions"} or {"file", "error"}.

    In a bulk with a voice it has "voice" and "styled" too, and "styled_error" where none could be written.
    """
    return _result(request, bulk_id, "jsonl", "application/x-ndjson")


@router.get("/bulk/{bulk_id}/result.csv", response={**problems(404)}, openapi_extra=dict(_file("text/csv")))
def bulk_result_csv(request: HttpRequest, bulk_id: UUID) -> StreamingHttpResponse:
    """A row for each item that has ended, with a header."""
    return _result(request, bulk_id, "csv", "text/csv; charset=utf-8")


@router.get(
    "/bulk/{bulk_id}/result.zip", response={**problems(404)}, openapi_extra=dict(_file("application/zip"))
)
def bulk_result_zip(request: HttpRequest, bulk_id: UUID) -> StreamingHttpResponse:
    """A text file for each captioned photo, named as the photo is; one more for captions in the voice."""
    return _result(request, bulk_id, "zip", "application/zip")


def _result(request: HttpRequest, bulk_id: UUID, kind: str, content_type: str) -> StreamingHttpResponse:
    bulk = selectors.bulk_for(viewer_of(request), bulk_id)
    lines = sidecar_files(bulk) if kind == "zip" else selectors.result_lines(bulk, kind)
    security_log.write(Event.DATA_EXPORTED, what=f"results as {kind}", bulk=bulk.pk)
    return streamed(request, lines, content_type=content_type, file_name=f"captions-{bulk.pk}.{kind}")
