"""What a key opens, and finding the one that a request names; account.keys makes and revokes them."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from enum import StrEnum

from django.db.models import Q
from django.utils import timezone

from cutline.server.people.models import ApiKey

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
