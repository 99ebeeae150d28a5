"""The one place where errors become HTTP: application/problem+json (RFC 9457) with stable codes."""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from django.conf import settings as django_settings
from django.core.exceptions import (
    BadRequest,
    DisallowedHost,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
    TooManyFilesSent,
)
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from django.http.response import HttpResponseBase
from django.views import csrf, defaults
from ninja.errors import HttpError, ValidationError

from cutline import errors as library_errors
from cutline.errors import CutlineError
from cutline.server import errors as server_errors
from cutline.server import security_log
from cutline.server.api.parsing import how_to_send
from cutline.server.errors import (
    CrossOrigin,
    Forbidden,
    InternalError,
    Invalid,
    Malformed,
    MethodNotAllowed,
    NotFound,
    RequestTooLarge,
    ScopeMissing,
    ServiceUnavailable,
    TooManyRequests,
    Unauthenticated,
    UnsupportedMedia,
)
from cutline.server.observability.request_id import current as current_request_id
from cutline.server.people.viewers import address_of
from cutline.server.security_log import Event

if TYPE_CHECKING:
    from ninja import NinjaAPI

PROBLEM_JSON = "application/problem+json"
ERRORS_PATH = "/api/v1/errors/"

_CSRF_HINT = (
    f"GET /_allauth/browser/v1/config sets the cookie {django_settings.CSRF_COOKIE_NAME}; send it back as"
    " X-CSRFToken."
)

_FORM_HINT = (
    "Its Content-Type names the boundary of its parts, and its lines end with CR LF: let your HTTP client"
    " write both."
)

_LONGEST_HOST = 253  # characters of a name, as DNS has them

log = logging.getLogger(__name__)

# What an answer that nobody explained means, by its status.
BY_STATUS: Mapping[int, tuple[type[CutlineError], str]] = {
    400: (Malformed, "The request is malformed."),
    401: (Unauthenticated, "Sign in, or send an API key."),
    403: (Forbidden, "This is not allowed."),
    404: (NotFound, "Not found."),
    405: (MethodNotAllowed, "This address does not support that method."),
    413: (RequestTooLarge, "The request is too large for this address."),
    415: (UnsupportedMedia, "This address does not support that content type."),
    422: (Invalid, "The request is invalid."),
    429: (TooManyRequests, "Too many requests."),
    503: (ServiceUnavailable, "The service is temporarily unavailable."),
}


