"""The API of images, as a program uses it, on the running service in both modes."""

from __future__ import annotations

import csv
import io
import json
import re
import threading
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest
from PIL import Image as Pillow

from tests import raw_photos
from tests.server.services.client import Visitor
from tests.server.services.process import ANSWERS_S, wait_until
from tests.server.services.receiver import Receiver

NewVisitor = Callable[..., Visitor]
Make = Callable[..., bytes]


def fetched(visitor: Visitor, link: str, **headers: str) -> httpx.Response:
    """Follow a link to a file, as somebody without cookies."""
    return httpx.get(urljoin(visitor.url, link), headers=headers, timeout=ANSWERS_S)


def test_a_photo_comes_back_with_its_caption_and_files(visitor: Visitor, photo: bytes) -> None:
    answer = visitor.post(
        "/images",
        files={"files": ("../my cat.jpg", photo, "image/jpeg")},
        data={"n": 2},
        headers={"Prefer": "wait=50"},
    )
    assert answer.status_code == 200, answer.text
    body = answer.json()
    [item] = body["items"]
    assert body["images"] == [item["id"]]
    assert body["jobs"] == [item["job"]]
    assert (item["status"], item["job_state"]) == ("created", "done")
    assert len(item["captions"]) == 2
    assert item["caption"] == item["captions"][0]["text"]

    def shown() -> Any:
        return visitor.image(item["id"])

    wait_until(lambda: "webp" in shown()["urls"]["thumbnail"], what="the thumbnail", every_s=0.5)
    image = shown()
    assert (image["file_name"], image["mine"], image["visibility"]) == ("my cat.jpg", True, "private")
    assert (image["width_px"], image["height_px"]) == (451, 300)
    for kind in ("thumbnail", "large", "master"):
        for format, link in image["urls"][kind].items():
            file = fetched(visitor, link)
            assert file.status_code == 200
            assert file.headers["Content-Type"] == f"image/{format}"
            with Pillow.open(io.BytesIO(file.content)) as picture:
                assert picture.format == format.upper()


def test_some_of_several_may_fail(visitor: Visitor, make_photo: Make) -> None:
    files = [
        ("files", ("a.jpg", make_photo(1))),
        ("files", ("notes.txt", b"no photo at all")),
        ("files", ("again.jpg", make_photo(1))),
        ("files", ("empty.png", b"")),
    ]
    answer = visitor.post("/images", files=files)
    assert answer.status_code == 202
    body = answer.json()
    assert [item["status"] for item in body["items"]] == ["created", "failed", "exists", "failed"]
    assert body["items"][0]["id"] == body["items"][2]["id"]
    assert body["items"][1]["error"]["code"] == "image_unreadable"
    assert len(body["images"]) == 2


def test_all_failed_is_an_error(visitor: Visitor) -> None:
    answer = visitor.post("/images", files=[("files", ("a.txt", b"x")), ("files", ("b.pdf", b"%PDF-1.4"))])
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["code"] == "nothing_stored"
    assert [error["kind"] for error in answer.json()["errors"]] == ["image_unreadable", "image_unsupported"]
    assert visitor.post("/images", files={"other": b"x"}).status_code == 422


def test_photos_by_url(visitor: Visitor, receiver: Receiver, make_photo: Make) -> None:
    urls = [
        receiver.offer("/by-url/kite.jpg", make_photo(77)),
        "http://169.254.169.254/latest/meta-data/",
        f"{receiver.url}/by-url/nothing.jpg",
        receiver.offer("/by-url/page.html", b"<html></html>", "text/html"),
    ]
    answer = visitor.post("/images/from-url", json={"urls": urls})
    assert answer.status_code == 202, answer.text
    items = answer.json()["items"]
    codes = [item["error"]["code"] if item["error"] else item["status"] for item in items]
    assert codes == ["created", "address_forbidden", "fetch_failed", "image_unreadable"]
    assert [item["file"] for item in items] == urls
    image = visitor.image(items[0]["id"])
    assert (image["file_name"], image["source_url"]) == ("kite.jpg", urls[0])
    forbidden = visitor.post("/images/from-url", json={"urls": ["http://10.0.0.1/x.jpg"]})
    assert (forbidden.status_code, forbidden.json()["code"]) == (422, "address_forbidden")


