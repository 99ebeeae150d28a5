"""The scheduler: recurring tasks that find lost work and remove what is too old.

Rows are the truth, so these tasks ask the database and not the queue: they work while the broker is away.
Every worker has a scheduler, and one of them at a time runs each task; `cutline beat` is a scheduler alone.
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
class RecurringTask:
    """A function by its dotted name. It is idempotent, and safe to run twice at once."""

    name: str
    function: str
    every_s: float = 0.0  # the shortest interval; 0: settings.sweep_s


RECURRING = (
    RecurringTask(name="jobs", function="cutline.server.jobs.services.sweep"),
    RecurringTask(name="mail", function="cutline.server.mail.services.sweep"),
    RecurringTask(name="webhooks", function="cutline.server.webhooks.deliveries.sweep"),
    RecurringTask(name="bulk", function="cutline.server.bulk.outcomes.sweep"),
    RecurringTask(name="renditions", function="cutline.server.images.renditions.sweep"),
    RecurringTask(name="images", function="cutline.server.images.deletion.purge"),
    RecurringTask(name="files", function="cutline.server.images.storage.sweep_files"),
    RecurringTask(name="likeness", function="cutline.server.likeness.filling.sweep", every_s=60),
    RecurringTask(name="events", function="cutline.server.events.services.sweep", every_s=60),
    RecurringTask(name="answers", function="cutline.server.api.idempotency.sweep", every_s=60),
    RecurringTask(name="canary", function="cutline.server.canary.watch.sweep", every_s=60),
    RecurringTask(name="trials", function="cutline.server.steering.trials.sweep", every_s=HOUR_S),
    RecurringTask(name="owners", function="cutline.server.account.deletion.sweep_owners", every_s=HOUR_S),
    RecurringTask(name="sessions", function="cutline.server.work.scheduler.clear_sessions", every_s=HOUR_S),
)


def clear_sessions() -> None:
    """Delete expired sessions."""
    call_command("clearsessions")


@app.task(name="cutline.sweep")
def sweep() -> None:
    """Run the recurring tasks that are due, unless another process has just done so."""
    for task in RECURRING:
        if _is_our_turn(task):
            _run(task)


def _is_our_turn(task: RecurringTask) -> bool:
    # Less than a second is 0 to a cache, which sets and deletes: killed between, the mark stays for good.
    for_s = int(max(task.every_s, settings().sweep_s) * 0.9)
    if not for_s:
        return True
    try:
        return cache.add(f"cutline.sweep.{task.name}", 1, timeout=for_s)
    except Exception:  # whatever a cache's driver raises: twice does no harm, never does
        return True


def _run(task: RecurringTask) -> None:
    """Run one task. A failure is logged and counted; the scheduler and the other tasks go on."""
    began = time.perf_counter()
    try:
        function: Callable[[], object] = import_string(task.function)
        function()
    except Exception:
        SWEEP_ERRORS.labels(task.name).inc()
        logger.exception("A recurring task failed: %s.", task.name)
    finally:
        SWEEP_S.labels(task.name).observe(time.perf_counter() - began)


class Scheduler:
    """A thread that runs `sweep` every settings.sweep_s seconds."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._tick, name="cutline-scheduler", daemon=True)

    def start(self) -> None:
        """Start the thread; the first sweep follows in half a second."""
        self._thread.start()
        logger.info("The scheduler has started.")

    def stop(self) -> None:
        """Ask the thread to end after the task that is running; does not wait for it."""
        self._stopped.set()

    def _tick(self) -> None:
        wait_s = _FIRST_S
        while not self._stopped.wait(wait_s):
            sweep()
            connections.close_all()
            # Not all at the same moment, where there are many workers.
            wait_s = settings().sweep_s * random.uniform(0.9, 1.1)
