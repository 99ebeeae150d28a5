"""What happens by the clock: lost work is found, and what is too old is removed.

Rows are the truth, so the sweep asks the database and not the queue: it works while the broker is away.
Every worker carries a clock, and one of them at a time sweeps; `cutline beat` is a clock by itself.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from django.core.cache import cache
from django.core.management import call_command
from django.db import connections
from django.utils.module_loading import import_string

from cutline.server.celery_app import app
from cutline.server.config import settings
from cutline.server.observability.metrics import SWEEP_ERRORS, SWEEP_S

logger = logging.getLogger(__name__)

HOUR_S = 3600.0
_FIRST_S = 0.5  # a service that was killed finds its lost work soon after it starts again


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of the sweep: a function by its dotted name, idempotent and safe beside itself."""

    name: str
    function: str
    every_s: float = 0.0  # at most so often; 0: with every sweep


PARTS = (
    Part(name="jobs", function="cutline.server.jobs.services.sweep"),
    Part(name="mail", function="cutline.server.mail.services.sweep"),
    Part(name="webhooks", function="cutline.server.webhooks.deliveries.sweep"),
    Part(name="bulk", function="cutline.server.bulk.outcomes.sweep"),
    Part(name="renditions", function="cutline.server.images.renditions.sweep"),
    Part(name="images", function="cutline.server.images.deletion.purge"),
    Part(name="files", function="cutline.server.images.storage.sweep_files"),
    Part(name="events", function="cutline.server.events.services.sweep", every_s=60),
    Part(name="answers", function="cutline.server.api.idempotency.sweep", every_s=60),
    Part(name="owners", function="cutline.server.account.deletion.sweep_owners", every_s=HOUR_S),
    Part(name="sessions", function="cutline.server.work.scheduler.clear_sessions", every_s=HOUR_S),
)


def clear_sessions() -> None:
    """Remove the sessions that ended by themselves."""
    call_command("clearsessions")


@app.task(name="cutline.sweep")
def sweep() -> None:
    """Run the parts of the sweep that are due, unless another process has just done so."""
    for part in PARTS:
        if _is_our_turn(part):
            _run(part)


def _is_our_turn(part: Part) -> bool:
    every_s = max(part.every_s, settings().sweep_s)
    try:
        return cache.add(f"cutline.sweep.{part.name}", 1, timeout=every_s * 0.9)
    except Exception:  # whatever a cache's driver raises: twice does no harm, never does
        return True


def _run(part: Part) -> None:
    """Run one part. Its failure is told, and neither ends the clock nor keeps the other parts back."""
    began = time.perf_counter()
    try:
        function: Callable[[], object] = import_string(part.function)
        function()
    except Exception:
        SWEEP_ERRORS.labels(part.name).inc()
        logger.exception("A part of the sweep failed: %s.", part.name)
    finally:
        SWEEP_S.labels(part.name).observe(time.perf_counter() - began)


class Clock:
    """A thread that sweeps every settings.sweep_s."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._tick, name="cutline-clock", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()
        logger.info("The clock has started.")

    def stop(self) -> None:
        """End after the part that is running, without waiting for it."""
        self._stopped.set()

    def _tick(self) -> None:
        wait_s = _FIRST_S
        while not self._stopped.wait(wait_s):
            sweep()
            connections.close_all()
            # Not all at the same moment, where there are many workers.
            wait_s = settings().sweep_s * random.uniform(0.9, 1.1)
