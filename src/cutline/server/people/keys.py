"""API keys: 256 random bits, shown once; what is kept is their SHA-256."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils import timezone

from cutline.server.errors import Conflict, Invalid, NotFound
from cutline.server.events.services import recheck
from cutline.server.people.models import ApiKey, Owner

PREFIX = "ck_"
_SHOWN = 10  # letters of a key that lists show, so that keys can be told apart
_MOST = 50  # keys of one owner that work at the same time
_USE_EVERY = timedelta(minutes=1)  # how exactly the last use is known: a write per request would cost more


class Scope(StrEnum):
    """What a key may do."""

    CAPTION = "caption"
    IMAGES_READ = "images:read"
    IMAGES_WRITE = "images:write"
    BULK = "bulk"
    WEBHOOKS = "webhooks"
    ACCOUNT = "account"


def digest_of(secret: str) -> str:
    """What is kept of a key. It has 256 random bits: a slow hash would add nothing."""
    return hashlib.sha256(secret.encode()).hexdigest()


def create(
    owner: Owner, *, name: str, scopes: Iterable[str], expires_at: datetime | None = None
) -> tuple[ApiKey, str]:
    """Make a key. The second value is the secret: nobody can see it again.

    Raises:
        Invalid: no scope, an unknown one, or an expiry that has passed.
        Conflict: the owner has too many keys that work.
    """
    chosen = sorted(set(scopes))
    if not chosen or any(scope not in set(Scope) for scope in chosen):
        raise Invalid(
            "A key needs at least one scope, and only known ones.", hint=f"Choose from {', '.join(Scope)}."
        )
    if expires_at is not None and expires_at <= timezone.now():
        raise Invalid("A key cannot expire in the past.")
    if working(owner).count() >= _MOST:
        raise Conflict(f"There are {_MOST} keys already.", hint="Revoke one that is not used.")
    secret = PREFIX + secrets.token_urlsafe(32)
    key = ApiKey.objects.create(
        owner=owner,
        name=name,
        prefix=secret[:_SHOWN],
        digest=digest_of(secret),
        scopes=chosen,
        expires_at=expires_at,
    )
    return key, secret


def find(secret: str) -> ApiKey | None:
    """The key that works now and has this secret, with its owner and user; None where there is none."""
    now = timezone.now()
    return (
        ApiKey.objects.select_related("owner__user")
        .filter(Q(expires_at=None) | Q(expires_at__gt=now), digest=digest_of(secret), revoked_at=None)
        .exclude(owner__user__is_active=False)
        .first()
    )


def note_use(key: ApiKey) -> None:
    """Remember that a key was used, to the minute."""
    now = timezone.now()
    if key.last_used_at is None or key.last_used_at < now - _USE_EVERY:
        ApiKey.objects.filter(pk=key.pk).update(last_used_at=now)


def working(owner: Owner) -> QuerySet[ApiKey]:
    """The keys of an owner that open something."""
    return owner.api_keys.filter(Q(expires_at=None) | Q(expires_at__gt=timezone.now()), revoked_at=None)


def revoke(owner_id: UUID, key_id: UUID) -> None:
    """End a key at once. Doing it again changes nothing.

    Raises:
        NotFound: the owner has no such key.
    """
    keys = ApiKey.objects.filter(pk=key_id, owner__pk=owner_id)
    if not keys.exists():
        raise NotFound("There is no such key.")
    keys.filter(revoked_at=None).update(revoked_at=timezone.now())
    recheck(owner_id)
