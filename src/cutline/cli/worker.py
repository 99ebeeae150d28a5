"""`cutline worker`: a worker process of the service."""

from __future__ import annotations

import os
from pathlib import Path

import click

from cutline.cli._service import data_dir_option, set_up
from cutline.stop_requests import stop_requested


@click.command(context_settings={"show_default": True})
@data_dir_option
@click.option("--beat/--no-beat", default=True, help="Also run scheduled maintenance.")
@click.option("--metrics-port", type=click.IntRange(0, 65535), help="Serve Prometheus metrics on this port.")
@click.option("--metrics-host", default="127.0.0.1", help="The address that metrics are served on.")
def command(data_dir: Path | None, beat: bool, metrics_port: int | None, metrics_host: str) -> None:
    """Run jobs: write captions, resize photos, send mails and webhooks.

    \b
    CUTLINE_BROKER_URL=redis://queue:6379/0 cutline worker
    cutline worker --metrics-port 9100 --metrics-host 0.0.0.0

    Start any number, on any number of machines. At SIGTERM or SIGINT a worker takes no
    new jobs and finishes its current ones; those that take too long go back to the queue.
    """
    stop = stop_requested()
    settings = set_up(data_dir)
    if settings.in_process:
        raise click.UsageError(
            "With CUTLINE_BROKER_URL=memory:// the web process runs the jobs itself: set it to redis:// or amqp://."
        )
    from cutline.server.work.worker import Worker

    # Celery would let Django check every view: half a second, and 28 MB, for what no worker serves.
    os.environ.setdefault("CELERY_SKIP_CHECKS", "1")
    if metrics_port is not None:
        from prometheus_client import start_http_server

        start_http_server(metrics_port, metrics_host)
    worker = Worker(scheduler=beat)
    worker.start()
    stop.wait()
    worker.stop(settings.shutdown_s)
