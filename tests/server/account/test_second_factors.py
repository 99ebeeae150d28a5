"""Codes of an app, passkeys, recovery codes: with true codes and true signatures, and in a real browser."""

from __future__ import annotations

import base64
import hmac
import struct
from types import SimpleNamespace
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth
from django.core.cache import cache
from playwright.sync_api import sync_playwright

from cutline.server.people.models import Owner
from screenshots import FLAGS, installed_chromium
from tests.server.account.accounts import PASSWORD, Person, link_in, mails_to
from tests.server.account.authenticator import Passkey

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _clock_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    """No code becomes too old while a slow machine types it."""
    monkeypatch.setattr(auth, "time", SimpleNamespace(time=lambda: 1_800_000_000.0))


def totp(secret: str, *, ago_s: float = 0) -> str:
    """The code that an app shows for a secret (RFC 6238)."""
    counter = struct.pack(">Q", int((auth.time.time() - ago_s) // 30))
    digest = hmac.digest(base64.b32decode(secret), counter, "sha1")
    offset = digest[-1] & 15
    number = struct.unpack(">I", digest[offset : offset + 4])[0] & 0x7FFFFFFF
    return f"{number % 10**6:06d}"


def set_up_totp(person: Person) -> str:
    """Scan the code and type the first number; gives the secret."""
    answer = person.account("GET", "account/authenticators/totp")
    assert answer.status_code == 404, answer.content
    meta = answer.json()["meta"]
    assert "issuer=Cutline" in meta["totp_url"]
    secret: str = meta["secret"]
    answer = person.account("POST", "account/authenticators/totp", code=totp(secret))
    assert answer.status_code == 200, answer.content
    cache.clear()  # a code counts once; in the tests, time stands still
    return secret


def is_in(person: Person) -> bool:
    """Whether they are signed in."""
    return person.api("GET", "/session").json()["viewer"]["user"] is not None


def add_passkey(person: Person) -> Passkey:
    """Make a passkey for the account."""
    passkey = Passkey()
    answer = person.account("GET", "account/authenticators/webauthn?passwordless")
    assert answer.status_code == 200, answer.content
    credential = passkey.create(answer.json()["data"]["creation_options"])
    answer = person.account("POST", "account/authenticators/webauthn", name="laptop", credential=credential)
    assert answer.status_code == 200, answer.content
    assert answer.json()["data"]["is_passwordless"]
    return passkey


# -- codes -----------------------------------------------------------------------------------------------


def test_with_an_app_s_codes_the_password_alone_does_not_sign_in(person: Person) -> None:
    person.sign_up()
    secret = set_up_totp(person)
    elsewhere = Person()
    answer = elsewhere.log_in()
    assert answer.status_code == 401
    assert "mfa_authenticate" in [flow["id"] for flow in answer.json()["data"]["flows"]]
    assert not is_in(elsewhere)
    assert elsewhere.account("POST", "auth/2fa/authenticate", code="000000").status_code == 400
    assert not is_in(elsewhere)
    assert elsewhere.account("POST", "auth/2fa/authenticate", code=totp(secret)).status_code == 200
    assert is_in(elsewhere)


def test_a_code_that_is_too_old_or_used_does_not_sign_in(person: Person) -> None:
    person.sign_up()
    secret = set_up_totp(person)
    first, second = Person(), Person()
    first.log_in()
    assert first.account("POST", "auth/2fa/authenticate", code=totp(secret, ago_s=120)).status_code == 400
    code = totp(secret)
    assert first.account("POST", "auth/2fa/authenticate", code=code).status_code == 200
    second.log_in()
    assert second.account("POST", "auth/2fa/authenticate", code=code).status_code == 400


def test_the_secret_of_the_codes_is_kept_encrypted(person: Person) -> None:
    person.sign_up()
    secret = set_up_totp(person)
    kept = str(list(Authenticator.objects.values_list("data", flat=True)))
    assert secret not in kept


@pytest.mark.django_db(transaction=True)
def test_setting_up_codes_is_told_by_mail(person: Person) -> None:
    person.sign_up()
    set_up_totp(person)
    assert "uthenticator" in mails_to(person.email)[-1].text


def test_a_recovery_code_signs_in_once(person: Person) -> None:
    person.sign_up()
    set_up_totp(person)
    codes = person.account("GET", "account/authenticators/recovery-codes").json()["data"]["unused_codes"]
    assert len(codes) == 10
    first, second = Person(), Person()
    first.log_in()
    assert first.account("POST", "auth/2fa/authenticate", code=codes[0]).status_code == 200
    second.log_in()
    assert second.account("POST", "auth/2fa/authenticate", code=codes[0]).status_code == 400
    assert second.account("POST", "auth/2fa/authenticate", code=codes[1]).status_code == 200
    left = person.account("GET", "account/authenticators/recovery-codes").json()["data"]
    assert left["unused_code_count"] == 8


def test_a_reset_by_mail_does_not_get_around_the_second_factor(person: Person) -> None:
    person.sign_up()
    set_up_totp(person)
    thief = Person()
    thief.account("POST", "auth/password/request", email=person.email)
    key = link_in(mails_to(person.email)[-1], "/account/password/reset/").rpartition("/")[2]
    thief.account("POST", "auth/password/reset", key=key, password="another fine long password")
    thief.log_in("another fine long password")
    assert not is_in(thief)


def test_second_factors_need_a_fresh_sign_in_to_be_changed(person: Person) -> None:
    person.sign_up()
    set_up_totp(person)
    session = person.browser.session
    session["signed_in_at"] -= 3600
    session.save()
    assert person.account("DELETE", "account/authenticators/totp").status_code == 401
    assert person.account("POST", "auth/reauthenticate", password=PASSWORD).status_code == 200
    assert person.account("DELETE", "account/authenticators/totp").status_code == 200
    assert Person().log_in().status_code == 200


# -- passkeys --------------------------------------------------------------------------------------------


def test_a_passkey_signs_in_without_password_or_code(person: Person) -> None:
    person.sign_up()
    passkey = add_passkey(person)
    elsewhere = Person()
    options = elsewhere.account("GET", "auth/webauthn/login").json()["data"]["request_options"]
    answer = elsewhere.account("POST", "auth/webauthn/login", credential=passkey.get(options))
    assert answer.status_code == 200, answer.content
    assert elsewhere.owner_id == person.owner_id


def test_a_passkey_is_a_second_factor_beside_the_password(person: Person) -> None:
    person.sign_up()
    passkey = add_passkey(person)
    elsewhere = Person()
    assert elsewhere.log_in().status_code == 401
    options = elsewhere.account("GET", "auth/webauthn/authenticate").json()["data"]["request_options"]
    answer = elsewhere.account("POST", "auth/webauthn/authenticate", credential=passkey.get(options))
    assert answer.status_code == 200, answer.content
    assert is_in(elsewhere)


def test_signing_in_by_passkey_claims_what_the_session_owns(person: Person) -> None:
    person.sign_up()
    passkey = add_passkey(person)
    account = person.owner_id
    elsewhere = Person()
    elsewhere.api("PATCH", "/me", {"may_train": True})
    options = elsewhere.account("GET", "auth/webauthn/login").json()["data"]["request_options"]
    elsewhere.account("POST", "auth/webauthn/login", credential=passkey.get(options))
    assert elsewhere.owner_id == account
    assert Owner.objects.get(merged_into__isnull=False).merged_into == elsewhere.owner


def test_another_passkey_or_an_old_signature_does_not_sign_in(person: Person) -> None:
    person.sign_up()
    passkey = add_passkey(person)
    thief = Person()

    def options() -> Any:
        return thief.account("GET", "auth/webauthn/login").json()["data"]["request_options"]

    forged = Passkey()
    forged.id, forged.user_handle = passkey.id, passkey.user_handle
    answer = thief.account("POST", "auth/webauthn/login", credential=forged.get(options()))
    assert answer.status_code == 400
    recorded = passkey.get(options())
    options()  # another challenge
    assert thief.account("POST", "auth/webauthn/login", credential=recorded).status_code == 400
    unknown = Passkey()
    unknown.user_handle = b"nobody"
    assert thief.account("POST", "auth/webauthn/login", credential=unknown.get(options())).status_code == 400
    assert not is_in(thief)


def test_a_passkey_that_was_taken_away_does_not_sign_in(person: Person) -> None:
    person.sign_up()
    passkey = add_passkey(person)
    (listed,) = [
        each
        for each in person.account("GET", "account/authenticators").json()["data"]
        if each["type"] == "webauthn"
    ]
    assert listed["name"] == "laptop"
    answer = person.account("DELETE", "account/authenticators/webauthn", authenticators=[listed["id"]])
    assert answer.status_code == 200
    elsewhere = Person()
    options = elsewhere.account("GET", "auth/webauthn/login").json()["data"]["request_options"]
    answer = elsewhere.account("POST", "auth/webauthn/login", credential=passkey.get(options))
    assert answer.status_code == 400


CEREMONIES = """
async ([email, password]) => {
  const call = async (method, path, body) => {
    const token = document.cookie.match(/csrftoken=(\\w+)/)[1];
    const headers = {"Content-Type": "application/json", "X-CSRFToken": token};
    const answer = await fetch("/_allauth/browser/v1/" + path, {method, headers, body: JSON.stringify(body)});
    return {status: answer.status, ...(await answer.json())};
  };
  await fetch("/_allauth/browser/v1/config");
  const login = await call("POST", "auth/login", {email, password});
  const {data} = await call("GET", "account/authenticators/webauthn?passwordless");
  const options = PublicKeyCredential.parseCreationOptionsFromJSON(data.creation_options.publicKey);
  const made = await navigator.credentials.create({publicKey: options});
  const passkey = {name: "chromium", credential: made.toJSON()};
  const added = await call("POST", "account/authenticators/webauthn", passkey);
  const out = await call("DELETE", "auth/session");
  const asked = (await call("GET", "auth/webauthn/login")).data.request_options;
  const wanted = PublicKeyCredential.parseRequestOptionsFromJSON(asked.publicKey);
  const shown = await navigator.credentials.get({publicKey: wanted});
  const back = await call("POST", "auth/webauthn/login", {credential: shown.toJSON()});
  const me = await (await fetch("/api/v1/me")).json();
  return [login.status, added.status, out.status, back.status, me.email];
}
"""


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_real_browser_makes_a_passkey_and_signs_in_with_it(person: Person, live_server: Any) -> None:
    chromium = installed_chromium()
    if chromium is None:
        pytest.skip("there is no chromium here")
    person.sign_up()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        page = browser.new_page()
        tools = page.context.new_cdp_session(page)
        tools.send("WebAuthn.enable")
        options = {
            "protocol": "ctap2",
            "transport": "internal",
            "hasResidentKey": True,
            "hasUserVerification": True,
            "isUserVerified": True,
            "automaticPresenceSimulation": True,
        }
        tools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
        page.goto(f"{live_server.url}/accounts/login/")
        result = page.evaluate(CEREMONIES, [person.email, PASSWORD])
        browser.close()
    assert result == [200, 200, 401, 200, person.email]
