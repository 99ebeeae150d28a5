"""`cutline worker`: does the jobs of a service whose web processes do none."""

from __future__ import annotations

from pathlib import Path

import click

from cutline.cli._service import asked_to_stop, data_dir_option, set_up


@click.command(context_settings={"show_default": True})
@data_dir_option
@click.option("--beat/--no-beat", default=True, help="Sweep by the clock, too, for lost and old things.")
@click.option("--metrics-port", type=click.IntRange(0, 65535), help="Serve Prometheus metrics there.")
@click.option("--metrics-host", default="127.0.0.1", help="The address that metrics are served on.")
def command(data_dir: Path | None, beat: bool, metrics_port: int | None, metrics_host: str) -> None:
    """Do jobs: write captions, make renditions, send mails and webhooks.

    \b
    CUTLINE_BROKER_URL=redis://queue:6379/0 cutline worker
    cutline worker --metrics-port 9100 --metrics-host 0.0.0.0

    Start as many as you like, on as many machines as you like. At SIGTERM or SIGINT a worker takes no more
    work and finishes what it has; what takes too long goes back to the queue.
    """
    asked = asked_to_stop()
    settings = set_up(data_dir)
    if settings.in_process:
        raise click.UsageError(
            "With CUTLINE_BROKER_URL=memory:// the web process works itself: set it to redis:// or amqp://."
        )
    from cutline.server.work.worker import Worker

    if metrics_port is not None:
        from prometheus_client import start_http_server

        start_http_server(metrics_port, metrics_host)
    worker = Worker(clock=beat)
    worker.start()
    asked.wait()
    worker.stop(settings.shutdown_s)
