"""ETags: an answer that did not change is not sent again, and a write can name the version it means."""

from __future__ import annotations

import copy
import hashlib

from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.http.response import HttpResponseBase
from django.urls import resolve
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.utils.http import parse_etags

from cutline.server.errors import PreconditionFailed

# What an answer depends on besides its address.
VARY = ("Cookie", "Authorization", "X-API-Key", "X-Session-Token")


def etag_of(content: bytes) -> str:
    """The version of an answer."""
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


def finish(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """Give a read its ETag, or a bare 304 where the client has it already. No answer may be shared."""
    patch_vary_headers(response, VARY)
    if request.method not in ("GET", "HEAD") or response.status_code != 200:
        response.setdefault("Cache-Control", "no-store")
        return response
    response.setdefault("Cache-Control", "private, no-cache")
    if (
        isinstance(response, HttpResponse)
        and not response.streaming
        and "no-store" not in response["Cache-Control"]
    ):
        response.setdefault("ETag", etag_of(response.content))
        answer = get_conditional_response(request, etag=response["ETag"], response=response)
        if isinstance(answer, HttpResponseNotModified):
            for name in ("Cache-Control", "Vary"):
                answer[name] = response[name]
            return answer
    return response


def check_if_match(request: HttpRequest) -> None:
    """Refuse a write whose If-Match names another version than a GET of this address gives now.

    Raises: PreconditionFailed.
    """
    wanted = request.headers.get("If-Match")
    if not wanted or request.method in ("GET", "HEAD", "OPTIONS", "POST"):
        return
    found = resolve(request.path_info)
    probe = copy.copy(request)
    probe.method = "GET"
    now = found.func(probe, *found.args, **found.kwargs)
    if now.status_code != 200 or now.streaming:
        raise PreconditionFailed("There is no version of this address that If-Match could name.")
    if wanted.strip() != "*" and etag_of(now.content) not in parse_etags(wanted):
        raise PreconditionFailed(
            "It changed since the version that If-Match names.", hint="Read it again, then decide."
        )
