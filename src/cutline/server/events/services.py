"""Write events, in the transaction of what happened; send them once it is committed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.utils import timezone

from cutline.server import wiring
from cutline.server.config import settings
from cutline.server.events.channel import group_of, send
from cutline.server.events.models import Event
from cutline.server.events.schema import check
from cutline.server.people.models import Owner


def emit(owner_id: UUID, type: str, data: Mapping[str, Any]) -> Event:
    """Record what happened to an owner's things, in the caller's transaction, and tell sockets and webhooks.

    type, data: one of contracts/events.schema.json. Raises pydantic.ValidationError where they are not.
    """
    [event] = emit_all(owner_id, [(type, data)])
    return event


def emit_all(owner_id: UUID, told: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Event]:
    """As `emit`, of several things that happened at once, in their order; (type, data) each."""
    with transaction.atomic(savepoint=False):
        _one_after_the_other(owner_id)
        # Sockets compare it with what they sent last: so none is skipped where messages overtake each other.
        previous = (
            Event.objects.filter(owner_id=owner_id).order_by("-pk").values_list("pk", flat=True).first() or 0
        )
        events = [Event(owner_id=owner_id, type=type, data=dict(data)) for type, data in told]
        Event.objects.bulk_create(events)
        for event in events:
            check(as_message(event))
        wiring.call(wiring.EVENTS_WRITTEN, owner_id, events)
    group = group_of(owner_id)
    for event in events:
        message = {"type": "event", "event": as_message(event), "previous": previous}
        transaction.on_commit(partial(send, group, message))
        previous = event.pk
    return events


def _one_after_the_other(owner_id: UUID) -> None:
    """Let an owner's events be committed in the order of their numbers.

    PostgreSQL numbers rows before they are committed: without this, whoever saw 6 and asks for what came
    after it could miss 5. SQLite has one writer at a time anyway.
    """
    if connection.features.has_select_for_update:
        # Not "for update": rows that refer to the owner may be written meanwhile.
        list(Owner.objects.filter(pk=owner_id).select_for_update(no_key=True).values_list("pk"))


def as_message(event: Event) -> dict[str, Any]:
    """An event as sockets and GET /events give it."""
    return {"id": event.id, "type": event.type, "data": event.data, "at": event.created_at.isoformat()}


def recheck(owner_id: UUID) -> None:
    """Let an owner's sockets see whether they may still listen: after a logout, or when a key was revoked."""
    transaction.on_commit(lambda: send(group_of(owner_id), {"type": "recheck"}))


def forget_images(owner_ids: Iterable[UUID], image_ids: Iterable[UUID]) -> None:
    """Take the words of images that are gone for good out of events.

    The events stay, without text: a socket that saw one of them can still resume from its number.
    """
    gone = list(image_ids)
    told = Event.objects.filter(
        owner_id__in=list(owner_ids), type__in=("caption.ready", "caption.changed", "styles.ready")
    )
    for event in told.filter(data__image__in=[str(image_id) for image_id in gone]):
        emptied = {name: [] if isinstance(value, list) else "" for name, value in event.data.items()}
        kept = {name: event.data[name] for name in event.data.keys() - {"caption", "captions"}}
        Event.objects.filter(pk=event.pk).update(data={**emptied, **kept})


def sweep() -> int:
    """Forget events that are older than settings.event_hours; returns how many rows went."""
    too_old = timezone.now() - timedelta(hours=settings().event_hours)
    return Event.objects.filter(created_at__lt=too_old).delete()[0]
