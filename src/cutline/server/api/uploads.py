"""Storing what an upload sends, file by file, and the answer that tells of each. The endpoints: images.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Schema, Status, UploadedFile
from pydantic import Field

from cutline.errors import CutlineError, ImageError
from cutline.server import outbound
from cutline.server.api.options import CaptionOptionsIn
from cutline.server.api.problems import problem
from cutline.server.api.schemas import CaptionOut, JobErrorOut
from cutline.server.api.wait import when_done
from cutline.server.captions.models import Caption
from cutline.server.config import settings
from cutline.server.errors import (
    AddressForbidden,
    Conflict,
    FetchFailed,
    NothingStored,
    QuotaExceeded,
    ServiceUnavailable,
)
from cutline.server.images.models import Image
from cutline.server.jobs.models import Job
from cutline.server.observability.metrics import UPLOADS
from cutline.server.observability.request_id import current as current_request_id
from cutline.server.people.viewers import ensure_owner
from cutline.server.uploads import services

MAX_URLS = 20
_FETCHERS = 4
# What is wrong with one photo; the others of a request are stored all the same.
_OF_ONE_PHOTO = (ImageError, QuotaExceeded, Conflict, FetchFailed, AddressForbidden)


class UploadIn(CaptionOptionsIn):
    """How photos are kept and captioned. What is left out of the captions' options is the model's choice."""

    keep_original: bool = Field(False, description="Keep the file as it was sent, for you alone.")


class UrlsIn(UploadIn):
    """Photos by URL."""

    urls: list[Annotated[str, Field(min_length=1, max_length=outbound.MAX_URL)]] = Field(
        min_length=1, max_length=MAX_URLS
    )


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sent:
    """A file of a request: what it is called, where it comes from, and how to get its bytes."""

    name: str
    read: Callable[[], tuple[bytes, str]]  # its bytes, and its file name
    url: str = ""


def store_files(
    request: HttpRequest, files: Sequence[UploadedFile], options: UploadIn
) -> Status[UploadsOut] | HttpResponse:
    """Keep the files of a form and have them captioned. An error only where every one of them failed."""
    return _store(request, [_Sent(name=file.name or "", read=_reader(file)) for file in files], options)


def _reader(file: UploadedFile) -> Callable[[], tuple[bytes, str]]:
    return lambda: (file.read(), file.name or "")


def store_from_urls(request: HttpRequest, wanted: UrlsIn) -> Status[UploadsOut] | HttpResponse:
    """Fetch files, several at a time, and do as store_files."""
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
            stored = services.store_upload(
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


def _stored(name: str, stored: services.Stored) -> UploadedOut:
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
    return NothingStored("None of these files could be used.", hint="errors gives the reason for each file.")


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
