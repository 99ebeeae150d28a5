"""What the tests of accounts and of people share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache

from tests.server.account.accounts import Person


@pytest.fixture(autouse=True)
def _no_limits_from_before() -> Iterator[None]:
    """Rate limits count in the cache; what another test used up is not this one's."""
    cache.clear()
    yield
    cache.clear()


@pytest.fixture(autouse=True)
def _real_outbox(settings: Any) -> None:
    """Mails go the service's own way: Django's test runner would put them aside."""
    settings.EMAIL_BACKEND = "cutline.server.mail.backend.OutboxBackend"


@pytest.fixture
def person(db: None) -> Person:
    """Somebody with a browser, without an account."""
    return Person()


@pytest.fixture
def other(db: None) -> Person:
    """Somebody else."""
    return Person("bob@example.org")
