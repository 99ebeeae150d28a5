"""The ASGI application: Django over HTTP, channels over websockets; on a laptop the worker, too."""

from __future__ import annotations

import asyncio
import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cutline.server.django_settings")

import django

django.setup(set_prefix=False)  # before what needs models

from cutline.server import health, security_log  # noqa: E402
from cutline.server.api.admission import admission  # noqa: E402
from cutline.server.api.forms import FormHandler  # noqa: E402
from cutline.server.api.turns import in_turn  # noqa: E402
from cutline.server.api.wait import waiting  # noqa: E402
from cutline.server.config import settings  # noqa: E402
from cutline.server.events import channel  # noqa: E402
from cutline.server.observability.metrics import WEBSOCKETS  # noqa: E402
from cutline.server.people.viewers import address_of_scope  # noqa: E402
from cutline.server.proxies import with_forwarded_scheme  # noqa: E402
from cutline.server.rates import network_of  # noqa: E402
from cutline.server.realtime.routing import websockets  # noqa: E402

_admitted = health.answer_known(
    admission(waiting(in_turn(FormHandler()))),  # type: ignore[arg-type]  # Django's own types are narrower
    network_of=lambda scope: network_of(address_of_scope(scope)),
)
_websockets = websockets()


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Route a connection by its type: lifespan, websocket or HTTP."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    scope = with_forwarded_scheme(scope)
    with security_log.bound(address_of_scope(scope)):
        if scope["type"] == "websocket":
            with WEBSOCKETS.track_inprogress():
                await _websockets(scope, receive, send)
        else:
            await _admitted(scope, receive, send)


async def _lifespan(receive: Any, send: Any) -> None:
    worker = None
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            channel.use_loop(asyncio.get_running_loop())
            if settings().in_process:
                from cutline.server.work.worker import Worker

                worker = await asyncio.to_thread(Worker)
                await asyncio.to_thread(worker.start)
            await send({"type": "lifespan.startup.complete"})
        else:
            health.stopping.set()
            if worker:
                # The other half is what `cutline serve` gives requests, before this.
                await asyncio.to_thread(worker.stop, settings().shutdown_s / 2)
            await send({"type": "lifespan.shutdown.complete"})
            return
