"""/callbacks/..."""

from __future__ import annotations

from django.urls import path

from cutline.server.callbacks import views

urlpatterns = [
    path("captions", views.captions, name="callback-captions"),
    path("sns", views.topic, name="callback-sns"),
]
