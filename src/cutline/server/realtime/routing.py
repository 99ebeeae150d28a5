"""Websocket paths. The consumer authenticates and checks the origin itself."""

from __future__ import annotations

from typing import Any

from channels.routing import URLRouter
from django.urls import path

from cutline.server.realtime.consumer import EventConsumer


def websockets() -> Any:
    """The application behind every websocket."""
    consumer: Any = EventConsumer.as_asgi()
    routes: list[Any] = [path("ws", consumer)]
    return URLRouter(routes)
