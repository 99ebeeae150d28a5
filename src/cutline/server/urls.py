"""Every HTTP path of the service. Websockets: realtime/routing.py; /healthz, /readyz, /metrics: health.py."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from cutline.server import pages
from cutline.server.api.app import api

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v1/", api.urls),
    path("_allauth/", include("allauth.headless.urls")),
    path("accounts/", include("allauth.urls")),
    path("admin/", admin.site.urls),
    path("", include("cutline.server.images.urls")),  # /files/...
    path("callbacks/", include("cutline.server.callbacks.urls")),
    *pages.routes(built_in=pages.is_built_in()),
]

handler403 = "cutline.server.api.problems.permission_denied"
handler400 = "cutline.server.api.problems.bad_request"
handler500 = "cutline.server.api.problems.server_error"
