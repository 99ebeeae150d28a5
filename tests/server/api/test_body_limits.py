"""Bodies that are too large, or nobody's, are refused unread, before Django, and the client is heard out."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
from django.db import OperationalError

from cutline.server.account import keys
from cutline.server.api import admission as admitting
from cutline.server.api import limits
from cutline.server.api.admission import admission
from cutline.server.api.body_limits import LIST_BYTES, MAX_FIELDS, JsonCount, limit_of
from cutline.server.api.parsing import FILE_FIELDS
from cutline.server.api.turns import Turns
from cutline.server.errors import RequestTooLarge
from cutline.server.people.models import User
from cutline.server.people.viewers import owner_of
from cutline.server.shares import Pace
from tests.server.services.process import ANSWERS_S

MEGABYTE = 2**20
SIGN_IN = "/_allauth/browser/v1/auth/login"
EVERYWHERE = (
    "/api/v1/keys",
    "/api/v1/nothing",
    "/api/v1/images/from-url",
    SIGN_IN,
    "/_allauth/app/v1/auth/signup",
    "/accounts/login/",
    "/admin/login/",
    "/files/x",
    "/",
)


async def _is_never_called(scope: Any, receive: Any, send: Any) -> None:
    """An application that such a request must not reach."""
    raise AssertionError("The application was called.")


async def _reads_everything(scope: Any, receive: Any, send: Any) -> None:
    """An application that counts its body."""
    size = 0
    while True:
        message = await receive()
        size += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(size).encode()})


def _scope(path: str, headers: Mapping[str, str], query: bytes = b"", address: str = "192.0.2.1") -> Any:
    return {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": query,
        "client": (address, 1),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }


def _ask(
    path: str, chunks: list[bytes], headers: dict[str, str], query: bytes = b""
) -> tuple[int, bytes, int]:
    """Send a request in chunks: status, body, and how many chunks were taken."""
    answer = _answer(path, chunks, headers, query)
    return answer.status, answer.body, answer.taken


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    taken: int  # chunks of the request

    @property
    def code(self) -> str:
        return str(json.loads(self.body)["code"])


def _answer(
    path: str, chunks: Sequence[bytes], headers: Mapping[str, str], query: bytes = b"", app: Any = None
) -> _Answer:
    sent: list[Any] = []
    left = list(chunks)

    async def receive() -> Any:
        if not chunks:
            return {"type": "http.disconnect"}
        if not left:
            await asyncio.Event().wait()  # the client stays until it is answered
        chunk = left.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(left)}

    async def send(message: Any) -> None:
        sent.append(message)

    async def run() -> None:
        await (app or admission(_reads_everything))(_scope(path, headers, query), receive, send)

    asyncio.run(run())
    [start] = [each for each in sent if each["type"] == "http.response.start"]
    assert not sent[-1].get("more_body", False)
    return _Answer(
        status=start["status"],
        headers={name.decode().lower(): value.decode() for name, value in start["headers"]},
        body=b"".join(each.get("body", b"") for each in sent if each["type"] == "http.response.body"),
        taken=len(chunks) - len(left),
    )


def test_what_fits_passes() -> None:
    assert _ask(SIGN_IN, [b"a" * 1000, b"b" * 1000], {"content-length": "2000"}) == (200, b"2000", 2)


@pytest.mark.parametrize("headers", [{}, {"content-type": "application/json"}])
@pytest.mark.parametrize(("path", "field"), FILE_FIELDS.items())
def test_a_file_without_a_type_is_no_json_that_is_nested_too_deep(
    path: str, field: str, headers: dict[str, str]
) -> None:
    status, body, _ = _ask(path, [b"\xff\xd8\xff\xe0\0\x10JFIF\0" + b"[{" * 900], headers)
    assert (status, f"curl -F {field}=@" in json.loads(body)["hint"]) == (415, True)


def test_a_body_that_says_it_is_too_large_never_reaches_the_application() -> None:
    status, body, _ = _ask("/api/v1/keys", [b"a" * 10], {"content-length": str(2 * MEGABYTE)})
    problem = json.loads(body)
    assert (status, problem["code"], problem["status"]) == (413, "request_too_large", 413)


def test_a_body_without_a_length_is_stopped_where_it_becomes_too_large(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(admitting, "DRAIN_S", 0.05)
    chunks = [b"a" * MEGABYTE] * 200
    status, body, taken = _ask(SIGN_IN, chunks, {"transfer-encoding": "chunked"})
    assert (status, json.loads(body)["code"]) == (413, "request_too_large")
    assert taken < 100  # heard out for a while, so that the client reads why; not for ever


def test_a_length_that_lies_does_not_help() -> None:
    assert _ask(SIGN_IN, [b"a" * MEGABYTE] * 3, {"content-length": "10"})[0] == 413


def test_a_client_that_stops_sending_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admitting, "DRAIN_S", 0.05)
    sent: list[Any] = []

    async def receive() -> Any:
        await asyncio.sleep(3600)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = _scope("/api/v1/keys", {"content-length": "9999999"})
    asyncio.run(asyncio.wait_for(admission(_reads_everything)(scope, receive, send), ANSWERS_S))
    assert sent[0]["status"] == 413


def test_a_query_that_is_no_text_is_malformed() -> None:
    status, body, _ = _ask("/api/v1/images", [b""], {}, query=b"q=\xff")
    assert (status, json.loads(body)["code"]) == (400, "malformed")


def test_each_address_takes_what_it_needs(configure: Callable[..., object]) -> None:
    configure(max_upload_bytes=10 * MEGABYTE, max_upload_files=5, max_bulk_bytes=100 * MEGABYTE)
    form = "multipart/form-data; boundary=x"
    assert limit_of("/api/v1/images", form).bytes == 51 * MEGABYTE
    assert limit_of("/api/v1/caption", form).bytes == 11 * MEGABYTE
    assert "JPEG that the camera made" in limit_of("/api/v1/caption", form).hint
    assert limit_of("/api/v1/bulk", form).bytes == 101 * MEGABYTE
    assert limit_of("/api/v1/bulk", "application/json").bytes == 32 * MEGABYTE
    for path in (*EVERYWHERE, "/api/v1/images", "/api/v1/bulk/1/pause"):
        assert limit_of(path, "application/json").bytes == MEGABYTE
    for path in ("/api/v1/images", "/api/v1/caption", "/api/v1/bulk"):
        assert limit_of(path, form, method="GET").bytes == MEGABYTE


def test_people_without_an_account_may_send_less(configure: Callable[..., object]) -> None:
    configure(max_upload_bytes=10 * MEGABYTE, max_body_bytes_anonymous=30 * MEGABYTE)
    form = "multipart/form-data; boundary=x"
    sizes = {
        path: limit_of(path, form, anonymous=True).bytes // MEGABYTE
        for path in ("/api/v1/images", "/api/v1/caption", "/api/v1/bulk")
    }
    assert sizes == {"/api/v1/images": 31, "/api/v1/caption": 11, "/api/v1/bulk": 31}
    assert limit_of("/api/v1/bulk", "application/json", anonymous=True).bytes == MEGABYTE


# -- whose bodies they are ----------------------------------------------------------------------------------

FORM = {"content-type": "multipart/form-data; boundary=x"}


def _key() -> dict[str, str]:
    """The header of somebody with an account."""
    account = owner_of(User.objects.create(email="somebody@example.org"))
    return {"authorization": f"Bearer {keys.create(account, name='mine', scopes=['bulk'])[1]}"}


def test_a_large_body_with_a_key_that_does_not_work_is_refused_unread(
    transactional_db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admitting, "DRAIN_S", 0.05)
    key = {"authorization": f"Bearer ck_{'a' * 43}"}
    for length in ({"content-length": str(500 * MEGABYTE)}, {"transfer-encoding": "chunked"}):
        sent = _answer(
            "/api/v1/bulk", [b"a" * MEGABYTE] * 500, FORM | key | length, app=admission(_is_never_called)
        )
        assert (sent.status, sent.code) == (401, "unauthenticated")
        assert sent.headers["www-authenticate"]
        assert sent.taken <= admitting.DRAIN_BYTES // MEGABYTE  # heard out for a moment, and kept nowhere


def test_a_large_body_is_told_that_the_database_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(scope: Any) -> None:
        raise OperationalError("couldn't get a connection after 20.00 sec")

    monkeypatch.setattr(admitting, "viewer_of_scope", fail)
    length = {"content-length": str(2 * MEGABYTE)}
    sent = _answer("/api/v1/images", [b"a" * MEGABYTE] * 2, FORM | length, app=admission(_is_never_called))
    assert (sent.status, sent.code) == (503, "unavailable")


def test_a_small_body_that_does_not_come_is_looked_at_before_the_rest(transactional_db: None) -> None:
    key = {"x-api-key": f"ck_{'a' * 43}", "content-length": "100"}
    sent = _answer("/api/v1/keys", [b"{", b"}"], key, app=admission(_is_never_called))
    assert sent.status == 401


def test_a_large_body_whose_rate_is_used_up_is_refused_unread(
    configure: Callable[..., object], transactional_db: None
) -> None:
    configure(rate_anonymous="1/minute")
    body = [b"a" * MEGABYTE] * 2
    length = {"content-length": str(2 * MEGABYTE)}
    assert _answer("/api/v1/images", body, FORM | length).status == 200
    sent = _answer("/api/v1/images", body, FORM | length, app=admission(_is_never_called))
    assert (sent.status, sent.code) == (429, "too_many_requests")
    assert int(sent.headers["retry-after"]) > 0
    assert sent.headers["ratelimit-remaining"] == "0"


def test_without_an_account_a_body_is_refused_where_it_becomes_too_large(
    configure: Callable[..., object], transactional_db: None
) -> None:
    configure(max_body_bytes_anonymous=2 * MEGABYTE, max_upload_bytes=MEGABYTE)
    most = limit_of("/api/v1/bulk", FORM["content-type"], anonymous=True).bytes
    declared = {"content-length": str(most + 1)}
    assert (
        _answer("/api/v1/bulk", [], FORM | declared, app=admission(_is_never_called)).code
        == "request_too_large"
    )
    chunked = {"transfer-encoding": "chunked"}
    assert _answer("/api/v1/bulk", [b"a" * MEGABYTE] * 9, FORM | chunked).code == "request_too_large"
    key = _key()
    assert _answer("/api/v1/bulk", [b"a" * MEGABYTE] * 9, FORM | chunked | key).body == b"%d" % (9 * MEGABYTE)


def test_a_body_that_was_counted_at_the_gate_is_counted_once(
    configure: Callable[..., object], transactional_db: None
) -> None:
    from cutline.server.asgi import application

    body = b"--x\r\n" + b"a" * MEGABYTE
    headers = FORM | {"content-length": str(len(body)), "host": "localhost"}
    sent = _answer("/api/v1/images", [body], headers, app=application)
    assert (sent.headers["ratelimit-limit"], sent.headers["ratelimit-remaining"]) == ("600", "599")


def test_one_network_has_only_so_much_of_the_disk(
    configure: Callable[..., object], transactional_db: None
) -> None:
    configure(max_body_bytes_anonymous=MEGABYTE, max_upload_bytes=MEGABYTE)
    most = 2 * MEGABYTE + LIST_BYTES
    chunked = FORM | {"transfer-encoding": "chunked"}
    with admitting._BYTES_ANONYMOUS.held("address:192.0.2.1", amount=most - MEGABYTE):
        sent = _answer("/api/v1/images", [b"a" * MEGABYTE] * 2, chunked)
        assert (sent.status, sent.headers["retry-after"]) == (429, "5")
        assert _answer("/api/v1/images", [b"a" * MEGABYTE], chunked).status == 200
    assert _answer("/api/v1/images", [b"a" * MEGABYTE] * 2, chunked).status == 200


# -- pages for accounts ----------------------------------------------------------------------------------


def test_pages_for_accounts_have_a_rate_of_each_network(configure: Callable[..., object]) -> None:
    configure(rate_accounts="3/day")
    asked = [_answer(path, [b""], {}).status for path in (SIGN_IN, "/accounts/x/", "/admin/", SIGN_IN)]
    assert asked == [200, 200, 200, 429]
    assert _answer("/gallery", [b""], {}).status == 200
    limits.forget()
    assert _answer(SIGN_IN, [b""], {}).status == 200


def test_who_asks_too_often_waits_for_being_told_so(
    configure: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []

    async def wait(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", wait)
    monkeypatch.setattr(limits, "_REFUSALS", Pace(10, at_once=1, clock=lambda: 0.0))
    configure(rate_accounts="1/day")
    assert [_answer(SIGN_IN, [b""], {}).status for _ in range(4)] == [200, 429, 429, 429]
    assert waited == pytest.approx([0.0, 0.1, 0.2])


def test_a_large_body_is_taken_slowly_while_others_ask(
    monkeypatch: pytest.MonkeyPatch, transactional_db: None
) -> None:
    waited: list[float] = []

    async def wait(seconds: float) -> None:
        waited.append(seconds)

    headers = {"content-length": str(3 * MEGABYTE), "content-type": "multipart/form-data", **_key()}
    monkeypatch.setattr(asyncio, "sleep", wait)
    monkeypatch.setattr(admitting, "_FLOW", Pace(MEGABYTE, at_once=MEGABYTE, clock=lambda: 0.0))
    assert _answer("/api/v1/images", [b"a" * MEGABYTE] * 3, headers).status == 200
    assert waited == []
    monkeypatch.setattr(Turns, "is_shared", lambda turns: True)
    assert _answer("/api/v1/images", [b"a" * MEGABYTE] * 3, headers).status == 200
    assert waited == pytest.approx([0.0, 1.0, 2.0])


# -- forms -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_form_of_very_many_parts_is_refused_before_anything_reads_it(
    size: int, configure: Callable[..., object], transactional_db: None
) -> None:
    configure(max_upload_files=2)
    part = b'--xyz\r\nContent-Disposition: form-data; name="n"\r\n\r\n1\r\n'
    headers = {"content-type": 'multipart/form-data; boundary="xyz"'}

    def answer(parts: int) -> int:
        body = part * parts + b"--xyz--\r\n"
        size_bytes = size if size > 1 else len(body)
        chunks = [body[at : at + size_bytes] for at in range(0, len(body), size_bytes)]
        return _answer("/api/v1/caption", chunks, headers).status

    assert answer(MAX_FIELDS + 2) == 200
    assert answer(MAX_FIELDS + 3) == 413


# -- how many, and how slowly -------------------------------------------------------------------------------


def test_one_network_has_a_quarter_of_all_requests(configure: Callable[..., object]) -> None:
    configure(max_connections=8)

    async def ask(address: str, go_on: asyncio.Event, begun: asyncio.Event) -> int:
        statuses: list[int] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            begun.set()
            await go_on.wait()
            await _reads_everything(scope, receive, send)

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            statuses.append(message.get("status", 0))

        await admission(app)(_scope("/api/v1/gallery", {}, address=address), receive, send)
        return statuses[0]

    async def all_of_them() -> None:
        go_on, nothing = asyncio.Event(), asyncio.Event()
        begun = [asyncio.Event() for _ in range(2)]
        open_ones = [asyncio.create_task(ask("192.0.2.1", go_on, each)) for each in begun]
        for each in begun:
            await each.wait()
        assert await ask("192.0.2.1", go_on, nothing) == 429
        go_on.set()
        assert await ask("198.51.100.1", go_on, nothing) == 200
        assert [await each for each in open_ones] == [200, 200]
        assert await ask("192.0.2.1", go_on, nothing) == 200

    asyncio.run(all_of_them())


def test_a_body_that_comes_too_slowly_is_not_waited_for(
    configure: Callable[..., object], transactional_db: None
) -> None:
    configure(body_timeout_s=0.05)
    for path in ("/api/v1/keys", SIGN_IN):
        sent: list[Any] = []
        chunks = [b"{"]

        async def receive(chunks: list[bytes] = chunks) -> Any:
            if chunks:
                return {"type": "http.request", "body": chunks.pop(), "more_body": True}
            await asyncio.sleep(3600)

        async def send(message: Any, sent: list[Any] = sent) -> None:
            sent.append(message)

        scope = _scope(path, {"content-length": "100"})
        asyncio.run(asyncio.wait_for(admission(_reads_everything)(scope, receive, send), ANSWERS_S))
        assert sent[0]["status"] == 408


# -- JSON that is small and takes long ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "multipart/form-data; boundary=x", ""])
def test_json_of_very_many_values_is_refused_everywhere(kind: str, transactional_db: None) -> None:
    bomb = b"[" + b"[]," * 300_000 + b"[]]"
    for path in EVERYWHERE:
        if path.startswith(("/admin/", "/accounts/")) and "form" in kind:
            continue  # read as a form there, whose fields Django counts
        headers = {"content-type": kind, "content-length": str(len(bomb))}
        sent = _answer(path, [bomb[at : at + 65536] for at in range(0, len(bomb), 65536)], headers)
        assert (path, sent.status, sent.code) == (path, 413, "request_too_large")


@pytest.mark.parametrize("kind", ["image/jpeg", "application/zip", "application/x-www-form-urlencoded"])
def test_a_large_bare_file_is_refused_for_what_it_is(kind: str, transactional_db: None) -> None:
    photo = b"\xff\xd8\xff" + b"[{:," * 100_000
    chunks = [photo[at : at + 65536] for at in range(0, len(photo), 65536)]
    for path, field in FILE_FIELDS.items():
        for length in (str(len(photo)), str(40 * MEGABYTE)):
            sent = _answer(path, chunks, {"content-type": kind, "content-length": length})
            if "form" not in kind:
                assert (path, sent.status, sent.code) == (path, 415, "unsupported_media_type")
            elif len(length) > 7:
                assert (path, sent.status, sent.code) == (path, 413, "request_too_large")
            else:
                assert (path, sent.status) == (path, 200)  # Django sees it, and the API says what is wrong
                continue
            assert f"curl -F {field}=@" in json.loads(sent.body)["hint"]


def test_json_of_very_many_levels_is_refused_everywhere() -> None:
    bomb = b"[" * 10_000 + b"]" * 10_000
    headers = {"content-type": "application/json", "content-length": str(len(bomb))}
    for path in EVERYWHERE:
        sent = _answer(path, [bomb], headers)
        assert (path, sent.status, sent.code) == (path, 400, "malformed")


def test_a_list_of_urls_may_be_long_and_of_nothing_else(transactional_db: None) -> None:
    key = _key()
    urls = json.dumps({"urls": [f"https://example.org/{n},{{[:.jpg" for n in range(100_000)]}).encode()
    bomb = b"[" + b"[]," * (len(urls) // 3) + b"[]]"
    for body, status in ((urls, 200), (bomb, 413)):
        headers = key | {"content-type": "application/json", "content-length": str(len(body))}
        chunks = [body[at : at + 65536] for at in range(0, len(body), 65536)]
        assert _answer("/api/v1/bulk", chunks, headers).status == status


def _feed(count: JsonCount, parts: Sequence[bytes]) -> None:
    for part in parts:
        count.feed(part)


@pytest.mark.parametrize("seed", range(5))
def test_values_are_counted_however_a_body_is_cut(seed: int) -> None:
    dice = random.Random(seed)
    pieces = ['"', "\\", '\\"', "[", "]", "{", "}", ",", ":", "a", "é", "\n", " "]
    texts = ["".join(dice.choices(pieces, k=12)) for _ in range(200)]
    found = json.dumps([{text: [text, 1, None]} for text in texts], ensure_ascii=bool(seed % 2)).encode()
    exact = 1 + 200 * (1 + 1 + 1 + 3)  # the list; each object, its name, its list and what is in that
    for most, is_enough in ((exact - 1, True), (exact - 2, False)):  # the list itself has nothing before it
        count = JsonCount(most)
        cuts = sorted(dice.sample(range(len(found)), 300))
        parts = [found[start:end] for start, end in pairwise([0, *cuts, len(found)])]
        with nullcontext() if is_enough else pytest.raises(RequestTooLarge):
            _feed(count, parts)
