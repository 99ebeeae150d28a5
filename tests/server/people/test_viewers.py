"""Who is asking: sessions, keys, tokens, and whatever pretends to be one."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from django.conf import settings as django_settings
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.handlers.asgi import ASGIRequest
from django.test import Client
from django.utils import timezone

from cutline.server.account.keys import create
from cutline.server.api.parsing import FILE_FIELDS
from cutline.server.errors import Unauthenticated
from cutline.server.people import keys, tickets
from cutline.server.people.models import ApiKey, Owner, Role, User
from cutline.server.people.sessions import SessionStore, is_signed
from cutline.server.people.viewers import (
    Viewer,
    address_of,
    owner_of,
    scope_of_ticket,
    start_session,
    viewer_of,
    viewer_of_scope,
)
from cutline.server.proxies import with_forwarded_scheme
from tests.server.account.accounts import PASSWORD, Person

pytestmark = pytest.mark.django_db

COOKIE = django_settings.SESSION_COOKIE_NAME


def a_key(role: Role = Role.USER, **words: Any) -> tuple[ApiKey, str]:
    """A key of a new account."""
    user = User.objects.create_user("key@example.org", PASSWORD, role=role)
    return create(owner_of(user), **{"name": "script", "scopes": ["account"], **words})


def viewer_with(**headers: str) -> Any:
    """What the service answers to somebody who sends these headers."""
    return Client().get("/api/v1/session", headers=headers)


def scope(**words: Any) -> dict[str, Any]:
    """A websocket's scope."""
    return {"type": "websocket", "headers": [], "query_string": b"", "client": ("203.0.113.9", 1), **words}


# -- sessions --------------------------------------------------------------------------------------------


def test_looking_makes_no_owner_and_sets_no_session_cookie(person: Person) -> None:
    assert person.owner_id is None
    assert COOKIE not in person.browser.cookies
    assert not Owner.objects.exists()


def test_the_first_write_makes_an_owner_whom_the_cookie_names_from_then_on(person: Person) -> None:
    owner = person.write_something()
    assert owner.user is None
    assert person.owner_id == str(owner.pk)
    cookie = person.browser.cookies[COOKIE]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"
    assert person.write_something() == owner


def test_a_cookie_with_one_letter_changed_gives_nothing(person: Person) -> None:
    person.write_something()
    key = person.browser.cookies[COOKIE].value
    for place in range(len(key)):
        person.browser.cookies[COOKIE] = key[:place] + ("a" if key[place] != "a" else "b") + key[place + 1 :]
        assert person.owner_id is None, place
    person.browser.cookies[COOKIE] = key
    assert person.owner_id is not None


def test_a_session_that_was_not_signed_here_is_none_even_where_its_row_stands(person: Person) -> None:
    owner = person.write_something()
    made_up = "a" * 32
    Session.objects.create(
        session_key=made_up,
        session_data=SessionStore().encode({"owner_id": owner.pk.hex}),
        expire_date=timezone.now() + timedelta(days=1),
    )
    assert not is_signed(made_up)
    person.browser.cookies[COOKIE] = made_up
    assert person.owner_id is None


def test_session_data_that_was_changed_in_the_database_gives_nothing(person: Person) -> None:
    person.write_something()
    row = Session.objects.get()
    row.session_data = row.session_data[:-3] + "AAA"
    row.save()
    assert person.owner_id is None


@pytest.mark.parametrize("cookie", ["", "x", "é" * 40, "../../etc/passwd", "0" * 5000])
def test_nonsense_for_a_cookie_is_nobody(person: Person, cookie: str) -> None:
    person.browser.cookies[COOKIE] = cookie
    assert person.owner_id is None


def test_a_closed_account_s_session_and_key_open_nothing(person: Person) -> None:
    user = person.sign_up()
    secret = person.api("POST", "/keys", {"name": "k", "scopes": ["account"]}).json()["key"]
    user.is_active = False
    user.save()
    assert person.owner_id is None
    assert viewer_with(Authorization=f"Bearer {secret}").status_code == 401


