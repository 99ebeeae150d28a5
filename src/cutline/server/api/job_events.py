"""What becomes of a job, as server-sent events: its states, words while they are written, and its end.

Each event says all that is to be known of its matter, so a client that was away misses nothing: it names the
last event that it has (Last-Event-ID), and gets what is newer.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from django.db import DatabaseError, InterfaceError, connections
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from cutline.errors import CutlineError
from cutline.server.api.candidates import styles_job_out
from cutline.server.api.event_streams import (
    CONTENT_TYPE,
    HEADERS,
    HEARTBEAT,
    HEARTBEAT_S,
    sse,
    wants_events,
)
from cutline.server.api.idempotency import REPLAYED
from cutline.server.api.schemas import JobOut
from cutline.server.captions.live_words import run_of, spoken
from cutline.server.config import settings
from cutline.server.events.channel import group_of
from cutline.server.jobs.models import UNENDED, Job, JobKind, JobState
from cutline.server.jobs.selectors import job_for
from cutline.server.people.viewers import Viewer, viewer_of, viewer_of_scope
from cutline.server.shares import Tally

LOOK_AGAIN_S = 1.0  # messages are hints: a lost one costs a second
MOST_LOOKS = 1800  # then the client opens another stream, and continues
MOST_OF_OWNER = 32
SCOPE = "images:read"

_PATH = "/api/v1/jobs/{}/events"
_ID = re.compile(r"(\d{1,15})-(\d{1,9})")
_END = "-end"
_STREAMS = Tally("event streams", total=lambda: settings().max_connections, each=lambda: MOST_OF_OWNER)

log = logging.getLogger(__name__)


def path_of(job_id: UUID) -> str:
    """Where the events of a job are."""
    return _PATH.format(job_id)


def instead_of(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """The events of the job that a request began, where the client asks for events rather than for JSON."""
    found = re.fullmatch(_PATH.format("([0-9a-f-]{36})"), response.get("Location", ""))
    if found is None or response.status_code != 202 or not wants_events(request):
        return response
    events = answer(request, UUID(found[1]))
    for name in ("Location", REPLAYED):
        if name in response:
            events[name] = response[name]
    return events


def answer(request: HttpRequest, job_id: UUID) -> HttpResponseBase:
    """Answer with the events of one of the viewer's jobs. Raises NotFound, TooManyAtOnce."""
    viewer = viewer_of(request)
    job = job_for(viewer, job_id)
    last = request.headers.get("Last-Event-ID", "")
    if job.state in UNENDED:
        stream = _Stream(viewer, job, _seen(last), getattr(request, "scope", None))
        return _HeldAnswer(stream.events(), f"owner:{job.owner_id}")
    if last == f"{run_of(job)}{_END}":
        return HttpResponse(status=204)  # so that a browser does not come again
    return HttpResponse(_end(viewer, job), content_type=CONTENT_TYPE, headers=HEADERS)


class _HeldAnswer(StreamingHttpResponse):
    """An answer that counts as open until it is closed."""

    def __init__(self, events: AsyncIterator[bytes], name: str) -> None:
        self._held = ExitStack()
        self._held.enter_context(_STREAMS.held(name))
        super().__init__(events, content_type=CONTENT_TYPE, headers=HEADERS)

    def close(self) -> None:
        """Close it, and let another be opened."""
        super().close()
        self._held.close()


