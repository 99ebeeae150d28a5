"""What happened, in order. A page that comes back asks for what came after the last one it saw."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from cutline.server.people.models import Owner


class Event(models.Model):
    """One typed event of an owner (contracts/events.schema.json). Pruned after a day: the API is truth."""

    id = models.BigAutoField(primary_key=True)
    owner = models.ForeignKey(Owner, on_delete=models.CASCADE, related_name="events")
    type = models.CharField(max_length=40)
    data = models.JSONField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        indexes = [
            models.Index(fields=["owner", "id"], name="events_of_owner"),
            models.Index(fields=["created_at"], name="events_by_age"),
        ]

    def __str__(self) -> str:
        return f"{self.id} {self.type}"
