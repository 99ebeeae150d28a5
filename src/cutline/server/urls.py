"""Every HTTP path of the service. Websockets: routing.py."""

from __future__ import annotations

import importlib
import importlib.util

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver, include, path


def _index(request: HttpRequest) -> HttpResponse:
    return HttpResponse("<!doctype html><html lang=en><title>Cutline</title><h1>Cutline</h1></html>")


urlpatterns: list[URLPattern | URLResolver] = [
    path("_allauth/", include("allauth.headless.urls")),
    path("accounts/", include("allauth.urls")),
    path("account/", include("cutline.server.people.urls")),  # the web app's, where it is built in
    path("admin/", admin.site.urls),
    path("", _index, name="index"),
]

# The parts that grow beside this file: each is mounted as soon as it is there.
if importlib.util.find_spec("cutline.server.api.app"):
    urlpatterns.append(path("api/v1/", importlib.import_module("cutline.server.api.app").api.urls))
if importlib.util.find_spec("cutline.server.images.urls"):  # /files/...
    urlpatterns.append(path("", include("cutline.server.images.urls")))
