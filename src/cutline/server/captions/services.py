"""What is written to captions: candidates, and the history of what an image shows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from cutline.server.captions.models import Caption, Version
from cutline.server.images.models import Image
from cutline.server.jobs.models import Job
from cutline.server.people.models import Owner

if TYPE_CHECKING:
    from cutline.captioning.caption import Caption as Written
    from cutline.server.jobs.context import Context


def run(job: Job, context: Context) -> None:
    """Write the candidates of a caption job."""
    raise NotImplementedError


def save_candidates(job: Job, token: UUID, captions: Sequence[Written], *, model: str) -> list[Caption]:
    """Write what a model wrote, end the job, and show the best where no person's text stands."""
    raise NotImplementedError


def pick(image: Image, caption: Caption, by: Owner) -> Version:
    """Show a candidate. Raises NotFound for a candidate of another image."""
    raise NotImplementedError


def edit(image: Image, text: str, by: Owner) -> Version:
    """Show a person's own text. Raises Invalid for an empty or overlong one."""
    raise NotImplementedError


def restore(image: Image, number: int, by: Owner) -> Version:
    """Show an earlier version's text again, as a new version. Raises NotFound."""
    raise NotImplementedError
