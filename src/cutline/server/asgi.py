"""The ASGI application: Django over HTTP, channels over websockets, the worker at startup on a laptop."""

from __future__ import annotations

import asyncio
import os
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cutline.server.django_settings")

from asgiref.sync import sync_to_async
from django.core.asgi import get_asgi_application

_django = get_asgi_application()  # sets Django up, so it comes before what needs models

from cutline.server.api.gate import gated  # noqa: E402
from cutline.server.config import settings  # noqa: E402
from cutline.server.inprocess import InProcessWorker  # noqa: E402
from cutline.server.routing import websockets  # noqa: E402

_gated = gated(_django)  # type: ignore[arg-type]  # Django's own types of ASGI are narrower


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Give each kind of connection to its handler."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    elif scope["type"] == "websocket":
        await websockets()(scope, receive, send)
    else:
        await _gated(scope, receive, send)


async def _lifespan(receive: Any, send: Any) -> None:
    worker = InProcessWorker() if settings().in_process else None
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            if worker:
                worker.start(asyncio.get_running_loop())
            await send({"type": "lifespan.startup.complete"})
        else:
            if worker:
                await sync_to_async(worker.stop, thread_sensitive=False)(settings().shutdown_s)
            await send({"type": "lifespan.shutdown.complete"})
            return
