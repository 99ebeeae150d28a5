"""Puts our admin site in the place of Django's own."""

from __future__ import annotations

from importlib import import_module

from django.contrib import admin
from django.contrib.admin.apps import AdminConfig as DjangoAdminConfig


class AdminConfig(DjangoAdminConfig):
    """Every `admin.site` is Cutline's: INSTALLED_APPS names this instead of django.contrib.admin."""

    default_site = "cutline.server.admin_site.CutlineAdminSite"

    def ready(self) -> None:
        """Find each app's pages, and that of the log, which belongs to no app of ours."""
        super().ready()
        import_module("cutline.server.admin_log")
        # Pages that other packages bring do not obey the roles, and show tokens and the keys of sessions.
        base = import_module("cutline.server.admin_site").StaffAdmin
        for model, page in list(admin.site._registry.items()):
            if not isinstance(page, base):
                admin.site.unregister(model)
