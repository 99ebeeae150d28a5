"""Telling workers that there may be work. A lost hint costs a moment: workers also look by themselves."""

from __future__ import annotations

from collections.abc import Callable

from cutline.server.celery_app import enqueue

WORK = "cutline.jobs.work"

_listener: Callable[[], None] | None = None


def listen(listener: Callable[[], None] | None) -> None:
    """Give this process's hints to its own worker threads from now on; None: to the queue again."""
    global _listener
    _listener = listener


def hint() -> None:
    """Wake the workers; call it after the commit that made work.

    Where workers are threads of this process, they are woken directly: the broker would carry the same words
    to the same threads 10 ms later.
    """
    if _listener is not None:
        _listener()
    else:
        enqueue(WORK)


def has_local_workers() -> bool:
    """Whether this process has worker threads of its own."""
    return _listener is not None
