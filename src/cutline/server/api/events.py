"""What happened to the viewer's things, for those who do not keep a socket open."""

from __future__ import annotations

from typing import Annotated

from django.http import HttpRequest
from ninja import Query, Router, Schema
from pydantic import Field

from cutline.server.api.auth import needs
from cutline.server.api.paging import MAX_LIMIT
from cutline.server.api.schemas import EventOut
from cutline.server.events import selectors
from cutline.server.people.tickets import LASTS_S
from cutline.server.people.viewers import issue_ticket, viewer_of

router = Router(tags=["events"])


class EventsOut(Schema):
    """Events in order. Continue with after=last."""

    items: list[EventOut]
    last: int = Field(description="The number to continue from.")
    more: bool = Field(description="Whether there are more.")
    reset: bool = Field(description="Events before these are gone: read the images and jobs again.")


class TicketOut(Schema):
    """A ticket that opens one websocket: /ws?ticket=..."""

    ticket: str
    lasts_s: int = Field(description="Connect within this many seconds; it works once.")


@router.post("/events/ticket", response=TicketOut, auth=needs("images:read"))
def create_ticket(request: HttpRequest) -> TicketOut:
    """Get a ticket for /ws, where the client can send no header: as an API key in a browser.

    A key in the URL of /ws is refused: URLs are kept in logs.
    """
    return TicketOut(ticket=issue_ticket(request), lasts_s=LASTS_S)


@router.get("/events", response=EventsOut, auth=needs("images:read"))
def list_events(
    request: HttpRequest,
    after: Annotated[int, Query(ge=0, le=2**63 - 1, description="The last event seen.")] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 100,
) -> EventsOut:
    """The viewer's events after a given one, oldest first."""
    found = selectors.after(viewer_of(request).owner_id, after, limit=limit)
    return EventsOut(
        items=[EventOut.model_validate(event) for event in found.messages],
        last=found.last,
        more=found.more,
        reset=found.reset,
    )
