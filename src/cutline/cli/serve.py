"""`cutline serve`: the web server; on a laptop also the worker and the scheduler."""

from __future__ import annotations

import logging
import os
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cutline.cli import _network
from cutline.cli._service import data_dir_option, set_up
from cutline.errors import CutlineError, OptionError

if TYPE_CHECKING:
    from cutline.server.config import ServerSettings

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
@click.option(
    "--network/--no-network",
    default=None,
    help="With --host: answer to this machine's names and private addresses, too, so that others on the"
    " network get in. Where neither is given, a terminal is asked.  [default: --no-network]",
)
@data_dir_option
def command(host: str, port: int, network: bool | None, data_dir: Path | None) -> None:
    """Serve the web page, the API and websockets.

    \b
    cutline serve
    cutline serve --port 9000 --data-dir ~/cutline
    cutline serve --host 0.0.0.0 --network

    Without further settings this is the whole service: SQLite and files in the data folder, and a worker
    inside. docs/reference/settings.md says how to run it on PostgreSQL, Redis and S3, with separate workers.
    """
    _let_network_in(host, choice=network)
    settings = set_up(data_dir)
    import uvicorn
    from django.core.management import call_command
    from django.db import connections

    from cutline.server.listening import BoundedProtocol, allow_files, take_short_turns

    allow_files()
    take_short_turns()
    if settings.development:
        # In production an administrator decides when: `cutline manage migrate`.
        call_command("migrate", verbosity=0, interactive=False)
        connections.close_all()
    config = uvicorn.Config(
        "cutline.server.asgi:application",
        host=host,
        port=port,
        lifespan="on",
        http=BoundedProtocol,
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
    port = listener.getsockname()[1]

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                _say_where(host, port, settings)

    server = Server(config)
    # uvicorn raises the signal again once it has stopped: a requested stop is not a failure.
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, signal.SIG_IGN)
    server.run(sockets=[listener])
    if not server.started:
        raise StartFailed("The service could not start.", hint="See the log above.")


def _let_network_in(host: str, *, choice: bool | None) -> None:
    """Have the service answer to this machine's names, if its user wants that. Raises OptionError."""
    from cutline.server.config import settings

    made = settings()
    if choice and not made.development:
        raise OptionError("--network is for laptops.", hint="In production, list the names in CUTLINE_HOSTS.")
    if choice and not _network.is_for_others(host):
        raise OptionError(f"At {host} nobody else gets in.", hint="Add --host 0.0.0.0.")
    has_hosts = "hosts" in made.model_fields_set
    if not _network.is_for_others(host) or not made.development or (has_hosts and not choice):
        return
    here = _network.reachable(host, ())
    names = tuple(dict.fromkeys([*here, *_network.own_names()]))
    if not _network.lets_others_in(names, choice=choice):
        if choice is not None or _network.can_ask():
            return
        names = here  # whoever names an address wants it to answer
    os.environ["CUTLINE_HOSTS"] = ",".join(dict.fromkeys([*made.hosts, *names]))
    settings.cache_clear()


def _say_where(host: str, port: int, settings: ServerSettings) -> None:
    """Log the addresses that work, and what keeps others out where they might be expected."""
    from django.http.request import validate_host

    log = logging.getLogger("cutline.serve")
    concrete = [name for name in settings.hosts if not name.startswith(("*", "."))]
    chosen = [name for name in concrete if _network.is_for_others(name)]
    here = _network.reachable(host, ("127.0.0.1", *_network.own_names()))
    names = dict.fromkeys([*here, *chosen] if _network.is_for_others(host) else here)
    if allowed := [name for name in names if validate_host(name, settings.hosts)]:
        log.info("Cutline is at %s", ", ".join(f"http://{name}:{port}" for name in allowed))
    else:
        log.info(
            "Cutline listens on http://%s:%s, but answers only to the names of CUTLINE_HOSTS: %s.",
            here[0],
            port,
            ", ".join(settings.hosts),
        )
    if (
        settings.development
        and _network.is_for_others(host)
        and not any(map(_network.is_for_others, settings.hosts))
    ):
        log.warning(
            "It answers to %s: others on the network get 400. Start it with --network, or set"
            " CUTLINE_HOSTS to all names and addresses that people use for it.",
            f"{', '.join(allowed)} alone" if allowed else "none of its addresses",
        )
