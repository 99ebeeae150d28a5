"""The queue is a hint: when it is away, whoever enqueues goes on."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cutline.server.celery_app import app
from tests.server.services.process import ANSWERS_S, free_ports

PROGRAM = """
import django
django.setup()
from cutline.server import celery_app
celery_app._LEAVE_ALONE_S = 3600  # as if all of this happened within the second
for _ in range(50):
    celery_app.enqueue("cutline.mail.send", after_s=2)
"""


@pytest.mark.slow
def test_a_queue_that_is_away_costs_a_line_and_no_more(tmp_path: Path) -> None:
    port = free_ports(1)[0]
    redis = dict.fromkeys(("BROKER_URL", "CHANNEL_LAYER_URL", "CACHE_URL"), f"redis://127.0.0.1:{port}/0")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=os.environ
        | {f"CUTLINE_{name}": url for name, url in redis.items()}
        | {"CUTLINE_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=ANSWERS_S,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("The broker is not responding; the sweep will find the work.") == 1


def test_a_worker_that_waits_for_messages_looks_up_soon() -> None:
    ended = threading.Event()

    def wait_for_messages() -> None:
        with app.connection_for_read() as queue, queue.channel() as channel:
            channel.queue_declare("nobody_writes_to_it")
            with pytest.raises(TimeoutError):
                queue.drain_events(timeout=10 * ANSWERS_S)
        ended.set()

    threading.Thread(target=wait_for_messages, daemon=True).start()
    assert ended.wait(ANSWERS_S)
