"""The service's errors, part of the one error tree. One handler (api/problems.py) maps it to HTTP."""

from __future__ import annotations

from typing import ClassVar

from cutline.errors import CutlineError


class NotFound(CutlineError):
    """There is no such thing, or the viewer may not see it."""

    code = "not_found"
    http_status = 404


class Unauthenticated(CutlineError):
    """The key or session is missing, wrong, expired or revoked."""

    code = "unauthenticated"
    http_status = 401


class Forbidden(CutlineError):
    """The viewer is not allowed to do this."""

    code = "forbidden"
    http_status = 403


class ScopeMissing(Forbidden):
    """The API key lacks the scope that this needs."""


class ReauthenticationRequired(Forbidden):
    """This needs a recent sign-in."""

    code = "reauthentication_required"


class CrossOrigin(Forbidden):
    """A browser sent this write from another site."""

    code = "cross_origin"


class Invalid(CutlineError):
    """The request is invalid."""

    code = "invalid"
    http_status = 422


class Conflict(CutlineError):
    """The current state does not allow this."""

    code = "conflict"
    http_status = 409


class KeyReused(Conflict):
    """An Idempotency-Key was used again with another request."""

    code = "idempotency_key_reused"
    http_status = 422


class TooManyRequests(CutlineError):
    """A rate limit is used up."""

    code = "too_many_requests"
    http_status = 429


class QuotaExceeded(CutlineError):
    """A quota is used up."""

    code = "quota_exceeded"
    http_status = 409


class NothingStored(Invalid):
    """None of several files could be used, for different reasons."""

    code = "nothing_stored"


class ServiceUnavailable(CutlineError):
    """Something that the service depends on is not responding."""

    code = "unavailable"
    http_status = 503
    retry_after_s: ClassVar[int] = 5


class RestylerUnavailable(ServiceUnavailable):
    """There is no language model here, or it does not answer: no caption in a voice can be written."""

    code = "restyler_unavailable"


class CaptionRefused(Invalid):
    """Nothing that a language model wrote could be used; the plain description stays."""

    code = "caption_refused"


class Malformed(CutlineError):
    """The request cannot be parsed: broken JSON, a form without its boundary, an invalid header."""

    code = "malformed"
    http_status = 400


class TooSlow(Malformed):
    """The request did not arrive in time."""

    http_status = 408


class MethodNotAllowed(CutlineError):
    """This address does not accept this method; the header Allow lists those that it accepts."""

    code = "method_not_allowed"
    http_status = 405


class PreconditionFailed(CutlineError):
    """It changed since the version in If-Match."""

    code = "precondition_failed"
    http_status = 412


class RequestTooLarge(CutlineError):
    """The request body is larger than this address accepts."""

    code = "request_too_large"
    http_status = 413


class UnsupportedMedia(CutlineError):
    """This address does not support that content type."""

    code = "unsupported_media_type"
    http_status = 415


class KeyInUse(Conflict):
    """The first request with this Idempotency-Key is still in progress: try again in a moment."""

    code = "idempotency_key_in_use"
    retry_after_s: ClassVar[int] = 1


class InternalError(CutlineError):
    """Something failed inside the service. It was logged with the request id."""

    code = "internal_error"
    http_status = 500


class Cancelled(Conflict):
    """It was cancelled before it was done."""

    code = "cancelled"
