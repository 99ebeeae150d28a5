"""Bulks in the admin: how they fare. Names, URLs and what they hold are their owners'."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest

from cutline.server.admin.site import StaffAdmin
from cutline.server.bulk import services
from cutline.server.bulk.models import Bulk, BulkItem
from cutline.server.bulk.progress import counts


@admin.register(Bulk)
class BulkAdmin(StaffAdmin[Bulk]):
    """Admins pause, resume and cancel."""

    list_display = ("id", "state", "owner_id", "error_code", "created_at", "ended_at")
    list_filter = ("state", "error_code")
    filtered_by = ("owner",)
    search_fields = ("id__exact", "owner__id__exact")
    ordering = ("-created_at",)
    fields = (
        "id",
        "state",
        "owner_id",
        "source",
        "progress",
        "errors",
        "error_code",
        "created_at",
        "expanded_at",
        "ended_at",
    )
    actions = ("pause", "resume", "cancel")

    @admin.display(description="made from")
    def source(self, bulk: Bulk) -> str:
        """What the bulk was made from."""
        is_archive = bulk.archive_id is not None
        return "an archive" if is_archive else "a list of URLs, or an archive that is unpacked"

    @admin.display(description="items")
    def progress(self, bulk: Bulk) -> str:
        """Numbers of items by state."""
        return ", ".join(f"{number:,} {state}" for state, number in counts(bulk).items() if number)

    @admin.display(description="item errors")
    def errors(self, bulk: Bulk) -> str:
        """Numbers of failed items by error code."""
        items = BulkItem.objects.filter(bulk=bulk).exclude(error_code="")
        found = items.values_list("error_code").annotate(number=Count("pk")).order_by("-number")
        return ", ".join(f"{number:,} {code}" for code, number in found) or "none"

    @admin.action(description="Pause", permissions=["administer"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Bulk]) -> None:
        """Pause: jobs that have not started wait."""
        self.act_on(request, queryset, services.pause, "paused")

    @admin.action(description="Resume", permissions=["administer"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Bulk]) -> None:
        """Resume paused bulks."""
        self.act_on(request, queryset, services.resume, "resumed")

    @admin.action(description="Cancel", permissions=["administer"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Bulk]) -> None:
        """Cancel: what has not been captioned will not be."""
        self.act_on(request, queryset, services.cancel, "cancelled")
