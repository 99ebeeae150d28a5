"""What people without an account may keep: anybody is many owners, so each network has a quota, and all."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone

from cutline.server import rates
from cutline.server.api import idempotency
from cutline.server.api.models import IdempotentAnswer
from cutline.server.bulk import outcomes
from cutline.server.bulk import services as bulks
from cutline.server.bulk.models import Bulk, BulkItem
from cutline.server.errors import QuotaExceeded
from cutline.server.images.models import Image, StoredFile
from cutline.server.people.models import Owner, User
from cutline.server.people.viewers import owner_of
from cutline.server.uploads import quota
from cutline.server.uploads.services import store_upload
from tests.server import photos

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]

HERE, THERE = "192.0.2.1", "2001:db8::1"


@pytest.fixture(autouse=True)
def _no_counts_from_before() -> None:
    cache.clear()


def visitor(address: str = HERE) -> Owner:
    return Owner.objects.create(network=rates.network_mark(address))


def upload(owner: Owner, number: int = 1) -> Image:
    return store_upload(owner, photos.generated(number), "a.jpg").image


def account() -> Owner:
    return owner_of(User.objects.create_user("ada@example.org", "x"))


# -- images ----------------------------------------------------------------------------------------------


def test_visitors_of_one_network_have_a_quota_together(configure: Callable[..., object]) -> None:
    configure(max_images_network=2)
    for _ in range(2):
        upload(visitor())
    with pytest.raises(QuotaExceeded) as caught:
        upload(visitor())
    assert "Sign in" in str(caught.value.hint)
    upload(visitor(THERE))
    upload(account())
    assert Image.objects.count() == 4


def test_each_request_without_a_cookie_is_no_new_quota(configure: Callable[..., object]) -> None:
    configure(max_images_network=2)
    statuses = [
        Client()
        .post("/api/v1/images", {"files": [SimpleUploadedFile("a.jpg", photos.generated(number))]})
        .status_code
        for number in range(4)
    ]
    assert statuses == [202, 202, 409, 409]
    assert Owner.objects.count() == 2


def test_visitors_of_one_network_have_a_quota_of_bytes(configure: Callable[..., object]) -> None:
    upload(visitor())
    size = sum(StoredFile.objects.values_list("bytes", flat=True))
    configure(max_bytes_network=size)
    with pytest.raises(QuotaExceeded):
        upload(visitor(), 2)
    upload(visitor(THERE), 2)


def test_visitors_are_counted_anew_while_redis_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    class Away:
        def get(self, key: str) -> object:
            raise TimeoutError

        def set(self, *words: object) -> None:
            raise TimeoutError

    monkeypatch.setattr(quota, "cache", Away())
    quota.check(visitor())


@pytest.mark.parametrize("setting", ["max_images_visitors", "max_bytes_visitors"])
def test_all_visitors_have_a_quota_together(configure: Callable[..., object], setting: str) -> None:
    upload(visitor())
    configure(**{setting: 1})
    cache.clear()
    with pytest.raises(QuotaExceeded):
        upload(visitor(THERE), 2)
    upload(account(), 2)


# -- bulks -----------------------------------------------------------------------------------------------


def zipped(number: int) -> io.BytesIO:
    """An archive of empty files."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for each in range(number):
            archive.writestr(f"{each}.jpg", b"")
    return data


def send(owner: Owner, number: int = 1) -> Bulk:
    return bulks.create_from_archive(owner, zipped(number), "a.zip", options={})


def test_an_archive_of_many_empty_files_is_refused_without_an_account(
    configure: Callable[..., object],
) -> None:
    configure(max_images_anonymous=5)
    with pytest.raises(QuotaExceeded):
        send(visitor(), 6)
    assert not BulkItem.objects.exists()
    assert not StoredFile.objects.exists()
    send(visitor(), 5)
    send(account(), 6)


def test_a_directory_of_far_too_many_files_is_counted_and_not_read(
    configure: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(max_images_anonymous=5)
    data = zipped(1200)
    monkeypatch.setattr(zipfile, "ZipFile", None)
    with pytest.raises(QuotaExceeded, match="5 files"):
        bulks.create_from_archive(visitor(), data, "a.zip", options={})


def test_visitors_of_one_network_have_few_bulks_at_a_time_and_in_all(
    configure: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(max_bulks_network=2)
    monkeypatch.setattr(bulks, "KEPT_TIMES", 2)
    for _ in range(2):
        for _ in range(2):
            send(visitor())
        with pytest.raises(QuotaExceeded):
            send(visitor())
        Bulk.objects.update(state="done")
    with pytest.raises(QuotaExceeded):  # nothing waits, yet four are kept
        send(visitor())
    with pytest.raises(QuotaExceeded):
        bulks.create_from_urls(visitor(), ["https://example.org/a.jpg"], options={})
    send(visitor(THERE))
    send(account())


def test_old_bulks_of_visitors_are_forgotten_whether_they_ended_or_not() -> None:
    old, new, kept = send(visitor()), send(visitor(THERE)), send(account())
    Bulk.objects.exclude(pk=new.pk).update(
        state="paused", created_at=timezone.now() - timedelta(days=8), expanded_at=timezone.now()
    )
    assert old.archive_id
    outcomes.sweep()
    assert set(Bulk.objects.values_list("pk", flat=True)) == {new.pk, kept.pk}
    assert StoredFile.objects.get(pk=old.archive_id).state == StoredFile.State.DISCARDED


# -- stored answers --------------------------------------------------------------------------------------


def write(key: str, *, client: Client | None = None, body: Any = None, address: str = HERE) -> Any:
    return (client or Client()).generic(
        "PATCH",
        "/api/v1/me",
        json.dumps(body or {"may_train": True}),
        content_type="application/json",
        headers={"Idempotency-Key": key},
        REMOTE_ADDR=address,
    )


def test_answers_that_are_kept_for_a_network_are_bounded_in_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "_NETWORK_SHARE", (3, 2**20))
    mine = Client()
    write("first", client=mine)
    elsewhere = Client()
    write("elsewhere", client=elsewhere, address=THERE)
    for number in range(5):
        assert write(f"k{number}").status_code == 200
    assert IdempotentAnswer.objects.filter(source__endswith=rates.network_mark(HERE)).count() == 3
    assert "Idempotent-Replayed" not in write("first", client=mine)  # it was the oldest
    assert "Idempotent-Replayed" in write("elsewhere", client=elsewhere, address=THERE)


def test_answers_that_are_kept_for_a_network_are_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    write("one")
    size = IdempotentAnswer.objects.get().size
    assert size == len(bytes(IdempotentAnswer.objects.get().body)) > 0
    monkeypatch.setattr(idempotency, "_NETWORK_SHARE", (100, 2 * size + 100))
    for number in range(5):
        write(f"k{number}")
    assert IdempotentAnswer.objects.count() == 2


def test_answers_of_an_account_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "_ACCOUNT_SHARE", (2, 2**20))
    client = Client()
    user = account().user
    assert user is not None
    client.force_login(user)
    for number in range(4):
        assert write(f"k{number}", client=client).status_code == 200
    assert IdempotentAnswer.objects.count() == 2
    assert "Idempotent-Replayed" in write("k3", client=client)


def test_the_sweep_bounds_the_answers_of_all_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idempotency, "_VISITORS_SHARE", (3, 2**20))
    for number in range(5):
        write("k", address=f"192.0.2.{number}")
    assert idempotency.sweep() == 2
    assert IdempotentAnswer.objects.count() == 3
