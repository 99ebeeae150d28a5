from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from django.core.cache import cache

from cutline.server.config import ServerSettings
from cutline.server.images.models import Image
from cutline.server.jobs.models import Job
from cutline.signatures import new_secret
from tests.server.jobs.making import make_owner, upload

SECRET = new_secret()
TOPIC = "arn:aws:sns:eu-central-1:123456789012:captions"


@pytest.fixture
def by_callback(
    configure: Callable[..., ServerSettings], hints_heard: list[int]
) -> Iterator[Callable[..., ServerSettings]]:
    """New photos are captioned by a function; more settings by calling it."""
    configure(captions_by="callback", callback_secret=SECRET, callback_topic=TOPIC)
    yield configure
    cache.clear()


@pytest.fixture
def photo_(by_callback: Callable[..., ServerSettings]) -> tuple[Image, Job]:
    """A photo whose job was lent."""
    return upload(make_owner())
