"""Bulks: many photos from an archive or a list of URLs."""

from __future__ import annotations

from typing import Any

from cutline.server.jobs.models import Job


def run(job: Job, context: Any) -> None:
    """Expand a bulk into images and caption jobs (JobKind.BULK)."""
    raise NotImplementedError


def run_fetch(job: Job, context: Any) -> None:
    """Get the photo of a URL, then caption it (JobKind.FETCH)."""
    raise NotImplementedError


def job_ended(job: Job) -> None:
    """Note in a bulk's item how its job ended. Called in the transaction that ends a job with a bulk_item."""


def sweep() -> None:
    """Settle bulks whose last item ended while nobody looked."""
