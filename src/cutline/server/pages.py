"""The web pages: the web app if it is built, otherwise a small interim page."""

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
# Prefixes that are not pages of the web app. A path with a dot is a missing file.
_NOT_PAGES = r"(?:api|files|static|assets|ws|_allauth|accounts|admin|callbacks)(?:/|$)"
# The prerendered landing pages; see web/prerender.ts.
_PRERENDERED = {
    re.compile(r"/"): "home.html",
    re.compile(r"/gallery"): "gallery.html",
    re.compile(r"/library"): "library.html",
    re.compile(r"/images/[\w-]+"): "photo.html",
}


def is_built_in() -> bool:
    """Whether the web app is built and enabled."""
    return settings().web_app and WEB_APP.exists()


@require_safe
@gzip_page
def web_app(request: HttpRequest) -> HttpResponse:
    """Serve the web app at all of its paths, prerendered where the path has a prerendered page."""
    names = (name for pattern, name in _PRERENDERED.items() if pattern.fullmatch(request.path_info))
    return HttpResponse(_page(next(names, WEB_APP.name)))


@cache
def _page(name: str) -> bytes:
    """Read a prerendered page; index.html if the build has none of that name."""
    page = WEB_APP.with_name(name)
    return (page if page.exists() else WEB_APP).read_bytes()


@require_safe
def interim(request: HttpRequest) -> HttpResponse:
    """The interim page: upload photos and see their captions arrive."""
    return render(request, "interim.html")


def routes(*, built_in: bool) -> list[URLPattern | URLResolver]:
    """The URL patterns of the web pages."""
    if built_in:
        return [re_path(rf"^(?!{_NOT_PAGES})[^.]*$", web_app, name="index")]
    return [
        path("", interim, name="index"),
        path("account/", include("cutline.server.account.urls")),
    ]
