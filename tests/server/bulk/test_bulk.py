"""Bulks from the first byte to the result, with every way to stop them in between."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any
from unittest.mock import ANY

import pytest
from django.core.cache import cache

from cutline.errors import ArchiveInvalid, ArchiveTooLarge
from cutline.server.bulk import expansion, outcomes, progress, selectors, services
from cutline.server.bulk.models import Bulk, BulkItem
from cutline.server.bulk.progress import counts
from cutline.server.errors import Conflict, Invalid, QuotaExceeded
from cutline.server.events.models import Event
from cutline.server.images import storage
from cutline.server.images.models import Image, StoredFile
from cutline.server.images.stores import store
from cutline.server.jobs import services as jobs
from cutline.server.jobs.models import Job
from cutline.server.people.models import Owner, User
from tests.server.bulk import zips
from tests.server.services.receiver import Receiver

pytestmark = pytest.mark.django_db(transaction=True)

Work = Callable[..., list[str]]
MakePhoto = Callable[..., bytes]


@pytest.fixture
def owner() -> Owner:
    user = User.objects.create_user("ada@example.org", "a long enough password")
    return Owner.objects.get_or_create(user=user)[0]


def _zipped(owner: Owner, *members: tuple[str, bytes], **options: Any) -> Bulk:
    return services.create_from_archive(
        owner, io.BytesIO(zips.packed(members)), "holiday.zip", options={"n": 1, **options}
    )


def _lines(bulk: Bulk) -> list[dict[str, Any]]:
    return [json.loads(line) for line in b"".join(selectors.result_lines(bulk, "jsonl")).splitlines()]


def _states(bulk: Bulk) -> list[str]:
    return list(BulkItem.objects.filter(bulk=bulk).order_by("number").values_list("state", flat=True))


@pytest.mark.both_databases
def test_an_archive_is_captioned_and_what_cannot_be_says_why(
    owner: Owner, work: Work, make_photo: MakePhoto
) -> None:
    bulk = _zipped(
        owner,
        ("a/1.jpg", make_photo(1)),
        ("../evil.jpg", make_photo(2)),
        ("notes.txt", b"not a photo"),
        ("again.jpg", make_photo(1)),
        ("inner.zip", zips.packed([("x.jpg", b"1")])),
        ("2.png", make_photo(3, format="PNG")),
        ("empty.jpg", b""),
    )
    assert bulk.state == "queued"
    work()
    bulk.refresh_from_db()
    assert bulk.state == "done"
    assert counts(bulk) == {"total": 7, "waiting": 0, "done": 3, "failed": 4, "cancelled": 0}

    lines = _lines(bulk)
    caption = {"text": ANY, "log_prob": ANY, "confidence": ANY}
    assert lines[0] == {"file": "a/1.jpg", "model": ANY, "captions": [caption]}
    assert lines[0]["captions"][0]["text"]
    assert lines[0]["captions"][0]["log_prob"] < 0
    assert lines[3] == {**lines[0], "file": "again.jpg"}
    codes = {line["file"]: line["error"]["code"] for line in lines if "error" in line}
    assert codes == {
        "../evil.jpg": "member_name_unsafe",
        "notes.txt": "image_unreadable",
        "inner.zip": "member_is_archive",
        "empty.jpg": "image_unreadable",
    }
    assert Image.objects.count() == 2
    storage.sweep_files()
    assert not StoredFile.objects.filter(key__startswith="bulk/").exists()


def test_the_result_as_csv_has_the_library_s_columns(owner: Owner, work: Work, make_photo: MakePhoto) -> None:
    bulk = _zipped(owner, ("a, b.jpg", make_photo(1)), ("c.txt", b"no"), n=2)
    work()
    rows = list(csv.reader(io.StringIO(b"".join(selectors.result_lines(bulk, "csv")).decode())))
    assert rows[0] == [
        "file",
        "model",
        "caption",
        "log_prob",
        "caption_2",
        "log_prob_2",
        "error_code",
        "error_message",
        "confidence",
        "confidence_2",
    ]
    assert rows[1][0] == "a, b.jpg"
    first, second = bulk.items.get(number=0).image.captions.order_by("rank")
    assert [rows[1][2], rows[1][4]] == [first.text, second.text]
    assert [float(rows[1][3]), float(rows[1][5])] == pytest.approx(
        [first.log_prob, second.log_prob], abs=1e-4
    )
    assert rows[2][6] == "image_unreadable"


def test_no_cell_of_the_result_is_a_formula_of_a_spreadsheet(
    owner: Owner, work: Work, make_photo: MakePhoto
) -> None:
    bulk = _zipped(owner, ("=1+1.jpg", make_photo(1)), ("@a.txt", b"no"), n=1)
    work()
    item = bulk.items.get(number=0)
    item.image.captions.update(text="-2+3 cats", model="+model@1")
    rows = list(csv.reader(io.StringIO(b"".join(selectors.result_lines(bulk, "csv")).decode())))
    assert [row[0] for row in rows[1:]] == ["'=1+1.jpg", "'@a.txt"]
    assert rows[1][1:3] == ["'+model@1", "'-2+3 cats"]
    assert float(rows[1][3]) < 0  # a number stays one
    lines = b"".join(selectors.result_lines(bulk, "jsonl"))
    assert b'"=1+1.jpg"' in lines


def test_a_list_of_urls_is_fetched_and_captioned(
    owner: Owner, work: Work, receiver: Receiver, make_photo: MakePhoto
) -> None:
    urls = [
        receiver.offer("/one.jpg", make_photo(1)),
        receiver.offer("/page.html", b"<html>", "text/html"),
        receiver.url + "/missing.jpg",
        "file:///etc/passwd",
        "http://169.254.169.254/latest",
        receiver.offer("/one-again.jpg", make_photo(1)),
    ]
    bulk = services.create_from_urls(owner, urls, options={"n": 1})
    work()
    bulk.refresh_from_db()
    assert bulk.state == "done"
    codes = [line.get("error", {}).get("code", "") for line in _lines(bulk)]
    assert codes == ["", "image_unreadable", "fetch_failed", "address_forbidden", "address_forbidden", ""]
    assert [line["file"] for line in _lines(bulk)] == urls
    assert Image.objects.get().source_url == urls[0]


def test_a_picture_that_is_there_already_is_not_captioned_again(
    owner: Owner, work: Work, make_photo: MakePhoto
) -> None:
    work_before = _zipped(owner, ("a.jpg", make_photo(1)))
    work()
    again = _zipped(owner, ("b.jpg", make_photo(1)))
    assert work() == ["bulk"]
    assert _lines(again)[0]["captions"] == _lines(work_before)[0]["captions"]


def test_a_killed_expansion_goes_on_where_it_was(
    owner: Owner, work: Work, make_photo: MakePhoto, monkeypatch: pytest.MonkeyPatch
) -> None:
    bulk = _zipped(owner, *((f"{number}.jpg", make_photo(number)) for number in range(6)))
    attach, calls = expansion._attach, []

    def killed(*arguments: Any) -> None:
        calls.append(1)
        if len(calls) == 3:
            raise SystemExit  # stored, with its job, and not yet noted in its item
        attach(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(expansion, "_attach", killed)
        with pytest.raises(SystemExit):
            work(1)
    assert Image.objects.count() == 3
    Job.objects.filter(state="running").update(state="queued", lease_token=None, lease_until=None)
    work()
    bulk.refresh_from_db()
    assert (bulk.state, _states(bulk)) == ("done", ["done"] * 6)
    assert Image.objects.count() == 6
    assert Job.objects.filter(kind="caption").count() == 6


def test_a_killed_url_expansion_makes_no_job_twice(
    owner: Owner, work: Work, receiver: Receiver, make_photo: MakePhoto
) -> None:
    urls = [receiver.offer(f"/twice/{number}.jpg", make_photo(number)) for number in range(4)]
    bulk = services.create_from_urls(owner, urls, options={"n": 1})
    work(1)
    Bulk.objects.update(expanded_at=None)  # as if the worker had died before it could say that it was done
    services.queue_expansion(bulk, "")
    work()
    bulk.refresh_from_db()
    assert bulk.state == "done"
    assert Job.objects.filter(kind="fetch").count() == 4
    assert Job.objects.filter(kind="caption").count() == 4


def test_a_paused_bulk_begins_nothing_and_goes_on_when_resumed(
    owner: Owner, work: Work, make_photo: MakePhoto
) -> None:
    bulk = _zipped(owner, *((f"{number}.jpg", make_photo(number)) for number in range(3)))
    work(2)
    services.pause(bulk)
    assert work() == []
    services.resume(bulk)
    work()
    bulk.refresh_from_db()
    assert (bulk.state, _states(bulk)) == ("done", ["done"] * 3)


def test_a_pause_in_the_middle_of_an_expansion_is_heeded(
    owner: Owner, work: Work, make_photo: MakePhoto, monkeypatch: pytest.MonkeyPatch
) -> None:
    bulk = _zipped(owner, *((f"{number}.jpg", make_photo(number)) for number in range(4)))
    attach = expansion._attach

    def then_paused(*arguments: Any) -> None:
        attach(*arguments)
        services.pause(bulk)

    with monkeypatch.context() as patch:
        patch.setattr(expansion, "_attach", then_paused)
        assert work() == ["bulk"]
    assert Image.objects.count() == 1
    services.resume(bulk)
    work()
    bulk.refresh_from_db()
    assert (bulk.state, _states(bulk)) == ("done", ["done"] * 4)


def test_a_cancelled_bulk_keeps_what_is_done_and_leaves_no_archive(
    owner: Owner, work: Work, make_photo: MakePhoto
) -> None:
    bulk = _zipped(owner, *((f"{number}.jpg", make_photo(number)) for number in range(4)))
    work(3)
    bulk = services.cancel(bulk)
    assert work() == []
    assert sorted(_states(bulk)) == ["cancelled", "cancelled", "done", "done"]
    assert not StoredFile.objects.filter(key__startswith="bulk/", state="live").exists()
    assert Event.objects.filter(type="bulk.done").get().data["state"] == "cancelled"
    for late in (services.pause, services.resume, services.cancel):
        with pytest.raises(Conflict):
            late(bulk)


def test_an_archive_that_vanished_fails_the_bulk_and_ends_its_items(
    owner: Owner, work: Work, make_photo: MakePhoto
) -> None:
    bulk = _zipped(owner, ("a.jpg", make_photo(1)))
    assert bulk.archive is not None
    store().delete(bulk.archive.key)
    work()
    bulk.refresh_from_db()
    assert (bulk.state, bulk.error_code) == ("failed", "not_found")


def test_a_failed_item_that_is_tried_again_becomes_done(
    owner: Owner, work: Work, make_photo: MakePhoto, monkeypatch: pytest.MonkeyPatch
) -> None:
    bulk = _zipped(owner, ("a.jpg", make_photo(1)))
    work(1)
    job = jobs.claim()
    assert job is not None
    jobs.fail(job, job.lease_token, Invalid("no"))
    bulk.refresh_from_db()
    assert (bulk.state, _lines(bulk)[0]["error"]["code"]) == ("done", "invalid")
    jobs.retry(job)
    work()
    assert _lines(bulk)[0]["captions"]


def test_a_photo_deleted_before_its_turn_ends_the_bulk(
    owner: Owner, work: Work, make_photo: MakePhoto
) -> None:
    bulk = _zipped(owner, ("a.jpg", make_photo(1)))
    work(1)
    Image.objects.all().delete()
    outcomes.sweep()
    bulk.refresh_from_db()
    assert (bulk.state, _lines(bulk)[0]["error"]["code"]) == ("done", "not_found")


def test_the_caption_of_a_deleted_photo_is_not_in_the_result(
    owner: Owner, work: Work, make_photo: MakePhoto
) -> None:
    from cutline.server.images.deletion import delete

    bulk = _zipped(owner, ("a.jpg", make_photo(1)))
    work()
    delete(Image.objects.all())
    assert _lines(bulk)[0] == {"file": "a.jpg", "error": {"code": "not_found", "message": ANY}}


def test_progress_is_told_at_most_once_a_second(
    owner: Owner, work: Work, make_photo: MakePhoto, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert progress.PROGRESS_S == 1
    monkeypatch.setattr(progress, "PROGRESS_S", 3600)  # as if all of this happened within the second
    cache.clear()
    bulk = _zipped(owner, *((f"{number}.jpg", make_photo(number)) for number in range(8)))
    work(1)
    work()
    assert Event.objects.filter(type="bulk.progress").count() == 1
    done = Event.objects.get(type="bulk.done").data
    assert done["counts"]["done"] == 8
    assert done["bulk"] == str(bulk.pk)


def test_owners_have_limits(owner: Owner, make_photo: MakePhoto, configure: Callable[..., object]) -> None:
    configure(max_bulk_items=2, max_bulk_bytes=5000, max_images_anonymous=3)
    with pytest.raises(ArchiveInvalid):
        services.create_from_archive(owner, io.BytesIO(b"no zip"), "x.zip", options={})
    with pytest.raises(ArchiveTooLarge):
        _zipped(owner, ("a", b"1"), ("b", b"1"), ("c", b"1"))
    with pytest.raises(ArchiveTooLarge):
        _zipped(owner, ("a", b"1" * 6000))
    with pytest.raises(ArchiveTooLarge):
        services.create_from_urls(owner, ["https://example.org/"] * 3, options={})
    with pytest.raises(Invalid):
        services.create_from_urls(owner, [], options={})
    configure(max_bulk_items=100)
    anonymous = Owner.objects.create()
    with pytest.raises(QuotaExceeded):
        services.create_from_urls(anonymous, ["https://example.org/"] * 4, options={})
    for _ in range(services.MAX_UNENDED_ANONYMOUS):
        _zipped(anonymous, ("a", b"1"))
    with pytest.raises(QuotaExceeded):
        _zipped(anonymous, ("a", b"1"))
    assert not StoredFile.objects.filter(state="pending").exists()
