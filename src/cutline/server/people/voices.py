"""Who counts as one where people are counted: an account, or everybody without one in the same network."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Q

from cutline.server.people.models import Owner


def same_voice(owner: Owner, field: str) -> Q:
    """The rows whose owner, in `field`, counts as the same one as this owner."""
    own = Q(**{field: owner.pk})
    if owner.user_id is not None or not owner.network:
        return own
    return own | Q(**{f"{field}__network": owner.network, f"{field}__user": None})


def count_voices(owners: Iterable[Owner]) -> int:
    """How many these owners count as."""
    return len({voice_of(owner) for owner in owners})


def voice_of(owner: Owner) -> object:
    """What all owners who count as one have in common: the account, else the network."""
    return owner.network if owner.user_id is None and owner.network else owner.pk
