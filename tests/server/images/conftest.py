"""Owners and images for the tests of images."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cutline.server.images.models import Image
from cutline.server.images.stores import store
from cutline.server.people.models import Owner, Role, User
from cutline.server.people.viewers import Viewer
from cutline.server.uploads.services import store_upload


@pytest.fixture
def owner(db: None) -> Owner:
    """An account's owner."""
    return Owner.objects.get_or_create(user=User.objects.create_user("ann@example.org"))[0]


@pytest.fixture
def other(db: None) -> Owner:
    """Somebody without an account."""
    return Owner.objects.create()


@pytest.fixture
def moderator(db: None) -> User:
    """Somebody who may decide."""
    return User.objects.create_user("mod@example.org", role=Role.MODERATOR)


@pytest.fixture
def upload(owner: Owner, make_photo: Callable[..., bytes]) -> Callable[..., Image]:
    """Upload the generated photo of a number: upload(3), upload(3, other)."""

    def store(number: int, by: Owner | None = None, **words: object) -> Image:
        return store_upload(by or owner, make_photo(number), f"{number}.jpg", **words).image  # type: ignore[arg-type]

    return store


def viewer_of_owner(owner: Owner | None, role: Role = Role.USER) -> Viewer:
    """Somebody who asks."""
    return Viewer(owner_id=owner.pk if owner else None, role=role)


def keys_of(image: Image) -> set[str]:
    """Where an image's files lie."""
    return set(image.renditions.values_list("file_id", flat=True))


def is_there(key: str) -> bool:
    """Whether a file is really in the store."""
    return store().exists(key)
