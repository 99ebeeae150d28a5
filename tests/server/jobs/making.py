"""Owners, images and jobs for tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cutline.server.images.models import Image
from cutline.server.jobs.models import Job, JobKind, Priority
from cutline.server.jobs.services import create_job
from cutline.server.people.models import Owner
from cutline.server.uploads.services import store_upload
from tests.server import photos


def make_owner(**fields: Any) -> Owner:
    """Somebody without an account."""
    return Owner.objects.create(**fields)


def upload(
    owner: Owner,
    seed: int = 1,
    *,
    priority: Priority = Priority.INTERACTIVE,
    options: Mapping[str, Any] | None = None,
) -> tuple[Image, Job]:
    """Store a photo, which queues its caption job."""
    stored = store_upload(
        owner, photos.generated(seed), f"{seed}.jpg", priority=priority, options=dict(options or {})
    )
    assert stored.job is not None
    return stored.image, stored.job


def queue(owner: Owner, *, priority: Priority = Priority.INTERACTIVE, kind: JobKind = JobKind.CAPTION) -> Job:
    """A job of no image: enough for what only looks at the queue."""
    return create_job(owner=owner, priority=priority, kind=kind)
