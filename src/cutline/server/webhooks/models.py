"""Calls to other people's servers, and what came of them."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone

from cutline.server.leases import Leased
from cutline.server.people.models import Owner


class Webhook(models.Model):
    """Where to call, and for which events."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(Owner, on_delete=models.CASCADE, related_name="webhooks")
    url = models.URLField(max_length=2000)
    host = models.CharField(max_length=255, blank=True)  # of the URL; calls to one host are counted together
    secret = models.CharField(max_length=80)  # of the HMAC; shown once
    previous_secret = models.CharField(max_length=80, blank=True)  # signs too until previous_until
    previous_until = models.DateTimeField(null=True, blank=True)
    events = models.JSONField(default=list)  # event types; empty: all
    is_active = models.BooleanField(default=True)
    failing_since = models.DateTimeField(null=True, blank=True)  # the first failure since the last success
    held_until = models.DateTimeField(null=True, blank=True)  # no calls before, since the last one failed
    prompt_at = models.DateTimeField(null=True, blank=True)  # the last call, where it succeeded and was quick
    disabled_at = models.DateTimeField(null=True, blank=True)  # by us, after failing for long
    disabled_reason = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return f"webhook {self.id}"  # its URL may hold somebody's secret


class Delivery(Leased):
    """One call, with its tries. Leased like a job; a replay is a new delivery of the same body."""

    class State(models.TextChoices):
        """Where it stands."""

        WAITING = "waiting"
        DELIVERED = "delivered"
        FAILED = "failed"  # every try was used up

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries")
    event_id = models.BigIntegerField(null=True)
    image_id = models.UUIDField(null=True, db_index=True)  # whose text the body may hold
    type = models.CharField(max_length=40)
    body = models.JSONField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    status_code = models.PositiveSmallIntegerField(null=True, blank=True)
    error = models.CharField(max_length=500, blank=True)
    tries = models.JSONField(default=list)  # [{at, status_code, error, answer, duration_ms}], one per attempt
    replay_of = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["webhook", "event_id"],
                condition=models.Q(replay_of__isnull=True),
                name="one_delivery_per_event",
            )
        ]
        indexes = [
            models.Index(fields=["run_after"], name="delivery_queue", condition=models.Q(state="waiting")),
            models.Index(fields=["webhook", "-created_at", "-id"], name="delivery_log"),
            models.Index(fields=["created_at"], name="deliveries_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.state}"