def test_links_are_short_lived_signed_and_cacheable(visitor: Visitor, make_photo: Make) -> None:
    [item] = visitor.upload(make_photo(5), keep_original="true")
    image = visitor.image(item["id"])
    link = image["urls"]["master"]["jpeg"]
    assert visitor.image(item["id"])["urls"]["master"]["jpeg"] == link
    file = fetched(visitor, link)
    assert file.status_code == 200
    assert "private" in file.headers["Cache-Control"]
    assert fetched(visitor, link, **{"If-None-Match": file.headers["ETag"]}).status_code == 304
    part = fetched(visitor, link, Range="bytes=10-19")
    assert (part.status_code, part.content) == (206, file.content[10:20])
    assert fetched(visitor, link, Range="bytes=-5").content == file.content[-5:]
    assert fetched(visitor, link, Range="bytes=99999999-").status_code == 416
    bare = link.split("?")[0]
    changed = re.sub(r"(s|X-Amz-Signature)=(.)", lambda m: f"{m[1]}={'0' if m[2] != '0' else '1'}", link)
    for wrong in (bare, changed, link.replace("-master", "-original")):
        assert fetched(visitor, wrong).status_code in (403, 404), wrong
    original = fetched(visitor, image["original_url"])
    assert original.content == make_photo(5)
    assert original.headers["Content-Disposition"].startswith("attachment")
    if link.startswith("/files/"):
        assert file.headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in file.headers["Content-Security-Policy"]
        visitor.delete(f"/images/{item['id']}")
        assert fetched(visitor, link).status_code == 404


def test_whoever_waits_for_captions_that_fail_is_told_why(visitor: Visitor, make_photo: Make) -> None:
    [item] = visitor.upload(make_photo(60))
    answer = visitor.post(
        f"/images/{item['id']}/captions",
        json={"prefix": "zzqx never heard"},
        headers={"Prefer": "wait=50"},
    )
    job = answer.json()
    assert (answer.status_code, job["state"], job["captions"]) == (200, "failed", [])
    assert job["error"]["code"] == "option_invalid"
    assert "zzqx" in job["error"]["message"]
    assert visitor.get(f"/jobs/{job['id']}").json()["error"] == job["error"]


def test_files_that_we_add_and_links_that_change_refuse_nobodys_edit(
    visitor: Visitor, make_photo: Make
) -> None:
    # The files of the last of eight photos come late, yet nobody knows when: look until one was early.
    for first in range(62, 222, 8):
        *_, item = visitor.upload(*(make_photo(first + number) for number in range(8)))
        path = f"/images/{item['id']}"
        visitor.put(f"{path}/caption", json={"text": "so that no machine changes it"}).raise_for_status()
        looked = visitor.get(path)
        if "webp" not in looked.json()["urls"]["thumbnail"]:
            break
    else:
        pytest.fail("the files were always there at once")
    early = looked.headers["ETag"]
    wait_until(
        lambda: "webp" in visitor.get(path).json()["urls"]["thumbnail"],
        what="the thumbnail",
        every_s=0.2,
    )
    late = visitor.get(path).headers["ETag"]
    assert late != early  # a reader is to learn of the new links
    assert visitor.patch(path, json={"tags": ["sea"]}, headers={"If-Match": early}).status_code == 200
    assert visitor.patch(path, json={"tags": ["mountain"]}, headers={"If-Match": late}).status_code == 412
    assert visitor.get(path, headers={"If-None-Match": early}).status_code == 200


