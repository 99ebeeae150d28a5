"""`cutline serve`: the web server; on a laptop also the worker and the scheduler."""

from __future__ import annotations

import logging
import signal
import socket
from pathlib import Path

import click

from cutline.cli._service import data_dir_option, set_up
from cutline.errors import CutlineError

WEBSOCKET_BYTES = 64 * 2**10  # the largest message that a client may send


class StartFailed(CutlineError):
    """The service could not start."""

    code = "start_failed"


class PortTaken(CutlineError):
    """Another program listens on the port."""

    code = "port_taken"


@click.command(context_settings={"show_default": True})
@click.option("--host", default="127.0.0.1", help="Address to listen on.")
@click.option(
    "--port", default=8000, type=click.IntRange(0, 65535), help="Port to listen on; 0 takes a free one."
)
@data_dir_option
def command(host: str, port: int, data_dir: Path | None) -> None:
    """Serve the web page, the API and websockets.

    \b
    cutline serve
    cutline serve --port 9000 --data-dir ~/cutline

    Without further settings this is the whole service: SQLite and files in the data folder, and a worker
    inside. docs/reference/settings.md says how to run it on PostgreSQL, Redis and S3, with separate workers.
    """
    settings = set_up(data_dir)
    import uvicorn
    from django.core.management import call_command
    from django.db import connections

    if settings.development:
        # In production an administrator decides when: `cutline manage migrate`.
        call_command("migrate", verbosity=0, interactive=False)
        connections.close_all()
    config = uvicorn.Config(
        "cutline.server.asgi:application",
        host=host,
        port=port,
        lifespan="on",
        ws="websockets-sansio",
        ws_max_size=WEBSOCKET_BYTES,
        proxy_headers=False,  # proxies.py: uvicorn believes more of them
        server_header=False,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=max(1, round(settings.shutdown_s / 2)),
    )
    try:
        listener = config.bind_socket()
    except SystemExit as error:
        raise PortTaken(
            f"Cannot listen on {host}:{port}.", hint="Choose another port; --port 0 takes a free one."
        ) from error
    address = f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                logging.getLogger("cutline.serve").info("Cutline is at %s", address)

    server = Server(config)
    # uvicorn raises the signal again once it has stopped: a requested stop is not a failure.
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, signal.SIG_IGN)
    server.run(sockets=[listener])
    if not server.started:
        raise StartFailed("The service could not start.", hint="See the log above.")
