"""What happens to jobs: made, claimed, renewed, ended, put back. The row is the truth, messages are hints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

from cutline.server.jobs.models import Job, JobKind, Priority

if TYPE_CHECKING:
    from cutline.server.bulk.models import Bulk, BulkItem
    from cutline.server.images.models import Image
    from cutline.server.people.models import Owner


def create_job(
    *,
    owner: Owner,
    image: Image | None = None,
    kind: JobKind = JobKind.CAPTION,
    priority: Priority = Priority.INTERACTIVE,
    options: Mapping[str, Any] | None = None,
    bulk: Bulk | None = None,
    bulk_item: BulkItem | None = None,
    request_id: str = "",
) -> Job:
    """Write a job, in the caller's transaction; workers are told after it commits."""
    raise NotImplementedError


def cancel(job: Job) -> Job:
    """End a job that has not ended. Its worker notices, at the latest when it would write its result.

    Raises Conflict for a job that has ended already.
    """
    raise NotImplementedError


def retry(job: Job) -> Job:
    """Queue a failed or cancelled job again, with all its tries. Raises Conflict for any other."""
    raise NotImplementedError


def claim(worker: str = "", *, bulk_too: bool = True) -> Job | None:
    """Take the best job that is due, with a lease: interactive before bulk, then the oldest."""
    raise NotImplementedError


def finish(job: Job, token: UUID | None) -> None:
    """Mark a job done: first in the transaction that writes its result. Raises LeaseLost: write nothing."""
    raise NotImplementedError


def fail(job: Job, token: UUID | None, error: Exception) -> None:
    """Put a job back for a later try, where another may help; else end it, with the reason."""
    raise NotImplementedError


def release(job: Job) -> None:
    """Give a claimed job back untouched, as at shutdown."""
    raise NotImplementedError


def sweep() -> int:
    """Put back the jobs whose lease ran out, and hint at what is due. Gives how many were lost."""
    raise NotImplementedError


def queue_position(job: Job) -> int | None:
    """How many jobs go before a queued one; None for any other."""
    raise NotImplementedError
