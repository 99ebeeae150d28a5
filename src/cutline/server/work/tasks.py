"""Celery's tasks, and the table of handlers: which function runs each kind of job."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from cutline.server.bulk import expansion
from cutline.server.captions import services as captions
from cutline.server.captions import styling
from cutline.server.celery_app import app
from cutline.server.config import settings
from cutline.server.images import classifier
from cutline.server.jobs import hints
from cutline.server.jobs.models import JobKind
from cutline.server.likeness import filling
from cutline.server.mail import services as mail
from cutline.server.webhooks import deliveries
from cutline.server.work.pool import Handler, WorkerPool

HANDLERS: Mapping[str, Handler] = {
    JobKind.CAPTION: captions.run,
    JobKind.STYLE: styling.run,
    JobKind.MODERATE: classifier.run,
    JobKind.BULK: expansion.run,
    JobKind.FETCH: expansion.run_fetch,
}

_lock = threading.Lock()
_pool: WorkerPool | None = None


def start_pool() -> None:
    """Start the worker pool of this process, unless it runs."""
    global _pool
    with _lock:
        if _pool is None:
            _pool = WorkerPool(HANDLERS, threads=settings().worker_threads)
            _pool.start()
            hints.listen(_pool.wake)


def stop_pool(timeout_s: float) -> None:
    """Stop the pool: running jobs have timeout_s to finish, the rest goes back to the queue."""
    global _pool
    with _lock:
        pool, _pool = _pool, None
        hints.listen(None)
    if pool is not None:
        pool.stop(timeout_s)


@app.task(name=mail.SEND)
def send_mails() -> None:
    """Send every mail that is due."""
    mail.send_due()


@app.task(name=deliveries.DELIVER)
def deliver_webhooks() -> None:
    """Make every webhook call that is due."""
    deliveries.deliver_due()


@app.task(name=filling.FILL)
def fill_likeness() -> None:
    """Place some photos that the model in use has not seen."""
    filling.fill()


@app.task(name=hints.WORK)
def work() -> None:
    """Wake the worker pool, where there is one: its threads claim the jobs themselves.

    A message may come after the pool's stop. A pool begun then would leave what it claims to nobody.
    """
    if (pool := _pool) is not None:
        pool.wake()