def test_an_owner_that_is_gone_is_replaced_at_the_next_write(person: Person) -> None:
    owner = person.write_something()
    owner.delete()
    assert person.api("GET", "/me").status_code == 404
    assert person.write_something() != owner


def test_a_visit_of_somebody_without_account_is_noted_but_not_at_every_write(person: Person) -> None:
    owner = person.write_something()
    long_ago = timezone.now() - timedelta(days=3)
    Owner.objects.filter(pk=owner.pk).update(last_seen_at=long_ago)
    person.write_something()
    seen = person.owner.last_seen_at
    assert seen > long_ago
    person.write_something()
    assert person.owner.last_seen_at == seen


# -- keys ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
def test_a_key_names_its_account_and_scopes(header: str) -> None:
    key, secret = a_key(scopes=["account", "images:read"])
    answer = viewer_with(**{header: f"Bearer {secret}" if header == "Authorization" else secret})
    viewer = answer.json()["viewer"]
    assert viewer["owner"] == str(key.owner_id)
    assert viewer["email"] == "key@example.org"
    assert viewer["scopes"] == ["account", "images:read"]


def test_a_key_that_does_not_work_is_refused_and_never_falls_back_to_the_session(person: Person) -> None:
    person.sign_up()
    answer = person.api("GET", "/session", None, Authorization="Bearer ck_wrong")
    assert answer.status_code == 401
    assert answer.json()["code"] == "unauthenticated"


KEY = "ck_" + "a1-_" * 10 + "xyz"  # in the shape of one; nobody has it
SENT_WRONGLY = [
    {"Authorization": ""},
    {"Authorization": " "},
    {"Authorization": "Bearer"},
    {"Authorization": "Bearer  "},
    {"Authorization": "bearer"},
    {"Authorization": KEY},
    {"Authorization": f"Basic {KEY}"},
    {"Authorization": "Basic dXNlcjpwYXNz"},
    {"Authorization": f"Token {KEY}"},
    {"Authorization": f"Token token={KEY}"},
    {"Authorization": f"ApiKey {KEY}"},
    {"Authorization": f"Bearer: {KEY}"},
    {"Authorization": f"Bearer {KEY}, Bearer {KEY}"},
    {"Authorization": f"Bearer {KEY} {KEY}"},
    {"X-API-Key": ""},
    {"X-API-Key": "  "},
    {"X-API-Key": f"Bearer {KEY}"},
    {"X-API-Key": f"{KEY},{KEY}"},
    {"Authorization": f"Bearer {KEY}", "X-API-Key": "ck_other"},
    {"Authorization": "Basic dXNlcjpwYXNz", "X-API-Key": KEY},
    {"Authorization": f"Bearer {KEY}", "X-API-Key": ""},
    {"X-Auth-Token": KEY},
    {"Api-Key": KEY},
    {"Proxy-Authorization": f"Bearer {KEY}"},
    {"Cookie": f"key={KEY}"},
]


@pytest.mark.parametrize("headers", SENT_WRONGLY, ids=str)
def test_a_key_that_is_sent_wrongly_is_refused_with_a_hint_and_makes_nobody(headers: dict[str, str]) -> None:
    answer = Client().post(
        "/api/v1/bulk", {"urls": ["https://example.org/"]}, "application/json", headers=headers
    )
    found = answer.json()
    assert (answer.status_code, found["code"]) == (401, "unauthenticated")
    assert "key" in found["hint"].lower()
    assert KEY not in answer.content.decode()
    assert not Owner.objects.exists()


@pytest.mark.parametrize("headers", SENT_WRONGLY, ids=str)
def test_a_websocket_s_key_that_is_sent_wrongly_is_refused_with_a_hint(headers: dict[str, str]) -> None:
    raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    with pytest.raises(Unauthenticated) as caught:
        viewer_of_scope(scope(headers=raw))
    assert "key" in caught.value.hint.lower()


