"""Websocket paths. The consumer is events/consumer.py's."""

from __future__ import annotations

import importlib.util
from functools import lru_cache
from typing import Any

from channels.routing import URLRouter
from channels.sessions import SessionMiddlewareStack
from django.urls import path


@lru_cache(maxsize=1)
def websockets() -> Any:
    """The application behind every websocket. The consumer authenticates and checks the origin itself."""
    routes = []
    if importlib.util.find_spec("cutline.server.events.consumer"):
        from cutline.server.events.consumer import EventConsumer

        routes.append(path("ws", EventConsumer.as_asgi()))
    return SessionMiddlewareStack(URLRouter(routes))
