"""Websocket paths. The consumer authenticates and checks the origin itself: see events/consumer.py."""

from __future__ import annotations

import importlib.util
from typing import Any

from channels.routing import URLRouter
from django.urls import path


def websockets() -> Any:
    """The application behind every websocket."""
    if not importlib.util.find_spec("cutline.server.events.consumer"):
        return URLRouter([])
    from cutline.server.events.consumer import EventConsumer

    consumer: Any = EventConsumer.as_asgi()
    routes: list[Any] = [path("ws", consumer)]
    return URLRouter(routes)
