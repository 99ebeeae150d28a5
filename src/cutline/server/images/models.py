"""Photos, and everything that is kept of them except captions."""

from __future__ import annotations

import secrets
import uuid

from django.db import models
from django.utils import timezone

from cutline.server.people.models import Owner, User


class Visibility(models.TextChoices):
    """Who may see an image."""

    PRIVATE = "private"
    UNLISTED = "unlisted"  # whoever has the link
    PUBLIC = "public"  # the gallery, once moderation approved


class Moderation(models.TextChoices):
    """Where an image stands on its way to the gallery."""

    NONE = "none"  # never asked to be public
    PENDING = "pending"  # the machine has not looked yet
    APPROVED = "approved"
    HELD = "held"  # a moderator must look
    REJECTED = "rejected"


class RenditionKind(models.TextChoices):
    """What a stored file of an image is for."""

    ORIGINAL = "original"  # as uploaded, only where the owner wants it; for the owner alone
    MASTER = "master"  # stripped, upright, at most settings.master_side_px
    LARGE = "large"
    THUMBNAIL = "thumbnail"


class StoredFile(models.Model):
    """The ledger of files: a row before its file is written, and until its file is gone.

    pending: being written, no image yet. live: belongs to something. discarded: to be deleted. The sweep
    deletes discarded files, and pending ones that are old, so that a killed process leaves no orphan.
    """

    class State(models.TextChoices):
        """What the sweep may do with it."""

        PENDING = "pending"
        LIVE = "live"
        DISCARDED = "doomed", "Doomed"  # the database keeps its older word

    key = models.CharField(primary_key=True, max_length=255)
    state = models.CharField(max_length=8, choices=State.choices, default=State.PENDING)
    bytes = models.BigIntegerField(default=0)
    changed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [models.Index(fields=["state", "changed_at"])]

    def __str__(self) -> str:
        return self.key


def share_token() -> str:
    """A link's secret: 192 random bits."""
    return secrets.token_urlsafe(24)