def test_of_many_writes_to_one_version_exactly_one_is_done(visitor: Visitor, make_photo: Make) -> None:
    [item] = visitor.upload(make_photo(61))
    path = f"/images/{item['id']}"
    visitor.put(f"{path}/caption", json={"text": "so that no machine writes another"}).raise_for_status()
    for attempt in range(5):
        etag = visitor.get(path).headers["ETag"]
        ready = threading.Barrier(6)

        def write(number: int, etag: str = etag, ready: threading.Barrier = ready) -> tuple[int, str]:
            tag = f"{etag[1:5]}-{number}"
            ready.wait()
            return visitor.patch(path, json={"tags": [tag]}, headers={"If-Match": etag}).status_code, tag

        with ThreadPoolExecutor(6) as threads:
            answers = list(threads.map(write, range(6)))
        [(_, tag)] = [answer for answer in answers if answer[0] == 200]
        assert sorted(status for status, _ in answers) == [200, *[412] * 5], attempt
        assert visitor.image(item["id"])["tags"] == [tag]


def test_an_image_is_changed_deleted_and_brought_back(
    visitor: Visitor, new_visitor: NewVisitor, make_photo: Make
) -> None:
    [item] = visitor.upload(make_photo(6))
    path = f"/images/{item['id']}"
    stranger = new_visitor()
    assert stranger.get(path).status_code == 404
    assert stranger.patch(path, json={"tags": ["mine"]}).status_code == 404
    assert stranger.delete(path).status_code == 404
    changed = visitor.patch(path, json={"tags": ["Holiday", "#sea"], "visibility": "unlisted"}).json()
    assert (changed["tags"], changed["visibility"]) == (["holiday", "sea"], "unlisted")
    token = changed["share_url"].rpartition("/")[2]
    shared = stranger.get(f"/shared/{token}")
    assert shared.status_code == 200
    assert shared.json()["file_name"] is None
    assert stranger.get("/shared/nonsense").status_code == 404
    assert visitor.get("/images", params={"tag": "", "q": ""}).json()["items"]  # a form left empty
    assert stranger.get("/gallery", params={"tag": "", "q": ""}).status_code == 200
    assert [each["id"] for each in visitor.get("/images", params={"tag": "sea"}).json()["items"]] == [
        item["id"]
    ]
    assert visitor.get("/images", params={"q": "holid"}).json()["items"]
    assert visitor.patch(path, json={"tags": ["x" * 60]}).status_code == 422
    assert visitor.patch(path, json={"visibility": "secret"}).status_code == 422
    assert visitor.delete(path).status_code == 204
    assert visitor.get(path).status_code == 404
    assert stranger.get(f"/shared/{token}").status_code == 404
    assert visitor.get("/images").json()["items"] == []
    assert stranger.post(f"{path}/undelete").status_code == 404
    assert visitor.post(f"{path}/undelete").json()["id"] == item["id"]
    assert visitor.get(path).status_code == 200


def test_a_published_photo_reaches_the_gallery_after_moderation(
    visitor: Visitor, new_visitor: NewVisitor, photo: bytes
) -> None:
    [item] = visitor.upload(photo)
    assert visitor.patch(f"/images/{item['id']}", json={"visibility": "public"}).status_code == 200
    stranger = new_visitor()

    def in_gallery() -> bool:
        found = stranger.get("/gallery").json()["items"]
        return item["id"] in [each["id"] for each in found]

    wait_until(in_gallery, what="the photo in the gallery", every_s=0.5)
    seen = stranger.image(item["id"])
    assert (seen["mine"], seen["moderation"]) == (False, "approved")
    assert stranger.patch(f"/images/{item['id']}", json={"tags": ["x"]}).status_code == 403
    report = stranger.post(
        f"/images/{item['id']}/report", json={"reason": "spam", "text": "an advertisement"}
    )
    assert report.status_code == 201
    visitor.patch(f"/images/{item['id']}", json={"visibility": "private"})
    assert not in_gallery()
    assert stranger.get(f"/images/{item['id']}").status_code == 404


def test_pages_follow_each_other_without_gaps(visitor: Visitor, make_photo: Make) -> None:
    ids = [item["id"] for item in visitor.upload(*[make_photo(100 + n) for n in range(7)])]
    for order, expected in (("oldest", ids), ("newest", ids[::-1])):
        seen: list[str] = []
        cursor = ""
        while cursor is not None:
            answer = visitor.get("/images", params={"limit": 3, "cursor": cursor, "order": order}).json()
            seen += [item["id"] for item in answer["items"]]
            cursor = answer["next"]
        assert seen == expected
    assert visitor.get("/images", params={"cursor": "nonsense"}).status_code == 422
    assert visitor.get("/images", params={"from": "2020-01-01"}).status_code == 422
    assert visitor.get("/images", params={"to": "2020-01-01T00:00:00Z"}).json()["items"] == []


