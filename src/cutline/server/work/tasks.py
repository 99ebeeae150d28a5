"""Celery's tasks, and the table of handlers: which function runs each kind of job."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from cutline.server import captioner
from cutline.server.bulk import expansion
from cutline.server.captions import services as captions
from cutline.server.captions import styling
from cutline.server.captions.head_start import head_starts
from cutline.server.celery_app import app
from cutline.server.config import settings
from cutline.server.images import classifier
from cutline.server.jobs import handover, hints
from cutline.server.jobs.handover import IdleWorker, Offered
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
_idle: IdleWorker | None = None


def start_pool() -> None:
    """Start the worker pool of this process, unless it runs."""
    global _pool, _idle
    with _lock:
        if _pool is None:
            _pool = WorkerPool(
                HANDLERS, threads=settings().worker_threads, on_idle=_tell_idle, on_busy=_tell_busy
            )
            if handover.is_possible():
                _idle = IdleWorker(on_photo=_begin, on_job=_pool.give)
                _idle.start()
            _pool.start()
            hints.listen(_pool.wake)


def stop_pool(timeout_s: float) -> None:
    """Stop the pool: running jobs have timeout_s to finish, the rest goes back to the queue."""
    global _pool, _idle
    with _lock:
        pool, _pool = _pool, None
        idle, _idle = _idle, None
        hints.listen(None)
    if idle is not None:
        idle.stop()
    if pool is not None:
        pool.stop(timeout_s)


def _tell_idle() -> None:
    if (idle := _idle) is not None and captioner.is_idle():
        idle.note_idle()


def _tell_busy() -> None:
    if (idle := _idle) is not None:
        idle.note_busy()


def _begin(offered: Offered) -> None:
    head_starts.begin(offered.image_id, offered.photo, offered.options, in_canary=offered.in_canary)


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
