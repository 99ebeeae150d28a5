"""What is to be done to images. The row is the truth; a queued message only says: look."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone

from cutline.server.leases import Leased
from cutline.server.people.models import Owner


class JobState(models.TextChoices):
    """A job's life: queued -> running -> done | failed | cancelled; failed -> queued by a retry."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


UNENDED = (JobState.QUEUED, JobState.RUNNING)


class JobKind(models.TextChoices):
    """What a job does."""

    CAPTION = "caption"  # write candidates; the first time also make renditions
    MODERATE = "moderate"  # may it be shown in the gallery?
    BULK = "bulk"  # unpack an archive or list into images and caption jobs
    STYLE = "style"  # write captions in a voice
    FETCH = "fetch"  # get the photo of a URL in a bulk list, then caption it


class Priority(models.IntegerChoices):
    """Smaller goes first."""

    INTERACTIVE = 0
    BULK = 10


class Job(Leased):
    """One thing to be done once. Claimed with a lease; a lease that ran out puts it back."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=10, choices=JobKind.choices, default=JobKind.CAPTION)
    owner = models.ForeignKey(Owner, on_delete=models.CASCADE, related_name="jobs")
    image = models.ForeignKey(
        "images.Image", null=True, blank=True, on_delete=models.CASCADE, related_name="jobs"
    )
    bulk_item = models.OneToOneField(
        "bulk.BulkItem", null=True, blank=True, on_delete=models.CASCADE, related_name="job"
    )
    bulk = models.ForeignKey(
        "bulk.Bulk", null=True, blank=True, on_delete=models.CASCADE, related_name="jobs"
    )
    options = models.JSONField(default=dict)  # n, decoding options, model
    state = models.CharField(max_length=10, choices=JobState.choices, default=JobState.QUEUED)
    stage = models.CharField(max_length=20, blank=True)  # what it is doing, or was doing when it ended
    priority = models.SmallIntegerField(choices=Priority.choices, default=Priority.INTERACTIVE)
    losses = models.PositiveSmallIntegerField(default=0)  # of its attempts, those whose worker vanished
    error_code = models.CharField(max_length=60, blank=True)
    error_message = models.CharField(max_length=1000, blank=True)
    # Of a caption job that is done: the bundle that wrote its captions (ModelInfo.bundle_hash).
    model_hash = models.CharField(max_length=64, blank=True, default="", db_default="")
    request_id = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    started_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["priority", "created_at", "id"],
                name="job_queue",
                condition=models.Q(state="queued"),
            ),
            # Half of a worker's threads look for what is no URL; 100,000 of those may stand before it.
            models.Index(
                fields=["priority", "created_at", "id"],
                name="job_queue_unfetched",
                condition=models.Q(state="queued") & ~models.Q(kind="fetch"),
            ),
            models.Index(fields=["lease_until"], name="job_leases", condition=models.Q(state="running")),
            models.Index(fields=["owner", "-created_at", "-id"], name="job_library"),
            # Of a library's photos, those whose caption failed, or waits, are few among very many.
            models.Index(
                fields=["owner", "state", "-created_at"],
                name="job_caption_states",
                condition=models.Q(kind="caption"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id} {self.state}"
