"""API keys: 256 random bits, shown once; what is kept is their SHA-256."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils import timezone

from cutline.server import security_log
from cutline.server.errors import Conflict, Forbidden, Invalid, NotFound
from cutline.server.events.services import recheck
from cutline.server.people.keys import PREFIX, Scope, digest_of
from cutline.server.people.models import ApiKey, Owner, Role
from cutline.server.people.owners import lock_owner
from cutline.server.people.roles import role_of
from cutline.server.security_log import Event
from cutline.server.transactions import retried

_SHOWN = 10  # letters of a key that lists show, so that keys can be told apart
_MOST = 50  # keys of one owner that work at the same time


def create(
    owner: Owner, *, name: str, scopes: Iterable[str], expires_at: datetime | None = None
) -> tuple[ApiKey, str]:
    """Make a key. The second value is the secret: nobody can see it again.

    Raises:
        Invalid: no scope, an unknown one, or an expiry that has passed.
        Forbidden: the scope models, for somebody who is not of the staff.
        Conflict: the owner has too many keys that work, or was claimed by an account meanwhile.
    """
    chosen = sorted(set(scopes))
    if not chosen or any(scope not in set(Scope) for scope in chosen):
        raise Invalid(
            "A key needs at least one scope, and only known ones.", hint=f"Choose from {', '.join(Scope)}."
        )
    if Scope.MODELS in chosen and (owner.user is None or role_of(owner.user) == Role.USER):
        raise Forbidden("Only staff may have a key that looks after models.")
    if expires_at is not None and expires_at <= timezone.now():
        raise Invalid("A key cannot expire in the past.")
    secret = PREFIX + secrets.token_urlsafe(32)
    key = ApiKey(
        owner=owner,
        name=name,
        prefix=secret[:_SHOWN],
        digest=digest_of(secret),
        scopes=chosen,
        expires_at=expires_at,
    )
    _save(key)
    security_log.write(Event.KEY_CREATED, made=key.pk, of=owner.pk, scopes=" ".join(chosen))
    return key, secret


@retried
def _save(key: ApiKey) -> None:
    lock_owner(key.owner)
    if working(key.owner).count() >= _MOST:
        raise Conflict(f"You have {_MOST} keys; that is the limit.", hint="Revoke one that is not used.")
    key.save(force_insert=True)


def working(owner: Owner) -> QuerySet[ApiKey]:
    """The keys of an owner that are neither revoked nor expired."""
    return owner.api_keys.filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now()), revoked_at=None)


def revoke(owner_id: UUID, key_id: UUID) -> None:
    """Revoke a key; it stops working at once. Revoking it again changes nothing.

    Raises:
        NotFound: the owner has no such key.
    """
    keys = ApiKey.objects.filter(pk=key_id, owner__pk=owner_id)
    if not keys.exists():
        raise NotFound("There is no such key.")
    keys.filter(revoked_at=None).update(revoked_at=timezone.now())
    security_log.write(Event.KEY_REVOKED, revoked=key_id, of=owner_id)
    recheck(owner_id)


def revoke_all(owner_id: UUID) -> int:
    """Revoke every key of an owner; gives how many still worked."""
    revoked = ApiKey.objects.filter(owner__pk=owner_id, revoked_at=None).update(revoked_at=timezone.now())
    security_log.write(Event.KEY_REVOKED, revoked=revoked, of=owner_id)
    recheck(owner_id)
    return revoked
