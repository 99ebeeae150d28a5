"""Jobs in the admin: what is queued, at work or failed; admins retry and cancel."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from cutline.server.admin.site import StaffAdmin
from cutline.server.jobs import services
from cutline.server.jobs.models import Job


@admin.register(Job)
class JobAdmin(StaffAdmin[Job]):
    """Options and the error's words are left out: a prefix or a name in them is the owner's own text."""

    list_display = ("id", "kind", "state", "stage", "priority", "attempts", "error_code", "created_at")
    list_filter = ("state", "kind", "priority", "error_code")
    filtered_by = ("image", "owner", "bulk")
    search_fields = ("id__exact", "image__id__exact", "request_id__exact")
    ordering = ("-created_at",)
    fields = (
        "id",
        "kind",
        "state",
        "stage",
        "priority",
        "owner_id",
        "image_id",
        "bulk_id",
        "attempts",
        "losses",
        "error_code",
        "request_id",
        "created_at",
        "run_after",
        "started_at",
        "lease_until",
        "ended_at",
    )
    actions = ("retry", "cancel")

    @admin.action(description="Try again", permissions=["administer"])
    def retry(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        """Queue failed and cancelled jobs again."""
        self.act_on(request, queryset, services.retry, "queued again")

    @admin.action(description="Cancel", permissions=["administer"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Job]) -> None:
        """End jobs that have not ended."""
        self.act_on(request, queryset, services.cancel, "cancelled")
