"""Webhooks in the admin: whether they work. Secrets, paths and bodies are their owners'."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from cutline.server.admin.site import StaffAdmin
from cutline.server.webhooks import services
from cutline.server.webhooks.models import Delivery, Webhook


@admin.register(Webhook)
class WebhookAdmin(StaffAdmin[Webhook]):
    """Admins switch them off and on. Of the URL the host is shown: the rest may be a password."""

    list_display = ("id", "host", "owner_id", "is_active", "failing_since", "disabled_at", "created_at")
    list_filter = ("is_active",)
    filtered_by = ("owner",)
    search_fields = ("id__exact", "owner__id__exact")
    ordering = ("-created_at",)
    fields = (
        "id",
        "host",
        "owner_id",
        "events",
        "is_active",
        "failing_since",
        "held_until",
        "disabled_at",
        "disabled_reason",
        "created_at",
    )
    actions = ("switch_off", "switch_on")

    @admin.display(description="host")
    def host(self, webhook: Webhook) -> str:
        """The host of the URL."""
        return urlsplit(webhook.url).hostname or ""

    @admin.action(description="Switch off", permissions=["administer"])
    def switch_off(self, request: HttpRequest, queryset: QuerySet[Webhook]) -> None:
        """Disable webhooks until somebody enables them."""
        self._switch(request, queryset, on=False)

    @admin.action(description="Switch on", permissions=["administer"])
    def switch_on(self, request: HttpRequest, queryset: QuerySet[Webhook]) -> None:
        """Enable webhooks, with a fresh start."""
        self._switch(request, queryset, on=True)

    def _switch(self, request: HttpRequest, queryset: QuerySet[Webhook], *, on: bool) -> None:
        webhooks = [services.change(webhook, is_active=on) for webhook in queryset]
        message = f"switched {'on' if on else 'off'}"
        self.log_act(request, webhooks, message)
        self.message_user(request, f"{len(webhooks)} {message}.", messages.SUCCESS)


@admin.register(Delivery)
class DeliveryAdmin(StaffAdmin[Delivery]):
    """The log, without what was sent and answered."""

    list_display = ("id", "type", "state", "attempts", "status_code", "webhook_id", "created_at")
    list_filter = ("state", "type")
    filtered_by = ("webhook",)
    search_fields = ("id__exact", "webhook__id__exact")
    ordering = ("-created_at",)
    fields = (
        "id",
        "webhook_id",
        "event_id",
        "type",
        "state",
        "attempts",
        "status_code",
        "error",
        "run_after",
        "replay_of_id",
        "created_at",
        "ended_at",
    )
