"""Captions and their history in the admin: of images that were offered to others, and no private text."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest

from cutline.server.admin.site import StaffAdmin
from cutline.server.captions.models import Caption, Version
from cutline.server.images.models import Report, Visibility


def _offered() -> Q:
    """Rows of images that staff may look at: as site.may_look_at, for a query."""
    reported = Exists(Report.objects.filter(image=OuterRef("image"), resolved_at=None))
    public = Q(image__visibility=Visibility.PUBLIC)
    return Q(image__deleted_at=None) & (public | Q(reported, image__visibility=Visibility.UNLISTED))


@admin.register(Caption)
class CaptionAdmin(StaffAdmin[Caption]):
    """What models wrote."""

    list_display = ("text", "model", "rank", "log_prob", "confidence", "image_id", "created_at")
    list_filter = ("model",)
    filtered_by = ("image", "job")
    search_fields = ("text", "image__id__exact")
    ordering = ("-created_at", "rank")
    fields = (
        "id",
        "image_id",
        "job_id",
        "rank",
        "text",
        "log_prob",
        "confidence",
        "model",
        "options",
        "is_styled",
        "created_at",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Caption]:
        """Only rows of images that staff may look at."""
        return super().get_queryset(request).filter(_offered())


@admin.register(Version)
class VersionAdmin(StaffAdmin[Version]):
    """What images showed, and by whom."""

    list_display = ("image_id", "number", "text", "by", "action", "model", "created_at")
    list_filter = ("action", "by", "model")
    filtered_by = ("image",)
    search_fields = ("text", "image__id__exact")
    ordering = ("-created_at", "-number")
    fields = (
        "image_id",
        "number",
        "text",
        "by",
        "action",
        "styled",
        "model",
        "caption_id",
        "actor_id",
        "restored_from",
        "created_at",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Version]:
        """Only rows of images that staff may look at."""
        return super().get_queryset(request).filter(_offered())