IN_HEADERS = (
    *("api-key", "x-api-token", "x-auth-token", "x-auth-key", "x-access-token", "authentication"),
    *("x-authorization", "x_api_key", "x_authorization", "apikey", "token", "x-cutline-key", "bearer"),
)
IN_URLS = (
    *("api_key", "API-KEY", "apikey", "key", "token", "access_token", "auth_token", "x-api-key"),
    *("authorization", "bearer", "key[]"),
)


@pytest.mark.parametrize("path", ["/api/v1/images", "/api/v1/caption", "/api/v1/images/from-url", "/ws"])
def test_what_stands_in_a_key_s_place_is_refused_whatever_it_is(path: str) -> None:
    for value in (KEY, KEY[:-2], "ck_abc", "sk-abc", "Bearer x", "undefined", ""):
        for name in IN_HEADERS:
            with pytest.raises(Unauthenticated, match=name) as caught:
                keys.sent_key({name: value}, path=path)
            assert "Bearer" in caught.value.hint
        for name in IN_URLS:
            with pytest.raises(Unauthenticated, match="URL"):
                keys.sent_key({}, urlencode({"n": 1, name: value}), path=path)


@pytest.mark.parametrize(
    ("headers", "query"),
    [
        *(({"sec-websocket-protocol": value}, "") for value in ("bearer, ck_abcdef", "ck_a", "token, x")),
        *(({"x-note": value}, "") for value in (KEY, KEY[:-5], f"Bearer {KEY[:-1]}", f"key={KEY}")),
        *(({}, query) for query in (KEY, KEY[:-3], f"foo={KEY}", f"foo=Bearer%20{KEY}", f"q={KEY[:-9]}")),
    ],
)
def test_a_key_in_any_other_place_is_refused(headers: dict[str, str], query: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        keys.sent_key(headers, query, path="/api/v1/images")
    assert KEY[:20] not in str(caught.value)


JWT = f"eyJ.{'a' * 50}ck_{'b' * 43}{'c' * 99}.ck_{'d' * 300}"  # as a proxy adds it: random, so also with ck_


@pytest.mark.parametrize(
    "headers",
    [
        {"x-csrftoken": "a", "x-session-token": "a", "cookie": "ck_consent=yes; token=a; key=b"},
        {"idempotency-key": "ck_0b5e9e0c-8b5e-4b0e-9b5e-0b5e9e0c8b5e", "x-request-id": "ck_" + "r" * 30},
        {"sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-protocol": "graphql-ws, mqtt"},
        {
            "proxy-authorization": "Basic eA==",
            "x-forwarded-access-token": JWT,
            "x-amzn-oidc-accesstoken": JWT,
        },
        {"cf-access-jwt-assertion": JWT, "cookie": f"CF_Authorization={JWT}", "x-auth-request-user": "ada"},
        {"webhook-signature": "v1,abc", "x-signature": "abc", "x-original-uri": "/api/v1/gallery?q=ck_cat"},
        {"referer": f"https://example.org/?key={KEY}", "user-agent": "ck_browser/1"},
    ],
    ids=lambda headers: ", ".join(headers),
)
def test_no_header_of_browsers_proxies_and_our_own_is_taken_for_a_key(headers: dict[str, str]) -> None:
    for path in ("/api/v1/images", "/ws"):
        assert keys.sent_key(headers, "after=3&ticket=abc&cursor=ck_&q=ck_cat", path=path) == ""


def test_no_parameter_of_the_api_is_taken_for_a_key() -> None:
    """Not even ?token=, of a link to an image, whose random text may begin as keys do."""
    schema = json.loads((Path(__file__).parents[3] / "contracts" / "openapi.json").read_text())
    seen = set()
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            shared = schema["components"]["parameters"]
            parameters = [
                shared[each["$ref"].rpartition("/")[2]] if "$ref" in each else each
                for each in operation.get("parameters", [])
            ]
            names = [(each["in"], each["name"]) for each in parameters]
            sent = {
                name: f"ck_{'x' * 29}" if name == "token" else "x" for kind, name in names if kind == "query"
            }
            headers = {name.lower(): "x" for kind, name in names if kind == "header"}
            asked = re.sub(r"{\w+}", "0b5e9e0c-8b5e-4b0e-9b5e-0b5e9e0c8b5e", path)
            assert keys.sent_key(headers, urlencode(sent), path=asked) == "", path
            seen |= sent.keys() | headers.keys()
    assert {"token", "cursor", "idempotency-key"} <= seen


@pytest.mark.parametrize("path", ["/", "/gallery", "/files/a", "/account", "/callbacks/function", "/apidocs"])
def test_pages_and_files_may_name_their_parameters_as_they_like(path: str) -> None:
    assert keys.sent_key({"x-token": "a"}, "key=abc&token=def&code=1&state=2", path=path) == ""
    with pytest.raises(Unauthenticated):
        keys.sent_key({}, f"key={KEY}", path=path)


def test_a_key_beside_another_header_is_read() -> None:
    for headers in ({"authorization": f"Bearer {KEY}", "x-token": "a"}, {"x-api-key": KEY, "api-key": KEY}):
        assert keys.sent_key(headers, path="/api/v1/images") == KEY


@pytest.mark.parametrize(
    ("value", "says"),
    [
        *(
            (f"Bearer {text}", "has no API key")
            for text in (f'"{KEY}"', "undefined", "$CUTLINE_KEY", "sk-abc")
        ),
        *((f"Bearer {text}", "has no API key") for text in ("ck_abc", KEY[:-1], KEY + "x", f"<{KEY}>")),
        (f"Bearer Bearer {KEY}", "once too often"),
        (f"Bearer Bearer: {KEY}", "once too often"),
        (f"Bearer {KEY}, Bearer {KEY}", "more than one"),
        (f"Bearer {KEY} {KEY}", "more than one"),
    ],
)
def test_what_is_no_whole_key_is_told_how_one_is_sent(value: str, says: str) -> None:
    with pytest.raises(Unauthenticated, match=says) as caught:
        keys.sent_key({"authorization": value}, path="/api/v1/images")
    assert "key" in caught.value.hint.lower()
    with pytest.raises(Unauthenticated, match=says):
        keys.sent_key({"x-api-key": value.removeprefix("Bearer ")}, path="/api/v1/images")


@pytest.mark.parametrize("path", ["/images", "/caption", "/bulk"])
def test_a_key_among_the_fields_of_a_form_is_refused_and_makes_nobody(path: str) -> None:
    for name, value in (("api_key", "ck_x"), ("key", KEY), ("token", ""), ("note", KEY)):
        file = SimpleUploadedFile("a.jpg", b"photo")
        form = {FILE_FIELDS[f"/api/v1{path}"]: file, name: value}
        answer = Client().post(f"/api/v1{path}", form)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), name
        assert "Bearer" in answer.json()["hint"]
    assert not Owner.objects.exists()


