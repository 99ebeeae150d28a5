"""What became of the captions of one version: numbers only."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet

from cutline.server.canary.sequential import Counts, mean_interval, median_interval
from cutline.server.captions.models import Caption
from cutline.server.feedback.models import Feedback, Rating
from cutline.server.jobs.models import Priority
from cutline.server.steering.models import Failure, Shadow
from cutline.server.steering.trials import agreement

MOST_OF_ONE = 20
"""Captions of one owner that count: nobody shall decide alone."""

_MOST = 50_000
_MOST_EDITS = 2_000
_HAPPENED = ("edited", "picked", "rated_up", "rated_down")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """A figure of one arm, with its interval of 95%, and how much it rests on. share: it is one, of 0 to 1.

    None where there is nothing to tell.
    """

    name: str
    value: float | None
    low: float | None
    high: float | None
    of: int
    is_share: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """The captions that one version wrote, the best of each job, since some moment.

    ``edited``, ``picked`` (another one than the first) and ``rated_down`` are captions to which that
    happened; ``counts.bad`` those to which any of it did. ``failures`` are of photos that it was asked for.
    ``edit_distance`` is the mean share of words that edits changed. ``median_s`` is the median time of
    interactive jobs. None where there is nothing to tell.
    """

    captions: int
    owners: int
    edited: int
    picked: int
    rated_up: int
    rated_down: int
    counts: Counts
    failures: Counts
    edit_distance: float | None
    median_s: float | None
    measures: Sequence[Measure]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowArm:
    """How a challenger did on photos that the champion captioned: nobody saw it."""

    photos: int
    measures: Sequence[Measure]


def arm(bundle_hash: str, since: datetime) -> Arm:
    """Compute what became of a version's captions since then."""
    rows = _counted(_captions(bundle_hash, since))
    times = [
        (row["job__ended_at"] - row["job__created_at"]).total_seconds()
        for row in rows
        if row["job__ended_at"] and row["job__priority"] == Priority.INTERACTIVE
    ]
    happened = {name: sum(row[name] for row in rows) for name in _HAPPENED}
    counts = Counts(
        all=len(rows), bad=sum(row["edited"] or row["picked"] or row["rated_down"] for row in rows)
    )
    failed = Failure.objects.filter(model_hash=bundle_hash, at__gte=since).count()
    failures = Counts(all=_captions(bundle_hash, since).count() + failed, bad=failed)
    distances = _edit_distances(bundle_hash, since)
    shares = {"changed": counts} | {
        name: Counts(all=len(rows), bad=number) for name, number in happened.items()
    }
    return Arm(
        captions=len(rows),
        owners=len({row["image__owner_id"] for row in rows}),
        **happened,
        counts=counts,
        failures=failures,
        edit_distance=_mean(distances),
        median_s=round(statistics.median(times), 3) if times else None,
        measures=[
            *(_share(name, each) for name, each in (shares | {"failed": failures}).items()),
            _of_mean("edit_distance", distances),
            _of_median("median_s", times),
        ],
    )


def shadow_arm(champion_hash: str, challenger_hash: str, since: datetime) -> ShadowArm:
    """Compute how the challenger's captions compared since then, where it tried the champion's photos."""
    rows = list(
        Shadow.objects.filter(champion_hash=champion_hash, challenger_hash=challenger_hash, at__gte=since)
        .order_by("-at")
        .values_list("agreement", "champion_s", "challenger_s")[:_MOST]
    )
    agreements = [row[0] for row in rows if row[0] is not None]
    failed = Counts(all=len(rows), bad=len(rows) - len(agreements))
    same = Counts(all=len(agreements), bad=sum(each == 1 for each in agreements))
    return ShadowArm(
        photos=len(rows),
        measures=[
            _of_mean("agreement", agreements),
            _share("same", same),
            _share("failed", failed),
            _of_median("champion_s", [row[1] for row in rows]),
            _of_median("challenger_s", [row[2] for row in rows]),
        ],
    )


def _share(name: str, counts: Counts) -> Measure:
    low, high = counts.interval
    known = bool(counts.all)
    return Measure(
        name=name,
        value=counts.share if known else None,
        low=low if known else None,
        high=high if known else None,
        of=counts.all,
    )


def _of_mean(name: str, values: Sequence[float]) -> Measure:
    low, high = mean_interval(values)
    return Measure(name=name, value=_mean(values), low=low, high=high, of=len(values))


def _of_median(name: str, values: Sequence[float]) -> Measure:
    low, high = median_interval(values)
    middle = round(statistics.median(values), 3) if values else None
    return Measure(name=name, value=middle, low=low, high=high, of=len(values), is_share=False)


def _mean(values: Sequence[float]) -> float | None:
    return round(statistics.fmean(values), 4) if values else None


def _captions(bundle_hash: str, since: datetime) -> QuerySet[Any, Any]:
    later = Feedback.objects.filter(image=OuterRef("image"), created_at__gte=OuterRef("created_at"))
    ratings = Rating.objects.filter(caption__job=OuterRef("job"))
    return (
        Caption.objects.filter(model_hash=bundle_hash, rank=0, style__isnull=True, created_at__gte=since)
        .exclude(job=None)
        .annotate(
            edited=Exists(later.filter(kind=Feedback.Kind.EDIT, styled=False)),
            picked=Exists(
                later.filter(kind=Feedback.Kind.PICK, caption__job=OuterRef("job"), caption__rank__gt=0)
            ),
            rated_up=Exists(ratings.filter(value=1)),
            rated_down=Exists(ratings.filter(value=-1)),
        )
        .order_by("created_at")
        .values(
            "image__owner_id",
            "job__created_at",
            "job__ended_at",
            "job__priority",
            "edited",
            "picked",
            "rated_up",
            "rated_down",
        )[:_MOST]
    )


def _counted(rows: QuerySet[Any, Any]) -> list[dict[str, Any]]:
    """The first captions of each owner."""
    seen: Counter[object] = Counter()
    kept = []
    for row in rows:
        seen[row["image__owner_id"]] += 1
        if seen[row["image__owner_id"]] <= MOST_OF_ONE:
            kept.append(row)
    return kept


def _edit_distances(bundle_hash: str, since: datetime) -> list[float]:
    edits = Feedback.objects.filter(
        kind=Feedback.Kind.EDIT, caption__model_hash=bundle_hash, caption__created_at__gte=since
    ).values_list("before", "after")[:_MOST_EDITS]
    return [1 - agreement(before, after) for before, after in edits]
