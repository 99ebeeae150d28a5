"""Websocket paths. The consumer authenticates, and checks path and origin itself."""

from __future__ import annotations

from typing import Any

from cutline.server.realtime.consumer import EventConsumer


def websockets() -> Any:
    """The application behind every websocket."""
    return EventConsumer.as_asgi()
