"""Captions: candidates that a model wrote, where it looked, and what was shown when."""

from __future__ import annotations

import uuid

from django.db import models
from django.utils import timezone

from cutline.server.images.models import Image
from cutline.server.jobs.models import Job
from cutline.server.people.models import Owner


class Caption(models.Model):
    """A candidate that a model wrote. (job, rank) is unique: a job that runs twice writes once."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    image = models.ForeignKey(Image, on_delete=models.CASCADE, related_name="captions")
    job = models.ForeignKey(Job, null=True, on_delete=models.SET_NULL, related_name="captions")
    rank = models.PositiveSmallIntegerField()  # 0 is the best
    text = models.TextField()
    log_prob = models.FloatField(null=True)  # natural logarithm; null where the model cannot tell
    confidence = models.FloatField(null=True)  # that it is acceptable; null where the model does not say
    model = models.CharField(max_length=120)  # name@version
    # ModelInfo.bundle_hash; empty where the model is no bundle, and for captions of before this was kept.
    model_hash = models.CharField(max_length=64, blank=True, default="", db_default="")
    options = models.JSONField(default=dict)
    # Of a caption in a voice: how it came to be (styling.Style); null for what describes the photo.
    style = models.JSONField(null=True, blank=True, default=None)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["job", "rank"], name="one_caption_of_a_rank")]
        indexes = [models.Index(fields=["image", "-created_at", "rank"], name="candidates")]

    @property
    def is_styled(self) -> bool:
        """Whether it is in a voice: no alternative text."""
        return self.style is not None

    def told(self) -> dict[str, object]:
        """It as events tell of it."""
        return {
            "id": str(self.pk),
            "text": self.text,
            "log_prob": self.log_prob,
            "confidence": self.confidence,
        }

    def __str__(self) -> str:
        return f"caption {self.id}"  # its text may be private, and this goes into logs


class Attention(models.Model):
    """Where the model looked for each word: weights [W, rows, columns], 8 bits each, compressed by zlib."""

    caption = models.OneToOneField(
        Caption, primary_key=True, on_delete=models.CASCADE, related_name="attention"
    )
    words = models.JSONField()  # W strings, as they stand in the text
    rows = models.PositiveSmallIntegerField()
    columns = models.PositiveSmallIntegerField()
    maps = models.BinaryField()


class Version(models.Model):
    """What an image's caption was from some moment on. number counts from 1 in each image."""

    class Action(models.TextChoices):
        """How it came to be."""

        GENERATED = "generated"
        PICKED = "picked"
        EDITED = "edited"
        RESTORED = "restored"

    image = models.ForeignKey(Image, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    text = models.TextField()
    by = models.CharField(max_length=8)  # who wrote the text: model | person
    action = models.CharField(max_length=10, choices=Action.choices)
    styled = models.BooleanField(default=False, db_default=False)  # in a voice: no alternative text
    model = models.CharField(max_length=120, blank=True)  # name@version, where a model wrote it
    caption = models.ForeignKey(Caption, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    actor = models.ForeignKey(Owner, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    restored_from = models.PositiveIntegerField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["image", "number"], name="one_version_of_a_number")]

    def __str__(self) -> str:
        return f"version {self.number} of {self.image_id}"
