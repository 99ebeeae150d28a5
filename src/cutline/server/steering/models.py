"""The challenger's shares as they were changed, and numbers on what models did. No words, and nobody's."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class Share(models.Model):
    """The challenger's shares from some moment on. The last row is in force; rows are never changed."""

    canary_percent = models.FloatField()
    shadow_percent = models.FloatField()
    by = models.CharField(max_length=200)
    why = models.CharField(max_length=1000)
    at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return f"canary {self.canary_percent:g}%, shadow {self.shadow_percent:g}%"


class Failure(models.Model):
    """A model that failed on a photo, which another one could caption, or a later attempt."""

    model_hash = models.CharField(max_length=64)  # ModelInfo.bundle_hash
    error = models.CharField(max_length=120)  # the name of its class
    at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        indexes = [models.Index(fields=["model_hash", "at"], name="failures_of_a_model")]

    def __str__(self) -> str:
        return f"{self.error} of {self.model_hash[:12]}"


class Shadow(models.Model):
    """A photo that both models captioned. What the challenger wrote is not kept, nor which photo it was.

    agreement: the share of words that both captions have, from 0 to 1; null where the challenger failed.
    """

    champion_hash = models.CharField(max_length=64)
    challenger_hash = models.CharField(max_length=64)
    agreement = models.FloatField(null=True)
    champion_s = models.FloatField()
    challenger_s = models.FloatField()
    at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        indexes = [models.Index(fields=["challenger_hash", "at"], name="shadows_of_a_model")]

    def __str__(self) -> str:
        return f"shadow of {self.challenger_hash[:12]}"