def _seen(last: str) -> tuple[int, int]:
    found = _ID.fullmatch(last)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _end(viewer: Viewer, job: Job) -> bytes:
    """The last event of a job."""
    is_styled = job.kind == JobKind.STYLE and job.state == JobState.DONE
    told = styles_job_out(viewer, job) if is_styled else JobOut.from_orm(job)
    return sse(str(job.state), told.model_dump(mode="json"), f"{run_of(job)}{_END}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """A job as it is now. end: its last event, where it has ended."""

    told: Mapping[str, Any]
    run: int
    words: tuple[Mapping[str, Any], ...]
    end: bytes


class _Stream:
    """The events of one job that has not ended, for one client."""

    def __init__(
        self, viewer: Viewer, job: Job, seen: tuple[int, int], scope: Mapping[str, Any] | None
    ) -> None:
        self._viewer = viewer
        self._job_id = job.pk
        self._group = group_of(job.owner_id)
        self._seen = seen
        self._scope = scope
        self._told: Mapping[str, Any] = {}

    async def events(self) -> AsyncIterator[bytes]:
        """Yield them, and comments now and then, until the job ends or the viewer may not see it any more."""
        layer = get_channel_layer()
        assert layer is not None
        channel = await layer.new_channel()
        try:
            await self._join(layer, channel)  # before looking: what comes between is told once
            since_beat_s = 0.0
            for _ in range(MOST_LOOKS):
                look = await sync_to_async(self._look, thread_sensitive=False)()
                if look is None:
                    return
                for event in self._news(look):
                    yield event
                if look.end:
                    return
                until = asyncio.get_running_loop().time() + LOOK_AGAIN_S
                while (words := await self._next_words(layer, channel, until)) is not None:
                    for event in self._new_words(words):
                        yield event
                since_beat_s += LOOK_AGAIN_S
                if since_beat_s >= HEARTBEAT_S:
                    since_beat_s = 0.0
                    yield HEARTBEAT
        finally:
            await self._leave(layer, channel)

    def _news(self, look: _Look) -> Iterator[bytes]:
        if look.told != self._told and not look.end:
            self._told = look.told
            yield sse("job", look.told, f"{look.run}-{self._seen[1] if self._seen[0] == look.run else 0}")
        for words in look.words:
            yield from self._new_words(words)
        if look.end:
            yield look.end

    def _new_words(self, words: Mapping[str, Any]) -> Iterator[bytes]:
        place = words["run"], words["seq"]
        if place > self._seen:
            self._seen = place
            yield sse("words", words, f"{place[0]}-{place[1]}")

    async def _next_words(self, layer: Any, channel: str, until: float) -> Mapping[str, Any] | None:
        """The next words; None where it is time to look, or something else happened to the job."""
        try:
            async with asyncio.timeout_at(until):
                while True:
                    message = await layer.receive(channel)
                    if message["type"] == "words" and message["data"]["job"] == str(self._job_id):
                        words: Mapping[str, Any] = message["data"]
                        return words
                    data = message.get("event", {}).get("data", {})
                    if message["type"] == "recheck" or data.get("job") == str(self._job_id):
                        return None
        except TimeoutError:
            return None
        except Exception as error:  # the layer is away: looking again and again still works
            log.warning("A stream goes on without messages: %s", error)
            await asyncio.sleep(LOOK_AGAIN_S)
            return None

    def _look(self) -> _Look | None:
        """The job now; None where the viewer may not see it any more, or the database is away."""
        try:
            viewer = self._viewer if self._scope is None else viewer_of_scope(self._scope)
            if viewer.owner_id != self._viewer.owner_id or not viewer.has(SCOPE):
                return None
            job = job_for(viewer, self._job_id)
            return _Look(
                told=JobOut.from_orm(job).model_dump(mode="json"),
                run=run_of(job),
                words=spoken(self._job_id) if job.state in UNENDED else (),
                end=b"" if job.state in UNENDED else _end(viewer, job),
            )
        except (CutlineError, DatabaseError, InterfaceError) as error:
            log.info("A stream of events ends: %s", type(error).__name__)
            return None
        finally:
            connections.close_all()  # whoever waits must not keep one of the pool meanwhile

    async def _join(self, layer: Any, channel: str) -> None:
        try:
            await layer.group_add(self._group, channel)
        except Exception as error:  # as above
            log.warning("A stream begins without messages: %s", error)

    async def _leave(self, layer: Any, channel: str) -> None:
        try:
            await layer.group_discard(self._group, channel)
        except Exception as error:  # the layer is away: it forgets by itself
            log.warning("A stream could not leave its group: %s", error)
