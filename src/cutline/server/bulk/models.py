"""Many photos at once: an archive, or a list of URLs."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone

from cutline.server.images.models import Image, StoredFile
from cutline.server.people.models import Owner


class BulkState(models.TextChoices):
    """A bulk's life; paused only holds back what has not begun."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"  # the archive itself could not be used
    CANCELLED = "cancelled"


OPEN_STATES = (BulkState.QUEUED, BulkState.RUNNING, BulkState.PAUSED)


class Bulk(models.Model):
    """One request for many captions. Progress is counted from its items."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(Owner, on_delete=models.CASCADE, related_name="bulks")
    name = models.CharField(max_length=255, blank=True)
    archive = models.OneToOneField(
        StoredFile, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    options = models.JSONField(default=dict)
    state = models.CharField(max_length=10, choices=BulkState.choices, default=BulkState.QUEUED)
    error_code = models.CharField(max_length=60, blank=True)
    error_message = models.CharField(max_length=1000, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expanded_at = models.DateTimeField(null=True, blank=True)  # every item stands, and has its image or job
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [models.Index(fields=["owner", "-created_at", "-id"], name="bulk_library")]

    def __str__(self) -> str:
        return f"bulk {self.id}"  # its name is its owner's


class BulkItem(models.Model):
    """One file or URL of a bulk, with its result."""

    class State(models.TextChoices):
        """Where it stands."""

        WAITING = "waiting"
        DONE = "done"
        FAILED = "failed"
        CANCELLED = "cancelled"

    bulk = models.ForeignKey(Bulk, on_delete=models.CASCADE, related_name="items")
    number = models.PositiveIntegerField()  # its place in the archive or list
    name = models.CharField(max_length=2000)  # the member's name, or the URL
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    image = models.ForeignKey(Image, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    error_code = models.CharField(max_length=60, blank=True)
    error_message = models.CharField(max_length=1000, blank=True)
    # Of a done one: why it has no captions in the bulk's voice.
    style_code = models.CharField(max_length=60, blank=True, default="", db_default="")
    style_message = models.CharField(max_length=1000, blank=True, default="", db_default="")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["bulk", "number"], name="one_item_of_a_number")]
        indexes = [models.Index(fields=["bulk", "state"], name="bulk_progress")]

    def __str__(self) -> str:
        return f"item {self.number} of bulk {self.bulk_id}"