def test_a_header_that_django_hides_is_seen() -> None:
    hidden = {**scope(headers=[(b"x_api_key", KEY.encode())]), "type": "http", "method": "GET"}
    request = ASGIRequest({**hidden, "path": "/api/v1/images"}, io.BytesIO())
    assert "X-API-Key" not in request.headers
    with pytest.raises(Unauthenticated, match="x_api_key"):
        viewer_of(request)


@pytest.mark.parametrize("query", ["key=", f"key={KEY}&key={KEY}", f"token={KEY}", f"key={KEY}"])
def test_a_websocket_s_key_in_the_url_is_no_visitor_without_one(query: str) -> None:
    with pytest.raises(Unauthenticated):
        viewer_of_scope(scope(query_string=query.encode()))


def test_a_websocket_s_second_header_is_not_overlooked() -> None:
    _, secret = a_key()
    headers = [(b"authorization", b"Basic dXNlcjpwYXNz"), (b"authorization", f"Bearer {secret}".encode())]
    with pytest.raises(Unauthenticated):
        viewer_of_scope(scope(headers=headers))


@pytest.mark.parametrize("name", ["key", "api_key", "access_token"])
def test_a_key_in_the_url_is_refused_not_overlooked(name: str) -> None:
    answer = Client().get(f"/api/v1/session?{name}={KEY}")
    assert answer.status_code == 401
    assert name in answer.json()["detail"]


