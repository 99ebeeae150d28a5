"""Feedback in the admin: what happened to captions; their words only where the image is public."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from cutline.server.admin.site import StaffAdmin
from cutline.server.feedback.models import Feedback, Rating
from cutline.server.images.models import Visibility

_PRIVATE = "(private)"


@admin.register(Feedback)
class FeedbackAdmin(StaffAdmin[Feedback]):
    """Impressions, edits, picks and copies."""

    list_display = ("kind", "text_before", "text_after", "model", "image_id", "created_at")
    list_filter = ("kind", "model")
    filtered_by = ("image", "caption")
    search_fields = ("image__id__exact",)
    ordering = ("-created_at",)
    fields = (
        "kind",
        "image_id",
        "caption_id",
        "text_before",
        "text_after",
        "model",
        "hashtags",
        "created_at",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Feedback]:
        """Join the images, whose visibility is asked for each row."""
        return super().get_queryset(request).select_related("image")

    @admin.display(description="before")
    def text_before(self, feedback: Feedback) -> str:
        """What the image showed before."""
        return feedback.before if _is_public(feedback) else _PRIVATE

    @admin.display(description="after")
    def text_after(self, feedback: Feedback) -> str:
        """What it showed afterwards."""
        return feedback.after if _is_public(feedback) else _PRIVATE


@admin.register(Rating)
class RatingAdmin(StaffAdmin[Rating]):
    """Thumbs up and down."""

    list_display = ("value", "caption_id", "created_at", "changed_at")
    list_filter = ("value",)
    filtered_by = ("caption",)
    search_fields = ("caption__id__exact",)
    ordering = ("-changed_at",)
    fields = ("value", "caption_id", "created_at", "changed_at")


def _is_public(feedback: Feedback) -> bool:
    return feedback.image.visibility == Visibility.PUBLIC and feedback.image.deleted_at is None
