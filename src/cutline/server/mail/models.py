"""The outbox: a mail is a row first, and sent by a worker."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone

from cutline.server.leases import Leased


class Mail(Leased):
    """One message to one person. Its text is emptied once it is sent: its links may open doors."""

    class State(models.TextChoices):
        """Where it stands."""

        WAITING = "waiting"
        SENT = "sent"
        FAILED = "failed"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    recipient = models.EmailField()
    subject = models.CharField(max_length=500)
    text = models.TextField(blank=True)
    html = models.TextField(blank=True)
    sender = models.CharField(max_length=320, blank=True)
    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING)
    error = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["run_after"], name="mail_queue", condition=models.Q(state="waiting"))]

    def __str__(self) -> str:
        return f"mail {self.id}"
