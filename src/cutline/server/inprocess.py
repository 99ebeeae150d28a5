"""The laptop mode: worker threads inside the web process, so that one command is the whole service."""

from __future__ import annotations

import asyncio
import logging
import threading

from cutline.server.celery_app import app
from cutline.server.config import settings

logger = logging.getLogger(__name__)


class InProcessWorker:
    """A Celery worker in a daemon thread of this process."""

    def __init__(self) -> None:
        self._worker = app.WorkController(
            pool_cls="threads",
            concurrency=settings().worker_threads,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        )
        self._thread = threading.Thread(target=self._worker.start, name="worker", daemon=True)

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to work; events go to the websockets of `loop`."""
        try:
            from cutline.server.events import channel
        except ImportError:
            logger.warning("There are no events yet.")
        else:
            channel.use_loop(loop)
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Take no more work, and wait until what is in hand is done, at most timeout_s."""
        self._worker.stop()
        self._thread.join(timeout_s)
