"""How far bulks are: counted from their items, told to their owners, ended when nothing waits."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.core.cache import cache
from django.db.models import Count
from django.utils import timezone

from cutline.server.bulk.models import OPEN_STATES, Bulk, BulkItem, BulkState
from cutline.server.events.services import emit
from cutline.server.transactions import retried

PROGRESS_S = 1  # progress is told no more often


def counts(bulk: Bulk) -> dict[str, int]:
    """Numbers of items by state, and their total."""
    found = dict(
        BulkItem.objects.filter(bulk=bulk).values_list("state").annotate(number=Count("pk")).order_by()
    )
    return with_total(found)


def with_total(found: Mapping[str, int]) -> dict[str, int]:
    """The same with zeros for missing states, and the total."""
    by_state = {str(state): found.get(state, 0) for state in BulkItem.State}
    return {"total": sum(by_state.values()), **by_state}


@retried
def progress(bulk_id: uuid.UUID) -> None:
    """Emit the progress of an open bulk, at most once a second."""
    if not cache.add(f"bulk-progress-{bulk_id.hex}", 1, PROGRESS_S):
        return
    bulk = Bulk.objects.filter(pk=bulk_id, state__in=OPEN_STATES).first()
    if bulk is not None:
        emit_progress(bulk)


def emit_progress(bulk: Bulk) -> None:
    """Write the event that tells how far a bulk is, or that it has ended, in the caller's transaction."""
    data: dict[str, Any] = {"bulk": str(bulk.pk), "state": str(bulk.state), "counts": counts(bulk)}
    if bulk.error_code:
        data["error"] = {"code": bulk.error_code, "message": bulk.error_message}
    emit(bulk.owner_id, "bulk.progress" if bulk.state in OPEN_STATES else "bulk.done", data)


def end_if_done(bulk_id: uuid.UUID) -> None:
    """End a bulk none of whose items waits any more, else tell its progress. Call it after the commit."""
    waiting = BulkItem.objects.filter(bulk_id=bulk_id, state=BulkItem.State.WAITING)
    if waiting.exists() or not _end_done(bulk_id):
        progress(bulk_id)


@retried
def _end_done(bulk_id: uuid.UUID) -> bool:
    ended = Bulk.objects.filter(pk=bulk_id, state=BulkState.RUNNING, expanded_at__isnull=False).update(
        state=BulkState.DONE, ended_at=timezone.now()
    )
    if ended:
        emit_progress(Bulk.objects.get(pk=bulk_id))
    return bool(ended)
