"""Who decided something, in histories that outlive accounts: an id, never an address."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from uuid import UUID

from cutline.server.people.models import User

_ACCOUNT = "account:"


def actor(user_id: UUID) -> str:
    """How an account stands in a history."""
    return f"{_ACCOUNT}{user_id}"


def account_of(by: str) -> UUID | None:
    """The account that an actor is; None for commands, the learner and others."""
    if not by.startswith(_ACCOUNT):
        return None
    try:
        return UUID(by.removeprefix(_ACCOUNT))
    except ValueError:
        return None


def names_of(bys: Iterable[str]) -> Mapping[str, str]:
    """How staff read actors: an account by its address, as long as there is one."""
    accounts = {by: account_of(by) for by in bys}
    known = User.objects.in_bulk([each for each in accounts.values() if each])
    return {by: known[id_].email if id_ and id_ in known else by for by, id_ in accounts.items()}
