"""The Celery app. The queue is a hint: rows say what is to be done, messages only say "look for work"."""

from __future__ import annotations

import logging
import os
import time
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError
from kombu.transport import memory

from cutline.server.config import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cutline.server.django_settings")

logger = logging.getLogger(__name__)
_settings = settings()

# Whoever publishes is a request or a job: it shall not wait for a broker that is away.
_BROKER_OPTIONS: dict[str, Any] = {
    "memory": {"polling_interval": 0.01},  # seconds; the default, 1, is what a caption would wait
    "redis": {
        "socket_connect_timeout": 2,
        "socket_timeout": 10,
        "socket_keepalive": True,
        "max_retries": 1,
        "interval_start": 0.1,
    },
}

_TURN_S = 0.1


class _MemoryTransport(memory.Transport):
    """Kombu's queue in memory, in short turns: between two of them a worker sees that it shall stop."""

    def drain_events(self, connection: Any, timeout: float | None = None, **_: Any) -> None:
        """Wait for a message, at most for a turn. Raises TimeoutError where none came."""
        super().drain_events(connection, timeout=min(timeout or _TURN_S, _TURN_S))


app = Celery("cutline")
app.conf.update(
    broker_url=_settings.celery_broker_url,
    broker_transport=_MemoryTransport if _settings.in_process else None,
    broker_connection_timeout=2,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_transport_options=_BROKER_OPTIONS.get(
        _settings.celery_broker_url.partition(":")[0].removesuffix("+socket").replace("rediss", "redis"), {}
    ),
    imports=["cutline.server.work.scheduler", "cutline.server.work.tasks"],
    result_backend=None,
    task_ignore_result=True,
    task_publish_retry=False,
    task_serializer="json",
    accept_content=["json"],
    task_default_queue="cutline",
    worker_prefetch_multiplier=1,
    worker_enable_remote_control=False,
    worker_send_task_events=False,
    worker_hijack_root_logger=False,
    enable_utc=True,
)


_LEAVE_ALONE_S = 1.0  # a broker that did not answer is not asked again for so long
_away_until = 0.0


def enqueue(task: str, *arguments: Any, after_s: float = 0) -> None:
    """Queue a task by its name, to be run after a while: call it after commit.

    A broker that is not responding costs no more than a log line: the row exists, and the sweep finds it.
    """
    global _away_until
    if time.monotonic() < _away_until:
        return
    try:
        app.send_task(task, args=arguments, countdown=after_s or None, ignore_result=True)
    except (OperationalError, OSError):
        _away_until = time.monotonic() + _LEAVE_ALONE_S
        logger.warning("The broker is not responding; the sweep will find the work.", extra={"task": task})
