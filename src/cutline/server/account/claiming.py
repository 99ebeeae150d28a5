"""Signing up or in claims what the session owns: what is an anonymous owner's becomes the account's.

Its keys and webhooks end: whoever had the browser before may know them, and would go on reading.
"""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Exists, F, OuterRef
from django.utils import timezone

from cutline.server.bulk.models import BulkItem
from cutline.server.captions.models import Caption, Version
from cutline.server.feedback.models import Feedback
from cutline.server.images import storage, words
from cutline.server.images.models import Decision, Image, RenditionKind, Report, Tag, Visibility
from cutline.server.images.search import text_of
from cutline.server.jobs.models import Job
from cutline.server.people.models import Owner, User
from cutline.server.transactions import retried


@retried
def claim(owner_from: Owner, user: User) -> Owner:
    """Give an account what an anonymous owner has; the account's owner.

    An account without an owner takes the anonymous one as it is. Otherwise everything moves, a picture that
    both have becomes one, and the anonymous owner stays for a while, pointing to the account's: what was
    under way for it may still arrive, and `sweep_owners` passes it on. What another account owns is nothing
    to claim.
    """
    user = User.objects.select_for_update().get(pk=user.pk)
    old = Owner.objects.select_for_update().filter(pk=owner_from.pk, user=None, merged_into=None).first()
    own = Owner.objects.filter(user=user).first()
    if old is None:
        return own or Owner.objects.create(user=user)
    if own is None:
        _end_access(old)
        old.user, old.network = user, ""
        old.save(update_fields=["user", "network"])
        Image.objects.filter(owner=old).update(expires_at=None)
        return old
    hand_over(old, own)
    old.merged_into = own
    old.last_seen_at = timezone.now()
    old.save(update_fields=["merged_into", "last_seen_at"])
    return own


@retried
def hand_over(old: Owner, own: Owner) -> None:
    """Make everything of one owner another's, but for what opens it to programs: that ends."""
    _end_access(old)
    _hand_over_images(old, own)
    for relation in Owner._meta.get_fields(include_hidden=True):
        if isinstance(relation, models.ManyToOneRel) and relation.related_model not in (Image, Owner):
            _hand_over_rows(relation.related_model, relation.field.name, old, own)


def _end_access(old: Owner) -> None:
    """Revoke the keys of an anonymous owner, and remove its webhooks with their log."""
    old.api_keys.filter(revoked_at=None).update(revoked_at=timezone.now())
    old.webhooks.all().delete()


def _hand_over_rows(model: Any, field: str, old: Owner, own: Owner) -> None:
    rows = model._default_manager.filter(**{field: old})
    for constraint in model._meta.constraints:
        if isinstance(constraint, models.UniqueConstraint) and field in constraint.fields:
            others = {name: OuterRef(name) for name in constraint.fields if name != field}
            # What the account has itself stands: its rating of a caption, its report of an image.
            rows.filter(Exists(model._default_manager.filter(**{field: own}, **others))).delete()
    rows.update(**{field: own})


def _hand_over_images(old: Owner, own: Owner) -> None:
    here = {image.content_hash: image for image in Image.objects.select_for_update().filter(owner=own)}
    moving = []
    for image in Image.objects.select_for_update().filter(owner=old):
        twin = here.get(image.content_hash)
        if twin is None:
            moving.append(image.pk)
        elif image.deleted_at is None:  # one that was deleted stays behind, and is purged there
            _merge(image, twin)
    Image.objects.filter(pk__in=moving).update(owner=own, expires_at=None)


def _merge(image: Image, into: Image) -> None:
    """Make one image of two of the same picture, with the captions, history, tags and feedback of both."""
    if into.deleted_at is not None:
        # It was uploaded again since, so it is wanted; but nobody asked to show it to others again.
        into.deleted_at = into.published_at = None
        into.visibility = Visibility.PRIVATE
    had = (into.caption, image.tags.exists())
    before = words.words_of(into)
    _merge_history(image, into)
    for model in (Caption, Job, Feedback, Decision, BulkItem):
        model._default_manager.filter(image=image).update(image=into)
    reported = Report.objects.filter(image=into).exclude(reporter=None).values("reporter")
    Report.objects.filter(image=image).exclude(reporter__in=reported).update(image=into)
    tags = Tag.objects.filter(image=image).exclude(name__in=into.tags.values("name"))
    tags.update(image=into)
    _merge_files(image, into)
    into.file_name = into.file_name or image.file_name
    into.source_url = into.source_url or image.source_url
    tag_names = into.tags.order_by("name").values_list("name", flat=True)
    into.search_text = text_of(into.caption, tag_names, description=into.description)
    if had != (into.caption, False):
        words.queue_for_review(into, before)
    into.changed_at = timezone.now()
    into.save()
    image.delete()


def _merge_history(image: Image, into: Image) -> None:
    """Put the history of one behind that of the other. The text that is shown is the newest of a person."""
    theirs = list(image.versions.order_by("number"))
    ours = list(into.versions.order_by("number"))
    if not theirs:
        return
    last = ours[-1].number if ours else 0
    Version.objects.filter(image=image).update(
        image=into, number=F("number") + last, restored_from=F("restored_from") + last
    )
    if not ours or _weight(theirs[-1]) > _weight(ours[-1]):
        into.caption, into.caption_by, into.caption_model = (
            image.caption,
            image.caption_by,
            image.caption_model,
        )
        into.description = image.description
        return
    shown = ours[-1]
    Version.objects.create(
        image=into,
        number=last + theirs[-1].number + 1,
        text=shown.text,
        by=shown.by,
        action=Version.Action.RESTORED,
        model=shown.model,
        styled=shown.styled,
        caption_id=shown.caption_id,
        actor_id=into.owner_id,
        restored_from=shown.number,
    )


def _weight(version: Version) -> tuple[bool, Any]:
    """What a person chose weighs more than what a machine wrote, and of those the newest most."""
    chosen = version.action != Version.Action.GENERATED
    return chosen, version.created_at if chosen else 0


def _merge_files(image: Image, into: Image) -> None:
    """Keep the original where only the other image has it; give the rest of its files to the sweep."""
    originals = image.renditions.filter(kind=RenditionKind.ORIGINAL)
    if not into.renditions.filter(kind=RenditionKind.ORIGINAL).exists():
        originals.update(image=into)
        into.keep_original = into.keep_original or image.keep_original
    storage.discard(list(image.renditions.values_list("file_id", flat=True)))
