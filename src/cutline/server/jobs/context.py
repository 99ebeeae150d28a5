"""What a running job is given."""

from __future__ import annotations

from uuid import UUID

from cutline.server.jobs.models import Job


class Context:
    """A running job's hold on its row. `token` must still be the row's when the result is written."""

    def __init__(self, job: Job, token: UUID) -> None:
        self.job = job
        self.token = token

    def stage(self, name: str) -> None:
        """Say what the job is doing now. Raises JobStopped when it was cancelled or its lease was lost."""
        raise NotImplementedError

    def check(self) -> None:
        """Raise JobStopped when the job was cancelled or its lease was lost. Cheap: call it in loops."""
        raise NotImplementedError
