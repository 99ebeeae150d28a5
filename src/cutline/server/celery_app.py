"""The Celery app. The queue is a hint: rows say what is to be done, messages only say "look"."""

from __future__ import annotations

import importlib.util
import logging
import os
from typing import Any

from celery import Celery
from kombu.exceptions import OperationalError

from cutline.server.config import settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cutline.server.django_settings")

logger = logging.getLogger(__name__)
_settings = settings()

app = Celery("cutline")
app.conf.update(
    broker_url=_settings.broker_url,
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_transport_options={"polling_interval": 0.01} if _settings.in_process else {},
    imports=[
        name
        for name in (
            "cutline.server.clockwork",
            "cutline.server.jobs.tasks",
            "cutline.server.webhooks.tasks",
            "cutline.server.mail.tasks",
        )
        if importlib.util.find_spec(name)
    ],
    result_backend=None,
    task_ignore_result=True,
    task_serializer="json",
    accept_content=["json"],
    task_default_queue="cutline",
    worker_prefetch_multiplier=1,
    worker_enable_remote_control=False,
    worker_send_task_events=False,
    worker_hijack_root_logger=False,
    enable_utc=True,
)


def enqueue(task: str, *arguments: Any) -> None:
    """Queue a task by its name: call it after commit.

    A queue that does not answer costs a log line and no more: the row is there, and the sweep finds it.
    """
    try:
        app.send_task(task, args=arguments)
    except (OperationalError, OSError):
        logger.warning("The queue does not answer; the sweep will find the work.", extra={"task": task})
