"""What changes accounts: consent, roles, closing and reopening, signing out everywhere."""

from __future__ import annotations

from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db import transaction
from django.utils import timezone

from cutline.server import security_log
from cutline.server.errors import Conflict, Forbidden
from cutline.server.events.services import recheck
from cutline.server.people.models import Owner, Role, User
from cutline.server.security_log import Event
from cutline.server.transactions import retried


def set_consent(owner: Owner, *, may_train: bool) -> None:
    """Record whether an owner's images and feedback may be used for training."""
    if owner.may_train != may_train:
        owner.may_train = may_train
        owner.may_train_changed_at = timezone.now()
        owner.save(update_fields=["may_train", "may_train_changed_at"])
        security_log.write(Event.CONSENT_CHANGED, of=owner.pk, may_train=may_train)


def change_role(user: User, role: Role, *, by: User) -> None:
    """Change a user's role.

    Raises:
        Forbidden: who asks is no admin.
        Conflict: nobody would be admin any more.
    """
    if by.role != Role.ADMIN or not by.is_active:
        raise Forbidden("Only an admin may change roles.")
    with transaction.atomic():
        if user.role == Role.ADMIN and role != Role.ADMIN:
            check_other_admin(user)
        before, user.role = user.role, role
        user.is_superuser = role == Role.ADMIN
        user.save(update_fields=["role", "is_superuser"])
    security_log.write(Event.ROLE_CHANGED, account=user.pk, before=before, after=role, by=by.pk)


@retried
def close_account(user: User) -> None:
    """Let nobody sign in as this user, and end what is open; what belongs to the account stays.

    Raises:
        Conflict: the last admin cannot go.
    """
    if user.role == Role.ADMIN:
        check_other_admin(user)
    User.objects.filter(pk=user.pk).update(is_active=False)
    end_sessions(user)
    security_log.write(Event.ACCOUNT_CLOSED, account=user.pk)


def reopen_account(user: User) -> None:
    """Undo close_account: the user may sign in again."""
    User.objects.filter(pk=user.pk).update(is_active=True)
    security_log.write(Event.ACCOUNT_REOPENED, account=user.pk)


def end_sessions(user: User) -> None:
    """End all sessions of a user, and let their websockets notice."""
    keys = list(UserSession.objects.filter(user=user).values_list("session_key", flat=True))
    Session.objects.filter(session_key__in=keys).delete()
    UserSession.objects.filter(user=user).delete()
    security_log.write(Event.SESSIONS_ENDED, account=user.pk)
    for owner_id in Owner.objects.filter(user=user).values_list("pk", flat=True):
        recheck(owner_id)


def remove_second_factors(user: User) -> None:
    """Let a user who lost them sign in without, and set them up anew. All sessions end."""
    Authenticator.objects.filter(user=user).delete()
    end_sessions(user)
    security_log.write(Event.SECOND_FACTOR_REMOVED, account=user.pk)


def check_other_admin(user: User) -> None:
    """Raise Conflict where this is the last admin, in a transaction that locks them."""
    admins = User.objects.select_for_update().filter(role=Role.ADMIN, is_active=True)
    if not admins.exclude(pk=user.pk).exists():
        raise Conflict("This is the last admin.", hint="Make somebody else admin first.")
