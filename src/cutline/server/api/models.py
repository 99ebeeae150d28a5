"""What the API itself must remember."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from cutline.server.people.models import Owner


class IdempotentAnswer(models.Model):
    """The answer to a write that carried an Idempotency-Key, given again when it is repeated within a day."""

    owner = models.ForeignKey(Owner, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)  # SHA-256 of method, path and body
    source = models.CharField(
        max_length=48
    )  # whose share of what may be kept it takes: idempotency.source_of
    size = models.PositiveIntegerField(default=0)  # bytes of the body
    status = models.PositiveSmallIntegerField(null=True)  # null while the first is still at work
    headers = models.JSONField(default=dict)
    body = models.BinaryField(default=bytes)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["owner", "key"], name="one_answer_per_key")]
        indexes = [
            models.Index(fields=["created_at"], name="answers_by_age"),
            models.Index(fields=["source", "created_at", "size"], name="answers_by_source"),
        ]

    def __str__(self) -> str:
        return self.key