def test_words_that_only_look_like_a_key_may_be_searched_for() -> None:
    assert Client().get("/api/v1/gallery?q=ck_cat").status_code == 200


def test_the_same_key_in_both_headers_is_one_key() -> None:
    _, secret = a_key()
    answer = viewer_with(**{"Authorization": f"bearer {secret}", "X-API-Key": secret})
    assert answer.json()["viewer"]["email"] == "key@example.org"


@pytest.mark.parametrize("token", ["", "made-up", "x" * 40])
def test_a_websocket_s_session_token_that_does_not_work_starts_no_session(token: str) -> None:
    with pytest.raises(Unauthenticated):
        viewer_of_scope(scope(headers=[(b"x-session-token", token.encode())]))
    assert Client().get("/api/v1/session", headers={"X-Session-Token": token}).status_code == 401


def test_a_key_ends_with_its_expiry(person: Person) -> None:
    key, secret = a_key(expires_at=timezone.now() + timedelta(hours=1))
    assert viewer_with(Authorization=f"Bearer {secret}").status_code == 200
    ApiKey.objects.filter(pk=key.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    assert viewer_with(Authorization=f"Bearer {secret}").status_code == 401


def test_a_key_of_an_admin_has_no_powers_of_staff() -> None:
    _, secret = a_key(role=Role.ADMIN)
    assert viewer_with(Authorization=f"Bearer {secret}").json()["viewer"]["role"] == "user"


def test_of_a_key_only_a_hash_is_kept(person: Person) -> None:
    key, secret = a_key()
    assert secret.startswith("ck_")
    assert len(secret) > 40
    row = ApiKey.objects.filter(pk=key.pk).values().get()
    assert secret not in str(row)
    assert secret[len("ck_") + 8 :] not in str(row)


def test_the_last_use_of_a_key_is_kept_to_the_minute(django_assert_num_queries: Callable[..., Any]) -> None:
    key, secret = a_key()
    assert key.last_used_at is None
    viewer_with(Authorization=f"Bearer {secret}")
    key.refresh_from_db()
    first = key.last_used_at
    assert first is not None
    keys.note_use(key)
    key.refresh_from_db()
    assert key.last_used_at == first
    ApiKey.objects.filter(pk=key.pk).update(last_used_at=first - timedelta(minutes=5))
    viewer_with(Authorization=f"Bearer {secret}")
    key.refresh_from_db()
    assert key.last_used_at is not None
    assert key.last_used_at > first - timedelta(minutes=1)


# -- roles -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "reads", "moderates", "administers"),
    [
        (Role.USER, False, False, False),
        (Role.REVIEWER, True, False, False),
        (Role.MODERATOR, True, True, False),
        (Role.ADMIN, True, True, True),
    ],
)
def test_what_each_role_may_do(role: Role, reads: bool, moderates: bool, administers: bool) -> None:
    viewer = Viewer(owner_id=None, role=role)
    assert (viewer.is_staff_reader, viewer.can_moderate, viewer.is_admin) == (reads, moderates, administers)


def test_a_session_may_do_everything_and_a_key_what_its_scopes_say() -> None:
    assert Viewer(owner_id=None).has("bulk")
    assert not Viewer(owner_id=None, scopes=frozenset({"caption"})).has("bulk")


# -- websockets ------------------------------------------------------------------------------------------


