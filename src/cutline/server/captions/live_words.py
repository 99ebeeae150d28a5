"""The words of a job while a language model writes them: told to the owner's sockets, and kept for a moment.

They are kept in the cache, of which each process of the service has the same, for streams that join later.
What was lost on the way costs nothing: each message has all words of its caption so far.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any
from uuid import UUID

from django.core.cache import cache

from cutline.server.events import channel
from cutline.server.jobs.models import Job
from cutline.server.styler import Words, Written, as_told

log = logging.getLogger(__name__)

TYPE = "styles.words"
_KEPT_S = 600  # those of a worker that was killed
_EVERY_S = 0.08  # more often, nobody reads


def run_of(job: Job) -> int:
    """Which attempt at a job this is: a number that grows from one to the next, also after a retry."""
    return round(job.started_at.timestamp() * 1000) if job.started_at else 0


def spoken(job_id: UUID) -> tuple[Mapping[str, Any], ...]:
    """The latest message of each caption that a job is writing, as told. Whoever asks may see the job."""
    try:
        found = cache.get(_key(job_id), {})
    except Exception as error:  # whatever a cache's driver raises: the words come again with the next message
        log.warning("The words of a job cannot be read: %s", error)
        return ()
    return tuple(sorted(found.values(), key=lambda message: message["seq"]))


class LiveWords:
    """Tells the words of one job. A context: at its end they are forgotten."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._seq = 0
        self._messages: dict[int, Mapping[str, Any]] = {}
        self._said: tuple[int, int] | None = None  # number and attempt of the last message
        self._told_at = 0.0

    def __enter__(self) -> LiveWords:
        """Begin anew: what another worker told does not count any more."""
        self._forget()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Forget."""
        self._forget()

    def tell(self, words: Words) -> None:
        """Tell words as they come, some at a time."""
        said = words.number, words.attempt
        if said == self._said and time.monotonic() < self._told_at + _EVERY_S:
            return
        self._said = said
        self._tell(words)

    def tell_whole(self, written: Written) -> None:
        """Tell a caption that is finished, or was refused."""
        self._said = None
        self._tell(written)

    def _tell(self, event: Words | Written) -> None:
        self._seq += 1
        self._told_at = time.monotonic()
        message = {
            "job": str(self._job.pk),
            "image": str(self._job.image_id),
            "run": run_of(self._job),
            "seq": self._seq,
            **as_told(event),
        }
        self._messages[event.number] = message
        try:
            cache.set(_key(self._job.pk), dict(self._messages), timeout=_KEPT_S)
        except Exception as error:  # as above
            log.warning("The words of a job cannot be kept: %s", error)
        channel.send(channel.group_of(self._job.owner_id), {"type": "words", "data": message})

    def _forget(self) -> None:
        try:
            cache.delete(_key(self._job.pk))
        except Exception as error:  # as above
            log.warning("The words of a job cannot be forgotten: %s", error)


def _key(job_id: UUID) -> str:
    return f"cutline.words.{job_id.hex}"
