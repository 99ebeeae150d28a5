"""What staff did, in the admin."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.admin.models import LogEntry

from cutline.server.admin.site import ADMINS, StaffAdmin


@admin.register(LogEntry)
class LogEntryAdmin(StaffAdmin[LogEntry]):
    """Every act of staff, for admins to read; nobody changes or deletes it here."""

    viewed_by = ADMINS
    list_display = ("action_time", "user", "content_type", "object_repr", "what")
    list_filter = ("action_flag", "content_type")
    filtered_by = ("user", "object_id")
    search_fields = ("user__email", "object_id__exact")
    ordering = ("-action_time",)
    list_select_related = ("user", "content_type")
    fields = ("action_time", "user", "content_type", "object_id", "object_repr", "what")

    @admin.display(description="what")
    def what(self, entry: LogEntry) -> str:
        """What the person did, in words."""
        return entry.get_change_message() or entry.get_action_flag_display()
