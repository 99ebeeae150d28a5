"""The security log: who did what, from where, and whether it was refused."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.core.management import call_command
from django.test import Client

from cutline.server import security_log
from cutline.server.errors import Unauthenticated
from cutline.server.images.models import Image, Moderation, Report, Visibility
from cutline.server.images.moderation import decide, report
from cutline.server.observability import logs
from cutline.server.people.models import Role, User
from cutline.server.people.viewers import owner_of, scope_of_ticket
from cutline.server.security_log import Event
from cutline.server.webhooks import deliveries, services
from tests.server.account.accounts import PASSWORD, Person
from tests.server.account.test_claiming import make_image
from tests.server.account.test_second_factors import set_up_totp, totp

pytestmark = pytest.mark.django_db

ADDRESS = "203.0.113.50"
Read = Callable[[], list[dict[str, Any]]]


@pytest.fixture(autouse=True)
def _anew() -> None:
    security_log.forget()


@pytest.fixture
def read() -> Iterator[Read]:
    """What was logged since, as a program reads it: a function."""
    stream = io.StringIO()
    before = logging.getLogger(security_log.LOGGER).handlers[:]
    logs.configure({"level": "INFO", "format": "text"})
    logger = logging.getLogger(security_log.LOGGER)
    [handler] = logger.handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(stream)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logger.handlers[:] = before


def seen(read: Read, event: Event) -> list[dict[str, Any]]:
    """The lines about an event."""
    return [line for line in read() if line["event"] == event]


def admin_of(role: Role = Role.ADMIN) -> tuple[User, Client]:
    """Somebody of the staff, signed in."""
    user = User.objects.create_user(f"{role}@example.org", PASSWORD, role=role)
    client = Client(headers={}, REMOTE_ADDR=ADDRESS)
    client.force_login(user)
    return user, client


def test_a_line_says_who_what_when_and_from_where(person: Person, read: Read) -> None:
    user = person.sign_up()
    person.log_out()
    person.browser.defaults["REMOTE_ADDR"] = ADDRESS
    assert person.log_in("wrong password").status_code == 400
    person.log_in()
    [failed] = seen(read, Event.SIGN_IN_FAILED)
    assert (failed["refused"], failed["address"], failed["user"]) == (True, ADDRESS, "")
    line = seen(read, Event.SIGNED_IN)[-1]
    assert (line["refused"], line["address"], line["user"]) == (False, ADDRESS, str(user.pk))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}", line["time"])
    assert line["request_id"]
    assert seen(read, Event.SIGNED_UP)[0]["account"] == str(user.pk)
    assert seen(read, Event.SIGNED_OUT)[0]["account"] == str(user.pk)
    text = json.dumps(read())
    assert "example.org" not in text
    assert "wrong password" not in text
    assert PASSWORD not in text


def test_tries_at_one_account_can_be_told_to_belong_together(person: Person, read: Read) -> None:
    for email in ("ada@example.org", "ADA@example.org", "bob@example.org"):
        person.account("POST", "auth/login", email=email, password="wrong password")
    first, second, other = (line["tried"] for line in seen(read, Event.SIGN_IN_FAILED))
    assert first == second != other


@pytest.mark.django_db(transaction=True)
def test_second_factors_and_passwords(person: Person, read: Read) -> None:
    user = person.sign_up()
    secret = set_up_totp(person)
    assert seen(read, Event.SECOND_FACTOR_ADDED)[0]["account"] == str(user.pk)
    changed = person.account(
        "POST", "account/password/change", current_password=PASSWORD, new_password="another long passphrase"
    )
    assert changed.status_code in (200, 401), changed.content
    assert seen(read, Event.PASSWORD_CHANGED)
    again = Person()
    again.log_in("another long passphrase")
    assert again.account("POST", "auth/2fa/authenticate", code="000000").status_code == 400
    assert seen(read, Event.SECOND_FACTOR_FAILED)
    person.account("POST", "auth/reauthenticate", password="another long passphrase")
    person.account("DELETE", "account/authenticators/totp")
    assert seen(read, Event.SECOND_FACTOR_REMOVED)
    assert secret not in json.dumps(read())
    assert totp(secret)


def test_keys_and_what_is_refused_to_them(person: Person, read: Read) -> None:
    person.sign_up()
    made = person.api("POST", "/keys", {"name": "a secret name", "scopes": ["caption"]}).json()
    assert seen(read, Event.KEY_CREATED)[0]["made"] == made["id"]
    bearer = {"Authorization": f"Bearer {made['key']}"}
    assert Client().get("/api/v1/images", headers=bearer).status_code == 403
    [line] = seen(read, Event.SCOPE_REFUSED)
    assert (line["key"], line["refused"]) == (made["id"], True)
    assert "images:read" in line["why"]
    wrong = {"Authorization": "Bearer ck_wrong"}
    assert Client(REMOTE_ADDR=ADDRESS).get("/api/v1/images", headers=wrong).status_code == 401
    assert Client().get("/api/v1/images", headers={"X-API-Key": "a, b"}).status_code == 401
    assert [line["address"] for line in seen(read, Event.KEY_REFUSED)] == [ADDRESS, "127.0.0.1"]
    person.api("DELETE", f"/keys/{made['id']}")
    assert seen(read, Event.KEY_REVOKED)[0]["revoked"] == made["id"]
    with pytest.raises(Unauthenticated):
        scope_of_ticket({"headers": [], "query_string": b"ticket=wt_wrong"})
    assert seen(read, Event.TICKET_REFUSED)
    text = json.dumps(read())
    assert "secret name" not in text
    assert made["key"] not in text
    assert "ck_wrong" not in text


def test_rates_origins_and_hosts(read: Read, configure: Callable[..., Any]) -> None:
    configure(rate_anonymous="2/minute")
    client = Client(REMOTE_ADDR=ADDRESS)
    assert [client.get("/api/v1/session").status_code for _ in range(3)] == [200, 200, 429]
    [line] = seen(read, Event.RATE_REFUSED)
    assert (line["policy"], line["address"]) == ("address", ADDRESS)
    configure(rate_anonymous="1000/minute")
    assert client.patch("/api/v1/me", {}, headers={"Origin": "https://evil.example"}).status_code == 403
    strict = Client(enforce_csrf_checks=True, REMOTE_ADDR=ADDRESS)
    assert strict.post("/_allauth/browser/v1/auth/login").status_code == 403
    assert len(seen(read, Event.ORIGIN_REFUSED)) == 2
    for path in ("/", "/api/v1/session"):
        assert client.get(path, headers={"Host": "evil.example"}).status_code == 400
    hosts = seen(read, Event.HOST_REFUSED)
    assert [line["address"] for line in hosts] == [ADDRESS] * len(hosts)
    assert len(hosts) >= 2


def test_roles_and_what_staff_do(person: Person, read: Read) -> None:
    admin, client = admin_of()
    user = User.objects.create_user("eve@example.org", PASSWORD)
    page = f"/admin/people/user/{user.pk}/change/"
    assert client.post(page, {"role": Role.REVIEWER}).status_code == 302
    [line] = seen(read, Event.ROLE_CHANGED)
    assert (line["account"], line["before"], line["after"]) == (str(user.pk), "user", "reviewer")
    assert (line["by"], line["user"], line["address"]) == (str(admin.pk), str(admin.pk), ADDRESS)
    assert seen(read, Event.ADMIN_ACTED)[0]["row"] == str(user.pk)
    Authenticator.objects.create(user=user, type=Authenticator.Type.TOTP, data={})
    for action, event in (
        ("close", Event.ACCOUNT_CLOSED),
        ("reopen", Event.ACCOUNT_REOPENED),
        ("sign_out", Event.SESSIONS_ENDED),
        ("remove_second_factors", Event.SECOND_FACTOR_REMOVED),
    ):
        client.post("/admin/people/user/", {"action": action, "_selected_action": str(user.pk)})
        assert seen(read, event)[-1]["account"] == str(user.pk)
        assert seen(read, Event.ADMIN_ACTED)[-1]["row"] == str(user.pk)
    person.sign_up()
    person.browser.get("/admin/login/?next=/admin/")
    _, reviewer = admin_of(Role.REVIEWER)
    assert reviewer.get(f"/admin/people/user/{user.pk}/delete/").status_code == 403
    assert len(seen(read, Event.ACCESS_REFUSED)) == 2
    assert "eve@" not in json.dumps(read())


def test_exports_consent_and_deletion(person: Person, other: Person, read: Read, tmp_path: Path) -> None:
    user = person.sign_up()
    person.api("PATCH", "/me", {"may_train": True})
    assert seen(read, Event.CONSENT_CHANGED)[0]["may_train"] == 1
    owner = person.owner
    [person.browser.get(path) for path in ("/api/v1/me/export", "/api/v1/images/export?format=csv")]
    call_command("export_training_data", str(tmp_path / "data"), stdout=io.StringIO())
    exported = seen(read, Event.DATA_EXPORTED)
    assert [line["what"] for line in exported] == ["everything", "images as csv", "training data"]
    assert [line["user"] for line in exported] == [str(user.pk)] * 2 + [""]
    image = make_image(owner)
    person.api("DELETE", f"/images/{image.pk}")
    assert seen(read, Event.IMAGES_DELETED)[0]["owner"] == str(owner.pk)
    person.api("DELETE", "/me")
    deleted = seen(read, Event.ACCOUNT_DELETED)
    assert deleted[0]["account"] == str(user.pk)
    visitor = other.write_something()
    other.api("DELETE", "/me")
    assert seen(read, Event.ACCOUNT_DELETED)[-1]["of"] == str(visitor.pk)


def test_webhooks_and_moderation(person: Person, read: Read) -> None:
    user = person.sign_up()
    owner = owner_of(user)
    made = services.create(owner, "https://example.org/secret-path")
    services.change(made, events=["caption.ready"])
    services.rotate_secret(made)
    deliveries._disable(made, made.created_at, "It failed.")
    person.api("DELETE", f"/webhooks/{made.pk}")
    for event, number in (
        (Event.WEBHOOK_CREATED, 1),
        (Event.WEBHOOK_CHANGED, 2),
        (Event.WEBHOOK_SWITCHED_OFF, 1),
        (Event.WEBHOOK_DELETED, 1),
    ):
        assert [line["webhook"] for line in seen(read, event)] == [str(made.pk)] * number
    image = make_image(owner)
    Image.objects.filter(pk=image.pk).update(visibility=Visibility.PUBLIC)
    moderator, _ = admin_of(Role.MODERATOR)
    report(image, owner_of(moderator), Report.Reason.OTHER, "private words")
    decide(image, moderator, Moderation.REJECTED, "private reason")
    assert seen(read, Event.IMAGE_REPORTED)[0]["image"] == str(image.pk)
    [decided] = seen(read, Event.IMAGE_DECIDED)
    assert (decided["decision"], decided["by"]) == ("rejected", str(moderator.pk))
    text = json.dumps(read())
    assert "private" not in text
    assert "secret-path" not in text


def test_who_floods_the_service_does_not_flood_the_log(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    with security_log.bound(ADDRESS):
        for _ in range(500):
            security_log.write(Event.KEY_REFUSED, why="It is wrong.")
            security_log.write(Event.IMAGES_DELETED, number=1)
        assert len(seen(read, Event.KEY_REFUSED)) == security_log.MOST_REFUSALS
        assert len(seen(read, Event.IMAGES_DELETED)) == 500  # what was done is always told
    with security_log.bound("198.51.100.1"):
        security_log.write(Event.KEY_REFUSED, why="It is wrong.")
    assert seen(read, Event.KEY_REFUSED)[-1]["address"] == "198.51.100.1"
    monkeypatch.setattr(security_log, "PER_S", -1.0)
    with security_log.bound(ADDRESS):
        security_log.write(Event.KEY_REFUSED, why="It is wrong.")
    assert seen(read, Event.KEY_REFUSED)[-1]["left_out"] == 500 - security_log.MOST_REFUSALS


def test_no_value_can_forge_a_line(read: Read) -> None:
    with security_log.bound('1.2.3.4"}\n{"event": "sign_in.succeeded'):
        security_log.write(Event.KEY_REFUSED, why='x"}\n{"event": "role.changed"}')
    assert [line["event"] for line in read()] == ["key.refused"]


def test_the_log_may_go_to_a_file_of_its_own(tmp_path: Path, read: Read) -> None:
    place = tmp_path / "security.log"
    logs.configure({"level": "ERROR", "format": "text", "security_log": str(place)})
    security_log.write(Event.SIGNED_OUT, account="x")
    place.rename(tmp_path / "security.log.1")  # rotated
    security_log.write(Event.SIGNED_OUT, account="y")
    assert json.loads(place.read_text())["account"] == "y"
    for handler in logging.getLogger(security_log.LOGGER).handlers:
        handler.close()


def test_every_event_is_documented_and_written_somewhere() -> None:
    page = (Path(__file__).parents[3] / "docs/security.md").read_text()
    documented = set(re.findall(r"^\| `([a-z_]+\.?[a-z_]*)` \|", page, re.MULTILINE))
    assert documented == {str(event) for event in Event}
    source = Path(security_log.__file__).parent
    code = "".join(path.read_text() for path in source.rglob("*.py") if path.name != "security_log.py")
    assert [event for event in Event if f"Event.{event.name}" not in code] == []
