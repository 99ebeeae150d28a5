"""Events in the admin: that they happened. Their data is their owners': captions are in it."""

from __future__ import annotations

from django.contrib import admin

from cutline.server.admin.site import StaffAdmin
from cutline.server.events.models import Event


@admin.register(Event)
class EventAdmin(StaffAdmin[Event]):
    """What was told to whom, for a day."""

    list_display = ("id", "type", "owner_id", "created_at")
    list_filter = ("type",)
    filtered_by = ("owner",)
    search_fields = ("owner__id__exact",)
    ordering = ("-id",)
    fields = ("id", "type", "owner_id", "created_at")
