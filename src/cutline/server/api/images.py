"""Photos: upload, library, visibility, tags, deletion."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from ninja import File, Form, Query, Router, Schema, Status, UploadedFile
from pydantic import Field, model_validator

from cutline.errors import CutlineError, ImageError
from cutline.server import outbound
from cutline.server.api.auth import needs
from cutline.server.api.conditional import tell_version
from cutline.server.api.options import CaptionOptionsIn
from cutline.server.api.paging import DEFAULT_LIMIT, Cursor, Limit, page
from cutline.server.api.problems import problem
from cutline.server.api.schemas import CaptionOut, ImageOut, JobErrorOut, Page, SchemaIn, a_file, problems
from cutline.server.api.streams import streamed
from cutline.server.api.wait import PREFER, when_done
from cutline.server.captions.models import Caption
from cutline.server.config import settings
from cutline.server.errors import (
    AddressForbidden,
    Conflict,
    FetchFailed,
    Invalid,
    NotFound,
    NothingStored,
    QuotaExceeded,
    ServiceUnavailable,
)
from cutline.server.images import deletion, selectors, storage
from cutline.server.images.models import Image, Rendition, RenditionKind, Visibility
from cutline.server.images.show import shown
from cutline.server.images.tags import MOST_TAGS, clean_tag, set_tags
from cutline.server.images.visibility import set_visibility
from cutline.server.jobs.models import Job
from cutline.server.observability.metrics import UPLOADS
from cutline.server.observability.request_id import current as current_request_id
from cutline.server.people.viewers import Viewer, ensure_owner, public_url, viewer_of
from cutline.server.uploads import services as uploads
from cutline.spreadsheet import escape_formula

router = Router(tags=["images"])

MOST_URLS = 20
MOST_AT_ONCE = 1000
# Of an image: what comes and goes by itself, so that nobody's edit is refused for it.
_MADE_BY_US = frozenset({"urls", "original_url", "placeholder", "job", "changed_at"})
_FETCHERS = 4
_EXPORTED_AT_ONCE = 200
# What is wrong with one photo; the others of a request are stored all the same.
_OF_ONE_PHOTO = (ImageError, QuotaExceeded, Conflict, FetchFailed, AddressForbidden)


# -- what is sent ----------------------------------------------------------------------------------------


class UploadIn(CaptionOptionsIn):
    """How photos are kept and captioned. What is left out of the captions' options is the model's choice."""

    keep_original: bool = Field(False, description="Keep the file as it was sent, for you alone.")


class UrlsIn(UploadIn):
    """Photos by URL."""

    urls: list[Annotated[str, Field(min_length=1, max_length=outbound.MAX_URL)]] = Field(
        min_length=1, max_length=MOST_URLS
    )


class LibraryIn(Schema):
    """What a list is narrowed to. Times are ISO 8601, of the upload."""

    q: str = Field("", max_length=1000, description="Words of captions and tags, or beginnings of words.")
    tag: list[str] = Field(default_factory=list, max_length=10, description="All of these.")
    visibility: Literal["", "private", "unlisted", "public"] = ""
    state: Literal["", "queued", "running", "done", "failed", "cancelled"] = Field(
        "", description="Of the latest caption job."
    )
    since: datetime | None = Field(None, alias="from", description="Uploaded then or later.")
    until: datetime | None = Field(None, alias="to", description="Uploaded before.")

    def filters(self) -> selectors.Filters:
        """As the selectors take them. Raises Invalid."""
        for time in (self.since, self.until):
            if time is not None and time.tzinfo is None:
                raise Invalid("A time needs its zone.", hint="Write it as 2026-11-21T08:00:00Z.")
        return selectors.Filters(
            text=self.q,
            tags=[clean_tag(tag) for tag in self.tag if tag],
            visibility=self.visibility,
            state=self.state,
            since=self.since,
            until=self.until,
        )


class ImageIn(SchemaIn):
    """What its owner may change of an image; what is left out, or null, stays."""

    visibility: Literal["private", "unlisted", "public"] | None = None
    tags: list[Annotated[str, Field(max_length=200)]] | None = Field(None, max_length=MOST_TAGS)


class ActionIn(SchemaIn):
    """The same for many images. What is not yours, or not there, is left out."""

    ids: list[UUID] = Field(min_length=1, max_length=MOST_AT_ONCE)
    action: Literal["delete", "undelete", "set_visibility", "add_tags", "remove_tags"]
    visibility: Literal["private", "unlisted", "public"] | None = None
    tags: list[Annotated[str, Field(max_length=200)]] = Field(default_factory=list, max_length=MOST_TAGS)

    @model_validator(mode="after")
    def _complete(self) -> ActionIn:
        if self.action == "set_visibility" and self.visibility is None:
            raise ValueError("set_visibility needs visibility")
        if self.action in ("add_tags", "remove_tags") and not self.tags:
            raise ValueError(f"{self.action} needs tags")
        return self


# -- what is answered ------------------------------------------------------------------------------------


class UploadErrorOut(JobErrorOut):
    """What is wrong with a file."""

    hint: str = ""


class UploadedOut(Schema):
    """What became of one file."""

    file: str = Field(description="Its name, or its URL.")
    status: Literal["created", "exists", "failed"] = Field(
        description="exists: you have this picture already; its image is given."
    )
    id: UUID | None = Field(None, description="The image.")
    job: UUID | None = Field(None, description="What captions it, or did.")
    error: UploadErrorOut | None = None
    caption: str = Field("", description="What the image shows now.")
    captions: list[CaptionOut] = Field(
        default_factory=list, description="The candidates, where they are there already (Prefer: wait=N)."
    )
    job_state: str = ""


class UploadsOut(Schema):
    """What became of each file, in the order of the request."""

    items: list[UploadedOut]
    images: list[UUID] = Field(description="All images, in this order, without the files that failed.")
    jobs: list[UUID]


class ActedOut(Schema):
    """What an action changed."""

    changed: list[UUID]
    failed: list[UUID] = Field(description="Not yours, not there, or not to be changed so.")


# -- uploads ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sent:
    """A file of a request: what it is called, where it comes from, and how to get its bytes."""

    name: str
    read: Callable[[], tuple[bytes, str]]  # its bytes, and its file name
    url: str = ""


@router.post(
    "/images",
    auth=needs("images:write"),
    response={200: UploadsOut, 202: UploadsOut, **problems(409, 413, 422, 503)},
    openapi_extra=dict(PREFER),
)
def upload_images(
    request: HttpRequest, files: File[list[UploadedFile]], options: Form[UploadIn]
) -> Status[UploadsOut] | HttpResponse:
    """Keep photos and caption them. Of several, those that cannot be used are told; the others are kept.

    The answer is an error only where every file failed.
    """
    if len(files) > settings().max_upload_files:
        raise Invalid(f"At most {settings().max_upload_files} files are taken at once.")
    sent = [_Sent(name=file.name or "", read=_reader(file)) for file in files]
    return _store(request, sent, options)


def _reader(file: UploadedFile) -> Callable[[], tuple[bytes, str]]:
    return lambda: (file.read(), file.name or "")


@router.post(
    "/images/from-url",
    auth=needs("images:write"),
    response={200: UploadsOut, 202: UploadsOut, **problems(409, 413, 422, 503)},
    openapi_extra=dict(PREFER),
)
def upload_from_urls(request: HttpRequest, wanted: UrlsIn) -> Status[UploadsOut] | HttpResponse:
    """Fetch photos, keep and caption them: http and https, from the open internet alone."""
    most_bytes = settings().max_upload_bytes
    with ThreadPoolExecutor(_FETCHERS) as pool:
        fetched = [pool.submit(outbound.fetch_photo, url, max_bytes=most_bytes) for url in wanted.urls]
        sent = [
            _Sent(name=url, read=future.result, url=url)
            for url, future in zip(wanted.urls, fetched, strict=True)
        ]
        return _store(request, sent, wanted)


def _store(
    request: HttpRequest, sent: Sequence[_Sent], options: UploadIn
) -> Status[UploadsOut] | HttpResponse:
    given = options.model_dump(include=set(CaptionOptionsIn.model_fields))
    chosen = CaptionOptionsIn(**given).as_kept(n=settings().candidates)
    owner = ensure_owner(request)
    items: list[UploadedOut] = []
    errors: list[CutlineError] = []
    for each in sent:
        try:
            data, name = each.read()
            stored = uploads.store_upload(
                owner,
                data,
                name,
                keep_original=options.keep_original,
                source_url=each.url,
                options=chosen,
                request_id=current_request_id(),
            )
        except (*_OF_ONE_PHOTO, ServiceUnavailable) as error:
            errors.append(error)
            items.append(_failed(each.name, error))
        else:
            items.append(_stored(each.name, stored))
        UPLOADS.labels(items[-1].error.code if items[-1].error else items[-1].status).inc()
    if len(errors) == len(items):
        return problem(request, _all_failed(errors), errors=_by_file(errors))
    jobs = [item.job for item in items if item.job is not None]
    when_done(request, owner_id=owner.pk, jobs=jobs, then=lambda: _with_captions(items))
    return Status(202, _uploads(items))


def _stored(name: str, stored: uploads.Stored) -> UploadedOut:
    return UploadedOut(
        file=name,
        status="created" if stored.is_new else "exists",
        id=stored.image.pk,
        job=stored.job.pk if stored.job else None,
        job_state=stored.job.state if stored.job else "",
        caption=stored.image.caption,
    )


def _failed(name: str, error: CutlineError) -> UploadedOut:
    told = UploadErrorOut(code=error.code, message=error.message, hint=error.hint)
    return UploadedOut(file=name, status="failed", error=told, id=None, job=None, caption="")


def _all_failed(errors: Sequence[CutlineError]) -> CutlineError:
    """One error for a request of which nothing was kept: what all have in common, if anything."""
    if len({error.code for error in errors}) == 1:
        return errors[0]
    return NothingStored("None of these files could be used.", hint="errors tells why, file by file.")


def _by_file(errors: Sequence[CutlineError]) -> list[Mapping[str, Any]]:
    return [
        {"where": ["files", str(number)], "message": str(error), "kind": error.code}
        for number, error in enumerate(errors)
    ]


def _uploads(items: list[UploadedOut]) -> UploadsOut:
    return UploadsOut(
        items=items,
        images=[item.id for item in items if item.id],
        jobs=[item.job for item in items if item.job],
    )


def _with_captions(items: list[UploadedOut]) -> UploadsOut:
    """The same answer once the jobs have ended."""
    jobs = Job.objects.in_bulk([item.job for item in items if item.job])
    images = Image.objects.in_bulk([item.id for item in items if item.id])
    captions: dict[UUID, list[Caption]] = {}
    for caption in Caption.objects.filter(job__in=jobs).order_by("rank"):
        if caption.job_id:
            captions.setdefault(caption.job_id, []).append(caption)
    for item in items:
        if item.id and (image := images.get(item.id)):
            item.caption = image.caption
        if item.job and (job := jobs.get(item.job)):
            item.job_state = job.state
            item.captions = [CaptionOut.from_orm(each) for each in captions.get(job.pk, [])]
            if job.error_code:
                item.error = UploadErrorOut(code=job.error_code, message=job.error_message)
    return _uploads(items)


# -- the library -----------------------------------------------------------------------------------------


@router.get(
    "/images", auth=needs("images:read"), response={200: Page[ImageOut], **problems(422)}, by_alias=True
)
def list_images(
    request: HttpRequest,
    wanted: Query[LibraryIn],
    cursor: Cursor = "",
    limit: Limit = DEFAULT_LIMIT,
    order: Literal["newest", "oldest"] = "newest",
) -> dict[str, object]:
    """Your own images, by the time of their upload."""
    viewer = viewer_of(request)
    sign = "-" if order == "newest" else ""
    found = page(
        selectors.library(viewer, wanted.filters()),
        cursor=cursor,
        limit=limit,
        order=(f"{sign}created_at", f"{sign}id"),
    )
    return {"items": shown(found.rows, viewer, public_url(request)), "next": found.next}


@router.post("/images/actions", auth=needs("images:write"), response={200: ActedOut, **problems(422)})
def act_on_images(request: HttpRequest, wanted: ActionIn) -> ActedOut:
    """Do the same to many images of yours."""
    viewer = viewer_of(request)
    images = selectors.own_images(viewer, set(wanted.ids), deleted=wanted.action == "undelete")
    changed = [image.pk for image in images if _acted(image, wanted)]
    if wanted.action == "delete":
        deletion.delete(images)
    return ActedOut(changed=changed, failed=[each for each in wanted.ids if each not in set(changed)])


def _acted(image: Image, wanted: ActionIn) -> bool:
    """Do one of the actions to one image; whether it could be done. Deleting is done for all at once."""
    names = [clean_tag(tag) for tag in wanted.tags]
    try:
        match wanted.action:
            case "undelete":
                deletion.undelete(image)
            case "set_visibility":
                set_visibility(image, Visibility(str(wanted.visibility)))
            case "add_tags":
                set_tags(image, [*image.tags.values_list("name", flat=True), *names])
            case "remove_tags":
                had = image.tags.values_list("name", flat=True)
                set_tags(image, [name for name in had if name not in names])
            case "delete":
                pass
    except (Conflict, Invalid, NotFound):
        return False
    return True


@router.get(
    "/images/export",
    auth=needs("images:read"),
    response={200: None, **problems(422)},
    openapi_extra=a_file("text/csv", "application/json", "application/jsonl", "application/zip"),
)
def export_images(
    request: HttpRequest,
    wanted: Query[LibraryIn],
    format: Literal["csv", "json", "jsonl", "zip"] = "jsonl",
) -> StreamingHttpResponse:
    """Your images with their captions as a file; zip: with the photos too."""
    viewer = viewer_of(request)
    rows = _exported(viewer, wanted.filters())
    chunks, content_type = _EXPORTS[format]
    return streamed(request, chunks(rows), content_type=content_type, file_name=f"cutline-captions.{format}")


_COLUMNS = ("id", "file", "caption", "caption_by", "model", "tags", "visibility", "created_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Exported:
    """An image as a line of an export, and where its photo lies."""

    fields: Mapping[str, Any]
    renditions: Sequence[Rendition]


def _exported(viewer: Viewer, filters: selectors.Filters) -> Iterator[_Exported]:
    """The viewer's images, oldest first, some at a time: no query stays open while a client reads."""
    cursor = ""
    while True:
        found = page(
            selectors.library(viewer, filters),
            cursor=cursor,
            limit=_EXPORTED_AT_ONCE,
            order=("created_at", "id"),
        )
        details = selectors.details(found.rows)
        for image in found.rows:
            fields = {
                "id": str(image.pk),
                "file": image.file_name,
                "caption": image.caption,
                "caption_by": image.caption_by,
                "model": image.caption_model,
                "tags": list(details.tags[image.pk]),
                "visibility": image.visibility,
                "created_at": image.created_at.isoformat(),
            }
            yield _Exported(fields=fields, renditions=details.renditions[image.pk])
        if found.next is None:
            return
        cursor = found.next


