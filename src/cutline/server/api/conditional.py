"""ETags: an answer that did not change is not sent again, and a write can name the version it means."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotModified
from django.http.response import HttpResponseBase
from django.urls import resolve
from django.utils.cache import get_conditional_response, patch_vary_headers
from django.utils.http import parse_etags

from cutline.server.errors import PreconditionFailed
from cutline.server.request_context import context_of, set_context

# What an answer depends on besides its address.
VARY = ("Cookie", "Authorization", "X-API-Key", "X-Session-Token")

_PARTS_OF_A_THING = 5  # of its address: /api/v1/images/ID


def etag_of(content: bytes, version: str = "") -> str:
    """The tag of an answer: of its content, behind the version of the thing that it shows, if any."""
    return f'"{version and version + "."}{hashlib.sha256(content).hexdigest()[:32]}"'


def set_version(request: HttpRequest, thing: object) -> None:
    """Name what If-Match compares, where a response contains more than what people change.

    Links run out and files are added; neither is a reason to refuse somebody's edit.
    """
    context_of(request).put(_Version(tag=hashlib.sha256(repr(thing).encode()).hexdigest()[:16]))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Version:
    """What a thing is like now, without what comes and goes by itself."""

    tag: str


def _version(request: HttpRequest) -> str:
    version = context_of(request).get(_Version)
    return version.tag if version else ""


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
        response.setdefault("ETag", etag_of(response.content, _version(request)))
        answer = get_conditional_response(request, etag=response["ETag"], response=response)
        if isinstance(answer, HttpResponseNotModified):
            for name in ("Cache-Control", "Vary"):
                answer[name] = response[name]
            return answer
    return response


def names_a_version(request: HttpRequest) -> bool:
    """Whether this is a write that is only to be done to the version that it names."""
    return bool(request.headers.get("If-Match")) and request.method not in ("GET", "HEAD", "OPTIONS", "POST")


def run_if_match(request: HttpRequest, run: Callable[[], HttpResponseBase]) -> HttpResponseBase:
    """Do a write whose If-Match names the version that a GET of this address gives now.

    Looking and writing are one transaction, and of several such writes to one thing each waits for the one
    before: of those that name the same version, one is done.

    Raises: PreconditionFailed.
    """
    with transaction.atomic():  # on SQLite this is already every other writer's turn to wait
        if connection.vendor == "postgresql":
            thing = "/".join(request.path_info.split("/")[:_PARTS_OF_A_THING])
            number = int.from_bytes(hashlib.sha256(thing.encode()).digest()[:8], signed=True)
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [number])
        _check_if_match(request)
        response = run()
        if response.status_code >= 400:
            transaction.set_rollback(True)
    return response


def _check_if_match(request: HttpRequest) -> None:
    wanted = request.headers["If-Match"]
    found = resolve(request.path_info)
    probe = copy.copy(request)
    probe.method = "GET"
    set_context(probe, context_of(request).copy())
    now = found.func(probe, *found.args, **found.kwargs)
    if now.status_code != 200 or now.streaming:
        raise PreconditionFailed("If-Match does not apply here: this address has no version.")
    version = _version(probe)
    if wanted.strip() != "*" and not any(
        each.startswith(f'"{version}.') if version else each == etag_of(now.content)
        for each in parse_etags(wanted)
    ):
        raise PreconditionFailed(
            "The resource has changed since the version in If-Match.", hint="Fetch it again before you retry."
        )
