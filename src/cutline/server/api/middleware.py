"""The API's middleware: what every request under /api goes through.

Before the endpoint: who asks, how often, from where. Around it: is it a repetition, does If-Match hold. After
it, and after waiting: keeping the answer, problems, caching, the rate's headers.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import sync_to_async
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.decorators import async_only_middleware

from cutline.errors import CutlineError
from cutline.server.api import conditional, idempotency, job_events, limits, parsing, wait
from cutline.server.api.admission import admitted_of
from cutline.server.api.auth import check_origin
from cutline.server.api.problems import as_problem, problem_of
from cutline.server.errors import Unauthenticated
from cutline.server.people.viewers import address_of, forget_new_owner, viewer_of
from cutline.server.rates import RateLimited, Standing
from cutline.server.request_context import context_of

PREFIX = "/api/"

log = logging.getLogger(__name__)


@async_only_middleware
def api_middleware(
    get_response: Callable[[HttpRequest], Awaitable[HttpResponseBase]],
) -> Callable[[HttpRequest], Awaitable[HttpResponseBase]]:
    """Django middleware, the innermost: it needs the session and the user."""

    async def answer(request: HttpRequest) -> HttpResponseBase:
        if not request.path.startswith(PREFIX):
            return await get_response(request)
        head = request.method == "HEAD"
        if head:
            request.method = "GET"
        early = await sync_to_async(_before)(request)
        if early is None:
            response = await get_response(request)
            if wait.put_off(request, response, _after):
                return response
        else:
            response = early
        response = await sync_to_async(_after)(request, response)
        return _without_body(request, response) if head else response

    return answer


def _before(request: HttpRequest) -> HttpResponse | None:
    """The answer to a request that must not reach an endpoint; None lets it through."""
    try:
        _keep(request, _count(request))
        check_origin(request)
        parsing.check_text(request.path)
        parsing.check_body_type(request)
    except RateLimited as error:
        _keep(request, error.standing)
        return problem_of(request, error)
    except Exception as error:
        return problem_of(request, error)
    return None


def once(run: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Wrap an operation: what was done already is not done again, and nothing that changed meanwhile.

    Around operations, so that an address or method that does not exist uses no key up.
    """

    @functools.wraps(run)
    def answer(request: HttpRequest, *words: Any, **named: Any) -> HttpResponseBase:
        try:
            begun = idempotency.begin(request)
            if isinstance(begun, HttpResponse):
                return begun
            if begun is not None:
                context_of(request).put(begun)
            if conditional.names_a_version(request):
                return conditional.run_if_match(request, lambda: run(request, *words, **named))
        except Exception as error:
            return problem_of(request, error)
        return run(request, *words, **named)

    return answer


def _without_body(request: HttpRequest, response: HttpResponseBase) -> HttpResponse:
    """The answer to a HEAD, of that to a GET: an empty one with its headers."""
    request.method = "HEAD"
    empty = HttpResponse(status=response.status_code)
    empty.headers = response.headers
    empty.cookies = response.cookies
    if isinstance(response, HttpResponse):
        empty["Content-Length"] = str(len(response.content))
    response.close()
    return empty


def _count(request: HttpRequest) -> Standing | None:
    try:
        viewer = viewer_of(request)
    except Unauthenticated as error:
        # Whoever guesses keys is counted by address.
        _keep(request, limits.count_address(address_of(request.META)))
        check_origin(request)
        raise error
    admitted = admitted_of(request)
    if admitted is not None:  # with a large body, before it came
        return admitted.standing
    return limits.count(viewer, method=request.method or "", path=request.path)


def _keep(request: HttpRequest, standing: Standing | None) -> None:
    """Keep how much of the limit is left, for the answer's headers."""
    if standing is not None:
        context_of(request).put(standing)


def _after(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    response = as_problem(request, response)
    ticket = context_of(request).get(idempotency.Ticket)
    if ticket is not None:
        try:
            idempotency.finish(ticket, response)
        except DatabaseError as error:  # the write is done: say so, though a repetition cannot be told
            log.error("An answer could not be kept", exc_info=error)
    idempotency.release(request)
    try:
        response = job_events.instead_of(request, response)
    except CutlineError as error:
        response = problem_of(request, error)
    if response.status_code >= 400:
        forget_new_owner(request)
    response = as_problem(request, conditional.finish(request, response))
    standing = context_of(request).get(Standing)
    if standing is not None:
        standing.write(response)
    return response
