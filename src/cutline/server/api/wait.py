"""Prefer: wait=N (RFC 7240): the answer waits for the jobs that the request started.

An endpoint says what would be the better answer, and gives the one that needs no waiting:

    when_done(request, jobs=[job.id], then=lambda: ImagesOut(...))
    return Status(202, ...)
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from django.db import connections
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from ninja import Schema

from cutline.server.api.problems import problem_of
from cutline.server.events.channel import group_of
from cutline.server.jobs.models import Job, JobState

MAX_WAIT_S = 60
LOOK_AGAIN_S = 1.0  # events are hints: a lost one costs a second
OPEN_STATES = (JobState.QUEUED, JobState.RUNNING)

# Put this into an endpoint's openapi_extra, and its documentation names the header.
PREFER: Mapping[str, Any] = {
    "parameters": [
        {
            "in": "header",
            "name": "Prefer",
            "required": False,
            "schema": {"type": "string"},
            "description": f"wait=N: wait up to N seconds (at most {MAX_WAIT_S}) for the result.",
        }
    ]
}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """Jobs to wait for, and the answer once they ended."""

    owner_id: UUID
    jobs: Sequence[UUID]
    then: Callable[[], Schema]
    wait_s: int


def wait_s_of(request: HttpRequest) -> int:
    """How long the client would wait, in seconds, at most MAX_WAIT_S; 0 where it did not say."""
    found = re.search(
        r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,9})", request.headers.get("Prefer", ""), re.IGNORECASE
    )
    return min(int(found[1]), MAX_WAIT_S) if found else 0


def when_done(
    request: HttpRequest, *, owner_id: UUID, jobs: Iterable[UUID], then: Callable[[], Schema]
) -> None:
    """Answer 200 with `then()` once these jobs have ended, where the client waits for them.

    owner_id: whose jobs they are. then: called in a thread that may use the database; what it raises
    becomes a problem.
    """
    if wait_s := wait_s_of(request):
        request.pending = Pending(  # type: ignore[attr-defined]
            owner_id=owner_id, jobs=tuple(jobs), then=then, wait_s=wait_s
        )


async def finish(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """Wait, where an endpoint asked for it, and give the better answer if there is one in time."""
    pending = getattr(request, "pending", None)
    if pending is None or not 200 <= response.status_code < 300:
        return response
    ended = await jobs_ended(pending.owner_id, pending.jobs, pending.wait_s)
    if ended and isinstance(response, HttpResponse):
        response = await sync_to_async(_better)(request, response, pending)
    response["Preference-Applied"] = f"wait={pending.wait_s}"
    return response


def _better(request: HttpRequest, response: HttpResponse, pending: Pending) -> HttpResponse:
    try:
        content = pending.then().model_dump_json().encode()
    except Exception as error:
        return problem_of(request, error)
    response.status_code = 200
    response.content = content
    return response


async def jobs_ended(owner_id: UUID, jobs: Sequence[UUID], timeout_s: float) -> bool:
    """Wait until none of these jobs is queued or running; False where timeout_s was too short."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    layer = get_channel_layer()
    assert layer is not None
    channel = ""
    try:
        channel = await layer.new_channel()
        await layer.group_add(group_of(owner_id), channel)
    except Exception as error:  # Redis is away: looking again and again still works
        log.warning("Waiting without events: %s", error)
        channel = ""
    try:
        while await sync_to_async(_any_open)(jobs):
            left_s = deadline - asyncio.get_running_loop().time()
            if left_s <= 0:
                return False
            await _something(layer, channel, jobs, min(left_s, LOOK_AGAIN_S))
        return True
    finally:
        if channel:
            try:
                await layer.group_discard(group_of(owner_id), channel)
            except Exception as error:
                log.warning("A waiting request could not leave its group: %s", error)


async def _something(layer: Any, channel: str, jobs: Sequence[UUID], timeout_s: float) -> None:
    """Return when an event tells of one of these jobs, or after timeout_s."""
    try:
        async with asyncio.timeout(timeout_s):
            while channel:
                message = await layer.receive(channel)
                if message.get("event", {}).get("data", {}).get("job") in {str(job) for job in jobs}:
                    return
            await asyncio.sleep(timeout_s)
    except TimeoutError:
        return
    except Exception as error:
        log.warning("Waiting without events: %s", error)
        await asyncio.sleep(timeout_s)


def _any_open(jobs: Sequence[UUID]) -> bool:
    found = Job.objects.filter(pk__in=jobs, state__in=OPEN_STATES).exists()
    # Whoever waits must not keep a connection of the pool meanwhile.
    for connection in connections.all(initialized_only=True):
        if not connection.in_atomic_block:
            connection.close()
    return found
