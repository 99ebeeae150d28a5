"""Owners as rows that others may change meanwhile."""

from __future__ import annotations

from cutline.server.errors import Conflict
from cutline.server.people.models import Owner


def lock_owner(owner: Owner) -> None:
    """Lock an owner's row until the transaction ends: who counts what it has counts alone.

    Raises Conflict where an account claimed it, or it was deleted, since it was read: what is made for
    somebody without an account must not become an account's.
    """
    found = Owner.objects.select_for_update(no_key=True).filter(pk=owner.pk)
    if not found.filter(user=owner.user_id, merged_into=None).exists():
        raise Conflict("You signed in or out in the meantime.", hint="Send it again.")
