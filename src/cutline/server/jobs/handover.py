"""Handing an idle worker process a photo that is still being stored, and its job once that is written.

Idle workers stand in a set in Redis (the channel layer's). An upload takes one off it and sends it the photo,
by publish/subscribe: Redis keeps no photo, neither in memory nor in its files. The worker captions it while
it is stored (captions/head_start.py). The job is due for other workers a second later than usual; its id goes
to this one alone, which claims it at once. Whatever is lost on the way costs no more than that second.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from cutline.server.cache_errors import cache_errors
from cutline.server.config import settings

if TYPE_CHECKING:
    from redis import Redis
    from redis.client import PubSub

logger = logging.getLogger(__name__)

HELD_S = 1.0  # for so long a job is kept for the worker that has its photo
_MOST_BYTES = 2_000_000  # of a photo: a larger one is read from the store
_IDLE = "cutline:idle-workers"
_PATIENCE_S = 0.5
_LEAVE_ALONE_S = 1.0  # a Redis that did not answer is not asked again for so long
_TRIES = 3  # workers that are asked: one that died may still be in the set

_away_until = 0.0
_is_away = False  # so that it is logged once
_telling = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Offered:
    """A photo that is being stored, and what its job will ask for."""

    image_id: UUID
    photo: bytes
    options: Mapping[str, Any]
    in_canary: bool


def is_possible() -> bool:
    """Whether workers are other processes, which hear events through Redis."""
    return not settings().in_process


# -- by whoever stores a photo -----------------------------------------------------------------------------


def offer(offered: Offered) -> str:
    """Send a photo to an idle worker; its name for `assign`, or "" where none is idle."""
    if not is_possible() or len(offered.photo) > _MOST_BYTES or time.monotonic() < _away_until:
        return ""
    with _may_be_away():
        for _ in range(_TRIES):
            worker = _redis().spop(_IDLE)
            if not isinstance(worker, bytes):
                return ""
            if _redis().publish(_photos_of(worker.decode()), _packed(offered)):
                return worker.decode()
    return ""


def assign(worker: str, job_id: UUID) -> None:
    """Tell a worker of its photo's job; call it after the commit."""
    with _may_be_away():
        _redis().publish(_jobs_of(worker), job_id.bytes)


# -- by a worker -------------------------------------------------------------------------------------------


class IdleWorker:
    """This process among the idle workers, and a thread that hears what is sent to it."""

    def __init__(self, *, on_photo: Callable[[Offered], None], on_job: Callable[[UUID], None]) -> None:
        self._name = uuid4().hex
        self._on_photo = on_photo
        self._on_job = on_job
        self._is_told = False  # whether it is in the set, as far as it knows
        self._hears = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="cutline-handover", daemon=True)

    def start(self) -> None:
        """Hear from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Hear no more. A job that is assigned meanwhile becomes due for other workers."""
        self._stopping.set()
        self.note_busy()
        self._thread.join(2 * _PATIENCE_S)

    def note_idle(self) -> None:
        """Say that it has nothing to do; again now and then: an upload that came to nothing took it off."""
        if self._hears.is_set() and not self._stopping.is_set() and time.monotonic() >= _away_until:
            self._is_told = True
            with _may_be_away():
                _redis().sadd(_IDLE, self._name)

    def note_busy(self) -> None:
        """Say that it has something to do."""
        if self._is_told:
            self._is_told = False
            with _may_be_away():
                _redis().srem(_IDLE, self._name)

    def _listen(self) -> None:
        while not self._stopping.is_set():
            with _may_be_away(), _subscription() as heard:
                heard.subscribe(_photos_of(self._name), _jobs_of(self._name))
                self._hears.set()
                while not self._stopping.is_set():
                    if message := heard.get_message(timeout=_PATIENCE_S):
                        self._take(message["channel"], message["data"])
            self._hears.clear()
            self._stopping.wait(_LEAVE_ALONE_S)

    def _take(self, channel: bytes, data: bytes) -> None:
        try:
            if channel == _jobs_of(self._name).encode():
                self._on_job(UUID(bytes=data))
            else:
                self._on_photo(_unpacked(data))
        except Exception:  # the thread must live on; the job will be another's
            logger.exception("What was handed over cannot be used.")


# -- the messages ------------------------------------------------------------------------------------------


def _photos_of(worker: str) -> str:
    return f"cutline:photos:{worker}"


def _jobs_of(worker: str) -> str:
    return f"cutline:jobs:{worker}"


def _packed(offered: Offered) -> bytes:
    """A line of JSON, then the photo."""
    head = {
        "image": str(offered.image_id),
        "options": dict(offered.options),
        "in_canary": offered.in_canary,
    }
    return json.dumps(head).encode() + b"\n" + offered.photo


def _unpacked(message: bytes) -> Offered:
    head, _, photo = message.partition(b"\n")
    told = json.loads(head)
    return Offered(
        image_id=UUID(told["image"]), photo=photo, options=told["options"], in_canary=told["in_canary"]
    )


def _redis() -> Redis:
    return _client(settings().channel_layer_url)


@lru_cache(maxsize=1)
def _client(url: str) -> Redis:
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    client: Redis = Redis.from_url(
        url,
        socket_timeout=_PATIENCE_S,
        socket_connect_timeout=_PATIENCE_S,
        retry=Retry(NoBackoff(), 1),  # a connection that was kept may have ended; an upload waits for no more
    )
    return client


def _subscription() -> PubSub:
    found: PubSub = _redis().pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
    return found


@contextmanager
def _may_be_away() -> Iterator[None]:
    """Leave a Redis that does not answer, or refuses, alone for a while; jobs go the usual way then."""
    global _away_until, _is_away
    try:
        yield
        _is_away = False
    except cache_errors() as error:
        _away_until = time.monotonic() + _LEAVE_ALONE_S
        with _telling:
            is_news, _is_away = not _is_away, True
        if is_news:
            logger.warning("Redis carries no photos to idle workers, which begin later: %s", error)
