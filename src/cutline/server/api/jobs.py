"""What is being done, and what failed."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from ninja import Router
from pydantic import Field

from cutline.server.api import event_streams, job_events
from cutline.server.api.auth import needs
from cutline.server.api.paging import DEFAULT_LIMIT, Cursor, Limit, page
from cutline.server.api.schemas import JobOut, Page, problems
from cutline.server.jobs import queue, selectors, services
from cutline.server.jobs.models import Job, JobKind, JobState
from cutline.server.people.viewers import viewer_of

router = Router(tags=["jobs"])


class JobDetailOut(JobOut):
    """A job, with its place in the queue."""

    position: int | None = Field(
        None, description="How many jobs are ahead of it (counted up to 1,000); null unless it is queued."
    )

    @staticmethod
    def resolve_position(job: Job) -> int | None:
        """Counted now."""
        return queue.position(job)


@router.get("/jobs", auth=needs("images:read"), response={200: Page[JobOut]})
def list_jobs(
    request: HttpRequest,
    state: JobState | None = None,
    kind: JobKind | None = None,
    image: UUID | None = None,
    cursor: Cursor = "",
    limit: Limit = DEFAULT_LIMIT,
) -> dict[str, object]:
    """Your jobs, newest first."""
    jobs = selectors.own_jobs(viewer_of(request))
    if state is not None:
        jobs = jobs.filter(state=state)
    if kind is not None:
        jobs = jobs.filter(kind=kind)
    if image is not None:
        jobs = jobs.filter(image_id=image)
    found = page(jobs, cursor=cursor, limit=limit)
    return {"items": found.rows, "next": found.next}


@router.get("/jobs/{uuid:job_id}", auth=needs("images:read"), response={200: JobDetailOut, **problems(404)})
def get_job(request: HttpRequest, job_id: UUID) -> Job:
    """One of your jobs."""
    return selectors.job_for(viewer_of(request), job_id)


@router.get(
    "/jobs/{uuid:job_id}/events",
    auth=needs("images:read"),
    response={200: None, 204: None, **problems(404)},
    openapi_extra=event_streams.documented("job, words, and at the end done, failed or cancelled"),
)
def follow_job(request: HttpRequest, job_id: UUID) -> HttpResponseBase:
    """What becomes of one of your jobs, as server-sent events. It continues after Last-Event-ID.

    `words`: of captions in a voice while they are written. 204: that id was the last, and nothing follows.
    """
    return job_events.answer(request, job_id)


@router.post(
    "/jobs/{uuid:job_id}/cancel",
    auth=needs("images:write"),
    response={200: JobDetailOut, **problems(404, 409)},
)
def cancel_job(request: HttpRequest, job_id: UUID) -> Job:
    """Cancel a job that has not ended. What it has already written stays."""
    return services.cancel(selectors.job_for(viewer_of(request), job_id))


@router.post(
    "/jobs/{uuid:job_id}/retry",
    auth=needs("images:write"),
    response={200: JobDetailOut, **problems(404, 409)},
)
def retry_job(request: HttpRequest, job_id: UUID) -> Job:
    """Queue a failed or cancelled job again."""
    return services.retry(selectors.job_for(viewer_of(request), job_id))
