"""What people made of captions. Kept for learning, used only with the image owner's consent."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from cutline.server.people.models import Owner


class Feedback(models.Model):
    """One thing that happened to a caption; never changed."""

    class Kind(models.TextChoices):
        """What happened."""

        IMPRESSION = "impression"
        EDIT = "edit"
        PICK = "pick"
        COPY = "copy"

    kind = models.CharField(max_length=10, choices=Kind.choices)
    image = models.ForeignKey("images.Image", on_delete=models.CASCADE, related_name="feedback")
    caption = models.ForeignKey(
        "captions.Caption", null=True, blank=True, on_delete=models.CASCADE, related_name="feedback"
    )
    viewer = models.ForeignKey(Owner, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    network = models.CharField(max_length=32, blank=True)  # without an account: as Owner.network
    before = models.TextField(blank=True)
    after = models.TextField(blank=True)
    model = models.CharField(max_length=120, blank=True)
    styled = models.BooleanField(default=False, db_default=False)  # about words in a voice
    hashtags = models.BooleanField(null=True)  # of a copy: whether with the caption's hashtags
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        indexes = [
            models.Index(fields=["kind", "created_at"], name="feedback_kind"),
            models.Index(fields=["caption", "created_at"], name="feedback_of_caption"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.image_id}"


class Rating(models.Model):
    """A thumb up (1) or down (-1); one per viewer and caption, which a viewer may change or take back."""

    caption = models.ForeignKey("captions.Caption", on_delete=models.CASCADE, related_name="ratings")
    viewer = models.ForeignKey(Owner, on_delete=models.CASCADE, related_name="ratings")
    value = models.SmallIntegerField()
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    changed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["caption", "viewer"], name="one_rating_per_viewer"),
            models.CheckConstraint(condition=models.Q(value__in=[-1, 1]), name="rating_up_or_down"),
        ]

    def __str__(self) -> str:
        return f"{self.value:+d} {self.caption_id}"
