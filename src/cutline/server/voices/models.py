"""Voices that people keep, as styler.record_of writes them down."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from cutline.server.people.models import Owner

MAX_NAME = 40


class SavedVoice(models.Model):
    """A voice that somebody named. key: the name, with its case folded; no two of an owner are alike."""

    owner = models.ForeignKey(Owner, on_delete=models.CASCADE, related_name="saved_voices")
    name = models.CharField(max_length=MAX_NAME)
    key = models.CharField(max_length=4 * MAX_NAME)
    voice = models.JSONField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    changed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["owner", "key"], name="one_voice_of_a_name")]

    def __str__(self) -> str:
        return f"voice {self.pk} of {self.owner_id}"  # its name is its owner's


class LastVoice(models.Model):
    """The voice that an owner used last."""

    owner = models.ForeignKey(Owner, on_delete=models.CASCADE, related_name="+")
    voice = models.JSONField()
    used_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["owner"], name="one_last_voice")]

    def __str__(self) -> str:
        return f"last voice of {self.owner_id}"
