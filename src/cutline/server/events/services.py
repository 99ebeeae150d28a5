"""Write events, in the transaction of what happened; send them once it is committed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import transaction

from cutline.server.events.channel import group_of, send
from cutline.server.events.models import Event


def emit(owner_id: UUID, type: str, data: Mapping[str, Any]) -> Event:
    """Record what happened to an owner's things, in the caller's transaction, and tell sockets and webhooks.

    type, data: one of contracts/events.schema.json.
    """
    from cutline.server.webhooks.services import enqueue_for

    event = Event.objects.create(owner_id=owner_id, type=type, data=dict(data))
    enqueue_for(event)
    transaction.on_commit(lambda: send(group_of(owner_id), {"type": "event", "event": as_message(event)}))
    return event


def as_message(event: Event) -> dict[str, Any]:
    """An event as sockets and GET /events give it."""
    return {"id": event.id, "type": event.type, "data": event.data, "at": event.created_at.isoformat()}
