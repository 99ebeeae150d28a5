"""Bulks over HTTP, in one process; the worker's part is done in the test's thread."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from cutline.server.captions import services as captions
from cutline.server.images.deletion import delete
from cutline.server.images.models import Image
from cutline.server.jobs import services as jobs
from cutline.server.jobs.context import Context
from cutline.server.work.tasks import HANDLERS
from tests.server.bulk import zips

pytestmark = pytest.mark.django_db(transaction=True)

API = "/api/v1"


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, configure: Callable[..., object]) -> None:
    configure(data_dir=tmp_path)


def work() -> None:
    """Do every job that is due, as a worker would."""
    while (job := jobs.claim()) is not None:
        HANDLERS[job.kind](job, Context(job))


def sent(client: Client, *members: tuple[str, bytes]) -> str:
    archive = SimpleUploadedFile("trip.zip", zips.packed(members), "application/zip")
    answer = client.post(f"{API}/bulk", {"archive": archive, "n": 1})
    assert answer.status_code == 202, answer.content
    return f"{API}/bulk/{answer.json()['id']}/items"


def items(client: Client, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get(path).json()["items"]
    return found


def test_each_item_says_what_stands_under_its_photo(make_photo: Callable[..., bytes]) -> None:
    client = Client()
    path = sent(client, ("a/1.jpg", make_photo(1)), ("2.jpg", make_photo(2)), ("notes.txt", b"no photo"))
    work()
    first, second, third = items(client, path)
    assert first["caption"] == Image.objects.get(pk=first["image"]).caption != ""
    assert (third["caption"], third["image"], third["state"]) == (None, None, "failed")

    image = Image.objects.get(pk=first["image"])
    captions.edit(image, "Mine, now.", by=image.owner)
    delete(Image.objects.filter(pk=second["image"]))
    first, second, third = items(client, path)
    assert first["caption"] == "Mine, now."
    assert (second["caption"], second["image"], second["state"]) == (None, None, "done")


def test_a_list_of_items_asks_as_often_however_long_it_is(make_photo: Callable[..., bytes]) -> None:
    client = Client()
    asked = []
    for number in (1, 12):
        path = sent(client, *((f"{each}.jpg", make_photo(each)) for each in range(number)))
        work()
        with CaptureQueriesContext(connection) as queries:
            assert len(items(client, path)) == number
        asked.append(len(queries))
    assert asked[0] == asked[1]
