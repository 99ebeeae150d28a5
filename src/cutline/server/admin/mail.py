"""Mails in the admin: whether they went. Their text may hold a link that opens an account: nobody sees it."""

from __future__ import annotations

from django.contrib import admin

from cutline.server.admin.site import ADMINS, StaffAdmin
from cutline.server.mail.models import Mail


@admin.register(Mail)
class MailAdmin(StaffAdmin[Mail]):
    """For admins alone: who was written to, and when, is personal."""

    viewed_by = ADMINS
    list_display = ("id", "recipient", "subject", "state", "attempts", "created_at", "sent_at")
    list_filter = ("state",)
    search_fields = ("recipient",)
    ordering = ("-created_at",)
    fields = (
        "id",
        "recipient",
        "subject",
        "state",
        "attempts",
        "error",
        "run_after",
        "created_at",
        "sent_at",
    )
