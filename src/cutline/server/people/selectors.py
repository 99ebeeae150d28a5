"""Reading owners and keys: everybody sees their own."""

from __future__ import annotations

from typing import TypeVar

from django.db.models import Model, QuerySet

from cutline.server.errors import NotFound
from cutline.server.people.models import ApiKey, Owner
from cutline.server.people.viewers import Viewer

Row = TypeVar("Row", bound=Model)


def owned_by(viewer: Viewer, rows: QuerySet[Row]) -> QuerySet[Row]:
    """Those of these rows that are the viewer's own; none without an owner. The rows have an `owner_id`."""
    return rows.none() if viewer.owner_id is None else rows.filter(owner_id=viewer.owner_id)


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
    return owned_by(viewer, ApiKey.objects.all()).order_by("-created_at", "-id")
