"""The id that a request carries into its jobs and through every log line that they write."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_current: ContextVar[str] = ContextVar("cutline_request_id", default="")
_ACCEPTABLE = re.compile(r"[A-Za-z0-9_.:-]{1,64}")


def current() -> str:
    """The request id of what is being done now; empty outside a request or job."""
    return _current.get()


def new(offered: str = "") -> str:
    """Give the id that a client offered where it is fit to be logged, otherwise a fresh one."""
    return offered if _ACCEPTABLE.fullmatch(offered) else secrets.token_hex(8)


@contextmanager
def bound(request_id: str) -> Iterator[str]:
    """Work under a request id: `with bound(job.request_id):`."""
    token = _current.set(request_id)
    try:
        yield request_id
    finally:
        _current.reset(token)
