"""What a running job knows of its lease."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from uuid import UUID

from cutline.server import leases
from cutline.server.jobs.models import Job, JobState
from cutline.server.observability.metrics import STAGE_S

_LOOK_EVERY_S = 1.0


class JobStopped(Exception):
    """The job was cancelled, or its lease was lost: whoever runs it stops, and writes nothing."""


class LeaseLost(JobStopped):
    """The row's lease is another's, or the job has ended: nothing may be written for it."""


class Context:
    """What a running job is given. `token` must still be the row's when the result is written."""

    def __init__(self, job: Job, *, on_stage: Callable[[Job, str], None] | None = None) -> None:
        if job.lease_token is None:
            raise LeaseLost(str(job.pk))
        self.job = job
        self.token: UUID = job.lease_token
        self.stopped = threading.Event()  # set by whoever renews the lease and finds it gone
        self.moved_at = time.monotonic()  # when it last showed a sign of life
        self._on_stage = on_stage
        self._stage = ""
        self._began = self._looked = time.monotonic()

    @property
    def current_stage(self) -> str:
        """The stage that the job is in; empty before the first."""
        return self._stage

    def stage(self, name: str) -> None:
        """Enter a stage. Raises JobStopped if the job was cancelled or its lease lost.

        The row learns it with the next renewal of the lease: a write for each stage would cost more than
        most stages take.
        """
        self._close_stage()
        self._stage = name
        if self._on_stage:
            self._on_stage(self.job, name)
        self.check()

    def check(self) -> None:
        """Raise JobStopped when the job was cancelled or its lease lost. Cheap: call it in loops."""
        self.moved_at = time.monotonic()
        if self.moved_at - self._looked > _LOOK_EVERY_S:
            self._looked = self.moved_at
            if not held(self.job.pk, self.token):
                self.stopped.set()
        if self.stopped.is_set():
            raise JobStopped(str(self.job.pk))

    def close(self) -> None:
        """Record the duration of the last stage."""
        self._close_stage()
        self._stage = ""

    def _close_stage(self) -> None:
        now = time.monotonic()
        if self._stage:
            STAGE_S.labels(self.job.kind, self._stage).observe(now - self._began)
        self._began = now


def held(job_id: UUID, token: UUID) -> bool:
    """Whether the lease is still this one."""
    return leases.is_held(Job.objects.filter(state=JobState.RUNNING), job_id, token)
