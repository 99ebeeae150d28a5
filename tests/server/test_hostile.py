"""Ways that somebody might try to ride a session, forge a link or get past a limit."""

from __future__ import annotations

import io
import json
import threading
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.core.cache import cache
from django.core.signing import Signer
from django.db import connections
from django.test import Client

from cutline import fetching
from cutline.errors import AddressForbidden, CutlineError
from cutline.server import outbound
from cutline.server.account import keys
from cutline.server.api import limits
from cutline.server.bulk import services as bulks
from cutline.server.bulk.models import Bulk
from cutline.server.errors import QuotaExceeded
from cutline.server.people.models import Owner, Role, User
from cutline.server.people.viewers import owner_of
from cutline.server.webhooks import services as webhooks
from cutline.server.webhooks.models import Webhook
from tests.server.services.receiver import Receiver

PASSWORD = "a long enough password"


@pytest.fixture(autouse=True)
def _fresh() -> None:
    limits.forget()
    cache.clear()  # allauth counts failures there


@pytest.fixture
def user() -> User:
    return User.objects.create_user("ada@example.org", PASSWORD)


@pytest.fixture
def session(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


# -- riding a session ------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://testserver.evil.example"},
        {"Origin": "http://testserver@evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example", "Authorization": "Basic YTpi"},
        {"Origin": "https://evil.example", "Authorization": "Bearer "},
        {"Origin": "https://evil.example", "X-API-Key": ""},
        {"Origin": "https://evil.example", "X-HTTP-Method-Override": "GET"},
    ],
    ids=str,
)
def test_another_site_cannot_write_with_a_visitor_s_session(session: Client, headers: dict[str, str]) -> None:
    for kind in ("application/json", "text/plain", "application/x-www-form-urlencoded"):
        answer = session.post("/api/v1/webhooks", '{"url": "https://example.org/"}', kind, headers=headers)
        assert answer.status_code in (403, 415), kind
    assert not Webhook.objects.exists()


@pytest.mark.django_db
def test_a_read_that_changes_something_does_not_exist(session: Client, user: User) -> None:
    """What a link or picture on another site could call."""
    for path in ("me", "images", "keys", "webhooks", "bulk"):
        assert session.get(f"/api/v1/{path}").status_code == 200
    assert User.objects.filter(pk=user.pk).exists()


@pytest.mark.django_db
@pytest.mark.parametrize("cookie", ["x" * 40, "a" * 25 + "0" * 15, "", "../../etc/passwd"])
def test_a_made_up_session_is_nobody(cookie: str) -> None:
    client = Client()
    client.cookies[django_settings.SESSION_COOKIE_NAME] = cookie
    assert client.get("/api/v1/me").status_code in (401, 404)
    assert client.get("/api/v1/session").json()["viewer"]["user"] is None


@pytest.mark.django_db
@pytest.mark.parametrize(
    "key", ["ck_", "ck_x", "' OR 1=1 --", "ck_" + "A" * 5000, "\u2603", "null", "undefined"]
)
def test_a_made_up_key_is_nobody_and_never_falls_back_to_the_session(session: Client, key: str) -> None:
    for headers in ({"Authorization": f"Bearer {key}"}, {"X-API-Key": key}):
        try:
            answer = session.get("/api/v1/me", headers=headers)
        except UnicodeEncodeError:
            continue
        assert answer.status_code == 401


@pytest.mark.django_db
def test_nobody_makes_themselves_staff(session: Client, user: User) -> None:
    for body in ({"role": "admin"}, {"is_superuser": True}, {"name": "x", "role": "admin"}, {"id": "x"}):
        session.patch("/api/v1/me", json.dumps(body), content_type="application/json")
    user.refresh_from_db()
    assert user.role == Role.USER
    assert not user.is_superuser
    assert session.get("/admin/").status_code == 302


@pytest.mark.django_db
def test_a_key_makes_no_key_that_may_more() -> None:
    owner = Owner.objects.create(user=User.objects.create_user("bob@example.org", PASSWORD))
    weak = keys.create(owner, name="weak", scopes=["account"])[1]
    client = Client(headers={"Authorization": f"Bearer {weak}"})
    body = json.dumps({"name": "strong", "scopes": ["images:read", "images:write", "account"]})
    answer = client.post("/api/v1/keys", body, content_type="application/json")
    assert answer.status_code in (401, 403)


# -- signing in to the admin -----------------------------------------------------------------------------


