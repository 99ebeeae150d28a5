"""Numbers for staff."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from django.http import HttpRequest
from ninja import Router, Schema
from pydantic import Field

from cutline.server.api.auth import needs
from cutline.server.api.schemas import problems
from cutline.server.statistics import MAX_DAYS, Statistics, statistics

router = Router(tags=["stats"], auth=needs(staff=True))

Days = Annotated[int, Field(ge=1, le=MAX_DAYS, description="How many days, including today.")]


class LatencyOut(Schema):
    """Seconds from request to caption of interactive jobs; null on a day without any."""

    median_s: float | None
    p95_s: float | None


class DayOut(Schema):
    """One day, by UTC."""

    date: date
    uploads: int
    accounts: int = Field(description="New ones.")
    ratings_up: int
    ratings_down: int
    edits: int
    picks: int
    copies: int
    failed_jobs: int
    latency: LatencyOut


class QueueOut(Schema):
    """The queue now."""

    interactive: int
    bulk: int
    running: int
    oldest_s: float | None = Field(description="How long the oldest queued job has waited.")


class ModelUseOut(Schema):
    """A model that wrote captions in these days."""

    model: str
    captions: int
    ratings_up: int
    ratings_down: int


class StatsOut(Schema):
    """Statistics of the service."""

    since: date
    days: list[DayOut]
    queue: QueueOut
    models: list[ModelUseOut]
    images: int
    public_images: int
    accounts: int
    anonymous: int = Field(description="Visitors without an account who have stored something.")
    held_images: int = Field(description="Waiting for a moderator to review their text, or the picture.")
    open_reports: int
    failing_webhooks: int
    failed_mails: int


@router.get("/stats", response={200: StatsOut, **problems(401, 403, 422)})
def get_stats(request: HttpRequest, days: Days = 30) -> Statistics:
    """Uploads, queue, latency, ratings and models in use over time. For staff, by session."""
    return statistics(days)
