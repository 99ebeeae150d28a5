"""Server-sent events: answers that are written while a client reads them (text/event-stream)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Generator, Mapping
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.core.serializers.json import DjangoJSONEncoder
from django.http import HttpRequest, StreamingHttpResponse

CONTENT_TYPE = "text/event-stream"
HEARTBEAT, HEARTBEAT_S = b":\n\n", 15.0  # a comment, lest a proxy thinks that nobody is there
HEADERS: Mapping[str, str] = {"Cache-Control": "private, no-store", "X-Accel-Buffering": "no"}


def wants_events(request: HttpRequest) -> bool:
    """Whether the client asks for events rather than for JSON."""
    return bool(request.get_preferred_type(["application/json", CONTENT_TYPE]) == CONTENT_TYPE)


def sse(name: str, data: Mapping[str, Any], id: str = "") -> bytes:
    """One event."""
    number = f"id: {id}\n" if id else ""
    text = json.dumps(data, cls=DjangoJSONEncoder, ensure_ascii=False)
    return f"{number}event: {name}\ndata: {text}\n\n".encode()


def sse_answer(
    request: HttpRequest,
    events: Generator[bytes] | AsyncIterator[bytes],
    *,
    leave: Callable[[], None] = lambda: None,
) -> StreamingHttpResponse:
    """Answer with these events as they come.

    leave: called when nobody reads any more; a generator that waits for something then ends its wait.
    """
    if isinstance(events, Generator) and isinstance(request, ASGIRequest):
        events = _one_by_one(events, leave)
    return StreamingHttpResponse(events, content_type=CONTENT_TYPE, headers=HEADERS)


async def _one_by_one(events: Generator[bytes], leave: Callable[[], None]) -> AsyncIterator[bytes]:
    # Django would read all of a plain iterator before it sends the first byte.
    try:
        while (event := await sync_to_async(lambda: next(events, None))()) is not None:
            yield event
    finally:
        leave()
        await sync_to_async(events.close)()


def documented(kind: str = "words, then done or failed") -> dict[str, Any]:
    """What an operation that may answer with events adds to its documentation."""
    fields = {name: {"type": "string"} for name in ("id", "event", "data")}
    schema = {
        "type": "object",
        "description": f"Server-sent events: {kind}. The data of each is JSON.",
        "properties": fields,
        "required": ["event", "data"],
    }
    return {"responses": {200: {"content": {CONTENT_TYPE: {"schema": schema}}}}}