def test_a_websocket_is_known_by_the_session_cookie(person: Person) -> None:
    owner = person.write_something()
    cookie = f"theme=dark; {COOKIE}={person.browser.cookies[COOKIE].value}"
    viewer = viewer_of_scope(scope(headers=[(b"cookie", cookie.encode())]))
    assert viewer.owner_id == owner.pk
    assert viewer.address == "203.0.113.9"


def test_a_websocket_of_an_account_is_known_with_its_role(person: Person) -> None:
    user = person.sign_up()
    User.objects.filter(pk=user.pk).update(role=Role.MODERATOR)
    cookie = f"{COOKIE}={person.browser.cookies[COOKIE].value}".encode()
    viewer = viewer_of_scope(scope(headers=[(b"cookie", cookie)]))
    assert (viewer.user_id, viewer.role) == (user.pk, Role.MODERATOR)


def test_a_websocket_is_known_by_a_key_in_a_header_and_never_in_its_address() -> None:
    key, secret = a_key()
    scopes = [
        scope(headers=[(b"authorization", f"Bearer {secret}".encode())]),
        scope(headers=[(b"x-api-key", secret.encode())]),
    ]
    assert [viewer_of_scope(each).key_id for each in scopes] == [key.pk] * 2
    for query in (f"after=3&key={secret}", f"%6bey={secret}", "key=ck_wrong", "key="):
        with pytest.raises(Unauthenticated, match="URL"):
            viewer_of_scope(scope(query_string=query.encode()))
        with pytest.raises(Unauthenticated, match="URL"):
            viewer_of_scope({**scopes[0], "query_string": query.encode()})


def ticket_for(person: Person, **headers: str) -> str:
    answer = person.browser.post("/api/v1/events/ticket", headers=headers)
    assert answer.status_code == 200, answer.content
    return str(answer.json()["ticket"])


def test_a_ticket_opens_one_websocket_as_whoever_asked_for_it(person: Person) -> None:
    key, secret = a_key(scopes=["images:read"])
    ticket = ticket_for(person, Authorization=f"Bearer {secret}")
    opened = scope_of_ticket(scope(query_string=f"ticket={ticket}&after=3".encode()))
    assert viewer_of_scope(opened).key_id == key.pk
    with pytest.raises(Unauthenticated, match="ticket"):
        scope_of_ticket(scope(query_string=f"ticket={ticket}".encode()))
    ApiKey.objects.filter(pk=key.pk).update(revoked_at=timezone.now())
    with pytest.raises(Unauthenticated):
        viewer_of_scope(opened)


def test_a_ticket_of_a_session_ends_with_the_session(person: Person) -> None:
    owner = person.write_something()
    opened = scope_of_ticket(scope(query_string=f"ticket={ticket_for(person)}".encode()))
    assert viewer_of_scope(opened).owner_id == owner.pk
    SessionStore(person.browser.cookies[COOKIE].value).delete()
    assert viewer_of_scope(opened).owner_id is None


def test_a_ticket_that_is_old_or_made_up_opens_nothing(person: Person) -> None:
    person.write_something()
    kept = tickets.issue(tickets.Bearer(session_key="s"))
    cache.clear()  # as time does
    for ticket in (kept, "wt_wrong", ""):
        with pytest.raises(Unauthenticated, match="ticket"):
            tickets.redeem(ticket)


def test_nobody_gets_a_ticket_without_a_session_or_with_a_key_that_may_not_read(person: Person) -> None:
    assert person.browser.post("/api/v1/events/ticket").status_code == 401
    _, secret = a_key(scopes=["caption"])
    answer = person.browser.post("/api/v1/events/ticket", headers={"Authorization": f"Bearer {secret}"})
    assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


def test_a_websocket_of_an_app_is_known_by_its_token_and_survives_odd_cookies(person: Person) -> None:
    owner = person.write_something()
    token = person.browser.cookies[COOKIE].value
    assert viewer_of_scope(scope(headers=[(b"x-session-token", token.encode())])).owner_id == owner.pk
    odd = f'a"b=c; {{"json": 1}}; {COOKIE}={token}'
    assert viewer_of_scope(scope(headers=[(b"cookie", odd.encode())])).owner_id == owner.pk