class Image(models.Model):
    """A photo of an owner. The same picture is one image: (owner, content_hash) is unique."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(Owner, on_delete=models.CASCADE, related_name="images")
    content_hash = models.CharField(max_length=64)  # SHA-256 of the upright pixels and their size
    file_name = models.CharField(max_length=255, blank=True)  # as the owner's; shown to the owner alone
    source_url = models.URLField(max_length=2000, blank=True)
    width_px = models.PositiveIntegerField()
    height_px = models.PositiveIntegerField()
    placeholder = models.TextField(blank=True)  # a tiny picture as a data: URL
    rendered_at = models.DateTimeField(null=True, blank=True)  # when thumbnails and the like were made
    keep_original = models.BooleanField(default=False)
    visibility = models.CharField(max_length=8, choices=Visibility.choices, default=Visibility.PRIVATE)
    moderation = models.CharField(max_length=8, choices=Moderation.choices, default=Moderation.NONE)
    nsfw_score = models.FloatField(null=True, blank=True)
    share_token = models.CharField(max_length=40, unique=True, default=share_token, editable=False)
    # What is shown now, repeated here for lists and search; captions.Version is the history.
    caption = models.TextField(blank=True)
    caption_by = models.CharField(max_length=8, blank=True)  # model | person | nothing yet
    caption_model = models.CharField(max_length=120, blank=True)
    # While the caption is in a voice: the plain text, which stays the alternative text; else empty.
    description = models.TextField(blank=True, default="", db_default="")
    search_text = models.TextField(blank=True)  # caption and tags, as PostgreSQL searches them: see search.py
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    changed_at = models.DateTimeField(default=timezone.now)
    published_at = models.DateTimeField(null=True, blank=True)  # set while it stands in the gallery
    # A person's words of a public image that no moderator has read: since when, and what stood there before,
    # which others see meanwhile.
    words_unread_at = models.DateTimeField(null=True, blank=True)
    read_caption = models.TextField(blank=True)
    read_caption_by = models.CharField(max_length=8, blank=True)
    read_caption_model = models.CharField(max_length=120, blank=True)
    read_description = models.TextField(blank=True, default="", db_default="")
    read_tags = models.JSONField(default=list)
    expires_at = models.DateTimeField(null=True, blank=True)  # anonymous images go
    deleted_at = models.DateTimeField(null=True, blank=True)  # hidden at once, purged after the undo time

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner", "content_hash"], name="one_picture_per_owner")
        ]
        indexes = [
            models.Index(fields=["owner", "-created_at", "-id"], name="library"),
            models.Index(fields=["owner", "visibility", "-created_at", "-id"], name="library_visibility"),
            models.Index(
                fields=["-published_at", "-id"],
                name="gallery",
                condition=models.Q(published_at__isnull=False, deleted_at__isnull=True),
            ),
            models.Index(
                fields=["created_at"], name="unrendered", condition=models.Q(rendered_at__isnull=True)
            ),
            # Partial, or SQLite would take them for the many rows that are not deleted, and sort those.
            models.Index(fields=["expires_at"], name="expiry", condition=models.Q(expires_at__isnull=False)),
            models.Index(fields=["deleted_at"], name="purge", condition=models.Q(deleted_at__isnull=False)),
            models.Index(fields=["moderation", "changed_at"], name="moderation_queue"),
            models.Index(
                fields=["words_unread_at"],
                name="unread_words",
                condition=models.Q(words_unread_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return str(self.id)


class Rendition(models.Model):
    """One stored file of an image."""

    image = models.ForeignKey(Image, on_delete=models.CASCADE, related_name="renditions")
    kind = models.CharField(max_length=10, choices=RenditionKind.choices)
    format = models.CharField(max_length=8)  # jpeg, webp, avif; an original's own
    width_px = models.PositiveIntegerField()
    height_px = models.PositiveIntegerField()
    file = models.OneToOneField(StoredFile, on_delete=models.PROTECT, related_name="rendition")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["image", "kind", "format"], name="one_rendition_of_a_kind")
        ]

    def __str__(self) -> str:
        return f"{self.image_id} {self.kind}.{self.format}"


class Tag(models.Model):
    """A word that an owner put on an image."""

    image = models.ForeignKey(Image, on_delete=models.CASCADE, related_name="tags")
    name = models.CharField(max_length=40)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["image", "name"], name="one_tag_of_a_name")]
        indexes = [models.Index(fields=["name", "image"], name="tag_name")]

    def __str__(self) -> str:
        return self.name


class Report(models.Model):
    """Somebody says that a public image should not be there. One per owner and image."""

    class Reason(models.TextChoices):
        """What is wrong with it."""

        SEXUAL = "sexual"
        VIOLENT = "violent"
        HATEFUL = "hateful"
        PRIVACY = "privacy"
        COPYRIGHT = "copyright"
        SPAM = "spam"
        OTHER = "other"

    image = models.ForeignKey(Image, on_delete=models.CASCADE, related_name="reports")
    reporter = models.ForeignKey(Owner, null=True, on_delete=models.SET_NULL, related_name="+")
    reason = models.CharField(max_length=12, choices=Reason.choices)
    text = models.TextField(blank=True, max_length=2000)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    resolved_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["image", "reporter"], name="one_report_per_person")]

    def __str__(self) -> str:
        return f"{self.reason}: {self.image_id}"


class Decision(models.Model):
    """What the machine (by is null) or a moderator decided about an image."""

    image = models.ForeignKey(Image, on_delete=models.CASCADE, related_name="decisions")
    by = models.ForeignKey(User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+")
    moderation = models.CharField(max_length=8, choices=Moderation.choices)
    reason = models.CharField(max_length=500, blank=True)
    nsfw_score = models.FloatField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return f"{self.moderation}: {self.image_id}"
