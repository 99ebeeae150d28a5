"""Reading jobs: everybody sees their own."""

from __future__ import annotations

from uuid import UUID

from django.db.models import QuerySet

from cutline.server.errors import NotFound
from cutline.server.jobs.models import Job
from cutline.server.people.selectors import owned_by
from cutline.server.people.viewers import Viewer


def own_jobs(viewer: Viewer) -> QuerySet[Job]:
    """The viewer's jobs, unordered."""
    return owned_by(viewer, Job.objects.all())


def job_for(viewer: Viewer, job_id: UUID) -> Job:
    """One of the viewer's jobs. Raises NotFound for all others, whether they are there or not."""
    job = own_jobs(viewer).filter(pk=job_id).first()
    if job is None:
        raise NotFound("There is no such job.")
    return job
