"""The web page: the web app where it is built in, otherwise a small page that works without it."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, URLResolver, include, path, re_path
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_safe

from cutline.server.config import settings

WEB_APP = Path(__file__).parent / "webapp" / "index.html"
# What the web app's own paths never are; a name with a dot is a file that is not there.
_NOT_PAGES = r"(?:api|files|static|assets|ws|_allauth|accounts|admin)(?:/|$)"
# The pages that people come to first are painted before the app runs; see web/prerender.ts.
_PAINTED = {
    re.compile(r"/"): "home.html",
    re.compile(r"/gallery"): "gallery.html",
    re.compile(r"/library"): "library.html",
    re.compile(r"/images/[\w-]+"): "photo.html",
}


def is_built_in() -> bool:
    """Whether the web app is served."""
    return settings().web_app and WEB_APP.exists()


@require_safe
@gzip_page
def web_app(request: HttpRequest) -> HttpResponse:
    """The same app at each of its paths; what is painted before it runs is the path's own."""
    painted = (name for pattern, name in _PAINTED.items() if pattern.fullmatch(request.path_info))
    return HttpResponse(_page(next(painted, WEB_APP.name)))


@cache
def _page(name: str) -> bytes:
    """What is painted first. A build that does not paint that page shows the frame: the app is the same."""
    painted = WEB_APP.with_name(name)
    return (painted if painted.exists() else WEB_APP).read_bytes()


@require_safe
def interim(request: HttpRequest) -> HttpResponse:
    """Drop a photo, see the caption arrive."""
    return render(request, "interim.html")


def routes(*, built_in: bool) -> list[URLPattern | URLResolver]:
    """The paths that show pages, with the web app built in or not."""
    if built_in:
        return [re_path(rf"^(?!{_NOT_PAGES})[^.]*$", web_app, name="index")]
    return [
        path("", interim, name="index"),
        path("account/", include("cutline.server.account.urls")),
    ]
