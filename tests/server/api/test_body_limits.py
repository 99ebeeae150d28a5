"""Bodies that are too large are refused unread, before Django, and the client is heard out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from cutline.server.api import body_limits
from cutline.server.api.body_limits import limit_bodies, limit_of

MEGABYTE = 2**20


async def _reads_everything(scope: Any, receive: Any, send: Any) -> None:
    """An application that counts its body."""
    size = 0
    while True:
        message = await receive()
        size += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


def _ask(
    path: str, chunks: list[bytes], headers: dict[str, str], query: bytes = b""
) -> tuple[int, bytes, int]:
    """Send a request in chunks: status, body, and how many chunks were taken."""
    sent: list[Any] = []
    left = list(chunks)

    async def receive() -> Any:
        if not left:
            return {"type": "http.disconnect"}
        chunk = left.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(left)}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "path": path,
        "query_string": query,
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    asyncio.run(limit_bodies(_reads_everything)(scope, receive, send))
    starts = [each for each in sent if each["type"] == "http.response.start"]
    assert len(starts) == 1
    body = b"".join(each.get("body", b"") for each in sent if each["type"] == "http.response.body")
    assert not sent[-1].get("more_body", False)
    return starts[0]["status"], body, len(chunks) - len(left)


def test_what_fits_passes() -> None:
    assert _ask("/api/v1/keys", [b"a" * 1000, b"b" * 1000], {"content-length": "2000"}) == (200, b"2000", 2)


def test_a_body_that_says_it_is_too_large_never_reaches_the_application() -> None:
    status, body, _ = _ask("/api/v1/keys", [b"a" * 10], {"content-length": str(2 * MEGABYTE)})
    problem = json.loads(body)
    assert (status, problem["code"], problem["status"]) == (413, "request_too_large", 413)


def test_a_body_without_a_length_is_stopped_where_it_becomes_too_large() -> None:
    chunks = [b"a" * MEGABYTE] * 200
    status, body, taken = _ask("/api/v1/keys", chunks, {"transfer-encoding": "chunked"})
    assert (status, json.loads(body)["code"]) == (413, "request_too_large")
    assert taken < 100  # heard out for a while, so that the client reads why; not for ever


def test_a_length_that_lies_does_not_help() -> None:
    assert _ask("/api/v1/keys", [b"a" * MEGABYTE] * 3, {"content-length": "10"})[0] == 413


def test_a_client_that_stops_sending_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body_limits, "DRAIN_S", 0.05)
    sent: list[Any] = []

    async def receive() -> Any:
        await asyncio.sleep(3600)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "path": "/api/v1/keys", "headers": [(b"content-length", b"9999999")]}
    asyncio.run(asyncio.wait_for(limit_bodies(_reads_everything)(scope, receive, send), 60))
    assert sent[0]["status"] == 413


def test_a_query_that_is_no_text_is_malformed() -> None:
    status, body, _ = _ask("/api/v1/images", [b""], {}, query=b"q=\xff")
    assert (status, json.loads(body)["code"]) == (400, "malformed")


def test_each_address_takes_what_it_needs(configure: Callable[..., object]) -> None:
    configure(max_upload_bytes=10 * MEGABYTE, max_upload_files=5, max_bulk_bytes=100 * MEGABYTE)
    form = "multipart/form-data; boundary=x"
    assert limit_of("/api/v1/images", form) == 51 * MEGABYTE
    assert limit_of("/api/v1/caption", form) == 11 * MEGABYTE
    assert limit_of("/api/v1/bulk", form) == 101 * MEGABYTE
    assert limit_of("/api/v1/bulk", "application/json") == 32 * MEGABYTE
    for path in ("/api/v1/images", "/api/v1/keys", "/api/v1/nothing"):
        assert limit_of(path, "application/json") == MEGABYTE
