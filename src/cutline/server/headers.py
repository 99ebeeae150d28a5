"""What browsers are told about every answer: run only our scripts, frame nothing, keep nothing for others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from urllib.parse import parse_qs, urlsplit

from django.http import HttpRequest, HttpResponseBase

from cutline.server.account.signals import SignedOut
from cutline.server.config import settings
from cutline.server.request_context import context_of

# Style libraries add an empty <style> and fill it by script; this is the hash of the empty text.
_EMPTY = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
_PERMISSIONS = "camera=(self), microphone=(), geolocation=(), payment=(), usb=()"


class SafetyHeaders:
    """Adds what a view has not said itself."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the request, adding the headers that the view has not set."""
        response = self._get_response(request)
        response.headers.setdefault("Content-Security-Policy", content_policy(request.path_info))
        response.headers.setdefault("Permissions-Policy", _PERMISSIONS)
        # What was made for one viewer is nobody else's: a shared cache may not keep it.
        response.headers.setdefault("Cache-Control", "private, no-cache")
        if context_of(request).get(SignedOut):
            # Pages, and photos that were still to be sent: the next person at this browser is somebody else.
            response.headers["Clear-Site-Data"] = '"cache", "storage"'
        return response


def content_policy(path: str) -> str:
    """The Content-Security-Policy of a path: strict, but for tools that we did not write."""
    return _policy(next((prefix for prefix in _LOOSER if path.startswith(prefix)), ""))


# The admin's theme evaluates expressions in attributes, which are all in its own templates; the API's page
# brings styles.
_LOOSER: Mapping[str, Mapping[str, Iterable[str]]] = {
    "/admin/": {"script-src": ("'self'", "'unsafe-eval'")},
    "/api/v1/docs": {"style-src": ("'self'", "'unsafe-inline'")},
}


@lru_cache(maxsize=8)
def _policy(prefix: str) -> str:
    store = _origin(parse_qs(urlsplit(settings().storage_url).query).get("endpoint", [""])[0])
    if settings().storage_url.startswith("s3:") and not store:
        store = "https://*.amazonaws.com"
    directives: dict[str, Iterable[str]] = {
        "default-src": ("'none'",),
        "script-src": ("'self'",),
        "style-src": ("'self'", _EMPTY),
        "img-src": ("'self'", "data:", "blob:", store),
        "connect-src": ("'self'", store),
        "font-src": ("'self'",),
        "manifest-src": ("'self'",),
        "worker-src": ("'self'",),
        "base-uri": ("'none'",),
        # A browser applies this to where a form's answer leads, and signing in leads to the provider.
        "form-action": ("'self'", *_providers()),
        "frame-ancestors": ("'none'",),
    }
    return "; ".join(
        f"{name} {' '.join(filter(None, sources))}"
        for name, sources in {**directives, **_LOOSER.get(prefix, {})}.items()
    )


def _providers() -> list[str]:
    made = settings()
    return [
        *(["https://accounts.google.com"] if made.google_client_id else []),
        *(["https://github.com"] if made.github_client_id else []),
        *(_origin(provider.server_url) for provider in made.openid_providers),
    ]


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""
