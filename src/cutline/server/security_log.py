"""The security log: who did what, from where, and whether it was refused. A line of JSON for each event.

`write` is called where something happens; who asks is bound once for each request, by `bound` and `identify`.
Lines name accounts, keys and owners by their ids, never by a name, a mail address or a secret. The events are
listed in docs/security.md.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

LOGGER = "cutline.security"
MOST_REFUSALS, PER_S = 20, 60.0  # lines of one kind from one address; then their number is told
_MOST_ADDRESSES = 10_000

_log = logging.getLogger(LOGGER)


class Event(StrEnum):
    """Everything that is logged."""

    SIGNED_UP = "account.signed_up"
    SIGNED_IN = "sign_in.succeeded"
    SIGN_IN_FAILED = "sign_in.failed"
    SIGNED_OUT = "sign_out"
    SECOND_FACTOR_FAILED = "second_factor.failed"
    SECOND_FACTOR_ADDED = "second_factor.added"
    SECOND_FACTOR_REMOVED = "second_factor.removed"
    PASSWORD_CHANGED = "password.changed"
    EMAIL_CHANGED = "email.changed"
    PROVIDER_ADDED = "provider.added"
    PROVIDER_REMOVED = "provider.removed"
    SESSIONS_ENDED = "sessions.ended"
    CONSENT_CHANGED = "consent.changed"
    KEY_CREATED = "key.created"
    KEY_REVOKED = "key.revoked"
    KEY_REFUSED = "key.refused"
    TICKET_REFUSED = "ticket.refused"
    SCOPE_REFUSED = "scope.refused"
    ACCESS_REFUSED = "access.refused"
    RATE_REFUSED = "rate.refused"
    ORIGIN_REFUSED = "origin.refused"
    HOST_REFUSED = "host.refused"
    ROLE_CHANGED = "role.changed"
    ACCOUNT_CLOSED = "account.closed"
    ACCOUNT_REOPENED = "account.reopened"
    ACCOUNT_DELETED = "account.deleted"
    IMAGES_DELETED = "images.deleted"
    ADMIN_ACTED = "admin.acted"
    DATA_EXPORTED = "data.exported"
    WEBHOOK_CREATED = "webhook.created"
    WEBHOOK_CHANGED = "webhook.changed"
    WEBHOOK_DELETED = "webhook.deleted"
    WEBHOOK_SWITCHED_OFF = "webhook.switched_off"
    IMAGE_REPORTED = "image.reported"
    IMAGE_DECIDED = "image.decided"
    CALLBACK_REFUSED = "callback.refused"
    TOPIC_CONFIRMED = "topic.confirmed"
    MODEL_PROMOTED = "model.promoted"
    MODEL_ROLLED_BACK = "model.rolled_back"
    MODEL_STOPPED = "model.stopped"
    MODEL_SHARES_CHANGED = "model.shares_changed"


REFUSALS = frozenset(
    {
        Event.SIGN_IN_FAILED,
        Event.SECOND_FACTOR_FAILED,
        Event.KEY_REFUSED,
        Event.TICKET_REFUSED,
        Event.SCOPE_REFUSED,
        Event.ACCESS_REFUSED,
        Event.RATE_REFUSED,
        Event.ORIGIN_REFUSED,
        Event.HOST_REFUSED,
        Event.CALLBACK_REFUSED,
    }
)


@dataclass(slots=True, kw_only=True)
class _Source:
    """Who asks: filled in while it becomes known. Empty: the service itself, or nobody known."""

    address: str = ""
    user: str = ""
    key: str = ""
    owner: str = ""


_source: ContextVar[_Source | None] = ContextVar("cutline_security_source", default=None)


@contextmanager
def bound(address: str) -> Iterator[None]:
    """Log what happens within as coming from this network address."""
    token = _source.set(_Source(address=address))
    try:
        yield
    finally:
        _source.reset(token)


def identify(
    *, user: UUID | str | None = None, key: UUID | None = None, owner: UUID | str | None = None
) -> None:
    """Say who asks, once it is known. What is None stays as it was."""
    source = _source.get()
    if source is None:
        return
    source.user = str(user) if user else source.user
    source.key = str(key) if key else source.key
    source.owner = str(owner) if owner else source.owner


def write(event: Event, *, address: str = "", **details: object) -> None:
    """Log an event. address: where `bound` does not know it. details: ids, numbers and fixed words alone."""
    source = _source.get() or _Source()
    address = source.address or address
    refused = event in REFUSALS
    left_out = _refusals.count(f"{event} {address}") if refused else 0
    if left_out is None:
        return
    fields: dict[str, object] = {
        "refused": refused,
        "address": address,
        "user": source.user,
        "key": source.key,
        "owner": source.owner,
        **{name: value if isinstance(value, int | float) else str(value) for name, value in details.items()},
    }
    if left_out:
        fields["left_out"] = left_out
    _log.info(event.value, extra=fields)


def mark_of(text: str, secret: str) -> str:
    """A keyed hash, by which lines about one mail address can be told to belong together."""
    return hmac.digest(secret.encode(), f"security-log:{text}".encode(), hashlib.sha256).hex()[:16]


class _Refusals:
    """How often each kind was refused to each address: whoever floods the service shall not flood the log."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def count(self, kind: str) -> int | None:
        """None where this one is not to be logged; otherwise how many before it were not."""
        now = time.monotonic()
        with self._lock:
            began, number = self._seen.pop(kind, (now, 0))
            left_out = 0
            if now - began > PER_S:
                began, left_out, number = now, max(0, number - MOST_REFUSALS), 0
            self._seen[kind] = (began, number + 1)
            if len(self._seen) > _MOST_ADDRESSES:
                self._seen.popitem(last=False)
        return left_out if number < MOST_REFUSALS else None

    def forget(self) -> None:
        """Count anew. For tests."""
        with self._lock:
            self._seen.clear()


_refusals = _Refusals()
forget = _refusals.forget
