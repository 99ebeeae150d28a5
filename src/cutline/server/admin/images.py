"""Images in the admin: the queue of those that a moderator must look at, reports, decisions."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, F, Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from cutline.server.admin.site import StaffAdmin, StaffInline, may_look_at
from cutline.server.errors import Conflict, NotFound
from cutline.server.images import moderation as decisions
from cutline.server.images import selectors
from cutline.server.images.models import Decision, Image, Moderation, Report, Visibility
from cutline.server.jobs.models import JobKind, JobState
from cutline.server.people.models import User

_HIDDEN = "private"


def _is_offered(image: Image) -> bool:
    """As site.may_look_at, for a row of the list below, which only staff can open."""
    reported = getattr(image, "open_report_count", 0) > 0
    public = image.visibility == Visibility.PUBLIC
    return image.deleted_at is None and (public or (reported and image.visibility == Visibility.UNLISTED))


class NeedsLook(admin.SimpleListFilter):
    """The moderation queue."""

    title = "needs review"
    parameter_name = "queue"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The choices of this filter."""
        return [("look", "held, reported, not scored, or with text that nobody has reviewed")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Image]) -> QuerySet[Image]:
        """The images that were chosen, those that most people reported first."""
        if self.value() != "look":
            return queryset
        return queryset.filter(
            Q(moderation=Moderation.HELD)
            | Q(words_unread_at__isnull=False)
            | Q(reports__isnull=False, reports__resolved_at=None)
            | Q(moderation=Moderation.PENDING, jobs__kind=JobKind.MODERATE, jobs__state=JobState.FAILED),
            deleted_at=None,
        ).distinct()


class ReportsOfImage(StaffInline[Report, Image]):
    """Who objected, and why."""

    model = Report
    fields = ("reason", "text", "created_at", "resolved_at")
    ordering = ("-created_at",)


class DecisionsOfImage(StaffInline[Decision, Image]):
    """What was decided; by nobody: the classifier."""

    model = Decision
    fields = ("moderation", "by", "reason", "nsfw_score", "created_at")
    ordering = ("-created_at",)


@admin.register(Image)
class ImageAdmin(StaffAdmin[Image]):
    """All images; pictures and text of those that were offered to others. Moderators decide about them."""

    list_display = (
        "picture",
        "id",
        "shown_caption",
        "visibility",
        "moderation",
        "nsfw_score",
        "open_reports",
        "words_unread_at",
        "created_at",
    )
    list_display_links = ("picture", "id")
    list_filter = (NeedsLook, "moderation", "visibility")
    filtered_by = ("owner", NeedsLook.parameter_name)
    search_fields = ("id__exact", "owner__id__exact")
    ordering = ("-created_at", "-id")
    fields = (
        "large_picture",
        "shown_caption",
        "shown_tags",
        "id",
        "owner_id",
        "visibility",
        "moderation",
        "nsfw_score",
        "words_unread_at",
        "width_px",
        "height_px",
        "created_at",
        "changed_at",
        "published_at",
        "expires_at",
        "deleted_at",
    )
    inlines = (ReportsOfImage, DecisionsOfImage)
    actions = ("approve", "hold", "reject")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Image]:
        """With the number of open reports."""
        open_report_count = Count("reports", filter=Q(reports__resolved_at=None), distinct=True)
        images: QuerySet[Image] = super().get_queryset(request).prefetch_related("renditions")
        return images.annotate(open_report_count=open_report_count)

    @admin.display(description="reports", ordering="open_report_count")
    def open_reports(self, image: Image) -> int:
        """How many people object."""
        return int(getattr(image, "open_report_count", 0))

    @admin.display(description="")
    def picture(self, image: Image) -> SafeString | str:
        """Its thumbnail, where staff may look at it."""
        return self._picture(image, "thumbnail", "cutline-thumbnail")

    @admin.display(description="picture")
    def large_picture(self, image: Image) -> SafeString | str:
        """The picture, where staff may look at it."""
        return self._picture(image, "large", "cutline-picture")

    @admin.display(description="caption")
    def shown_caption(self, image: Image) -> str:
        """What is read below it, where staff may look at it."""
        return image.caption if _is_offered(image) else _HIDDEN

    @admin.display(description="tags")
    def shown_tags(self, image: Image) -> str:
        """The words that its owner put on it, where staff may look at it."""
        if not _is_offered(image):
            return _HIDDEN
        return " ".join(f"#{name}" for name in image.tags.order_by("name").values_list("name", flat=True))

    def _picture(self, image: Image, kind: str, css: str) -> SafeString | str:
        if not _is_offered(image):
            return _HIDDEN
        links = selectors.urls(image.renditions.all())[kind]
        link = links.get("webp") or links.get("jpeg")
        if not link:
            return "no file"
        return format_html('<img src="{}" alt="" loading="lazy" class="{}">', link, css)

    @admin.action(description="Approve", permissions=["moderate"])
    def approve(self, request: HttpRequest, queryset: QuerySet[Image]) -> None:
        """Publish them in the gallery; reports are resolved."""
        self._decide(request, queryset, Moderation.APPROVED)

    @admin.action(description="Hold", permissions=["moderate"])
    def hold(self, request: HttpRequest, queryset: QuerySet[Image]) -> None:
        """Hide them until a moderator decides."""
        self._decide(request, queryset, Moderation.HELD)

    @admin.action(description="Reject", permissions=["moderate"])
    def reject(self, request: HttpRequest, queryset: QuerySet[Image]) -> None:
        """Reject them for the gallery; reports are resolved."""
        self._decide(request, queryset, Moderation.REJECTED)

    def _decide(self, request: HttpRequest, queryset: QuerySet[Image], moderation: Moderation) -> None:
        assert isinstance(request.user, User)
        decided = []
        left = 0
        for image in queryset:
            if not may_look_at(request, image):  # nobody decides about what they cannot see
                left += 1
                continue
            try:
                decided.append(decisions.decide(image, request.user, moderation))
            except (Conflict, NotFound):
                left += 1
        self.log_act(request, decided, f"decided: {moderation}")
        self.message_user(request, f"{len(decided)} {moderation}.", messages.SUCCESS)
        if left:
            self.message_user(request, f"{left} private or gone: left unchanged.", messages.WARNING)


@admin.register(Report)
class ReportAdmin(StaffAdmin[Report]):
    """What people object to."""

    list_display = ("image_id", "reason", "text", "created_at", "resolved_at")
    list_filter = ("reason", ("resolved_at", admin.EmptyFieldListFilter))
    filtered_by = ("image",)
    search_fields = ("image__id__exact",)
    ordering = (F("resolved_at").asc(nulls_first=True), "-created_at")
    fields = ("image_id", "reason", "text", "created_at", "resolved_at")


@admin.register(Decision)
class DecisionAdmin(StaffAdmin[Decision]):
    """What the classifier and moderators decided."""

    list_display = ("image_id", "moderation", "by", "reason", "nsfw_score", "created_at")
    list_filter = ("moderation",)
    list_select_related = ("by",)
    filtered_by = ("image", "by")
    search_fields = ("image__id__exact", "by__email")
    ordering = ("-created_at",)
    fields = ("image_id", "moderation", "by", "reason", "nsfw_score", "created_at")
