"""The queue of jobs: which are due, in which order, and where a job stands among them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils import timezone

from cutline.server.jobs.models import Job, JobState

_PAUSED = "paused"  # the state of a bulk, whose models stand above: its jobs wait
_COUNTED = 1000  # a position is counted exactly up to here


def due(now: datetime) -> QuerySet[Job]:
    """The jobs that could be claimed, best first."""
    return (
        Job.objects.filter(state=JobState.QUEUED, run_after__lte=now)
        .exclude(bulk__state=_PAUSED)
        .order_by("priority", "created_at", "id")
    )


def position(job: Job) -> int | None:
    """How many jobs are ahead of a queued one (counted up to 1,000); None for any other."""
    if job.state != JobState.QUEUED:
        return None
    before = (
        Q(priority__lt=job.priority)
        | Q(priority=job.priority, created_at__lt=job.created_at)
        | Q(priority=job.priority, created_at=job.created_at, id__lt=job.pk)
    )
    return due(timezone.now()).filter(before)[:_COUNTED].count()


def positions(jobs: Iterable[Job]) -> Mapping[UUID, int]:
    """How many jobs are ahead of each queued one of these, by their ids: one query, none where nothing waits.

    Those that stand further back than 1,000 are left out.
    """
    if all(job.state != JobState.QUEUED for job in jobs):
        return {}
    line = due(timezone.now()).values_list("pk", flat=True)[:_COUNTED]
    return {job_id: place for place, job_id in enumerate(line)}
