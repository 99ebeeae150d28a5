"""How many images somebody may have, and how much all may keep who have no account."""

from __future__ import annotations

from django.core.cache import cache
from django.db.models import Count, Q, Sum

from cutline.server.cache_errors import cache_errors
from cutline.server.config import settings
from cutline.server.errors import QuotaExceeded
from cutline.server.images.models import Image, StoredFile
from cutline.server.people.models import Owner

_VISITORS, _COUNTED_FOR_S = "images-of-visitors", 300
_SIGN_IN = "Sign in, or sign up: each account has a quota of its own."
_COUNT_EXACTLY = 5000  # quotas above this are checked against a count that is a minute old


def limit_of(owner: Owner) -> int:
    """How many images an owner may have: accounts more than sessions without one."""
    return settings().max_images if owner.user_id else settings().max_images_anonymous


def is_exact(owner: Owner) -> bool:
    """Whether `check` counts this owner's images anew each time."""
    return limit_of(owner) <= _COUNT_EXACTLY


def check(owner: Owner) -> None:
    """Raise QuotaExceeded where an owner has as many images as they may have.

    Anybody may be many owners without an account: of those, each network has a quota as well, and all have.
    """
    if owner.user_id is not None or not owner.network:
        check_own(owner)
        return
    of_network = Image.objects.filter(owner__network=owner.network)
    counts = of_network.aggregate(all=Count("pk"), own=Count("pk", filter=Q(owner=owner)))
    _check_count(owner, counts["own"])
    _check_network(owner.network, counts["all"])
    _check_visitors()


def check_own(owner: Owner) -> None:
    """Raise QuotaExceeded where an owner has as many images as they may have, whatever others have."""
    owned = Image.objects.filter(owner=owner)
    if is_exact(owner):
        count = owned.count()
    else:
        key = f"images-of:{owner.pk.hex}"
        known = cache.get(key)
        count = int(known) if known is not None else owned.count()
        if known is None:
            cache.set(key, count, 60)
    _check_count(owner, count)


def _check_count(owner: Owner, count: int) -> None:
    limit = limit_of(owner)
    if count >= limit:
        raise QuotaExceeded(
            f"You have {count:,} images; the limit is {limit:,}.",
            hint="Delete some, or sign in: accounts may have more." if not owner.user_id else "Delete some.",
        )


def _check_network(network: str, images: int) -> None:
    """Raise QuotaExceeded where those without an account in a network have as much as they may have.

    Not locked: requests at the same moment may go past it, by one image each.
    """
    chosen = settings()
    if images >= chosen.max_images_network:
        raise QuotaExceeded(
            f"Visitors of your network have {chosen.max_images_network:,} images; that is the limit.",
            hint=_SIGN_IN,
        )
    if _bytes(rendition__image__owner__network=network) >= chosen.max_bytes_network:
        raise QuotaExceeded("Visitors of your network use all the space that they may use.", hint=_SIGN_IN)


def _check_visitors() -> None:
    images, size = _of_visitors()
    if images >= settings().max_images_visitors or size >= settings().max_bytes_visitors:
        raise QuotaExceeded("Visitors without an account use all the space that they may use.", hint=_SIGN_IN)


def _of_visitors() -> tuple[int, int]:
    """The images and bytes of all visitors, counted every few minutes."""
    known: tuple[int, int] | None = None
    try:
        known = cache.get(_VISITORS)
        if known is None:
            known = _counted()
            cache.set(_VISITORS, known, _COUNTED_FOR_S)
    except cache_errors():
        return known or _counted()  # while Redis is away, each upload counts anew
    return known


def _counted() -> tuple[int, int]:
    return (
        Image.objects.filter(owner__user=None).count(),
        _bytes(rendition__image__owner__user=None, rendition__isnull=False),
    )


def _bytes(**files: object) -> int:
    return StoredFile.objects.filter(**files).aggregate(Sum("bytes"))["bytes__sum"] or 0
