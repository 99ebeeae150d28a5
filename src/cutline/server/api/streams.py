"""Answers that are too large to be held: written while they are read."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse

from cutline.server.images.file_links import content_disposition


def streamed(
    request: HttpRequest, chunks: Iterator[bytes], *, content_type: str, file_name: str
) -> StreamingHttpResponse:
    """Answer with these chunks as a file to be saved. Each is made when the client has read the one before.

    chunks: may ask the database, and should not keep a query open from one to the next.
    """
    body = _one_by_one(chunks) if isinstance(request, ASGIRequest) else chunks
    return StreamingHttpResponse(
        body,
        content_type=content_type,
        headers={
            "Content-Disposition": content_disposition("", file_name),
            "Cache-Control": "private, no-store",
        },
    )


async def _one_by_one(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    # Django would read all of a plain iterator before it sends the first byte.
    while (chunk := await sync_to_async(lambda: next(chunks, None))()) is not None:
        yield chunk
