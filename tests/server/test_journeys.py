"""What people do with the service, from the outside, in both modes: over HTTP and websockets alone."""

from __future__ import annotations

import contextlib
import io
import json
import re
import zipfile
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote
from uuid import UUID

import httpx
import pytest
from redis import Redis

from cutline.server.webhooks import signing
from tests.server.services.client import PASSWORD, Visitor
from tests.server.services.mailbox import Mailbox, link_in
from tests.server.services.openid import OpenIdProvider
from tests.server.services.process import ANSWERS_S, wait_until
from tests.server.services.receiver import Receiver
from tests.server.services.service import Mode, Service

NewVisitor = Callable[..., Visitor]
MakePhoto = Callable[..., bytes]


def archive(**files: bytes) -> bytes:
    """A zip of these files."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        for name, content in files.items():
            file.writestr(name, content)
    return data.getvalue()


def library(visitor: Visitor) -> list[str]:
    """The ids of somebody's own images, newest first."""
    return [item["id"] for item in visitor.get("/images").raise_for_status().json()["items"]]


def settled(visitor: Visitor, image: str, *, timeout_s: float = ANSWERS_S) -> dict[str, Any]:
    """An image, once its job has ended."""

    def ended() -> bool:
        return visitor.image(image)["job"]["state"] not in ("queued", "running")

    wait_until(ended, timeout_s=timeout_s, what=f"the end of the job of {image}", every_s=0.1)
    return visitor.image(image)


# -- upload and events -----------------------------------------------------------------------------------


def test_an_uploaded_photo_gets_its_caption_over_the_websocket(visitor: Visitor, photo: bytes) -> None:
    with visitor.listen() as listener:
        (item,) = visitor.upload(photo)
        assert item["status"] == "created"
        ready = listener.caption_of(item["id"])["data"]
    assert ready["job"] == item["job"]
    assert len(ready["captions"]) == 3
    assert all(caption["text"] and caption["log_prob"] < 0 for caption in ready["captions"])
    image = visitor.image(item["id"])
    assert image["caption"] == ready["caption"] == ready["captions"][0]["text"]
    assert image["caption"].strip()
    assert image["caption_by"] == "model"
    assert image["job"]["state"] == "done"


def test_a_caption_that_was_ready_before_the_socket_opened_is_not_missed(
    visitor: Visitor, photo: bytes
) -> None:
    (item,) = visitor.upload(photo)
    settled(visitor, item["id"])
    with visitor.listen() as listener:
        assert listener.caption_of(item["id"])


@pytest.mark.parametrize("mode", [Mode.PRODUCTION], indirect=True)
def test_an_idle_worker_is_sent_the_photo_and_then_its_job(
    live: Service, visitor: Visitor, make_photo: MakePhoto
) -> None:
    jobs: list[bytes] = []
    channels: dict[bytes, bytes] = {}  # what was sent last on each

    def is_sent() -> bool:
        """Again, if workers are busy with what earlier tests left."""
        (item,) = visitor.upload(make_photo(430 + len(jobs)))
        jobs.append(UUID(item["job"]).bytes)
        assert settled(visitor, item["id"])["caption"]
        while message := sent.get_message(timeout=0.1):
            channels[message["channel"]] = message["data"]
        return any(name.startswith(b"cutline:jobs:") for name in channels)

    with Redis.from_url(live.env["CUTLINE_CHANNEL_LAYER_URL"]) as redis, redis.pubsub() as sent:
        sent.psubscribe("cutline:*")
        wait_until(is_sent, what="a photo that goes to an idle worker")
    photos, given = sorted(set(channels) - {b"cutline:*"}, reverse=True)
    assert photos.removeprefix(b"cutline:photos:") == given.removeprefix(b"cutline:jobs:")
    assert channels[given] == jobs[-1]


def test_a_client_that_comes_back_gets_what_it_missed_once_and_nothing_twice(
    visitor: Visitor, make_photo: MakePhoto
) -> None:
    with visitor.listen() as listener:
        (first,) = visitor.upload(make_photo(1))
        listener.caption_of(first["id"])
        last = listener.last
    (second,) = visitor.upload(make_photo(2))
    settled(visitor, second["id"])
    with visitor.listen(after=last) as listener:
        listener.caption_of(second["id"])
        later = [visitor.upload(make_photo(number))[0]["id"] for number in (3, 4)]
        for image in later:
            listener.caption_of(image)
    ready = [event["data"]["image"] for event in listener.events if event["type"] == "caption.ready"]
    assert sorted(ready) == sorted([second["id"], *later])
    assert ready[0] == second["id"]
    numbers = [event["id"] for event in listener.events if event.get("id")]
    assert numbers == sorted(set(numbers))
    assert numbers[0] > last


