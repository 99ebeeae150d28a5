"""The one way to send to websockets, from whatever thread."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any
from uuid import UUID

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer

log = logging.getLogger(__name__)

_loop: asyncio.AbstractEventLoop | None = None


def use_loop(loop: asyncio.AbstractEventLoop | None) -> None:
    """Send on this loop: the server's, where workers are threads of its process. None: as before."""
    global _loop
    _loop = loop


def has_loop() -> bool:
    """Whether a loop was chosen."""
    return _loop is not None


def group_of(owner_id: UUID) -> str:
    """The group of an owner's sockets."""
    return f"owner.{owner_id.hex}"


def send(group: str, message: Mapping[str, Any]) -> None:
    """Send a message to all sockets of a group, and return at once. The row is the truth: failing is logged.

    message: has "type", which names the consumer's handler.
    """
    layer = get_channel_layer()
    if layer is None:
        return
    loop = _loop
    if loop is not None and loop.is_running():
        sending = asyncio.run_coroutine_threadsafe(layer.group_send(group, dict(message)), loop)
        sending.add_done_callback(_log_failed)
        return
    try:
        async_to_sync(layer.group_send)(group, dict(message))
    except Exception as error:  # a broken channel layer must not undo what was done
        _log(error)


def _log_failed(sending: Future[None]) -> None:
    if not sending.cancelled():
        _log(sending.exception())


def _log(error: BaseException | None) -> None:
    if error is not None:
        log.warning("An event could not be sent to sockets: %s", error)
