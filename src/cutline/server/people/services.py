"""What changes people: claiming, deleting and exporting what they own."""

from __future__ import annotations

from collections.abc import Iterator

from cutline.server.people.models import Owner, User


def claim(owner_from: Owner, user: User) -> Owner:
    """Give an account what an anonymous session owns."""
    raise NotImplementedError


def delete_account(user: User) -> None:
    """Delete an account and everything that belongs to it."""
    raise NotImplementedError


def export_account(user: User) -> Iterator[bytes]:
    """Everything that is kept of an account, as the chunks of a zip file."""
    raise NotImplementedError
