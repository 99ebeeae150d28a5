"""When each session was last used; and what people see when a sign-in provider is not responding."""

from __future__ import annotations

import logging
from collections.abc import Callable

from allauth.socialaccount.models import SocialApp
from allauth.usersessions.models import UserSession
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.views import defaults
from requests import RequestException

from cutline.server import security_log
from cutline.server.account.adapters import failed_url
from cutline.server.people.viewers import OWNER_IN_SESSION, address_of

log = logging.getLogger(__name__)

_EVERY_S = 300


class SessionActivity:
    """Notes a session's use at most every five minutes: allauth's own middleware writes at every request."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Record the session's activity, then answer the request."""
        with security_log.bound(address_of(request.META)):
            owner = request.session.get(OWNER_IN_SESSION) if request.session.session_key else None
            security_log.identify(
                user=request.user.pk if request.user.is_authenticated else None, owner=owner
            )
            return self._answer(request)

    def _answer(self, request: HttpRequest) -> HttpResponse:
        key = request.session.session_key
        if key and request.user.is_authenticated and cache.add(f"session-seen:{key}", 1, _EVERY_S):
            UserSession.objects.create_from_request(request)
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Answer what allauth lets fail: a provider that is not set up (404), or that cannot be reached."""
        if isinstance(exception, SocialApp.DoesNotExist):
            return defaults.page_not_found(request, exception)
        if not isinstance(exception, RequestException):
            return None
        log.warning("a sign-in provider is not responding: %s", exception)
        return HttpResponseRedirect(failed_url("unavailable"))