@pytest.mark.django_db
def test_the_admin_s_sign_in_is_for_staff_and_counts_failures() -> None:
    User.objects.create_user("chief@example.org", PASSWORD, role=Role.ADMIN)
    User.objects.create_user("ada@example.org", PASSWORD)
    login = "/admin/login/?next=/admin/"

    def sign_in(email: str, password: str) -> Any:
        return Client().post(login, {"username": email, "password": password, "next": "/admin/"})

    assert sign_in("chief@example.org", PASSWORD).status_code == 302
    assert sign_in("ada@example.org", PASSWORD).status_code == 200
    for _ in range(12):
        assert sign_in("chief@example.org", "wrong").status_code == 200
    assert sign_in("chief@example.org", PASSWORD).status_code == 200, "guessing goes on for ever"


@pytest.mark.django_db
def test_the_admin_asks_for_the_second_factor() -> None:
    from allauth.mfa.totp.internal.auth import (
        TOTP,
        format_hotp_value,
        hotp_value,
        yield_hotp_counters_from_time,
    )

    chief = User.objects.create_user("chief@example.org", PASSWORD, role=Role.ADMIN)
    secret = "JBSWY3DPEHPK3PXP"
    TOTP.activate(chief, secret)
    fields = {"username": "chief@example.org", "password": PASSWORD, "next": "/admin/"}
    assert Client().post("/admin/login/", fields).status_code == 200
    assert Client().post("/admin/login/", {**fields, "code": "000000"}).status_code == 200
    _, counter, _ = yield_hotp_counters_from_time()  # not the one that is about to be too old
    code = format_hotp_value(hotp_value(secret, counter))
    assert Client().post("/admin/login/", {**fields, "code": code}).status_code == 302


@pytest.mark.django_db
@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "/\\evil"]
)
def test_signing_in_leads_nowhere_else(target: str) -> None:
    User.objects.create_user("chief@example.org", PASSWORD, role=Role.ADMIN)
    answer = Client().post(
        "/admin/login/", {"username": "chief@example.org", "password": PASSWORD, "next": target}
    )
    assert answer.status_code == 302
    assert "evil" not in answer["Location"]
    assert "javascript" not in answer["Location"]


# -- forging ---------------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "W10:x",
        Signer(salt="another").sign_object([["-created_at", "-id"], ["2026-01-01T00:00:00Z", "x"]]),
        "%00",
        "a" * 2000,
    ],
)
def test_a_made_up_cursor_is_refused(session: Client, cursor: str) -> None:
    answer = session.get("/api/v1/images", {"cursor": cursor})
    assert answer.status_code == 422


@pytest.mark.django_db
def test_a_cursor_of_one_list_does_not_open_another(session: Client, user: User) -> None:
    owner = owner_of(user)
    for _ in range(3):
        Webhook.objects.create(owner=owner, url="https://example.org/", secret="whsec_AAAA")
    cursor = session.get("/api/v1/webhooks?limit=1").json()["next"]
    for path in ("gallery", "jobs?"):
        answer = session.get(f"/api/v1/{path.rstrip('?')}", {"cursor": cursor})
        assert answer.status_code in (200, 422)
        assert not answer.json().get("items")


# -- calls to inner addresses ----------------------------------------------------------------------------

INNER = [
    "http://127.0.0.1/",
    "http://127.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0177.0.0.1/",
    "http://0.0.0.0/",
    "http://0/",
    "http://localhost/",
    "http://localhost./",
    "http://LOCALHOST/",
    "http://[::1]/",
    "http://[::]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b:1::7f00:1]/",
    "http://[2002:7f00:1::]/",
    "http://[fe80::1]/",
    "http://[fe80::1%25lo]/",
    "http://[fc00::1]/",
    "http://[fec0::1]/",
    "http://[ff02::1]/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.0.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://100.64.0.1/",
    "http://192.0.0.1/",
    "http://198.18.0.1/",
    "http://224.0.0.1/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    "http://user:password@127.0.0.1/",
    "http://example.org@127.0.0.1/",
    "http://127.0.0.1#@example.org/",
    "http://①②⑦.⓪.⓪.①/",
    "http://127。0。0。1/",
    "file:///etc/passwd",
    "ftp://127.0.0.1/",
    "gopher://127.0.0.1:6379/_SET",
    "data:image/png;base64,AAAA",
    "http://example.org:22/",
    "http://example.org:25/",
    "//127.0.0.1/",
    "http:///",
    "http://",
    "http://\n127.0.0.1/",
    "http://127.0.0.1\t/",
]