def test_a_socket_tells_nobody_elses_events(new_visitor: NewVisitor, make_photo: MakePhoto) -> None:
    one, other = new_visitor(), new_visitor()
    (mine,) = other.upload(make_photo(10))
    with other.listen() as listener:
        listener.caption_of(mine["id"])
        (item,) = one.upload(make_photo(11))
        settled(one, item["id"])
        (last,) = other.upload(make_photo(12))
        listener.caption_of(last["id"])
        assert item["id"] not in json.dumps(listener.events)


def test_several_photos_in_one_request_fail_alone(visitor: Visitor, make_photo: MakePhoto) -> None:
    files = [
        ("files", ("one.jpg", make_photo(20))),
        ("files", ("broken.jpg", b"\xff\xd8 not a photo")),
        ("files", ("two.png", make_photo(21, format="PNG"))),
    ]
    answer = visitor.post("/images", files=files)
    assert answer.status_code == 202, answer.text
    items = answer.json()["items"]
    assert [item["status"] for item in items] == ["created", "failed", "created"]
    assert items[1]["error"]["code"]
    for item in (items[0], items[2]):
        assert settled(visitor, item["id"])["caption"]
    assert len(library(visitor)) == 2


def test_the_same_picture_is_one_image(visitor: Visitor, photo: bytes) -> None:
    (first,) = visitor.upload(photo)
    (second,) = visitor.upload(photo)
    assert (first["status"], second["status"]) == ("created", "exists")
    assert first["id"] == second["id"]
    assert library(visitor) == [first["id"]]


