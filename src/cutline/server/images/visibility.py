"""Who may see an image: private, shared by link, or in the gallery once moderation approved."""

from __future__ import annotations

from django.utils import timezone

from cutline.server.errors import Conflict
from cutline.server.images import words
from cutline.server.images.changes import emit_changed, locked
from cutline.server.images.models import Image, Moderation, Visibility, share_token
from cutline.server.jobs.models import JobKind, JobState
from cutline.server.jobs.services import create_job
from cutline.server.transactions import retried


@retried
def set_visibility(image: Image, visibility: Visibility) -> Image:
    """Show an image to others, or no longer. A public one passes moderation first, and stands then.

    A link's secret is new each time that an image stops being shared by link.
    Raises NotFound; Conflict for a picture that was refused.
    """
    image = locked(image)
    if image.visibility == visibility:
        return image
    if visibility == Visibility.PUBLIC and image.moderation == Moderation.REJECTED:
        raise Conflict("This picture was rejected for the gallery.", hint="It can be shared by link.")
    if visibility == Visibility.PRIVATE:
        image.share_token = share_token()
    image.visibility = visibility
    image.words_unread_at = None
    last = image.versions.select_related("caption").order_by("-number").first()
    if image.tags.exists() or (last is not None and not words.is_model_s(last)):
        words.queue_for_review(image, words.of_the_model(image))
    if visibility == Visibility.PUBLIC and image.moderation in (Moderation.NONE, Moderation.PENDING):
        image.moderation = Moderation.PENDING
        open_jobs = image.jobs.filter(kind=JobKind.MODERATE, state__in=(JobState.QUEUED, JobState.RUNNING))
        if not open_jobs.exists():
            create_job(owner=image.owner, image_id=image.pk, kind=JobKind.MODERATE)
    update_publication(image)
    image.changed_at = timezone.now()
    image.save(
        update_fields=[
            "visibility",
            "moderation",
            "share_token",
            "published_at",
            *words.FIELDS,
            "changed_at",
        ]
    )
    emit_changed(image)
    return image


def update_publication(image: Image) -> None:
    """Set on a locked image whether it stands in the gallery; the caller saves it."""
    stands = image.visibility == Visibility.PUBLIC and image.moderation == Moderation.APPROVED
    if stands and image.published_at is None:
        image.published_at = timezone.now()
    elif not stands:
        image.published_at = None