def test_actions_on_many(visitor: Visitor, new_visitor: NewVisitor, make_photo: Make) -> None:
    ids = [item["id"] for item in visitor.upload(*[make_photo(200 + n) for n in range(3)])]
    [foreign] = new_visitor().upload(make_photo(300))

    def act(action: str, *of: str, **more: Any) -> dict[str, Any]:
        answer = visitor.post("/images/actions", json={"ids": list(of), "action": action, **more})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    assert act("add_tags", *ids, foreign["id"], tags=["Trip"])["failed"] == [foreign["id"]]
    assert len(visitor.get("/images", params={"tag": "trip"}).json()["items"]) == 3
    act("remove_tags", ids[0], tags=["trip"])
    assert len(visitor.get("/images", params={"tag": "trip"}).json()["items"]) == 2
    act("set_visibility", *ids, visibility="unlisted")
    assert len(visitor.get("/images", params={"visibility": "unlisted"}).json()["items"]) == 3
    assert set(act("delete", *ids)["changed"]) == set(ids)
    assert visitor.get("/images").json()["items"] == []
    assert set(act("undelete", *ids)["changed"]) == set(ids)
    assert len(visitor.get("/images").json()["items"]) == 3
    assert visitor.post("/images/actions", json={"ids": ids, "action": "add_tags"}).status_code == 422


def test_exports(visitor: Visitor, make_photo: Make) -> None:
    files = [("files", ("=evil().jpg", make_photo(400))), ("files", ("b.jpg", make_photo(401)))]
    # With their captions: one that arrives between two exports would make them differ.
    answered = visitor.post("/images", files=files, headers={"Prefer": "wait=50"})
    ids = [item["id"] for item in answered.json()["items"]]

    def export(format: str) -> httpx.Response:
        answer = visitor.get("/images/export", params={"format": format})
        assert answer.status_code == 200, answer.text
        assert "attachment" in answer.headers["Content-Disposition"]
        return answer

    lines = [json.loads(line) for line in export("jsonl").text.splitlines()]
    assert [line["id"] for line in lines] == ids
    assert export("json").json() == lines
    rows = list(csv.DictReader(io.StringIO(export("csv").text)))
    assert [row["id"] for row in rows] == ids
    assert rows[0]["file"] == "'=evil().jpg"
    with zipfile.ZipFile(io.BytesIO(export("zip").content)) as archive:
        assert archive.testzip() is None
        told = [json.loads(line) for line in archive.read("captions.jsonl").splitlines()]
        assert {line["photo"] for line in told} < set(archive.namelist())
    assert visitor.get("/images/export", params={"q": "nothing-like-this", "format": "json"}).json() == []


@pytest.mark.parametrize("method", ["get", "post", "put", "delete"])
def test_what_is_not_there_is_a_clear_404_or_405(visitor: Visitor, method: str) -> None:
    answer = getattr(visitor, method)("/images/00000000-0000-0000-0000-000000000000")
    assert answer.status_code in (404, 405)
    assert answer.headers["Content-Type"] == "application/problem+json"


def test_a_raw_photo_is_captioned_shown_and_given_back(visitor: Visitor) -> None:
    raw = raw_photos.KINDS["cr3"](raw_photos.jpeg(), 6)
    [item] = visitor.upload(raw, keep_original="true")
    image = visitor.image(item["id"])
    assert (image["width_px"], image["height_px"]) == (213, 320)
    with Pillow.open(io.BytesIO(fetched(visitor, image["urls"]["master"]["jpeg"]).content)) as master:
        assert (master.format, master.size) == ("JPEG", (213, 320))
    original = fetched(visitor, image["original_url"])
    assert original.content == raw
    assert original.headers["Content-Disposition"].startswith("attachment")