def _as_jsonl(rows: Iterable[_Exported]) -> Iterator[bytes]:
    for row in rows:
        yield json.dumps(row.fields, ensure_ascii=False).encode() + b"\n"


def _as_json(rows: Iterable[_Exported]) -> Iterator[bytes]:
    before = b"[\n"
    for row in rows:
        yield before + json.dumps(row.fields, ensure_ascii=False).encode()
        before = b",\n"
    yield b"[]\n" if before == b"[\n" else b"\n]\n"


def _as_csv(rows: Iterable[_Exported]) -> Iterator[bytes]:
    yield _csv_line(_COLUMNS)
    for row in rows:
        fields = {**row.fields, "tags": " ".join(f"#{tag}" for tag in row.fields["tags"])}
        yield _csv_line([escape_formula(str(fields[name])) for name in _COLUMNS])


def _csv_line(values: Sequence[str]) -> bytes:
    line = io.StringIO()
    csv.writer(line).writerow(values)
    return line.getvalue().encode()


def _as_zip(rows: Iterable[_Exported]) -> Iterator[bytes]:
    """captions.jsonl, and the photos beside it: the original where it was kept, else our copy."""
    buffer = _Pipe()
    lines = []
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for row in rows:
            by_kind = {rendition.kind: rendition for rendition in row.renditions}
            chosen = by_kind.get(RenditionKind.ORIGINAL) or by_kind.get(RenditionKind.MASTER)
            name = ""
            if chosen is not None:
                name = f"photos/{row.fields['id']}.{chosen.file_id.rpartition('.')[2]}"
                archive.writestr(name, storage.read(chosen.file_id))
                yield buffer.taken()
            lines.append(json.dumps({**row.fields, "photo": name}, ensure_ascii=False))
        archive.writestr("captions.jsonl", "".join(f"{line}\n" for line in lines))
    yield buffer.taken()


