"""What people report, and what the classifier and moderators decide about images for the gallery."""

from __future__ import annotations

from django.utils import timezone

from cutline.server import security_log
from cutline.server.config import settings
from cutline.server.errors import Forbidden, Invalid
from cutline.server.events.services import emit
from cutline.server.images.changes import locked
from cutline.server.images.models import Decision, Image, Moderation, Report
from cutline.server.images.visibility import update_publication
from cutline.server.people.models import Owner, Role, User
from cutline.server.people.voices import count_voices, same_voice
from cutline.server.security_log import Event
from cutline.server.transactions import retried

HOLD_AFTER_REPORTS = (
    3  # accounts and networks that object, before a picture waits for a moderator out of sight
)


@retried
def report(image: Image, reporter: Owner, reason: Report.Reason, text: str = "") -> Report:
    """Note that somebody objects to an image; once for each who does, their later words replace the first.

    People without an account are one in each network (people.voices). When several object to a picture that
    no moderator has looked at, it waits out of sight.
    Raises NotFound.
    """
    image = locked(image)
    theirs = image.reports.filter(same_voice(reporter, "reporter"), resolved_at=None)
    made = image.reports.filter(reporter=reporter).first() or theirs.first() or Report(image=image)
    made.reporter, made.reason, made.text = reporter, reason, text.strip()[:2000]
    made.save()
    security_log.write(Event.IMAGE_REPORTED, image=image.pk, reason=reason)
    if image.published_at is not None and not _was_decided(image):
        open_reports = image.reports.filter(resolved_at=None).select_related("reporter")
        people = count_voices(each.reporter for each in open_reports if each.reporter is not None)
        if people >= HOLD_AFTER_REPORTS:
            _write_decision(image, None, Moderation.HELD, f"{people} people objected", None)
    return made


@retried
def decide(image: Image, by: User, moderation: Moderation, reason: str = "") -> Image:
    """Let a moderator publish, hold or refuse an image: reports of it are resolved, its words count as read.

    Raises Forbidden for others, NotFound, Invalid for what is no decision.
    """
    if by.role not in (Role.MODERATOR, Role.ADMIN):
        raise Forbidden("Only moderators may decide about pictures.")
    if moderation not in (Moderation.APPROVED, Moderation.HELD, Moderation.REJECTED):
        raise Invalid("A picture is approved, held or rejected.")
    image = locked(image)
    image.words_unread_at = None
    _write_decision(image, by, moderation, reason, image.nsfw_score)
    if moderation != Moderation.HELD:
        image.reports.filter(resolved_at=None).update(resolved_at=timezone.now())
    return image


@retried
def record_score(image: Image, nsfw_score: float) -> Image:
    """Decide by the classifier's score, where it was asked and no moderator has decided since."""
    image = locked(image)
    if image.moderation != Moderation.PENDING:
        return image
    if nsfw_score < settings().publish_below:
        moderation = Moderation.APPROVED
    elif nsfw_score > settings().hold_above:
        moderation = Moderation.REJECTED
    else:
        moderation = Moderation.HELD
    _write_decision(image, None, moderation, "", nsfw_score)
    return image


def _was_decided(image: Image) -> bool:
    return image.decisions.filter(by__isnull=False).exists()


def _write_decision(
    image: Image, by: User | None, moderation: Moderation, reason: str, nsfw_score: float | None
) -> None:
    """Write a decision about a locked image."""
    Decision.objects.create(
        image=image, by=by, moderation=moderation, reason=reason[:500], nsfw_score=nsfw_score
    )
    image.moderation = moderation
    image.nsfw_score = nsfw_score
    image.changed_at = timezone.now()
    update_publication(image)
    image.save(update_fields=["moderation", "nsfw_score", "published_at", "words_unread_at", "changed_at"])
    security_log.write(Event.IMAGE_DECIDED, image=image.pk, decision=moderation, by=by.pk if by else "")
    emit(
        image.owner_id,
        "moderation.changed",
        {
            "image": str(image.pk),
            "moderation": moderation,
            "published": image.published_at is not None,
            "reason": reason if by else "",
        },
    )
