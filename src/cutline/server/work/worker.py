"""What a worker process runs: the pool of threads for jobs, a Celery worker for messages, the scheduler.

`cutline worker` is this and no more; on a laptop it runs inside the web process (asgi.py).
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time

from celery.worker import state as celery_state

from cutline.errors import CutlineError
from cutline.server.captioner import get_captioner
from cutline.server.celery_app import app
from cutline.server.events import channel
from cutline.server.webhooks.deliveries import CALLS_AT_ONCE
from cutline.server.work.scheduler import Scheduler
from cutline.server.work.tasks import start_pool, stop_pool

logger = logging.getLogger(__name__)

# Threads for messages: mails and webhooks are sent in them, and webhooks never take all of them; jobs have
# threads of their own (pool.py).
MESSAGE_THREADS = CALLS_AT_ONCE + 4
_LAST_MESSAGES_S = 5.0


class Worker:
    """Everything that a worker process runs. Make one per process, start it once, stop it once."""

    def __init__(self, *, scheduler: bool = True) -> None:
        self._events = threading.Thread(target=self._run_loop, name="cutline-events", daemon=True)
        self._scheduler = Scheduler() if scheduler else None
        self._messages = app.WorkController(
            pool_cls="threads",
            concurrency=MESSAGE_THREADS,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        self._thread = threading.Thread(target=self._messages.start, name="cutline-messages", daemon=True)
        self._warming = threading.Thread(target=_warm_up, name="cutline-warm-up", daemon=True)

    def start(self) -> None:
        """Start the threads; they begin with what is queued already."""
        celery_state.should_stop = None
        if not channel.has_loop():
            self._events.start()
        self._thread.start()
        start_pool()
        if self._scheduler:
            self._scheduler.start()
        self._warming.start()
        logger.info("The worker has started.")

    def _run_loop(self) -> None:
        """Run the event loop that sends to websockets: one that stays keeps its connections."""
        loop = asyncio.new_event_loop()
        channel.use_loop(loop)
        loop.run_forever()

    def stop(self, timeout_s: float) -> None:
        """Take no more work, wait at most timeout_s for running jobs, and put the rest back."""
        deadline = time.monotonic() + timeout_s
        celery_state.should_stop = 0  # type: ignore[assignment]  # the exit code that its loop ends with
        if self._scheduler:
            self._scheduler.stop()
        stop_pool(timeout_s)
        self._thread.join(max(_LAST_MESSAGES_S, deadline - time.monotonic()))
        # Python must not end while a thread makes a model: that would end it with a signal.
        self._warming.join(max(_LAST_MESSAGES_S, deadline - time.monotonic()))
        logger.info("The worker has stopped.")


def _warm_up() -> None:
    """Load the model before the first job needs it. A failure is logged; jobs will fail with the reason."""
    try:
        get_captioner()
    except CutlineError as error:
        logger.error("The model cannot be loaded: %s", error)
