"""The queue is a hint: when it is away, whoever enqueues goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server.services.process import free_ports

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
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("The broker is not responding; the sweep will find the work.") == 1
