"""Every answer is counted, timed and logged, under an id that goes on into jobs and logs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from django.http import HttpRequest, HttpResponseBase

from cutline.server.observability import request_id
from cutline.server.observability.metrics import REQUEST_S, REQUESTS, REQUESTS_NOW

access = logging.getLogger("cutline.access")

HEADER = "X-Request-Id"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Observe:
    """Gives a request its id, and counts, times and logs its response.

    Paths hold secrets (share links, signed files) and are without number, so neither logs nor metrics ever
    name one: they name the route's template.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the request, then count, time and log it."""
        began = time.perf_counter()
        with (
            request_id.bound(request_id.new(request.headers.get(HEADER, ""))) as name,
            REQUESTS_NOW.track_inprogress(),
        ):
            response = self._get_response(request)
            response[HEADER] = name
            took_s = time.perf_counter() - began
            method = request.method if request.method in _METHODS else "other"
            route = route_of(request)
            REQUESTS.labels(method, route, response.status_code).inc()
            REQUEST_S.labels(method, route).observe(took_s)
            access.info(
                "%s %s %s",
                method,
                route,
                response.status_code,
                extra={
                    "method": method,
                    "route": route,
                    "status": response.status_code,
                    "ms": round(took_s * 1000, 1),
                },
            )
        return response


def route_of(request: HttpRequest) -> str:
    """The template of the path that answered, as /api/v1/images/<uuidstr:image_id>."""
    match = request.resolver_match
    return f"/{match.route}" if match else "static or unknown"
