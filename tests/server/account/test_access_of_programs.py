"""Keys and webhooks open an account to programs: who may make them, who hears of it, and when they end."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from cutline.server.account import claiming, keys
from cutline.server.errors import Conflict, NotFound
from cutline.server.people.models import ApiKey, Owner, User
from cutline.server.people.viewers import owner_of
from cutline.server.webhooks import services as webhooks
from cutline.server.webhooks.models import Webhook
from tests.server.account.accounts import PASSWORD, Person, mails_to

pytestmark = pytest.mark.django_db

URL = "https://example.org/hook/a-secret-path"
NEW_KEY = {"name": "script", "scopes": ["images:read", "webhooks"]}


@pytest.fixture(autouse=True)
def _any_url(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names need not resolve here."""
    monkeypatch.setattr("cutline.server.outbound.check_url", lambda url: None)


def wait_an_hour(person: Person) -> None:
    """Let the proof of who sits there grow old."""
    session = person.browser.session
    session["signed_in_at"] -= 3600
    session.save()


def subjects(person: Person) -> list[str]:
    return [mail.subject for mail in mails_to(person.email)]


# -- what was made before somebody signs in --------------------------------------------------------------


@pytest.mark.parametrize("has_account", [False, True])
def test_what_was_made_before_somebody_signs_in_reads_nothing_of_theirs(
    person: Person, has_account: bool
) -> None:
    """An attacker prepares a shared browser; then its next user signs up, or into their account."""
    if has_account:
        person.sign_up()
        person.log_out()
    secret = person.api("POST", "/keys", {"name": "mine", "scopes": ["images:read"]}).json()["key"]
    assert person.api("POST", "/webhooks", {"url": URL}).status_code == 201
    assert Client().get("/api/v1/images", headers={"X-API-Key": secret}).status_code == 200
    if has_account:
        person.log_in()
    else:
        person.sign_up()
    assert Client().get("/api/v1/images", headers={"X-API-Key": secret}).status_code == 401
    assert not Webhook.objects.exists()
    assert keys.working(person.owner).count() == 0


@pytest.mark.both_databases
def test_what_is_made_while_an_account_claims_is_not_the_account_s() -> None:
    user, stale = User.objects.create_user("ada@example.org", "x"), Owner.objects.create()
    webhook = webhooks.create(stale, URL)
    claiming.claim(Owner.objects.get(pk=stale.pk), user)
    with pytest.raises(Conflict):
        keys.create(stale, name="late", scopes=["account"])
    with pytest.raises(Conflict):
        webhooks.create(stale, URL)
    with pytest.raises((Conflict, NotFound)):
        webhooks.change(webhook, is_active=True)
    assert not ApiKey.objects.exists()
    assert not Webhook.objects.exists()


@pytest.mark.both_databases
def test_what_arrives_late_for_a_claimed_owner_ends_too() -> None:
    account, old = owner_of(User.objects.create_user("ada@example.org", "x")), Owner.objects.create()
    assert account.user is not None
    claiming.claim(old, account.user)
    ApiKey.objects.create(owner=old, name="late", prefix="ck", digest="d", scopes=["account"])
    Webhook.objects.create(owner=old, url=URL, secret="whsec_x")
    claiming.hand_over(old, account)
    assert keys.working(account).count() == 0
    assert not Webhook.objects.exists()


# -- a recent proof, and a mail --------------------------------------------------------------------------


def _made_by(person: Person) -> dict[str, Any]:
    """Each request that opens an account to a program."""
    hook = Webhook.objects.get(url=URL).pk
    return {
        "key": ("POST", "/keys", NEW_KEY),
        "webhook": ("POST", "/webhooks", {"url": f"{URL}/2"}),
        "another URL": ("PATCH", f"/webhooks/{hook}", {"url": "https://example.com/"}),
        "another secret": ("POST", f"/webhooks/{hook}/secret", None),
    }