def test_a_client_may_wait_for_the_caption_in_the_answer(visitor: Visitor, photo: bytes) -> None:
    answer = visitor.post("/images", files={"files": ("cat.jpg", photo)}, headers={"Prefer": "wait=30"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["items"][0]["captions"][0]["text"].strip()


def test_captioning_alone_stores_nothing(live: Service, visitor: Visitor, make_photo: MakePhoto) -> None:
    photo = make_photo(9_125, side_px=219)  # of a size that no other test uploads
    answer = visitor.post("/caption", files={"image": ("cat.jpg", photo)}, data={"n": "2"})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert len(body["captions"]) == 2
    assert set(body["captions"][0]) >= {"text", "log_prob"}
    assert re.fullmatch(r"\S+@\S+", body["model"])
    assert library(visitor) == []
    assert live.rows("SELECT count(*) FROM images_image WHERE width_px = 219") == [(0,)]
    for path in live.data.rglob("*"):
        with contextlib.suppress(IsADirectoryError, FileNotFoundError):  # what is just taken away is not kept
            assert path.read_bytes() != photo


def test_a_write_with_an_idempotency_key_happens_once(visitor: Visitor, make_photo: MakePhoto) -> None:
    visitor.upload(make_photo(30))  # now the session exists
    files = {"files": ("a.jpg", make_photo(31))}
    first, second = (
        visitor.post("/images", files=files, headers={"Idempotency-Key": "same"}) for _ in range(2)
    )
    assert first.status_code == second.status_code == 202
    assert first.json() == second.json()
    other = visitor.post(
        "/images", files={"files": ("b.jpg", make_photo(32))}, headers={"Idempotency-Key": "same"}
    )
    assert other.status_code == 422
    assert other.json()["code"] == "idempotency_key_reused"


# -- what owners do with captions ------------------------------------------------------------------------


def test_a_machine_does_not_overwrite_a_persons_text(visitor: Visitor, photo: bytes) -> None:
    (item,) = visitor.upload(photo)
    image = f"/images/{item['id']}"
    machine = settled(visitor, item["id"])["caption"]
    assert visitor.put(f"{image}/caption", json={"text": "My cat Felix"}).is_success
    answer = visitor.post(f"{image}/captions", json={"n": 2})
    assert answer.status_code == 202, answer.text
    settled(visitor, item["id"])
    assert visitor.image(item["id"])["caption"] == "My cat Felix"
    versions = visitor.get(f"{image}/versions").json()["items"]
    assert {version["text"] for version in versions} >= {machine, "My cat Felix"}
    first = min(version["number"] for version in versions)
    assert visitor.post(f"{image}/versions/{first}/restore").is_success
    assert visitor.image(item["id"])["caption"] == machine


def test_a_deleted_image_is_gone_and_can_be_brought_back(visitor: Visitor, photo: bytes) -> None:
    (item,) = visitor.upload(photo)
    settled(visitor, item["id"])
    assert visitor.delete(f"/images/{item['id']}").is_success
    assert visitor.get(f"/images/{item['id']}").status_code == 404
    assert library(visitor) == []
    assert visitor.post(f"/images/{item['id']}/undelete").is_success
    assert library(visitor) == [item["id"]]


# -- who may see what ------------------------------------------------------------------------------------


def test_a_private_image_is_404_to_others_and_its_file_opens_with_a_signed_link_alone(
    new_visitor: NewVisitor, photo: bytes
) -> None:
    owner, other = new_visitor(), new_visitor()
    (item,) = owner.upload(photo)
    image = settled(owner, item["id"])
    assert image["visibility"] == "private"
    assert other.get(f"/images/{item['id']}").status_code == 404
    assert other.get(f"/images/{item['id']}/captions").status_code == 404
    assert other.put(f"/images/{item['id']}/caption", json={"text": "mine"}).status_code == 404
    assert item["id"] not in other.get("/gallery").text
    link = httpx.URL(owner.url).join(next(iter(image["urls"]["large"].values())))
    assert httpx.get(link, timeout=ANSWERS_S).status_code == 200
    assert httpx.get(link.copy_with(query=None), timeout=ANSWERS_S).status_code in (401, 403, 404)
    tampered = str(link)[:-1] + ("0" if str(link)[-1] != "0" else "1")
    assert httpx.get(tampered, timeout=ANSWERS_S).status_code in (401, 403, 404)


def test_an_unlisted_image_opens_by_its_link_alone(new_visitor: NewVisitor, photo: bytes) -> None:
    owner, other = new_visitor(), new_visitor()
    (item,) = owner.upload(photo)
    settled(owner, item["id"])
    changed = owner.patch(f"/images/{item['id']}", json={"visibility": "unlisted"})
    assert changed.is_success, changed.text
    token = owner.image(item["id"])["share_url"].rstrip("/").rpartition("/")[2]
    assert other.get(f"/shared/{token}").json()["caption"]
    assert other.get(f"/images/{item['id']}").status_code == 404
    assert item["id"] not in other.get("/gallery").text


def test_a_published_photo_passes_moderation_and_stands_in_the_gallery(
    new_visitor: NewVisitor, photo: bytes
) -> None:
    owner, other = new_visitor(), new_visitor()
    (item,) = owner.upload(photo)
    settled(owner, item["id"])
    assert owner.patch(f"/images/{item['id']}", json={"visibility": "public"}).is_success
    wait_until(lambda: item["id"] in other.get("/gallery").text, what="the gallery", every_s=0.2)
    shown = other.get(f"/images/{item['id']}").json()
    assert not shown["mine"]
    assert shown["file_name"] is None
    assert owner.image(item["id"])["moderation"] == "approved"


def test_a_browser_on_another_site_cannot_write(visitor: Visitor, photo: bytes) -> None:
    visitor.upload(photo)
    answer = visitor.post(
        "/images", files={"files": ("a.jpg", photo)}, headers={"Origin": "https://evil.example"}
    )
    assert answer.status_code == 403
    assert answer.json()["code"] == "cross_origin"


# -- accounts --------------------------------------------------------------------------------------------


def test_signing_up_claims_what_was_uploaded_before(
    visitor: Visitor, new_visitor: NewVisitor, mailbox: Mailbox, photo: bytes, mode: Mode
) -> None:
    email = f"new-{mode}@example.org"
    (item,) = visitor.upload(photo)
    assert visitor.image(item["id"])["expires_at"]
    visitor.sign_up(mailbox, email)
    assert visitor.get("/me").json()["email"] == email
    assert library(visitor) == [item["id"]]
    assert visitor.image(item["id"])["expires_at"] is None
    elsewhere = new_visitor()
    assert elsewhere.account("POST", "auth/login", email=email, password=PASSWORD).status_code == 200
    assert library(elsewhere) == [item["id"]]


def test_logging_in_claims_what_was_uploaded_before(
    visitor: Visitor, new_visitor: NewVisitor, mailbox: Mailbox, make_photo: MakePhoto, mode: Mode
) -> None:
    email = f"back-{mode}@example.org"
    (first,) = visitor.upload(make_photo(40))
    visitor.sign_up(mailbox, email)
    elsewhere = new_visitor()
    (second,) = elsewhere.upload(make_photo(41))
    assert elsewhere.account("POST", "auth/login", email=email, password=PASSWORD).status_code == 200
    assert set(library(elsewhere)) == {first["id"], second["id"]}
    assert elsewhere.account("DELETE", "auth/session").status_code == 401  # logged out
    assert library(elsewhere) == []


def test_a_password_is_reset_by_mail(visitor: Visitor, mailbox: Mailbox, mode: Mode) -> None:
    email = f"forgetful-{mode}@example.org"
    visitor.sign_up(mailbox, email)
    visitor.account("DELETE", "auth/session")
    visitor.account("POST", "auth/password/request", email=email)
    link = link_in(mailbox.wait_for(email, count=2), "password")
    key = unquote(link.rstrip("/").rpartition("/")[2].rpartition("=")[2])
    answer = visitor.account("POST", "auth/password/reset", key=key, password="another long password")
    assert answer.status_code in (200, 401), answer.text
    assert visitor.account("POST", "auth/login", email=email, password=PASSWORD).status_code == 400
    again = visitor.account("POST", "auth/login", email=email, password="another long password")
    assert again.status_code in (200, 409), again.text  # 409: the reset has logged in already


def test_a_key_uploads_listens_and_is_refused_once_revoked(
    visitor: Visitor, new_visitor: NewVisitor, mailbox: Mailbox, photo: bytes, mode: Mode
) -> None:
    visitor.sign_up(mailbox, f"keys-{mode}@example.org")
    made = visitor.post(
        "/keys", json={"name": "script", "scopes": ["caption", "images:read", "images:write"]}
    )
    assert made.is_success, made.text
    program = new_visitor(key=made.json()["key"])
    with program.listen() as listener:
        (item,) = program.upload(photo)
        listener.caption_of(item["id"])
    assert library(visitor) == [item["id"]]
    refused = program.get("/webhooks")
    assert refused.status_code == 403, refused.text
    assert visitor.delete(f"/keys/{made.json()['id']}").is_success
    assert program.get("/images").status_code == 401


def test_an_openid_user_signs_in_and_keeps_what_they_uploaded(
    visitor: Visitor, openid: OpenIdProvider, photo: bytes, mode: Mode
) -> None:
    subject = f"olga-{mode}"
    openid.add(subject, email=f"{subject}@example.org")
    (item,) = visitor.upload(photo)
    visitor.account("GET", "config")
    form = {"provider": "house", "callback_url": f"{visitor.url}/", "process": "login"}
    away = visitor.post(
        f"{visitor.url}/_allauth/browser/v1/auth/provider/redirect",
        data=form,
        headers={"X-CSRFToken": visitor.cookies["csrftoken"], "Referer": f"{visitor.url}/"},
    )
    assert away.status_code == 302, away.text
    back = visitor.get(openid.consent(away.headers["location"], subject))
    assert back.status_code == 302, back.text
    assert visitor.get("/me").json()["email"] == f"{subject}@example.org"
    assert library(visitor) == [item["id"]]


# -- by URL, in bulk, to other servers -------------------------------------------------------------------


def test_a_photo_is_fetched_by_its_url(visitor: Visitor, receiver: Receiver, photo: bytes) -> None:
    url = receiver.offer("/cat.jpg", photo)
    answer = visitor.post("/images/from-url", json={"urls": [url]})
    assert answer.status_code == 202, answer.text
    image = settled(visitor, answer.json()["items"][0]["id"])
    assert image["caption"]
    assert image["source_url"] == url


@pytest.mark.parametrize(
    "host", ["127.0.0.2", "10.0.0.1", "[::1]", "169.254.169.254", "localhost.localdomain."]
)
def test_a_private_address_is_not_fetched(visitor: Visitor, receiver: Receiver, host: str) -> None:
    url = httpx.URL(receiver.url).copy_with(host=host, path="/cat.jpg")
    answer = visitor.post("/images/from-url", json={"urls": [str(url)]})
    assert answer.status_code == 422, answer.text
    assert library(visitor) == []


def test_a_redirect_to_a_private_address_is_not_followed(
    visitor: Visitor, receiver: Receiver, photo: bytes
) -> None:
    receiver.offer("/secret.jpg", photo)
    receiver.redirects["/away"] = str(httpx.URL(receiver.url).copy_with(host="127.0.0.2", path="/secret.jpg"))
    answer = visitor.post("/images/from-url", json={"urls": [f"{receiver.url}/away"]})
    assert answer.status_code == 422, answer.text
    assert library(visitor) == []


def test_an_archive_is_captioned_and_its_result_downloaded(visitor: Visitor, make_photo: MakePhoto) -> None:
    content = archive(**{f"{n}.jpg": make_photo(50 + n) for n in range(4)}, **{"broken.jpg": b"no photo"})
    with visitor.listen() as listener:
        answer = visitor.post("/bulk", files={"archive": ("photos.zip", content)})
        assert answer.status_code == 202, answer.text
        bulk = answer.json()["id"]
        listener.wait(lambda event: event["type"] == "bulk.done" and event["data"]["bulk"] == bulk)
    state = visitor.get(f"/bulk/{bulk}").json()
    assert state["state"] == "done"
    lines = visitor.get(f"/bulk/{bulk}/result.jsonl").text.splitlines()
    assert len(lines) == 5
    captions = [json.loads(line).get("captions") for line in lines]
    assert sum(bool(caption) for caption in captions) == 4
    assert len(visitor.get(f"/bulk/{bulk}/result.csv").text.splitlines()) >= 5


def test_a_list_of_urls_is_captioned(visitor: Visitor, receiver: Receiver, make_photo: MakePhoto) -> None:
    urls = [receiver.offer(f"/list/{n}.jpg", make_photo(60 + n)) for n in range(3)]
    with visitor.listen() as listener:
        answer = visitor.post("/bulk", json={"urls": [*urls, f"{receiver.url}/list/missing.jpg"]})
        assert answer.status_code == 202, answer.text
        bulk = answer.json()["id"]
        listener.wait(lambda event: event["type"] == "bulk.done" and event["data"]["bulk"] == bulk)
    lines = [json.loads(line) for line in visitor.get(f"/bulk/{bulk}/result.jsonl").text.splitlines()]
    assert sum(bool(line.get("captions")) for line in lines) == 3
    assert len(lines) == 4


def test_a_webhook_is_called_signed_again_after_a_failure_and_can_be_replayed(
    visitor: Visitor, receiver: Receiver, mailbox: Mailbox, photo: bytes, mode: Mode
) -> None:
    path = f"/hook-{mode}"
    receiver.failures[path] = 1
    made = visitor.post("/webhooks", json={"url": receiver.url + path, "events": ["caption.ready"]})
    assert made.is_success, made.text
    hook, secret = made.json()["id"], made.json()["secret"]
    (item,) = visitor.upload(photo)
    failed, call = receiver.wait_for(path, count=2)
    assert (failed.status, call.status) == (500, 204)
    signing.verify(secret, call.headers, call.body)
    assert failed.headers["webhook-id"] == call.headers["webhook-id"]
    body = json.loads(call.body)
    assert body["type"] == "caption.ready"
    assert body["data"]["image"] == item["id"]

    def delivered() -> bool:
        log = visitor.get(f"/webhooks/{hook}/deliveries").raise_for_status().json()["items"]
        return [delivery["state"] for delivery in log] == ["delivered"]

    wait_until(delivered, what="the log to say delivered", every_s=0.1)
    (delivery,) = visitor.get(f"/webhooks/{hook}/deliveries").json()["items"]
    assert visitor.post(f"/deliveries/{delivery['id']}/replay").is_success
    again = receiver.wait_for(path, count=3)[2]
    assert (again.body, again.headers["webhook-id"]) == (call.body, call.headers["webhook-id"])


# -- how it is run ---------------------------------------------------------------------------------------


def test_it_says_how_it_is(live: Service, visitor: Visitor, photo: bytes) -> None:
    (item,) = visitor.upload(photo)
    settled(visitor, item["id"])
    assert visitor.get(f"{live.url}/healthz").status_code == 200
    # What does not answer for a few seconds is not ready, and is again as soon as it does.
    wait_until(lambda: visitor.get(f"{live.url}/readyz").status_code == 200, what="readiness")
    token = live.env.get("CUTLINE_METRICS_TOKEN", "")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    metrics = visitor.get(f"{live.url}/metrics", headers=headers)
    assert metrics.status_code == 200
    assert "cutline_" in metrics.text


def test_a_request_id_follows_the_job_into_the_workers_log(
    live: Service, visitor: Visitor, photo: bytes, mode: Mode
) -> None:
    answer = visitor.post(
        "/images", files={"files": ("a.jpg", photo)}, headers={"X-Request-ID": f"follow-me-{mode}"}
    )
    assert answer.headers["X-Request-ID"] == f"follow-me-{mode}"
    settled(visitor, answer.json()["items"][0]["id"])
    logs = live.workers if mode is Mode.PRODUCTION else [live.web]
    wait_until(
        lambda: any(f"follow-me-{mode}" in process.output() for process in logs),
        what="the request id in a worker's log",
    )
