"""What every answer of the API goes through, with the endpoints of probe.py."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone

from cutline.server.account import keys
from cutline.server.api import idempotency, limits
from cutline.server.api.models import IdempotentAnswer
from cutline.server.errors import NotFound
from cutline.server.people.models import Owner, Role, User
from cutline.server.people.viewers import owner_of
from tests.server.api import probe
from tests.server.services.process import ANSWERS_S

pytestmark = [pytest.mark.urls("tests.server.api.probe"), pytest.mark.django_db]

PROBLEM = "application/problem+json"


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    limits.forget()
    probe.calls.clear()
    probe.entered.clear()
    probe.go_on.clear()
    yield
    limits.forget()


@pytest.fixture
def user() -> User:
    return User.objects.create_user("a@example.org", "a long password")


def post(client: Client, path: str, body: Any, **headers: str) -> Any:
    return client.post(f"/api/v1/{path}", json.dumps(body), content_type="application/json", headers=headers)


def key_with(user: User, *scopes: str) -> str:
    return keys.create(owner_of(user), name="k", scopes=list(scopes))[1]


# -- errors ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("get", "nothing", 404, "not_found"),
        ("get", "owners/3fa85f64-5717-4562-b3fc-2c963f66afa6", 404, "not_found"),
        ("get", "owners/3", 422, "invalid"),
        ("delete", "things", 405, "method_not_allowed"),
        ("get", "raises/bug", 500, "internal_error"),
        ("get", "raises/database", 503, "unavailable"),
        ("get", "raises/permission", 403, "forbidden"),
        ("get", "account", 401, "unauthenticated"),
        ("get", "staff", 401, "unauthenticated"),
    ],
)
def test_every_error_is_a_problem_with_a_stable_code(
    client: Client, method: str, path: str, status: int, code: str
) -> None:
    answer = getattr(client, method)(f"/api/v1/{path}", headers={"X-Request-Id": "abc"})
    assert (answer.status_code, answer["Content-Type"]) == (status, PROBLEM)
    found = answer.json()
    assert (found["code"], found["status"]) == (code, status)
    assert found["request_id"] == "abc"
    assert found["type"] == f"/api/v1/errors/{code}"
    assert "secret detail" not in answer.content.decode()


def test_an_error_says_what_to_do(client: Client) -> None:
    answer = client.get("/api/v1/owners/3fa85f64-5717-4562-b3fc-2c963f66afa6").json()
    assert (answer["detail"], answer["hint"]) == ("No such owner.", "Look again.")


def test_405_names_what_is_allowed(client: Client) -> None:
    assert "POST" in client.delete("/api/v1/things")["Allow"]


def test_a_503_says_when_to_come_back(client: Client) -> None:
    assert int(client.get("/api/v1/raises/database")["Retry-After"]) > 0


def test_wrong_fields_are_named(client: Client) -> None:
    answer = post(client, "things", {"nam": "x"})
    assert answer.status_code == 422
    assert {tuple(each["where"][-1:]) for each in answer.json()["errors"]} == {("name",), ("nam",)}


@pytest.mark.parametrize(
    ("body", "kind", "status", "code"),
    [
        (b"{", "application/json", 400, "malformed"),
        (b'{"name": "\xff"}', "application/json", 400, "malformed"),
        (b'{"name": "a", "more": NaN}', "application/json", 400, "malformed"),
        (b'{"name": "a", "more": ' + b"9" * 5000 + b"}", "application/json", 400, "malformed"),
        (b'{"name": "a", "more": ' + b"[" * 40 + b"]" * 40 + b"}", "application/json", 400, "malformed"),
        (b"[" * 100_000 + b"]" * 100_000, "application/json", 400, "malformed"),
        (b'{"name": "a\\u0000b"}', "application/json", 422, "invalid"),
        (b'{"name": "a", "more": [{"b\\u0000": 1}]}', "application/json", 422, "invalid"),
        (b'{"name": "a\\ud800b"}', "application/json", 422, "invalid"),
        (b"name=a", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        (b"<name>a</name>", "text/xml", 415, "unsupported_media_type"),
        (b"", "application/json", 422, "invalid"),
    ],
)
def test_a_body_that_no_endpoint_should_see_is_refused(
    client: Client, body: bytes, kind: str, status: int, code: str
) -> None:
    answer = client.generic("POST", "/api/v1/things", body, content_type=kind)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.content
    assert probe.calls == []


def test_json_of_ordinary_depth_is_taken(client: Client) -> None:
    assert post(client, "things", {"name": "ü€😀", "more": [[[[{"a": [1, 2.5, None]}]]]]}).status_code == 201


def test_nul_in_a_query_or_path_is_refused(client: Client) -> None:
    owner = Owner.objects.create()
    assert client.patch(f"/api/v1/owners/{owner.pk}?may_train=%00").status_code == 422
    assert client.get("/api/v1/raises/%00").status_code == 422


def test_a_form_without_its_boundary_is_malformed(client: Client) -> None:
    answer = client.generic("POST", "/api/v1/files", b"x", content_type="multipart/form-data")
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


def test_head_is_get_without_a_body(client: Client) -> None:
    owner = Owner.objects.create()
    got, head = (getattr(client, name)(f"/api/v1/owners/{owner.pk}") for name in ("get", "head"))
    assert (head.status_code, head.content) == (200, b"")
    assert head["ETag"] == got["ETag"]
    assert int(head["Content-Length"]) == len(got.content)


# -- who asks --------------------------------------------------------------------------------------------


def test_a_key_may_do_what_its_scopes_say(client: Client, user: User) -> None:
    reads, captions = key_with(user, "images:read"), key_with(user, "caption")
    for headers in ({"Authorization": f"Bearer {reads}"}, {"X-API-Key": reads}):
        assert client.get("/api/v1/whoami", headers=headers).json() == {"owner": str(owner_of(user).pk)}
    answer = client.get("/api/v1/whoami", headers={"Authorization": f"Bearer {captions}"})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert "images:read" in answer.json()["detail"]


def test_a_key_that_does_not_work_is_401_even_beside_a_session(client: Client, user: User) -> None:
    client.force_login(user)
    answer = client.get("/api/v1/whoami", headers={"Authorization": "Bearer ck_wrong"})
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"].startswith("Bearer")


def test_a_session_may_do_everything_of_its_own_and_nothing_of_staff(client: Client, user: User) -> None:
    client.force_login(user)
    assert client.get("/api/v1/account").status_code == 200
    assert client.get("/api/v1/staff").status_code == 403
    User.objects.filter(pk=user.pk).update(role=Role.REVIEWER)
    assert client.get("/api/v1/staff").status_code == 200


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({}, True),
        ({"Origin": "http://testserver"}, True),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://testserver"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Origin": "https://web.example"}, True),
        ({"Origin": "https://web.example", "Sec-Fetch-Site": "cross-site"}, True),
        ({"Origin": "http://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
    ],
)
def test_a_write_from_another_site_is_refused(
    client: Client,
    configure: Callable[..., object],
    settings: Any,
    headers: dict[str, str],
    allowed: bool,
) -> None:
    settings.ALLOWED_HOSTS = ["testserver"]
    configure(trusted_origins="https://web.example")
    answer = post(client, "things", {"name": "a"}, **headers)
    assert answer.status_code == (201 if allowed else 403)
    if not allowed:
        assert answer.json()["code"] == "cross_origin"


def test_a_key_is_not_asked_where_it_comes_from(client: Client, user: User) -> None:
    headers = {"Origin": "http://other.example", "X-API-Key": key_with(user, "images:read")}
    assert post(client, "things", {"name": "a"}, **headers).status_code == 201


# -- rate limits -----------------------------------------------------------------------------------------

# Of a day, although people set them by the minute: counting begins anew with each full one of the clock.


def test_an_address_is_limited_and_told_so(client: Client, configure: Callable[..., object]) -> None:
    configure(rate_anonymous="3/day")
    answers = [client.get("/api/v1/whoami") for _ in range(4)]
    assert [each.status_code for each in answers] == [200, 200, 200, 429]
    assert [each["RateLimit-Remaining"] for each in answers] == ["2", "1", "0", "0"]
    last = answers[-1]
    assert (last["Content-Type"], last.json()["code"]) == (PROBLEM, "too_many_requests")
    assert 0 < int(last["Retry-After"]) <= 86_400
    assert last["RateLimit-Policy"] == '"address";q=3;w=86400'
    assert last["RateLimit"].startswith('"address";r=0;t=')
    elsewhere = client.get("/api/v1/whoami", REMOTE_ADDR="192.0.2.9")
    assert elsewhere.status_code == 200


def test_an_account_s_keys_and_sessions_count_together(
    client: Client, configure: Callable[..., object], user: User
) -> None:
    configure(rate_user="3/day", rate_anonymous="1/day")
    keys_of_user = [key_with(user, "images:read") for _ in range(2)]
    for key in keys_of_user:
        answer = client.get("/api/v1/whoami", headers={"X-API-Key": key})
        assert (answer.status_code, answer["RateLimit-Policy"]) == (200, '"account";q=3;w=86400')
    client.force_login(user)
    assert [client.get("/api/v1/whoami").status_code for _ in range(2)] == [200, 429]
    for key in keys_of_user:
        assert client.get("/api/v1/whoami", headers={"X-API-Key": key}).status_code == 429
    stranger = key_with(User.objects.create_user("b@example.org", "a long password"), "images:read")
    assert client.get("/api/v1/whoami", headers={"X-API-Key": stranger}).status_code == 200


def test_keys_without_an_account_count_by_address(client: Client, configure: Callable[..., object]) -> None:
    configure(rate_user="100/day", rate_anonymous="3/day", rate_caption="1/day")
    secrets = [
        keys.create(Owner.objects.create(), name="k", scopes=["images:read", "caption"])[1] for _ in range(5)
    ]
    asked = [client.get("/api/v1/whoami", headers={"X-API-Key": secret}).status_code for secret in secrets]
    assert asked == [200, 200, 200, 429, 429]
    limits.forget()
    asked = [client.post("/api/v1/caption", headers={"X-API-Key": key}).status_code for key in secrets[:2]]
    assert asked == [404, 429]
    network = [f"2001:db8::{number:x}" for number in range(1, 5)]
    asked = [client.get("/api/v1/whoami", REMOTE_ADDR=address).status_code for address in network]
    assert asked == [200, 200, 200, 429]


def test_captioning_without_an_account_has_a_limit_of_its_own(
    client: Client, configure: Callable[..., object], user: User
) -> None:
    configure(rate_caption="1/day")
    answers = [client.post("/api/v1/caption") for _ in range(2)]
    assert [each["RateLimit-Policy"] for each in answers] == ['"caption";q=1;w=86400'] * 2
    assert [each.status_code for each in answers] == [404, 429]  # there is no such endpoint in the probe
    assert client.get("/api/v1/whoami").status_code == 200
    key = key_with(user, "caption")
    assert client.post("/api/v1/caption", headers={"X-API-Key": key}).status_code == 404


def test_guessing_keys_is_limited_by_address(client: Client, configure: Callable[..., object]) -> None:
    configure(rate_anonymous="2/day")
    found = [
        client.get("/api/v1/whoami", headers={"X-API-Key": f"ck_{guess}"}).status_code for guess in range(4)
    ]
    assert found == [401, 401, 429, 429]


def test_the_addresses_of_an_ipv6_network_are_one() -> None:
    assert limits.network_of("2001:db8::1") == limits.network_of("2001:db8::ffff:2")
    assert limits.network_of("2001:db8::1") != limits.network_of("2001:db8:0:1::1")
    assert limits.network_of("::ffff:192.0.2.1") == "192.0.2.1"


def test_counters_that_cannot_be_reached_refuse_nobody(
    client: Client, configure: Callable[..., object]
) -> None:
    configure(cache_url="redis://127.0.0.1:1")
    limits.forget()
    answer = client.get("/api/v1/whoami")
    assert answer.status_code == 200
    assert "RateLimit" not in answer


# -- repeated writes -------------------------------------------------------------------------------------


@pytest.mark.both_databases
def test_a_repeated_write_is_done_once_and_answered_the_same(client: Client) -> None:
    first = post(client, "things", {"name": "a"}, **{"Idempotency-Key": "k1"})
    again = post(client, "things", {"name": "a"}, **{"Idempotency-Key": "k1"})
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content
    assert "Idempotent-Replayed" not in first
    assert again["Idempotent-Replayed"] == "true"
    assert again["Content-Type"] == first["Content-Type"]
    assert probe.calls == ["a"]
    other = post(client, "things", {"name": "a"}, **{"Idempotency-Key": "k2"})
    assert other.json()["number"] == 2


def test_a_key_with_another_request_is_refused(client: Client) -> None:
    post(client, "things", {"name": "a"}, **{"Idempotency-Key": "k"})
    for path, body in (("things", {"name": "b"}), ("things?x=1", {"name": "a"}), ("slow", {"name": "a"})):
        answer = post(client, path, body, **{"Idempotency-Key": "k"})
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert probe.calls == ["a"]


def test_two_viewers_may_use_the_same_key(client: Client) -> None:
    first = post(client, "things", {"name": "a"}, **{"Idempotency-Key": "k"})
    other = post(Client(), "things", {"name": "a"}, **{"Idempotency-Key": "k"})
    assert (first.json()["number"], other.json()["number"]) == (1, 2)


def test_a_refused_write_frees_its_key(client: Client) -> None:
    refused = post(client, "things", {"name": "refused"}, **{"Idempotency-Key": "k"})
    assert refused.status_code == 409
    assert not IdempotentAnswer.objects.exists()
    assert post(client, "things", {"name": "a"}, **{"Idempotency-Key": "k"}).status_code == 201


@pytest.mark.parametrize("key", ["", " ", "a" * 256, "ü", "a\tb"])
def test_a_key_that_is_none_is_malformed(client: Client, key: str) -> None:
    answer = post(client, "things", {"name": "a"}, **{"Idempotency-Key": key})
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed")


def test_answers_are_kept_encrypted_and_keys_hashed(client: Client) -> None:
    post(client, "things", {"name": "very-secret"}, **{"Idempotency-Key": "my-key"})
    row = IdempotentAnswer.objects.get()
    assert b"very-secret" not in bytes(row.body)
    assert "my-key" not in row.key


def test_a_repeated_form_counts_as_the_same_whatever_its_boundary(client: Client) -> None:
    photo = b"\xff\xd8" + bytes(range(256)) * 1000

    def send(boundary: str, content: bytes) -> Any:
        body = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n--{boundary}\r\n'
            'Content-Disposition: form-data; name="files"; filename="a.jpg"\r\n'
            "Content-Type: image/jpeg\r\n\r\n"
        ).encode()
        body += content + f"\r\n--{boundary}--\r\n".encode()
        return client.generic(
            "POST",
            "/api/v1/files",
            body,
            content_type=f"multipart/form-data; boundary={boundary}",
            headers={"Idempotency-Key": "form"},
        )

    first = send("one-boundary", photo)
    assert first.json() == {"note": "hello", "digests": [hashlib.sha256(photo).hexdigest()]}
    again = send("a-longer-other-boundary", photo)
    assert again["Idempotent-Replayed"] == "true"
    assert again.json() == first.json()
    assert send("one-boundary", photo[:-1] + b"x").status_code == 422
    assert probe.calls == ["hello"]


def test_a_boundary_across_two_chunks_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    text = b"--BBB\r\nhello\r\n--BBB--BB"
    for size in range(1, len(text) + 1):
        chunks = [text[place : place + size] for place in range(0, len(text), size)]
        assert b"".join(idempotency._without(b"BBB", iter(chunks))) == text.replace(b"BBB", b"")


@pytest.mark.django_db(transaction=True)
def test_a_repetition_while_the_first_is_at_work_is_told_to_wait(client: Client) -> None:
    client.post(
        "/api/v1/waits/3fa85f64-5717-4562-b3fc-2c963f66afa6"
    )  # a session, so that both are one viewer
    answers: list[Any] = []

    def first() -> None:
        try:
            answers.append(post(client, "slow", {"name": "a"}, **{"Idempotency-Key": "k"}))
        finally:
            connection.close()

    thread = threading.Thread(target=first)
    thread.start()
    try:
        assert probe.entered.wait(ANSWERS_S)
        second = Client()
        second.cookies = client.cookies
        early = post(second, "slow", {"name": "a"}, **{"Idempotency-Key": "k"})
    finally:
        probe.go_on.set()
        thread.join(ANSWERS_S)
    assert (early.status_code, early.json()["code"]) == (409, "idempotency_key_in_use")
    assert int(early["Retry-After"]) > 0
    assert answers[0].status_code == 200
    late = post(second, "slow", {"name": "a"}, **{"Idempotency-Key": "k"})
    assert (late.status_code, late["Idempotent-Replayed"]) == (200, "true")


def test_a_key_whose_process_died_is_taken_over(client: Client) -> None:
    post(client, "things", {"name": "a"}, **{"Idempotency-Key": "k"})
    IdempotentAnswer.objects.update(status=None, created_at=timezone.now() - timedelta(seconds=30))
    assert post(client, "things", {"name": "a"}, **{"Idempotency-Key": "k"}).status_code == 409
    IdempotentAnswer.objects.update(created_at=timezone.now() - timedelta(minutes=5))
    assert post(client, "things", {"name": "a"}, **{"Idempotency-Key": "k"}).status_code == 201
    assert probe.calls == ["a", "a"]


def test_answers_are_forgotten_after_a_day(client: Client) -> None:
    post(client, "things", {"name": "a"}, **{"Idempotency-Key": "k"})
    IdempotentAnswer.objects.update(created_at=timezone.now() - timedelta(hours=25))
    assert post(client, "things", {"name": "b"}, **{"Idempotency-Key": "k"}).json()["name"] == "b"
    IdempotentAnswer.objects.update(created_at=timezone.now() - timedelta(hours=25))
    idempotency.sweep()
    assert not IdempotentAnswer.objects.exists()


# -- versions and caches ---------------------------------------------------------------------------------


def test_what_did_not_change_is_not_sent_again(client: Client) -> None:
    owner = Owner.objects.create()
    url = f"/api/v1/owners/{owner.pk}"
    first = client.get(url)
    same = client.get(url, headers={"If-None-Match": first["ETag"]})
    assert (same.status_code, same.content, same["ETag"]) == (304, b"", first["ETag"])
    Owner.objects.update(may_train=True)
    changed = client.get(url, headers={"If-None-Match": first["ETag"]})
    assert changed.status_code == 200
    assert changed["ETag"] != first["ETag"]


def test_a_write_can_name_the_version_it_means(client: Client) -> None:
    owner = Owner.objects.create()
    url = f"/api/v1/owners/{owner.pk}"
    etag = client.get(url)["ETag"]
    assert client.patch(f"{url}?may_train=true", headers={"If-Match": etag}).status_code == 200
    late = client.patch(f"{url}?may_train=false", headers={"If-Match": etag})
    assert (late.status_code, late.json()["code"]) == (412, "precondition_failed")
    owner.refresh_from_db()
    assert owner.may_train
    assert client.patch(f"{url}?may_train=false", headers={"If-Match": "*"}).status_code == 200


def test_no_answer_may_be_kept_for_others(client: Client) -> None:
    owner = Owner.objects.create()
    answers = [
        client.get(f"/api/v1/owners/{owner.pk}"),
        client.get("/api/v1/nothing"),
        post(client, "things", {"name": "a"}),
    ]
    for answer in answers:
        assert {"Cookie", "Authorization", "X-API-Key"} <= set(answer["Vary"].split(", "))
        assert "private" in answer["Cache-Control"] or "no-store" in answer["Cache-Control"]
        assert "public" not in answer["Cache-Control"]


# -- the middleware's own parts ---------------------------------------------------------------------------


def test_files_reach_the_endpoint_through_the_fingerprint(client: Client) -> None:
    content = bytes(range(256)) * 20_000  # more than is kept in memory
    answer = client.post(
        "/api/v1/files",
        {"files": [SimpleUploadedFile("a.jpg", content)], "note": "n"},
        headers={"Idempotency-Key": "k"},
    )
    assert answer.json()["digests"] == [hashlib.sha256(content).hexdigest()]


def test_the_documents_of_errors_and_problems_agree() -> None:
    from cutline.server.api.problems import error_kinds

    codes = [kind.code for kind in error_kinds()]
    assert len(codes) == len(set(codes))
    assert NotFound.code in codes


@pytest.mark.urls("cutline.server.urls")
def test_what_breaks_around_the_api_is_a_problem_too(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(raise_request_exception=False)
    settings.ALLOWED_HOSTS = ["cutline.example"]
    answer = client.get("/api/v1/errors", headers={"Host": "evil.example"})
    assert (answer.status_code, answer["Content-Type"], answer.json()["code"]) == (400, PROBLEM, "malformed")

    def broken(*words: object) -> None:
        raise OperationalError("secret detail")

    monkeypatch.setattr("django.contrib.sessions.middleware.SessionMiddleware.process_request", broken)
    answer = client.get("/api/v1/errors", headers={"Host": "cutline.example"})
    assert (answer.status_code, answer["Content-Type"], answer.json()["code"]) == (
        503,
        PROBLEM,
        "unavailable",
    )
    assert "secret detail" not in answer.content.decode()


def test_an_answer_that_cannot_be_kept_is_given_all_the_same(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*words: object) -> None:
        raise OperationalError("away")

    monkeypatch.setattr(idempotency, "finish", broken)
    assert post(client, "things", {"name": "a"}, **{"Idempotency-Key": "k"}).status_code == 201
