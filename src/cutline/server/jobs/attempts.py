"""What a failed attempt means: whether another may succeed, when, and what its owner reads."""

from __future__ import annotations

import random
from collections.abc import Mapping

from django.db import InterfaceError, OperationalError

from cutline.errors import CaptionerUnavailable, CutlineError
from cutline.server.config import settings
from cutline.server.errors import ServiceUnavailable
from cutline.server.jobs.models import JobKind

_LONGEST_WAIT_S = 600.0


_FEWER_TRIES: Mapping[str, int] = {JobKind.STYLE: 2}  # somebody watches, and asks again themselves


def most_tries(kind: str) -> int:
    """How often a job of this kind is tried before it fails for good."""
    return min(settings().max_attempts, _FEWER_TRIES.get(kind, settings().max_attempts))


def is_transient(error: Exception) -> bool:
    """Whether the same job may succeed later: something it depends on did not answer."""
    if isinstance(error, CutlineError):
        return isinstance(error, (CaptionerUnavailable, ServiceUnavailable))
    return isinstance(error, (OperationalError, InterfaceError, OSError, MemoryError))


def reason_of(error: Exception) -> tuple[str, str]:
    """The code and message that an owner sees. What nobody foresaw says nothing of our insides."""
    if isinstance(error, CutlineError):
        return error.code, str(error)
    if is_transient(error):
        return (
            ServiceUnavailable.code,
            "A service that captioning depends on is not responding. Try again.",
        )
    return "internal_error", "Internal error. Retry the job; if it fails again, report its id."


def backoff_s(tries: int) -> float:
    """How long to wait after so many tries: doubling, and never the same for two jobs."""
    longest: float = min(_LONGEST_WAIT_S, settings().retry_base_s * 2.0 ** (tries - 1))
    return longest * random.uniform(0.5, 1.0)
