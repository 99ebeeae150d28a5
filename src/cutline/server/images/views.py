"""/files/...: the files of a folder, to whoever has a link that still works. S3 answers for itself."""

from __future__ import annotations

import hashlib
import re
import time

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotModified
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe

from cutline.server.errors import NotFound
from cutline.server.images import file_links, storage, stores
from cutline.server.images.models import Rendition, StoredFile

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


@require_safe
def file(request: HttpRequest, key: str) -> HttpResponseBase:
    """Answer with a file; 404 for a link that is wrong, expired, or whose image is deleted."""
    expires, name = request.GET.get("e", ""), request.GET.get("n", "")
    if not stores.in_folder() or not file_links.is_signed(key, expires, request.GET.get("s", ""), name):
        raise Http404("This link does not work or has expired.")
    if not _is_live(key):
        raise Http404("This file no longer exists.")
    etag = f'"{hashlib.sha256(key.encode()).hexdigest()[:32]}"'  # a key's bytes never change
    if etag in request.headers.get("If-None-Match", ""):
        response: HttpResponse = HttpResponseNotModified()
    else:
        response = _content(request, key, etag)
        response["X-Content-Type-Options"] = "nosniff"
        response["Content-Disposition"] = file_links.content_disposition(key, name)
        response["Content-Security-Policy"] = "default-src 'none'; sandbox"
        response["Cross-Origin-Resource-Policy"] = "same-site"
        response["Accept-Ranges"] = "bytes"
    response["ETag"] = etag
    response["Cache-Control"] = f"private, max-age={max(0, int(expires) - int(time.time()))}, immutable"
    response["Referrer-Policy"] = "no-referrer"
    return response


def _is_live(key: str) -> bool:
    live = StoredFile.objects.filter(key=key, state=StoredFile.State.LIVE)
    hidden = Rendition.objects.filter(file_id=key, image__deleted_at__isnull=False)
    return live.exists() and not hidden.exists()


def _content(request: HttpRequest, key: str, etag: str) -> HttpResponse:
    try:
        with storage.opened(key) as content:
            size = content.seek(0, 2)
            part = _part(request, size, etag)
            if part is None:
                content.seek(0)
                return HttpResponse(content.read(), content_type=file_links.content_type_of(key))
            start, end = part
            if start >= end:
                return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
            content.seek(start)
            body = content.read(end - start)
    except NotFound as error:
        raise Http404(str(error)) from error
    response = HttpResponse(body, status=206, content_type=file_links.content_type_of(key))
    response["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    return response


def _part(request: HttpRequest, size: int, etag: str) -> tuple[int, int] | None:
    """The first byte that is wanted and the one after the last; None: all of them.

    Several ranges, or other units, may be answered with the whole file, and are.
    """
    if request.headers.get("If-Range", etag) != etag:
        return None
    found = _RANGE.fullmatch(request.headers.get("Range", "").strip())
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        return max(0, size - int(found[2])), size
    end = int(found[2]) + 1 if found[2] else size
    if found[2] and end <= int(found[1]):
        return None  # a range that makes no sense is to be ignored
    return int(found[1]), min(end, size)
