"""What a worker process runs: threads for jobs, a Celery worker for messages, and the clock.

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
from cutline.server.work.scheduler import Clock
from cutline.server.work.tasks import start_crew, stop_crew

logger = logging.getLogger(__name__)

# Threads for messages: mails and webhooks are sent in them; jobs have threads of their own (pool.py).
MESSAGE_THREADS = 4
_LAST_MESSAGES_S = 5.0


class Worker:
    """Works from start until stop. One in a process, once."""

    def __init__(self, *, clock: bool = True) -> None:
        self._events = threading.Thread(target=self._run_loop, name="cutline-events", daemon=True)
        self._clock = Clock() if clock else None
        self._messages = app.WorkController(
            pool_cls="threads",
            concurrency=MESSAGE_THREADS,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        self._thread = threading.Thread(target=self._messages.start, name="cutline-messages", daemon=True)

    def start(self) -> None:
        """Begin to work, with what waits already."""
        celery_state.should_stop = None
        if not channel.has_loop():
            self._events.start()
        self._thread.start()
        start_crew()
        if self._clock:
            self._clock.start()
        threading.Thread(target=_warm_up, name="cutline-warm-up", daemon=True).start()
        logger.info("The worker has started.")

    def _run_loop(self) -> None:
        """Send events from one loop that stays: a loop for each would connect anew for each."""
        loop = asyncio.new_event_loop()
        channel.use_loop(loop)
        loop.run_forever()

    def stop(self, timeout_s: float) -> None:
        """Take no more work, wait at most timeout_s for what is in hand, and give the rest back."""
        deadline = time.monotonic() + timeout_s
        celery_state.should_stop = 0  # type: ignore[assignment]  # the exit code that its loop ends with
        if self._clock:
            self._clock.stop()
        stop_crew(timeout_s)
        self._thread.join(max(_LAST_MESSAGES_S, deadline - time.monotonic()))
        logger.info("The worker has stopped.")


def _warm_up() -> None:
    """Load the model before somebody waits for it. Where that fails, jobs will say why."""
    try:
        get_captioner()
    except CutlineError as error:
        logger.error("The model cannot be loaded: %s", error)
