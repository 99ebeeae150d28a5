"""How many images somebody may have."""

from __future__ import annotations

from django.core.cache import cache

from cutline.server.config import settings
from cutline.server.errors import QuotaExceeded
from cutline.server.images.models import Image
from cutline.server.people.models import Owner

_COUNT_EXACTLY = 5000  # quotas above this are checked against a count that is a minute old


def limit_of(owner: Owner) -> int:
    """How many images an owner may have: accounts more than sessions without one."""
    return settings().max_images if owner.user_id else settings().max_images_anonymous


def is_exact(owner: Owner) -> bool:
    """Whether `check` counts this owner's images anew each time."""
    return limit_of(owner) <= _COUNT_EXACTLY


def check(owner: Owner) -> None:
    """Raise QuotaExceeded where an owner has as many images as they may have."""
    limit = limit_of(owner)
    owned = Image.objects.filter(owner=owner)
    if is_exact(owner):
        count = owned.count()
    else:
        key = f"images-of:{owner.pk.hex}"
        known = cache.get(key)
        count = int(known) if known is not None else owned.count()
        if known is None:
            cache.set(key, count, 60)
    if count >= limit:
        raise QuotaExceeded(
            f"You have {count:,} images; the limit is {limit:,}.",
            hint="Delete some, or sign in: accounts may have more." if not owner.user_id else "Delete some.",
        )
