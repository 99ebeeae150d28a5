"""The end of accounts and of anonymous owners, with everything that belongs to them."""

from __future__ import annotations

from datetime import timedelta

from allauth.account.models import EmailAddress
from django.conf import settings as django_settings
from django.contrib.admin.models import LogEntry
from django.db import transaction
from django.utils import timezone

from cutline.server import security_log
from cutline.server.account.claiming import hand_over
from cutline.server.account.services import check_other_admin, end_sessions
from cutline.server.bulk.models import Bulk
from cutline.server.config import settings
from cutline.server.feedback.models import Feedback
from cutline.server.images import storage
from cutline.server.images.models import Image, Rendition
from cutline.server.images.search import forget_words
from cutline.server.mail import services as mails
from cutline.server.people.models import ApiKey, Owner, Role, User
from cutline.server.security_log import Event
from cutline.server.transactions import retried

_GONE = "(deleted)"
_AT_ONCE = 200  # images that are deleted by one statement
_CLAIMED_STAYS = timedelta(days=1)  # how long something may still arrive for a claimed owner


@retried
def delete_account(user: User) -> None:
    """Delete an account and everything that belongs to it; its sessions end, its files go to the sweep.

    Raises:
        Conflict: the last admin cannot go.
    """
    user = User.objects.select_for_update().get(pk=user.pk)
    if user.role == Role.ADMIN and user.is_active:
        check_other_admin(user)
    end_sessions(user)
    addresses = {user.email, *EmailAddress.objects.filter(user=user).values_list("email", flat=True)}
    for address in addresses:
        mails.forget(address)
    _forget_in_log(user)
    for owner in Owner.objects.filter(user=user):
        delete_owner(owner)
    account = user.pk
    user.delete()
    security_log.write(Event.ACCOUNT_DELETED, account=account)


def _forget_in_log(user: User) -> None:
    """Take an account's name, address and the names of its keys out of the log of what staff did."""
    owners = list(Owner.objects.filter(user=user).values_list("pk", flat=True))
    keys = ApiKey.objects.filter(owner__in=owners).values_list("pk", flat=True)
    gone = [str(pk) for pk in (user.pk, *owners, *keys)]
    LogEntry.objects.filter(object_id__in=gone).update(object_repr=_GONE)


@retried
def delete_owner(owner: Owner) -> None:
    """Delete an owner with images, captions, feedback, keys, jobs and webhooks; files go to the sweep."""
    for claimed in owner.merged_from.all():
        delete_owner(claimed)
    # Locked before anything is looked up: what still writes to them (jobs, renditions, uploads) ends before,
    # or finds nothing left. A row that came in between would point at nothing, which PostgreSQL refuses.
    list(Owner.objects.select_for_update().filter(pk=owner.pk).values_list("pk"))
    list(Image.objects.select_for_update().filter(owner=owner).order_by("pk").values_list("pk"))
    storage.discard(list(Rendition.objects.filter(image__owner=owner).values_list("file_id", flat=True)))
    archives = Bulk.objects.filter(owner=owner).exclude(archive=None)
    storage.discard([str(key) for key in archives.values_list("archive_id", flat=True)])
    Feedback.objects.filter(viewer=owner).delete()
    if Image.objects.filter(owner=owner).exists():
        transaction.on_commit(forget_words)
    while some := list(Image.objects.filter(owner=owner).values_list("pk", flat=True)[:_AT_ONCE]):
        Image.objects.filter(pk__in=some).delete()
    owner.delete()


def sweep_owners() -> int:
    """Pass on what arrived late for claimed owners, and delete anonymous ones that nobody comes back to.

    Returns how many owners went.
    """
    now = timezone.now()
    gone = 0
    for old in Owner.objects.filter(user=None).exclude(merged_into=None).select_related("merged_into"):
        assert old.merged_into is not None
        hand_over(old, old.merged_into)
        if old.last_seen_at < now - _CLAIMED_STAYS and not old.images.exists():
            delete_owner(old)
            gone += 1
    days = timedelta(seconds=django_settings.SESSION_COOKIE_AGE, days=settings().anonymous_days)
    lost = Owner.objects.filter(user=None, merged_into=None, last_seen_at__lt=now - days, images=None)
    for owner in lost[:1000]:
        delete_owner(owner)
        gone += 1
    return gone
