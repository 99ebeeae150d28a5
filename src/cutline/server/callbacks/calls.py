"""Whether a call is the function's own, and comes for the first time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from django.core.cache import cache

from cutline.server.config import settings
from cutline.server.errors import Conflict, NotFound, Unauthenticated
from cutline.server.jobs import lending
from cutline.signatures import ID, TIMESTAMP, TOLERANCE_S, fault_of


def check(headers: Mapping[str, str], body: bytes) -> None:
    """Let a call through once. Each try of a message is signed with its own time: a repeat is a replay.

    Raises NotFound where the settings want no calls, Unauthenticated for a signature that is missing, wrong
    or too old, Conflict for one that was used before, and what the cache raises: what cannot be remembered
    is not let through.
    """
    secrets = settings().callback_secret.get_secret_value().split()
    if not lending.is_on() or not secrets:
        raise NotFound("This service takes no captions from a function.")
    if fault := fault_of(secrets, headers, body):
        raise Unauthenticated(fault)
    # What is signed, not the signature: the header could name that in other words.
    signed = f"{headers[ID]}.{int(headers[TIMESTAMP])}.{hashlib.sha256(body).hexdigest()}"
    if not once(f"call:{signed}", for_s=2 * TOLERANCE_S):
        raise Conflict("This call came before.", hint="Sign each call with its own time.")


def once(name: str, *, for_s: float) -> bool:
    """Whether this is the first time within so many seconds."""
    return cache.add(_key(name), 1, timeout=int(for_s))


def was(name: str) -> bool:
    """Whether `once` was called for it, not too long ago."""
    return cache.get(_key(name)) is not None


def _key(name: str) -> str:
    return f"cutline.callback.{hashlib.sha256(name.encode()).hexdigest()}"