def problem_fields(
    *,
    code: str,
    status: int,
    detail: str,
    hint: str = "",
    request_id: str = "",
    errors: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """The members of a problem document."""
    fields: dict[str, Any] = {
        "type": ERRORS_PATH + code,
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "hint": hint,
        "request_id": request_id,
    }
    if errors:
        fields["errors"] = list(errors)
    return fields


def problem(
    request: HttpRequest,
    error: CutlineError,
    *,
    errors: Sequence[Mapping[str, Any]] = (),
    status: int | None = None,
) -> HttpResponse:
    """The answer that tells of an error. 429 and 503 say when to come back, 401 how to sign in."""
    status = status or error.http_status
    hint = " ".join(part for part in (error.kept, error.hint) if part)
    fields = problem_fields(
        code=error.code,
        status=status,
        detail=error.message,
        hint=hint,
        request_id=current_request_id(),
        errors=errors,
    )
    response = HttpResponse(json.dumps(fields), status=status, content_type=PROBLEM_JSON)
    response["Cache-Control"] = "no-store"
    if status == 401:
        response["WWW-Authenticate"] = 'Bearer realm="cutline"'
    retry_after_s = getattr(error, "retry_after_s", None)
    if retry_after_s is not None:
        response["Retry-After"] = str(retry_after_s)
    return response


def problem_of(request: HttpRequest, error: Exception) -> HttpResponse:
    """Map whatever was raised to a problem; what nobody expected is logged and becomes a 500."""
    match error:
        case CutlineError():
            log_refusal(error)
            if error.http_status >= 500:
                log.error("%s", error, exc_info=error)
            return problem(request, error)
        case ValidationError():
            return problem(
                request,
                Invalid("Some fields are invalid.", hint=_hint_of(error)),
                errors=[_field_error(each) for each in error.errors],
            )
        case Http404():
            return problem(request, NotFound("Not found."))
        case HttpError():
            if isinstance(error.__cause__, CutlineError):
                return problem(request, error.__cause__)
            if isinstance(error.__cause__, (RequestDataTooBig, UnicodeError)):
                return problem_of(request, error.__cause__)
            return problem(request, explained(error.status_code, str(error)), status=error.status_code)
        case RequestDataTooBig() | TooManyFilesSent():
            return problem(
                request, RequestTooLarge("The request has too much data, or too many fields or files.")
            )
        case PermissionDenied():
            return problem_of(request, Forbidden("This is not allowed."))
        case DisallowedHost():
            return problem(request, wrong_host(request))
        case MultiPartParserError():
            return problem(request, Malformed("The form cannot be read.", hint=_FORM_HINT))
        case SuspiciousOperation() | BadRequest() | UnicodeError():
            return problem(request, Malformed("The request is malformed."))
        case OperationalError() | InterfaceError():
            return problem(request, database_away(error))
        case DatabaseError() | Exception():
            log.error("Unexpected %s", type(error).__name__, exc_info=error)
            return problem(request, InternalError("Internal error.", hint="Report the request id."))


def database_away(error: OperationalError | InterfaceError) -> CutlineError:
    """What a client is told of a database that does not answer; the log has the rest."""
    log.error("The database did not answer", exc_info=error)
    return ServiceUnavailable("The database is not reachable.", hint="Try again in a moment.")


def _hint_of(error: ValidationError) -> str:
    places = [each.get("loc", ()) for each in error.errors if each.get("type") == "missing"]
    files = [str(place[-1]) for place in places if place and place[0] == "file"]
    if not files:
        return "errors lists each of them."
    return how_to_send(files[0])


def log_refusal(error: CutlineError) -> None:
    """Put what was forbidden into the security log; rates, keys and tickets write there themselves."""
    match error:
        case CrossOrigin():
            security_log.write(Event.ORIGIN_REFUSED, why=error.message)
        case ScopeMissing():
            security_log.write(Event.SCOPE_REFUSED, why=error.message)
        case Forbidden():
            security_log.write(Event.ACCESS_REFUSED, code=error.code, why=error.message)


def _field_error(error: Mapping[str, Any]) -> dict[str, Any]:
    place = [str(part) for part in error.get("loc", ())]
    return {"where": place, "message": str(error.get("msg", "")), "kind": str(error.get("type", ""))}


def explained(status: int, detail: str = "") -> CutlineError:
    """The error that a bare status stands for."""
    kind, default = BY_STATUS.get(status, (InternalError if status >= 500 else Malformed, ""))
    return kind(detail or default or HTTPStatus(status).phrase)


def as_problem(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    """Turn an error answer that Django wrote itself (404, 405, 500 ...) into a problem; keep its Allow."""
    if response.status_code < 400 or response.get("Content-Type", "").startswith(PROBLEM_JSON):
        return response
    made = problem(request, explained(response.status_code), status=response.status_code)
    for header in ("Allow", "Retry-After", "WWW-Authenticate"):
        if header in response:
            made[header] = response[header]
    return made


def wrong_host(request: HttpRequest) -> Malformed:
    """The error for a request to a name that is not the service's. It is logged: its operator can help."""
    sent = request.META.get("HTTP_HOST", "")
    name = re.sub(r"[^\w.:\[\]-]", "?", sent[:_LONGEST_HOST], flags=re.ASCII)
    log.warning("Refused a request for the host %s, which CUTLINE_HOSTS does not list.", name or "(none)")
    return Malformed(
        f"This service does not answer to the host {name}." if name else "The header Host is missing.",
        hint="Use one of its own addresses, or have its operator add this one to the setting CUTLINE_HOSTS"
        " (on a laptop: cutline serve --host 0.0.0.0 --network).",
    )


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler400: what was refused before it reached the API, as an unknown host."""
    if isinstance(exception, DisallowedHost):
        security_log.write(Event.HOST_REFUSED, address=address_of(request.META))
    if _is_for_programs(request):
        return problem_of(request, exception)
    if isinstance(exception, DisallowedHost):
        return HttpResponse(f"{wrong_host(request)}\n", status=400, content_type="text/plain; charset=utf-8")
    return defaults.bad_request(request, exception)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Django's handler403: what a role may not do, as in the admin."""
    if _is_for_programs(request):
        return problem_of(request, exception)
    security_log.write(Event.ACCESS_REFUSED, address=address_of(request.META), code=Forbidden.code)
    return defaults.permission_denied(request, exception)


def server_error(request: HttpRequest) -> HttpResponse:
    """Django's handler500: what broke around the API, as the database when a session is saved."""
    error = sys.exc_info()[1]
    if _is_for_programs(request):
        return problem_of(request, error if isinstance(error, Exception) else RuntimeError("unknown"))
    return defaults.server_error(request)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Django's CSRF_FAILURE_VIEW: signing up or in without the token that shows where the form came from."""
    security_log.write(
        Event.ORIGIN_REFUSED, address=address_of(request.META), why="The CSRF token is missing or wrong."
    )
    if _is_for_programs(request):
        return problem(request, Forbidden("The CSRF token is missing or wrong.", hint=_CSRF_HINT))
    return csrf.csrf_failure(request, reason)


def _is_for_programs(request: HttpRequest) -> bool:
    return request.path.startswith(("/api/", "/_allauth/"))


def add_handlers(api: NinjaAPI) -> None:
    """Make the API answer every exception by problem_of."""
    for kind in (Exception, Http404, HttpError, ValidationError):
        api.add_exception_handler(kind, problem_of)  # type: ignore[arg-type]  # it is given instances


def error_kinds() -> Iterator[type[CutlineError]]:
    """Every error that an answer of the API can name, by code."""
    found: dict[str, type[CutlineError]] = {}
    for module in (library_errors, server_errors):
        for kind in vars(module).values():
            if isinstance(kind, type) and issubclass(kind, CutlineError):
                found.setdefault(kind.code, kind)
    yield from (found[code] for code in sorted(found))
