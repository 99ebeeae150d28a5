"""Puts our admin site in the place of Django's own."""

from __future__ import annotations

from importlib import import_module

from django.contrib import admin
from django.contrib.admin.apps import AdminConfig as DjangoAdminConfig

_PAGES = (
    "bulk",
    "captions",
    "events",
    "feedback",
    "images",
    "jobs",
    "log",
    "mail",
    "people",
    "webhooks",
)


class AdminConfig(DjangoAdminConfig):
    """Every `admin.site` is Cutline's: INSTALLED_APPS names this instead of django.contrib.admin."""

    default_site = "cutline.server.admin.site.CutlineAdminSite"

    def ready(self) -> None:
        """Register our pages, once all models are there; take away those of other packages."""
        super().ready()
        for page in _PAGES:
            import_module(f"cutline.server.admin.{page}")
        # Pages that other packages bring do not obey the roles, and show tokens and the keys of sessions.
        base = import_module("cutline.server.admin.site").StaffAdmin
        for model, registered in list(admin.site._registry.items()):
            if not isinstance(registered, base):
                admin.site.unregister(model)
