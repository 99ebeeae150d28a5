"""Limits of request bodies, by address. They are enforced before Django, which reads a body whole."""

from __future__ import annotations

import asyncio
import json
from collections.abc import MutableMapping
from typing import Any

from cutline.server.api import inline_photos
from cutline.server.api.asgi_types import App, Receive, Scope, Send
from cutline.server.api.problems import PROBLEM_JSON, problem_fields
from cutline.server.config import settings
from cutline.server.errors import Malformed, RequestTooLarge

PLAIN_BYTES = 2**20
LIST_BYTES = 32 * 2**20  # a list of 100,000 URLs
FORM_BYTES = 2**20  # what the other fields of a form with files may take
DRAIN_BYTES = 64 * 2**20
DRAIN_S = 5.0


def limit_of(path: str, content_type: str) -> int:
    """How many bytes the body of a request to this address may have."""
    chosen = settings()
    if path.startswith("/api/v1/bulk"):
        return chosen.max_bulk_bytes + FORM_BYTES if _is_form(content_type) else LIST_BYTES
    if path == "/api/v1/images" and _is_form(content_type):
        return chosen.max_upload_bytes * chosen.max_upload_files + FORM_BYTES
    if path == "/api/v1/caption" and not _is_form(content_type):
        return inline_photos.body_bytes() + FORM_BYTES
    if path == "/api/v1/caption" or not path.startswith("/api/"):
        return chosen.max_upload_bytes + FORM_BYTES
    return PLAIN_BYTES


def _is_form(content_type: str) -> bool:
    return content_type.lower().startswith("multipart/form-data")


class _TooLarge(Exception):
    """A body without a declared length went over the limit."""


def limit_bodies(app: App) -> App:
    """Wrap an ASGI application: a body that is too large, or a query that is not UTF-8, is refused."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        try:
            scope.get("query_string", b"").decode()
        except UnicodeDecodeError:
            await _refuse(receive, send, Malformed("The query string is not valid UTF-8."))
            return
        limit = limit_of(scope["path"], headers.get(b"content-type", ""))
        declared = headers.get(b"content-length", "0")
        if declared.isdecimal() and int(declared) > limit:
            await _refuse(receive, send, _too_large(limit))
            return
        await _count(app, scope, receive, send, limit)

    return answer


async def _count(app: App, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
    """Run the application, and stop where a body without a declared length becomes too large."""
    seen = 0
    begun = False

    async def counted() -> MutableMapping[str, Any]:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            raise _TooLarge
        return message

    async def noted(message: MutableMapping[str, Any]) -> None:
        nonlocal begun
        begun = True
        await send(message)

    try:
        await app(scope, counted, noted)
    except _TooLarge:
        if begun:
            raise
        await _refuse(receive, send, _too_large(limit))


def _too_large(limit: int) -> RequestTooLarge:
    return RequestTooLarge(f"The body may have at most {limit:,} bytes here.", hint="Send less, or in parts.")


async def _refuse(receive: Receive, send: Send, error: RequestTooLarge | Malformed) -> None:
    """Answer at once, then let the client finish for a while: one that is cut off never reads why."""
    fields = problem_fields(code=error.code, status=error.http_status, detail=error.message, hint=error.hint)
    body = json.dumps(fields).encode()
    headers = [
        (b"content-type", PROBLEM_JSON.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": error.http_status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": True})
    drained = 0
    try:
        async with asyncio.timeout(DRAIN_S):
            while drained < DRAIN_BYTES:
                message = await receive()
                drained += len(message.get("body", b""))
                if message["type"] == "http.disconnect" or not message.get("more_body", False):
                    break
    except TimeoutError:
        pass
    await send({"type": "http.response.body", "body": b"", "more_body": False})
