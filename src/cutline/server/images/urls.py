"""/files/..."""

from __future__ import annotations

from django.urls import path

from cutline.server.images import views

urlpatterns = [path("files/<path:key>", views.file, name="file")]