@pytest.mark.parametrize("what", ["key", "webhook", "another URL", "another secret"])
def test_what_opens_an_account_to_programs_wants_a_recent_proof(person: Person, what: str) -> None:
    person.sign_up()
    assert person.api("POST", "/webhooks", {"url": URL}).status_code == 201
    method, path, body = _made_by(person)[what]
    wait_an_hour(person)
    refused = person.api(method, path, body)
    assert (refused.status_code, refused.json()["code"]) == (403, "reauthentication_required")
    assert not ApiKey.objects.exists()
    assert Webhook.objects.get().url == URL
    assert person.account("POST", "auth/reauthenticate", password=PASSWORD).status_code == 200
    assert person.api(method, path, body).status_code in (200, 201)


def test_without_an_account_nothing_can_be_proved(person: Person) -> None:
    assert person.api("POST", "/keys", NEW_KEY).status_code == 201
    assert person.api("POST", "/webhooks", {"url": URL}).status_code == 201


def test_switching_a_webhook_off_wants_no_proof(person: Person) -> None:
    person.sign_up()
    hook = person.api("POST", "/webhooks", {"url": URL}).json()["id"]
    wait_an_hour(person)
    assert person.api("PATCH", f"/webhooks/{hook}", {"is_active": False, "url": URL}).status_code == 200


def test_an_account_hears_of_each_new_key_and_webhook(person: Person) -> None:
    person.sign_up()
    secret = person.api("POST", "/keys", NEW_KEY).json()["key"]
    mail = mails_to(person.email)[-1]
    assert mail.subject == "A new API key"
    assert "script" in mail.text
    assert "http://testserver/account" in mail.text
    assert secret not in mail.text
    body = {"url": URL}
    made = Client().post(
        "/api/v1/webhooks", body, content_type="application/json", headers={"X-API-Key": secret}
    )
    assert made.status_code == 201  # a key's scope was given by somebody who had proved who they are
    mail = mails_to(person.email)[-1]
    assert mail.subject == "A new webhook"
    assert "example.org" in mail.text
    assert "a-secret-path" not in mail.text
    person.api("PATCH", f"/webhooks/{made.json()['id']}", {"url": "https://example.com/"})
    assert "example.com" in mails_to(person.email)[-1].text
    person.api("PATCH", f"/webhooks/{made.json()['id']}", {"is_active": False})
    assert subjects(person)[-3:] == ["A new API key", "A new webhook", "A new webhook"]


# -- after a change of the password ----------------------------------------------------------------------


def test_a_changed_password_offers_to_end_what_programs_use(person: Person) -> None:
    owner = owner_of(person.sign_up())
    change = {"current_password": PASSWORD, "new_password": "another fine long password"}
    secrets = [keys.create(owner, name="k", scopes=["caption"])[1] for _ in range(2)]
    person.api("POST", "/webhooks", {"url": URL})
    assert person.account("POST", "account/password/change", **change).status_code == 200
    mail = mails_to(person.email)[-1]
    assert "2 API keys and 1 webhook" in mail.text
    assert "http://testserver/account" in mail.text
    assert person.api("DELETE", "/keys").json() == {"revoked": 2}
    assert person.api("DELETE", "/keys").json() == {"revoked": 0}
    for secret in secrets:
        assert Client().get("/api/v1/session", headers={"X-API-Key": secret}).status_code == 401


def test_a_mail_of_a_changed_password_says_nothing_of_keys_where_there_are_none(person: Person) -> None:
    person.sign_up()
    change = {"current_password": PASSWORD, "new_password": "another fine long password"}
    assert person.account("POST", "account/password/change", **change).status_code == 200
    text = mails_to(person.email)[-1].text
    assert "has been changed." in text
    assert "key" not in text


def test_nobody_ends_another_s_keys(person: Person, other: Person) -> None:
    key, _ = keys.create(owner_of(person.sign_up()), name="k", scopes=["caption"])
    other.sign_up()
    assert other.api("DELETE", "/keys").json() == {"revoked": 0}
    key.refresh_from_db()
    assert key.revoked_at is None
