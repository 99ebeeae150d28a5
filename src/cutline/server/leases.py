"""Leases: rows that one worker at a time works on, told by a token and the moment at which it ends.

Whoever claims a row writes a new token into it. What came of the work is written by an UPDATE on condition
of that token, so that a worker that was overtaken, or cancelled, changes nothing. A lease that ran out leaves
the row to others; long work renews it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

from django.db import connection, models
from django.db.models import Q, QuerySet
from django.utils import timezone

from cutline.server.transactions import retried

FREE: Mapping[str, None] = {"lease_token": None, "lease_until": None}
"""What a row says that nobody holds."""


class Leased(models.Model):
    """The columns of a row that is worked on under a lease. `state` is the model's own."""

    state: models.CharField[Any, Any]
    attempts = models.PositiveSmallIntegerField(default=0)  # times that it was claimed
    run_after = models.DateTimeField(default=timezone.now)  # back-off
    lease_token = models.UUIDField(null=True, blank=True)  # whoever holds it may write the result
    lease_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True


L = TypeVar("L", bound=Leased)


def is_free(now: datetime) -> Q:
    """Nobody holds the row: it was never claimed, or its lease ran out."""
    return Q(lease_until__isnull=True) | Q(lease_until__lt=now)


def claim(
    candidates: QuerySet[L], *, for_s: float, then: Callable[[L], None] | None = None, **values: Any
) -> L | None:
    """Take the first of these rows with a lease of for_s seconds; None where there is none.

    candidates: in the order in which they are wanted. values: what else is written with the lease. then:
    called with the row in the same transaction. Two workers never get the same row: the lease is written only
    where state, attempts and token are still as they were read.
    """
    take = _claim_skipping_locked if _skips_locked() else _claim_by_condition
    return take(candidates, for_s, then or _nothing, values)


def _nothing(row: object) -> None:
    pass


def _skips_locked() -> bool:
    return bool(connection.features.has_select_for_update_skip_locked)


@retried
def _claim_skipping_locked(
    candidates: QuerySet[L], for_s: float, then: Callable[[L], None], values: Mapping[str, Any]
) -> L | None:
    row = candidates.select_for_update(skip_locked=True, of=("self",)).first()
    return row if row is not None and _take(row, for_s, then, values) else None


def _claim_by_condition(
    candidates: QuerySet[L], for_s: float, then: Callable[[L], None], values: Mapping[str, Any]
) -> L | None:
    """Without row locks (SQLite): whoever changes the row first has it, the others look again."""
    while (row := candidates.first()) is not None:
        if retried(_take)(row, for_s, then, values):
            return row
    return None


def _take(row: L, for_s: float, then: Callable[[L], None], values: Mapping[str, Any]) -> bool:
    """Write the lease, and say whether the row was still as it was read."""
    as_read = type(row)._default_manager.filter(
        pk=row.pk, state=row.state, attempts=row.attempts, lease_token=row.lease_token
    )
    lease = {
        "attempts": row.attempts + 1,
        "lease_token": uuid4(),
        "lease_until": timezone.now() + timedelta(seconds=for_s),
        **values,
    }
    if not as_read.update(**lease):
        return False
    set_values(row, lease)
    then(row)
    return True


def is_held(rows: QuerySet[L], row_id: UUID, token: UUID) -> bool:
    """Whether the lease of a row is still this one."""
    return rows.filter(pk=row_id, lease_token=token).exists()


def renew(rows: QuerySet[L], tokens: Collection[UUID], *, for_s: float) -> list[L]:
    """Lengthen these leases by for_s seconds from now, and return the rows that they still hold."""
    held = rows.filter(lease_token__in=tokens)
    held.update(lease_until=timezone.now() + timedelta(seconds=for_s))
    return list(held)


def change(rows: QuerySet[L], row: L, token: UUID | None, values: Mapping[str, Any]) -> bool:
    """Write to a row, and to the object, if this token still holds it. Returns whether it did.

    With FREE among the values the lease ends. token: passed by itself, because a transaction that runs again
    finds the object changed by its first run.
    """
    if token is None or not rows.filter(pk=row.pk, lease_token=token).update(**values):
        return False
    set_values(row, values)
    return True


def expired(rows: QuerySet[L], now: datetime) -> QuerySet[L]:
    """Those of these rows whose lease ran out, the oldest first: their workers are gone, or hang."""
    return rows.filter(lease_until__lt=now).order_by("lease_until")


def set_values(row: models.Model, values: Mapping[str, Any]) -> None:
    """Set on the object what was written to its row."""
    for name, value in values.items():
        setattr(row, name, value)
