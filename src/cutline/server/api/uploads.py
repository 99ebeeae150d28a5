"""Storing what an upload sends, file by file, and the answer that tells of each. The endpoints: images.py."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Schema, Status, UploadedFile
from pydantic import Field

from cutline.errors import AddressForbidden, CutlineError, FetchFailed, ImageError
from cutline.server import decoding, outbound
from cutline.server.api import limits
from cutline.server.api.options import CaptionOptionsIn
from cutline.server.api.problems import problem
from cutline.server.api.schemas import CaptionOut, JobErrorOut
from cutline.server.api.wait import when_done
from cutline.server.captions.models import Caption
from cutline.server.config import settings
from cutline.server.errors import (
    Conflict,
    NothingStored,
    QuotaExceeded,
    ServiceUnavailable,
)
from cutline.server.images.models import Image
from cutline.server.jobs.models import Job
from cutline.server.observability.metrics import UPLOADS
from cutline.server.observability.request_id import current as current_request_id
from cutline.server.people.models import Owner
from cutline.server.people.viewers import ensure_owner, viewer_of
from cutline.server.shares import Payer, Tally
from cutline.server.transactions import lend_connection
from cutline.server.uploads import services

MAX_URLS = 20
_FETCHERS = 4
_FETCHING = Tally(
    "requests with URLs",
    total=lambda: 2 * settings().fetches_at_once,
    each=lambda: max(1, settings().fetches_at_once // 3),
)
_FETCHING_S = 45.0  # what has not begun by then is given up
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
    job: UUID | None = Field(None, description="The job that captions it, or did.")
    error: UploadErrorOut | None = None
    caption: str = Field("", description="What the image shows now.")
    captions: list[CaptionOut] = Field(
        default_factory=list, description="The candidates, if they are ready (Prefer: wait=N)."
    )
    job_state: str = ""


class UploadsOut(Schema):
    """What became of each file, in the order of the request."""

    items: list[UploadedOut]
    images: list[UUID] = Field(description="All images, in this order, without the files that failed.")
    jobs: list[UUID]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sent:
    """A file of a request: its place, what it is called, where it comes from, and how to get its bytes."""

    number: int
    name: str
    opened: Callable[[], AbstractContextManager[tuple[bytes, str]]]  # its bytes, and its file name
    url: str = ""


def store_files(
    request: HttpRequest, files: Sequence[UploadedFile], options: UploadIn
) -> Status[UploadsOut] | HttpResponse:
    """Keep the files of a form and have them captioned. An error only where every one of them failed."""
    sent = [
        _Sent(number=number, name=file.name or "", opened=partial(_in_memory, file))
        for number, file in enumerate(files)
    ]
    return _store(request, sent, options)


@contextmanager
def _in_memory(file: UploadedFile) -> Iterator[tuple[bytes, str]]:
    with decoding.room_for_file(file.size or 0):
        yield file.read(), file.name or ""


def store_from_urls(request: HttpRequest, wanted: UrlsIn) -> Status[UploadsOut] | HttpResponse:
    """Fetch files, several at a time, and do as store_files. No database connection is held meanwhile."""
    payer = limits.payer_of(viewer_of(request))
    with _FETCHING.held(*payer.names), _Fetches(wanted.urls, payer) as fetches:
        return _store(request, fetches, wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fetched:
    """A photo with its file name, and what is to be closed once it is stored: its turn is over then."""

    turn: ExitStack
    photo: list[tuple[bytes, str]]


class _Fetches:
    """The photos of URLs, each as it comes. Iterating over them waits for the next one."""

    def __init__(self, urls: Sequence[str], payer: Payer) -> None:
        self._payer = payer
        self._until = time.monotonic() + _FETCHING_S
        self._pool = ThreadPoolExecutor(_FETCHERS, thread_name_prefix="fetch")
        self._fetched = {self._pool.submit(self._fetch, url): (at, url) for at, url in enumerate(urls)}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
        # What is not stored any more leaves its turn at once: others, even of this request, wait for it.
        for future in as_completed([each for each in self._fetched if not each.cancelled()]):
            if future.exception() is None:
                future.result().turn.close()

    def __iter__(self) -> Iterator[_Sent]:
        lend_connection()
        for future in as_completed(self._fetched):
            number, url = self._fetched.pop(future)
            yield _Sent(number=number, name=url, url=url, opened=partial(self._opened, future))
            lend_connection()

    def _fetch(self, url: str) -> _Fetched:
        payer = replace(self._payer, patience_s=max(0.0, self._until - time.monotonic()))
        with ExitStack() as turn:
            photo = turn.enter_context(
                outbound.fetched_photo(url, max_bytes=settings().max_upload_bytes, payer=payer)
            )
            return _Fetched(turn=turn.pop_all(), photo=[photo])

    @contextmanager
    def _opened(self, future: Future[_Fetched]) -> Iterator[tuple[bytes, str]]:
        fetched = future.result()
        with fetched.turn:
            yield fetched.photo.pop()  # so that nothing keeps it while the next one is waited for


def _store(
    request: HttpRequest, sent: Iterable[_Sent], options: UploadIn
) -> Status[UploadsOut] | HttpResponse:
    given = options.model_dump(include=set(CaptionOptionsIn.model_fields))
    chosen = CaptionOptionsIn(**given).as_kept(n=settings().candidates)
    owner = ensure_owner(request)
    found: dict[int, UploadedOut] = {}
    failed: dict[int, CutlineError] = {}
    with decoding.on_behalf_of(limits.payer_of(viewer_of(request))):
        for each in sent:
            try:
                stored = _store_one(owner, each, options, chosen)
            except (*_OF_ONE_PHOTO, ServiceUnavailable) as error:
                failed[each.number] = error
                found[each.number] = _failed(each.name, error)
                UPLOADS.labels(error.code).inc()
            else:
                found[each.number] = _stored(each.name, stored)
                UPLOADS.labels(found[each.number].status).inc()
    items = [found[number] for number in sorted(found)]
    if len(failed) == len(items):
        errors = [failed[number] for number in sorted(failed)]
        return problem(request, _all_failed(errors), errors=_by_file(errors))
    jobs = [item.job for item in items if item.job is not None]
    when_done(request, owner_id=owner.pk, jobs=jobs, then=lambda: _with_captions(items))
    return Status(202, _uploads(items))


def _store_one(owner: Owner, sent: _Sent, options: UploadIn, chosen: Mapping[str, Any]) -> services.Stored:
    with sent.opened() as (data, name):
        return services.store_upload(
            owner,
            data,
            name,
            keep_original=options.keep_original,
            source_url=sent.url,
            options=chosen,
            request_id=current_request_id(),
        )


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
