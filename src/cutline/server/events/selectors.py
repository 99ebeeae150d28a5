"""Read events: always one owner's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone

from cutline.server.events.models import Event
from cutline.server.events.services import as_message


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Events after some event, in order. reset: some of them are gone."""

    messages: list[dict[str, Any]]
    last: int
    more: bool = False
    reset: bool = False


def after(owner_id: UUID | None, seen: int, *, limit: int) -> Replay:
    """What happened to an owner's things after an event that they have seen (0: from the beginning).

    reset: older events were pruned, or that event is none of theirs (a number from another time, or from
    before they signed in).
    """
    if owner_id is None:
        return Replay(messages=[], last=seen)
    events = Event.objects.filter(owner_id=owner_id)
    reset = seen > 0 and not events.filter(pk=seen).exists()
    found = list(events.filter(pk__gt=0 if reset else seen).order_by("pk")[: limit + 1])
    more = len(found) > limit
    messages = [as_message(event) for event in found[:limit]]
    last = messages[-1]["id"] if messages else (0 if reset else seen)
    return Replay(messages=messages, last=last, more=more, reset=reset)


def newer(owner_id: UUID, seen: int, *, limit: int) -> list[dict[str, Any]]:
    """The first of an owner's events after a number, in order."""
    found = Event.objects.filter(owner_id=owner_id, pk__gt=seen).order_by("pk")[:limit]
    return [as_message(event) for event in found]


def recent(owner_id: UUID, *, seconds: float, limit: int) -> Replay:
    """The newest of what happened in the last seconds, oldest first."""
    since = timezone.now() - timedelta(seconds=seconds)
    found = Event.objects.filter(owner_id=owner_id, created_at__gte=since).order_by("-pk")[:limit]
    messages = [as_message(event) for event in reversed(found)]
    return Replay(messages=messages, last=messages[-1]["id"] if messages else last_of(owner_id))


def last_of(owner_id: UUID) -> int:
    """The number of an owner's newest event; 0 where there is none."""
    return Event.objects.filter(owner_id=owner_id).order_by("-pk").values_list("pk", flat=True).first() or 0