class _Pipe(io.RawIOBase):
    """What a zip file is written to, a piece at a time; it cannot go back."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._waiting += data
        return len(data)

    def taken(self) -> bytes:
        """What was written since the last call."""
        taken, self._waiting = bytes(self._waiting), bytearray()
        return taken


_EXPORTS: Mapping[str, tuple[Callable[[Iterable[_Exported]], Iterator[bytes]], str]] = {
    "csv": (_as_csv, "text/csv; charset=utf-8"),
    "json": (_as_json, "application/json"),
    "jsonl": (_as_jsonl, "application/jsonl"),
    "zip": (_as_zip, "application/zip"),
}


# -- one image -------------------------------------------------------------------------------------------


@router.get("/images/{uuid:image_id}", auth=needs("images:read"), response={200: ImageOut, **problems(404)})
def get_image(request: HttpRequest, image_id: UUID, token: str = "") -> Mapping[str, Any]:
    """An image that you may see: your own, or one of the gallery.

    token: of the link, where the image is only shared.
    """
    viewer = viewer_of(request)
    [image] = shown([selectors.image_for(viewer, image_id, share_token=token)], viewer, public_url(request))
    tell_version(request, [value for name, value in image.items() if name not in _MADE_BY_US])
    return image


@router.patch(
    "/images/{uuid:image_id}",
    auth=needs("images:write"),
    response={200: ImageOut, **problems(404, 409, 422)},
)
def change_image(request: HttpRequest, image_id: UUID, wanted: ImageIn) -> Mapping[str, Any]:
    """Change who may see your image, or its tags. A public image passes moderation before others see it."""
    viewer = viewer_of(request)
    image = selectors.own_image(viewer, image_id)
    if wanted.tags is not None:
        set_tags(image, wanted.tags)
    if wanted.visibility is not None:
        set_visibility(image, Visibility(wanted.visibility))
    return shown([selectors.own_image(viewer, image_id)], viewer, public_url(request))[0]


@router.delete("/images/{uuid:image_id}", auth=needs("images:write"), response={204: None, **problems(404)})
def delete_image(request: HttpRequest, image_id: UUID) -> Status[None]:
    """Delete your image. It is hidden at once, and can be brought back for some minutes."""
    deletion.delete([selectors.own_image(viewer_of(request), image_id)])
    return Status(204, None)


@router.post(
    "/images/{uuid:image_id}/undelete",
    auth=needs("images:write"),
    response={200: ImageOut, **problems(404)},
)
def undelete_image(request: HttpRequest, image_id: UUID) -> Mapping[str, Any]:
    """Bring back an image that you have just deleted."""
    viewer = viewer_of(request)
    image = deletion.undelete(selectors.own_deleted_image(viewer, image_id))
    return shown([image], viewer, public_url(request))[0]
