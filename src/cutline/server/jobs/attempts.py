"""What a failed attempt means: whether another may succeed, when, and what its owner reads."""

from __future__ import annotations

import random

from django.db import InterfaceError, OperationalError

from cutline.errors import CaptionerUnavailable, CutlineError
from cutline.server.config import settings
from cutline.server.errors import ServiceUnavailable

_LONGEST_WAIT_S = 600.0


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
