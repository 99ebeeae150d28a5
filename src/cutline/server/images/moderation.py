"""May a picture stand in the gallery? A small classifier looks first, people decide where it doubts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cutline.server.jobs.models import Job

if TYPE_CHECKING:
    from cutline.server.jobs.context import Context


def run(job: Job, context: Context) -> None:
    """Do a moderation job: publish, hold or refuse."""
    raise NotImplementedError
