"""Websocket paths. The consumer authenticates and checks the origin itself."""

from __future__ import annotations

from typing import Any

from cutline.server.errors import NotFound
from cutline.server.realtime.consumer import EventConsumer, refuse

PATH = "/ws"


def websockets() -> Any:
    """The application behind every websocket."""
    consumer: Any = EventConsumer.as_asgi()

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == PATH:
            await consumer(scope, receive, send)
            return
        await receive()  # the handshake, which comes first
        await refuse(
            scope, send, NotFound("There is no websocket at this address.", hint=f"It is at {PATH}.")
        )

    return answer