@pytest.mark.parametrize("url", INNER, ids=ascii)
def test_no_address_inside_is_called(url: str) -> None:
    with pytest.raises(CutlineError) as refused:
        outbound.fetch_photo(url, max_bytes=1000)
    assert refused.value.code in ("address_forbidden", "fetch_failed")
    with pytest.raises(CutlineError):
        outbound.post_json(url, b"{}", {}, 2)


def test_a_name_that_changes_its_mind_is_asked_once(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: the first answer is public, the next leads inside."""
    import socket

    asked: list[str] = []
    real = socket.getaddrinfo

    def rebinding(host: Any, port: Any, *rest: Any, **more: Any) -> Any:
        asked.append(str(host))
        address = "93.184.216.34" if len(asked) == 1 else "127.0.0.1"
        return (
            real(address, port, *rest, **more)
            if host == "rebind.example"
            else real(host, port, *rest, **more)
        )

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    connected: list[str] = []

    def connect(self: Any, host: str, port: int, **more: Any) -> Any:
        connected.append(host)
        raise fetching.httpcore.ConnectError("not in a test")

    monkeypatch.setattr(fetching.httpcore.SyncBackend, "connect_tcp", connect)
    receiver.offer("/rebind.jpg", b"inner")
    with pytest.raises(CutlineError):
        outbound.fetch_photo(
            f"http://rebind.example:{receiver.url.rpartition(':')[2]}/rebind.jpg", max_bytes=1000
        )
    assert connected == ["93.184.216.34"]
    assert asked.count("rebind.example") == 1


def test_a_name_with_one_inner_address_is_refused_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    def both(host: Any, port: Any, *rest: Any, **more: Any) -> Any:
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in ("93.184.216.34", "10.0.0.1")
        ]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    with pytest.raises(AddressForbidden):
        outbound.fetch_photo("http://both.example/", max_bytes=1000)


def test_a_redirect_is_checked_like_the_first_address(
    receiver: Receiver, configure: Callable[..., object]
) -> None:
    configure(fetch_allow="127.0.0.1/32")
    for number, target in enumerate(
        ("http://127.0.0.2/", "http://[::1]/", "file:///etc/passwd", "http://0/")
    ):
        receiver.redirects[f"/to/{number}"] = target
        with pytest.raises(AddressForbidden):
            outbound.fetch_photo(f"{receiver.url}/to/{number}", max_bytes=1000)
    receiver.redirects["/loop"] = receiver.url + "/loop"
    with pytest.raises(CutlineError, match="Too many redirects"):
        outbound.fetch_photo(f"{receiver.url}/loop", max_bytes=1000)


# -- limits, from many threads at once -------------------------------------------------------------------


def _at_once(count: int, act: Callable[[], object]) -> list[object]:
    results: list[object] = []
    gate = threading.Barrier(count)

    def run() -> None:
        gate.wait()
        try:
            results.append(act())
        except QuotaExceeded as error:
            results.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.django_db(transaction=True)
@pytest.mark.both_databases
def test_requests_at_once_do_not_get_past_the_number_of_webhooks() -> None:
    owner = Owner.objects.create()
    results = _at_once(8, lambda: webhooks.create(owner, "https://example.org/"))
    assert Webhook.objects.count() == webhooks.MAX_WEBHOOKS_ANONYMOUS
    assert sum(isinstance(result, QuotaExceeded) for result in results) == 8 - webhooks.MAX_WEBHOOKS_ANONYMOUS


@pytest.mark.django_db(transaction=True)
@pytest.mark.both_databases
def test_requests_at_once_do_not_get_past_the_number_of_bulks() -> None:
    owner = Owner.objects.create()
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("a.jpg", b"1")
    _at_once(6, lambda: bulks.create_from_archive(owner, io.BytesIO(data.getvalue()), "x", options={}))
    assert Bulk.objects.count() == bulks.MAX_UNENDED_ANONYMOUS


@pytest.mark.django_db
def test_a_forwarded_address_is_believed_of_a_proxy_alone(configure: Callable[..., object]) -> None:
    configure(rate_anonymous="5/day")
    limits.forget()
    statuses = [
        Client().get("/api/v1/gallery", headers={"X-Forwarded-For": f"9.9.9.{number}"}).status_code
        for number in range(8)
    ]
    assert statuses[-1] == 429
