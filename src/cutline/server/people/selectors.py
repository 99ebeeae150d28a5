"""Reading owners and keys: everybody sees their own."""

from __future__ import annotations

from django.db.models import QuerySet

from cutline.server.errors import NotFound
from cutline.server.people.models import ApiKey, Owner
from cutline.server.people.viewers import Viewer


def owner_for(viewer: Viewer) -> Owner:
    """The viewer's owner, with its user.

    Raises:
        NotFound: nothing was kept for them so far.
    """
    owner = (
        Owner.objects.select_related("user").filter(pk=viewer.owner_id).first() if viewer.owner_id else None
    )
    if owner is None:
        raise NotFound("Nothing is stored for you yet.")
    return owner


def keys_of(viewer: Viewer) -> QuerySet[ApiKey]:
    """The viewer's API keys, those that were revoked too, the newest first."""
    if viewer.owner_id is None:
        return ApiKey.objects.none()
    return ApiKey.objects.filter(owner_id=viewer.owner_id).order_by("-created_at", "-id")
