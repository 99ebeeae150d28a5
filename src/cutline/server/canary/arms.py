"""What became of the captions of one version: numbers only."""

from __future__ import annotations

import difflib
import statistics
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet

from cutline.server.canary.sequential import Counts
from cutline.server.captions.models import Caption
from cutline.server.feedback.models import Feedback, Rating
from cutline.server.jobs.models import Priority

MOST_OF_ONE = 20
"""Captions of one owner that count: nobody shall decide alone."""

_MOST = 50_000
_MOST_EDITS = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """The captions that one version wrote, the best of each job, since some moment.

    ``edited``, ``picked`` (another one than the first) and ``rated_down`` are captions to which that
    happened; ``counts.bad`` those to which any of it did. ``edit_distance`` is the mean share of words that
    edits changed. ``median_s`` is the median time of interactive jobs. None where there is nothing to tell.
    """

    captions: int
    owners: int
    edited: int
    picked: int
    rated_up: int
    rated_down: int
    counts: Counts
    edit_distance: float | None
    median_s: float | None


def arm(bundle_hash: str, since: datetime) -> Arm:
    """Compute what became of a version's captions since then."""
    rows = _counted(_captions(bundle_hash, since))
    times = [
        (row["job__ended_at"] - row["job__created_at"]).total_seconds()
        for row in rows
        if row["job__ended_at"] and row["job__priority"] == Priority.INTERACTIVE
    ]
    return Arm(
        captions=len(rows),
        owners=len({row["image__owner_id"] for row in rows}),
        edited=sum(row["edited"] for row in rows),
        picked=sum(row["picked"] for row in rows),
        rated_up=sum(row["up"] for row in rows),
        rated_down=sum(row["down"] for row in rows),
        counts=Counts(all=len(rows), bad=sum(row["edited"] or row["picked"] or row["down"] for row in rows)),
        edit_distance=_edit_distance(bundle_hash, since),
        median_s=round(statistics.median(times), 3) if times else None,
    )


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
            up=Exists(ratings.filter(value=1)),
            down=Exists(ratings.filter(value=-1)),
        )
        .order_by("created_at")
        .values(
            "image__owner_id",
            "job__created_at",
            "job__ended_at",
            "job__priority",
            "edited",
            "picked",
            "up",
            "down",
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


def _edit_distance(bundle_hash: str, since: datetime) -> float | None:
    edits = Feedback.objects.filter(
        kind=Feedback.Kind.EDIT, caption__model_hash=bundle_hash, caption__created_at__gte=since
    ).values_list("before", "after")[:_MOST_EDITS]
    shares = [
        1 - difflib.SequenceMatcher(None, before.lower().split(), after.lower().split()).ratio()
        for before, after in edits
    ]
    return round(statistics.fmean(shares), 4) if shares else None
