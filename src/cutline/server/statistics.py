"""Statistics for staff: numbers only, never anybody's pictures or texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import Count, Min, Model, Q, QuerySet
from django.db.models.functions import TruncDate
from django.utils import timezone

from cutline.server.captions.models import Caption
from cutline.server.feedback.models import Feedback, Rating
from cutline.server.images.models import Image, Moderation, Report, Visibility
from cutline.server.jobs.models import Job, JobKind, JobState, Priority
from cutline.server.mail.models import Mail
from cutline.server.people.models import Owner, User
from cutline.server.webhooks.models import Webhook

MAX_DAYS = 90
_SAMPLE = 20_000  # jobs whose latency is looked at, the newest ones


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Seconds from request to caption of interactive jobs; None on a day without any."""

    median_s: float | None
    p95_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One day, by UTC."""

    date: date
    uploads: int
    accounts: int
    ratings_up: int
    ratings_down: int
    edits: int
    picks: int
    copies: int
    failed_jobs: int
    latency: Latency


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """Jobs that are queued or running now."""

    interactive: int
    bulk: int
    running: int
    oldest_s: float | None  # how long the first in line has waited


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelUse:
    """A model that wrote captions in these days."""

    model: str
    captions: int
    ratings_up: int
    ratings_down: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """All numbers of the dashboard."""

    since: date
    days: Sequence[Day]
    queue: Queue
    models: Sequence[ModelUse]
    images: int
    public_images: int
    accounts: int
    anonymous: int
    held_images: int
    open_reports: int
    failing_webhooks: int
    failed_mails: int


def statistics(days: int = 30) -> Statistics:
    """Compute the statistics of the last days (at most MAX_DAYS), today included."""
    today = timezone.now().date()
    since = today - timedelta(days=min(days, MAX_DAYS) - 1)
    live = Image.objects.filter(deleted_at=None)
    return Statistics(
        since=since,
        days=_days(since, today),
        queue=_queue(),
        models=_models(since),
        images=live.count(),
        public_images=live.filter(published_at__isnull=False).count(),
        accounts=User.objects.count(),
        anonymous=Owner.objects.filter(user=None).count(),
        held_images=live.filter(
            Q(moderation__in=(Moderation.HELD, Moderation.PENDING)) | Q(words_unread_at__isnull=False),
            visibility=Visibility.PUBLIC,
        ).count(),
        open_reports=Report.objects.filter(resolved_at=None).count(),
        failing_webhooks=Webhook.objects.filter(failing_since__isnull=False).count(),
        failed_mails=Mail.objects.filter(state=Mail.State.FAILED).count(),
    )


def _days(since: date, today: date) -> list[Day]:
    uploads = _by_day(Image.objects.all(), "created_at", since)
    accounts = _by_day(User.objects.all(), "created_at", since)
    up = _by_day(Rating.objects.filter(value=1), "changed_at", since)
    down = _by_day(Rating.objects.filter(value=-1), "changed_at", since)
    kinds = {
        kind: _by_day(Feedback.objects.filter(kind=kind), "created_at", since)
        for kind in (Feedback.Kind.EDIT, Feedback.Kind.PICK, Feedback.Kind.COPY)
    }
    failed = _by_day(Job.objects.filter(state=JobState.FAILED), "ended_at", since)
    latency = _latency(since)
    nothing = Latency(median_s=None, p95_s=None)
    return [
        Day(
            date=day,
            uploads=uploads.get(day, 0),
            accounts=accounts.get(day, 0),
            ratings_up=up.get(day, 0),
            ratings_down=down.get(day, 0),
            edits=kinds[Feedback.Kind.EDIT].get(day, 0),
            picks=kinds[Feedback.Kind.PICK].get(day, 0),
            copies=kinds[Feedback.Kind.COPY].get(day, 0),
            failed_jobs=failed.get(day, 0),
            latency=latency.get(day, nothing),
        )
        for day in _dates(since, today)
    ]


def _dates(since: date, today: date) -> Iterable[date]:
    return (since + timedelta(days=number) for number in range((today - since).days + 1))


def _by_day(rows: QuerySet[Any], field: str, since: date) -> Mapping[date, int]:
    found = rows.filter(**{f"{field}__gte": _midnight(since)}).annotate(day=TruncDate(field))
    return dict(found.values_list("day").annotate(number=Count("pk")).order_by())


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=timezone.get_default_timezone())


def _latency(since: date) -> Mapping[date, Latency]:
    ended = Job.objects.filter(
        kind=JobKind.CAPTION,
        state=JobState.DONE,
        priority=Priority.INTERACTIVE,
        ended_at__gte=_midnight(since),
        created_at__gte=_midnight(since),
    ).order_by("-created_at")
    taken: dict[date, list[float]] = {}
    for created, done in ended.values_list("created_at", "ended_at")[:_SAMPLE]:
        if done is not None:
            taken.setdefault(done.date(), []).append((done - created).total_seconds())
    return {
        day: Latency(median_s=_quantile(sorted(times), 0.5), p95_s=_quantile(sorted(times), 0.95))
        for day, times in taken.items()
    }


def _quantile(ordered: Sequence[float], share: float) -> float:
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 4)


def _queue() -> Queue:
    queued = Job.objects.filter(state=JobState.QUEUED)
    found = queued.aggregate(
        interactive=Count("pk", filter=Q(priority__lt=Priority.BULK)),
        bulk=Count("pk", filter=Q(priority__gte=Priority.BULK)),
        oldest=Min("created_at", filter=Q(run_after__lte=timezone.now(), priority__lt=Priority.BULK)),
    )
    oldest = found["oldest"]
    return Queue(
        interactive=found["interactive"],
        bulk=found["bulk"],
        running=Job.objects.filter(state=JobState.RUNNING).count(),
        oldest_s=round((timezone.now() - oldest).total_seconds(), 3) if oldest else None,
    )


def _models(since: date) -> list[ModelUse]:
    captions = Caption.objects.filter(created_at__gte=_midnight(since))
    written = _by_model(captions, "model")
    rated = Rating.objects.filter(changed_at__gte=_midnight(since))
    up = _by_model(rated.filter(value=1), "caption__model")
    down = _by_model(rated.filter(value=-1), "caption__model")
    return [
        ModelUse(model=model, captions=number, ratings_up=up.get(model, 0), ratings_down=down.get(model, 0))
        for model, number in sorted(written.items(), key=lambda pair: -pair[1])
    ]


def _by_model(rows: QuerySet[Model], field: str) -> Mapping[str, int]:
    return dict(rows.values_list(field).annotate(number=Count("pk")).order_by())
