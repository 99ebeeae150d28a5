"""The ledger: no file without a row, whatever happens in between."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import httpx
import pytest
from django.utils import timezone

from cutline.server.errors import Conflict, NotFound, ServiceUnavailable
from cutline.server.images import bucket, storage, stores
from cutline.server.images.models import StoredFile
from tests.server.services.objectstore import ACCESS_KEY, SECRET_KEY, ObjectStore
from tests.server.services.process import ANSWERS_S

pytestmark = [pytest.mark.django_db]


@pytest.fixture(params=["folder", "bucket"])
def place(request: pytest.FixtureRequest, configure: Callable[..., Any]) -> str:
    """Run the test on both kinds of store."""
    if request.param == "bucket":
        server: ObjectStore = request.getfixturevalue("store")
        url = server.create(f"ledger-{uuid4().hex[:8]}")
        configure(storage_url=url, storage_access_key=ACCESS_KEY, storage_secret_key=SECRET_KEY)
    return request.param


def test_a_file_is_there_from_put_until_the_sweep(place: str) -> None:
    file = storage.put("images/1/a-master.jpg", b"picture")
    assert StoredFile.objects.get(pk=file.key).state == StoredFile.State.PENDING
    storage.keep(file)
    assert storage.read(file) == b"picture"
    storage.sweep_files(pending_s=0)
    assert storage.read(file.key) == b"picture"
    storage.discard([file])
    assert storage.sweep_files() == 1
    assert not stores.store().exists(file.key)
    assert not StoredFile.objects.exists()
    with pytest.raises(NotFound):
        storage.read(file.key)


def test_a_file_that_nobody_kept_goes_after_a_while(place: str) -> None:
    file = storage.put("images/2/b-master.jpg", b"left behind")
    storage.sweep_files()
    assert storage.read(file) == b"left behind"
    StoredFile.objects.update(changed_at=timezone.now() - timedelta(seconds=storage.PENDING_S + 1))
    storage.sweep_files()
    assert not stores.store().exists(file.key)


def test_what_the_sweep_took_cannot_be_kept(place: str) -> None:
    file = storage.put("images/3/c-master.jpg", b"slow")
    storage.sweep_files(pending_s=-1)
    with pytest.raises(Conflict):
        storage.keep(file)


def test_what_is_kept_cannot_be_abandoned(place: str) -> None:
    file = storage.put("images/4/d-master.jpg", b"kept")
    storage.keep(file)
    storage.discard_pending([file])
    storage.sweep_files()
    assert storage.read(file) == b"kept"


def test_a_large_file_is_written_and_read_as_a_stream(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bucket, "_ONE_REQUEST_BYTES", 1000)
    data = bytes(range(256)) * 40
    file = storage.put("bulk/5/archive.zip", io.BytesIO(data), "application/zip")
    with storage.opened(file) as content:
        content.seek(256)
        assert content.read(4) == b"\x00\x01\x02\x03"
    assert storage.read(file) == data
    assert file.bytes == len(data)


def test_an_empty_folder_does_not_stay() -> None:
    file = storage.put("images/6/e-master.jpg", b"x")
    folder = stores.store().path("images/6")
    storage.discard([file])
    storage.sweep_files()
    assert not list(stores.store().listdir("images")[0]) or "6" not in stores.store().listdir("images")[0]
    assert folder.endswith("images/6")


def test_a_store_that_does_not_answer_is_told_and_leaves_no_live_row(
    configure: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: object, name: str, content: object) -> str:
        raise OSError("no space left")

    monkeypatch.setattr(stores.Folder, "_save", refuse)
    with pytest.raises(ServiceUnavailable):
        storage.put("images/7/f-master.jpg", b"x")
    assert StoredFile.objects.get().state == StoredFile.State.DISCARDED


def test_a_link_stays_the_same_for_a_while_and_works_long_enough(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage._link.cache_clear()
    began = int(time.time()) // 600 * 600
    links = set()
    for offset in (0, 1, 599):
        monkeypatch.setattr(time, "time", lambda offset=offset: float(began + offset))
        storage._link.cache_clear()
        links.add(storage.url("images/8/g-master.jpg", 600))
    assert len(links) == 1
    monkeypatch.setattr(time, "time", lambda: float(began + 600))
    assert storage.url("images/8/g-master.jpg", 600) not in links
    if place == "folder":
        expires = int(parse_qs(urlsplit(links.pop()).query)["e"][0])
        assert 600 <= expires - (began + 599) <= 1200


def test_a_presigned_link_gives_the_file_and_no_other(
    store: ObjectStore, configure: Callable[..., Any]
) -> None:
    url = store.create(f"links-{uuid4().hex[:8]}")
    configure(storage_url=url, storage_access_key=ACCESS_KEY, storage_secret_key=SECRET_KEY)
    storage.put("images/9/h-master.jpg", b"picture")
    link = storage.url("images/9/h-master.jpg", 3600, "Ännes cat.jpg")
    answer = httpx.get(link, timeout=ANSWERS_S)
    assert (answer.status_code, answer.content) == (200, b"picture")
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert "attachment" in answer.headers["Content-Disposition"]
    assert httpx.get(link.replace("h-master", "i-master"), timeout=ANSWERS_S).status_code == 403
    assert httpx.get(link.split("?")[0], timeout=ANSWERS_S).status_code == 403
    old = storage._link.__wrapped__(url, "images/9/h-master.jpg", int(time.time()) - 1000, 500, "")
    assert httpx.get(old, timeout=ANSWERS_S).status_code == 403
