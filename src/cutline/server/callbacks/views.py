"""/callbacks/captions: the function's signed calls. /callbacks/sns: what the SNS topic sends."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from cutline import fetching
from cutline.errors import CutlineError
from cutline.server import outbound, rates, security_log
from cutline.server.api import limits
from cutline.server.api.problems import problem, problem_of
from cutline.server.callbacks import calls, services, sns
from cutline.server.config import settings
from cutline.server.errors import Conflict, Invalid, NotFound, ServiceUnavailable, Unauthenticated
from cutline.server.jobs import lending
from cutline.server.people.viewers import address_of
from cutline.server.security_log import Event

_FETCH_BYTES, _FETCH_S = 64 * 2**10, 5.0
_FETCHES = "20/minute"  # of certificates and confirmations, whoever makes us look for them

logger = logging.getLogger(__name__)


@csrf_exempt
@require_POST
def captions(request: HttpRequest) -> HttpResponse:
    """Take the captions of a photo: 204, also for the same again; 404 or 409 where nobody waits for them."""
    return _answered(request, _take_call)


@csrf_exempt
@require_POST
def topic(request: HttpRequest) -> HttpResponse:
    """Take a message of the topic: captions as above, or the question whether we subscribe to it."""
    return _answered(request, _take_message)


def _answered(request: HttpRequest, take: Callable[[HttpRequest], None]) -> HttpResponse:
    try:
        take(request)
    except ServiceUnavailable as error:
        logger.info("A function must call again: %s", error)
        return problem(request, error)
    except Unauthenticated as error:
        security_log.write(Event.CALLBACK_REFUSED, why=error.message)
        return problem_of(request, _counted(request, error))
    except Exception as error:
        return problem_of(request, error)
    return HttpResponse(status=204)


def _counted(request: HttpRequest, error: CutlineError) -> CutlineError:
    """The error, or that its sender has been refused too often."""
    try:
        limits.count_address(address_of(request.META))
    except rates.RateLimited as too_many:
        return too_many
    return error


def _take_call(request: HttpRequest) -> None:
    calls.check(request.headers, request.body)
    services.take(services.parsed(request.body))


def _take_message(request: HttpRequest) -> None:
    trust = sns.Trust(topic=settings().callback_topic, fetch=_fetched, roots=fetching.trusted_roots)
    if not lending.is_on() or not trust.topic:
        raise NotFound("This service subscribes to no topic.")
    message = sns.parsed(request.body)
    sns.check(message, trust, now=timezone.now())
    seen = f"sns:{message.MessageId}"
    if calls.was(seen):
        raise Conflict("This message came before.")
    if message.Type == "SubscriptionConfirmation":
        _confirm(message, trust)
    elif message.Type == "Notification":
        services.take(services.parsed(message.Message))
    # Only now: SNS sends the same message again where we failed.
    calls.once(seen, for_s=2 * sns.OLDEST.total_seconds())


def _confirm(message: sns.Message, trust: sns.Trust) -> None:
    if not sns.is_confirmation_url(message.SubscribeURL or "", trust):
        raise Invalid("This confirmation does not lead to SNS.")
    trust.fetch(message.SubscribeURL or "")
    security_log.write(Event.TOPIC_CONFIRMED, topic=trust.topic)


def _fetched(url: str) -> bytes:
    """What is at one of Amazon's URLs. Raises ServiceUnavailable, RateLimited."""
    rates.hit("callback-fetches", _FETCHES, "all")
    try:
        return outbound.fetch_small(url, max_bytes=_FETCH_BYTES, timeout_s=_FETCH_S)
    except CutlineError as error:
        raise ServiceUnavailable("SNS does not answer.", hint="Send it again.") from error
