"""The service's paths where the web app is not built in."""

from __future__ import annotations

from cutline.server import pages
from cutline.server.urls import urlpatterns as with_whatever_is_built

urlpatterns = [*pages.routes(built_in=False), *with_whatever_is_built]
