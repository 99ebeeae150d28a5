"""Jobs that a function of a cloud does (settings.captions_by): lent to it when they are made.

A lent job is a running one like others, under a lease. The function hears of the photo from the store; its
answer (cutline.server.callbacks) ends the job. Where none comes in time, the sweep queues it for workers.
"""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

from django.utils import timezone

from cutline.server import leases
from cutline.server.config import CaptionsBy, settings
from cutline.server.jobs.models import Job, JobKind, JobState

STAGE = "callback"


def is_on() -> bool:
    """Whether new photos are captioned by a function."""
    return settings().captions_by is CaptionsBy.CALLBACK


def lend(job: Job) -> None:
    """Lend a job that is not yet written, if a function would do all that it asks for.

    A function knows the photo alone: what asks for a model, another number of captions than usual or a way
    to decode is the workers'.
    """
    asked = {name: value for name, value in job.options.items() if value is not None}
    if not is_on() or job.kind != JobKind.CAPTION or asked not in ({}, {"n": settings().candidates}):
        return
    now = timezone.now()
    lent = {
        "state": JobState.RUNNING,
        "stage": STAGE,
        "attempts": 1,
        "started_at": now,
        "lease_token": uuid4(),
        "lease_until": now + timedelta(seconds=settings().callback_wait_s),
    }
    leases.set_values(job, lent)


def is_lent(job: Job) -> bool:
    """Whether a function has a job."""
    return job.state == JobState.RUNNING and job.stage == STAGE