def test_a_websocket_with_nothing_or_a_changed_cookie_is_nobody(person: Person) -> None:
    person.write_something()
    changed = person.browser.cookies[COOKIE].value[:-1] + "!"
    assert viewer_of_scope(scope()).owner_id is None
    assert viewer_of_scope(scope(headers=[(b"cookie", f"{COOKIE}={changed}".encode())])).owner_id is None
    assert viewer_of_scope(scope(headers=[(b"cookie", b"\xff;;=;")])).owner_id is None


def test_a_session_that_a_websocket_began_goes_on_over_http(person: Person) -> None:
    viewer, cookie = start_session("203.0.113.9")
    person.browser.cookies[COOKIE] = cookie
    assert person.owner_id == str(viewer.owner_id)


# -- addresses -------------------------------------------------------------------------------------------


def test_forwarded_addresses_are_believed_only_behind_trusted_proxies(configure: Callable[..., Any]) -> None:
    meta = {"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": "198.51.100.1, 203.0.113.5"}
    assert address_of(meta) == "10.0.0.1"
    configure(trust_proxy=True, proxies="10.0.0.0/8")
    assert address_of(meta) == "203.0.113.5"  # what stands before it, the client may have made up
    assert address_of({**meta, "HTTP_X_FORWARDED_FOR": "nonsense"}) == "10.0.0.1"
    assert address_of({"REMOTE_ADDR": "10.0.0.1"}) == "10.0.0.1"
    assert address_of({**meta, "REMOTE_ADDR": "203.0.113.77"}) == "203.0.113.77"


def test_behind_two_proxies_both_are_believed_and_nobody_else(configure: Callable[..., Any]) -> None:
    meta = {"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": "198.51.100.1, 203.0.113.5, 10.0.0.7"}
    configure(trust_proxy=True, proxies="10.0.0.0/8", proxy_count=2)
    assert address_of(meta) == "203.0.113.5"
    assert address_of({**meta, "HTTP_X_FORWARDED_FOR": "198.51.100.1, 203.0.113.5"}) == "203.0.113.5"
    assert address_of({**meta, "HTTP_X_FORWARDED_FOR": "198.51.100.1, 10.0.0.55, 10.0.0.7"}) == "10.0.0.55"


@pytest.mark.parametrize("made_up", ["198.51.100.1", "127.0.0.1", "10.0.0.3, 198.51.100.1, 10.0.0.4"])
def test_who_is_on_the_proxy_s_own_network_chooses_no_address(
    configure: Callable[..., Any], made_up: str
) -> None:
    configure(trust_proxy=True, proxies="10.0.0.0/8,127.0.0.1")
    meta = {"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": f"{made_up}, 10.0.0.55"}
    assert address_of(meta) == "10.0.0.55"
    lines = [(b"x-forwarded-for", made_up.encode()), (b"x-forwarded-for", b"10.0.0.55")]
    assert viewer_of_scope(scope(client=("10.0.0.1", 1), headers=lines)).address == "10.0.0.55"


def test_only_a_proxy_says_that_a_request_came_over_https(configure: Callable[..., Any]) -> None:
    told = [(b"x-forwarded-proto", b"https")]
    http = {"type": "http", "scheme": "http", "headers": told, "client": ("10.0.0.1", 1)}
    assert with_forwarded_scheme(http)["scheme"] == "http"
    configure(trust_proxy=True, proxies="10.0.0.1")
    assert with_forwarded_scheme(http)["scheme"] == "https"
    assert with_forwarded_scheme(scope(scheme="ws", headers=told, client=("10.0.0.1", 1)))["scheme"] == "wss"
    assert with_forwarded_scheme({**http, "client": ("10.0.0.55", 1)})["scheme"] == "http"
    assert with_forwarded_scheme({**http, "headers": [(b"x-forwarded-proto", b"ftp")]})["scheme"] == "http"
    assert http["scheme"] == "http"
