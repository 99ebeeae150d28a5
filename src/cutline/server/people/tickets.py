"""Tickets: what opens one websocket, once and soon, for clients that cannot send a header with it.

A key in a URL would stay in the logs of every proxy on the way, and work on. A ticket that is found there is
worth nothing. It says who asked for it, not who they are: the key or session must still work when it is used.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from uuid import UUID

from django.core.cache import cache

from cutline.server import security_log
from cutline.server.cache_errors import cache_errors
from cutline.server.errors import ServiceUnavailable, Unauthenticated
from cutline.server.security_log import Event

LASTS_S = 30
PREFIX = "wt_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bearer:
    """Whom a ticket lets in: whoever holds this API key or, where there is none, this session."""

    key_id: UUID | None = None
    session_key: str = ""


def issue(bearer: Bearer) -> str:
    """Make a ticket. Raises ServiceUnavailable."""
    ticket = PREFIX + secrets.token_urlsafe(32)
    kept = {"key": bearer.key_id.hex if bearer.key_id else "", "session": bearer.session_key}
    try:
        cache.set(_place_of(ticket), kept, LASTS_S)
    except cache_errors() as error:
        raise ServiceUnavailable("Tickets cannot be kept at the moment.", hint="Try again.") from error
    return ticket


def redeem(ticket: str) -> Bearer:
    """Use a ticket up. Raises Unauthenticated where it is unknown, too old or used, ServiceUnavailable."""
    place = _place_of(ticket)
    try:
        kept = cache.get(place)
        is_ours = cache.delete(place)  # of two who come at once, one deletes it
    except cache_errors() as error:
        raise ServiceUnavailable("Tickets cannot be checked at the moment.", hint="Try again.") from error
    if kept is None or not is_ours:
        security_log.write(Event.TICKET_REFUSED)
        raise Unauthenticated(
            "This ticket does not work: it is wrong, used or too old.", hint="Ask for a new one."
        )
    return Bearer(key_id=UUID(kept["key"]) if kept["key"] else None, session_key=kept["session"])


def _place_of(ticket: str) -> str:
    # Whoever reads the cache shall find no tickets in it.
    return "ticket:" + hashlib.sha256(ticket.encode()).hexdigest()
