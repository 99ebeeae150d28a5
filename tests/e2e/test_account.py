"""Accounts: every way to sign in, and all that the settings page offers; in a real browser."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from playwright.sync_api import expect

from tests.e2e.conftest import COFFEE, PASSWORD, Person
from tests.server.services.mailbox import Mailbox, link_in
from tests.server.services.openid import OpenIdProvider
from tests.server.services.process import ANSWERS_S, wait_until
from tests.server.services.receiver import Receiver
from tests.server.services.service import Service


def code_now(secret: str) -> str:
    """What an authenticator app shows now (RFC 6238)."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.digest(key, (int(time.time()) // 30).to_bytes(8, "big"), hashlib.sha1)
    start = digest[-1] & 15
    return f"{(int.from_bytes(digest[start : start + 4], 'big') & 0x7FFFFFFF) % 1_000_000:06}"


def test_somebody_signs_in_with_a_provider(person: Person, openid: OpenIdProvider) -> None:
    email = person.email("social")
    openid.add(email, email=email, name="Ada")
    person.open("/")
    person.upload(COFFEE)
    path = person.first_photo()
    person.open("/account/sign-in")
    person.press("Continue with House")
    person.page.wait_for_url(f"{openid.url}/**")
    person.page.get_by_placeholder("sub").fill(email)
    person.page.get_by_role("button", name="Authorize").click()
    person.is_signed_in()
    person.page.wait_for_url(f"{person.url}/")
    assert person.first_photo() == path  # what was made before came along
    person.open("/account")
    expect(person.page.get_by_text(email)).to_be_visible()
    person.sign_out()
    person.open("/account/sign-in")
    person.press("Continue with House")
    person.page.get_by_role("button", name="Deny").click()
    expect(person.page.get_by_text("Sign-in failed")).to_be_visible()


def test_a_forgotten_password_is_set_anew_by_mail(person: Person, mailbox: Mailbox) -> None:
    page = person.page
    email = person.sign_up(mailbox, "reset")
    person.context.clear_cookies()
    person.open("/account/password/reset")
    page.get_by_label("E-mail address").fill(email)
    person.press("Send the link")
    expect(page.get_by_text("Check your e-mail")).to_be_visible()
    person.open(urlsplit(link_in(mailbox.wait_for(email, count=2), "password/reset")).path)
    page.get_by_label("New password").fill("another fine 7 password")
    person.press("Save password")
    page.wait_for_url(lambda url: "reset" not in url)
    if page.url.endswith("sign-in"):
        person.enter_password(email, "another fine 7 password")
    person.is_signed_in()


def test_a_code_from_an_app_is_asked_for_at_the_next_sign_in(person: Person, mailbox: Mailbox) -> None:
    page = person.page
    email = person.sign_up(mailbox, "totp")
    person.open("/account")
    person.press("Set up")
    expect(page.get_by_role("img", name="QR code of the secret")).to_be_visible()
    secret = page.get_by_label("Secret").input_value()
    page.get_by_label("Code").fill("000000")
    person.press("Turn on")
    expect(page.get_by_label("Code")).to_be_focused()  # with what is wrong said at it
    expect(page.get_by_label("Code")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("Code").fill(code_now(secret))
    person.press("Turn on")
    expect(page.get_by_text("You enter a code from your app when you sign in.")).to_be_visible()
    person.press("Show codes")
    recovery = page.get_by_role("alert").get_by_role("listitem").first.inner_text()
    person.sign_out()
    person.enter_password(email)
    expect(person.heading).to_have_text("One more step")
    page.get_by_label("Code").fill(code_now(secret))
    person.press("Sign in", within=person.main)
    person.is_signed_in()
    person.sign_out()
    person.enter_password(email)
    page.get_by_label("Code").fill(recovery)
    person.press("Sign in", within=person.main)
    person.is_signed_in()


def test_a_passkey_opens_the_door(new_person: Callable[..., Person], live: Service, mailbox: Mailbox) -> None:
    # A passkey belongs to a name; an address with numbers cannot have one.
    person = new_person(url=live.url.replace("127.0.0.1", "localhost"))
    devices = person.context.new_cdp_session(person.page)
    devices.send("WebAuthn.enable")
    device = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    devices.send("WebAuthn.addVirtualAuthenticator", {"options": device})
    person.sign_up(mailbox, "passkey")
    person.open("/account")
    person.press("Add a passkey")
    keys = person.page.get_by_role("listitem").filter(has_text="Passkey ·")
    expect(keys).to_have_count(1)
    person.sign_out()
    person.open("/account/sign-in")
    person.press("Use a passkey")
    person.is_signed_in()
    person.open("/account")
    person.remove("Remove", within=keys)
    expect(keys).to_have_count(0)


def test_keys_and_webhooks_connect_programs(
    person: Person, mailbox: Mailbox, live: Service, receiver: Receiver
) -> None:
    page = person.page
    person.sign_up(mailbox, "programs")
    person.open("/account")
    keys = page.get_by_role("region", name="API keys")
    keys.get_by_label("What is it for?").fill("my script")
    person.press("Create key")
    secret = keys.get_by_role("status").locator("code").inner_text()
    with live.visitor(key=secret) as program:
        program.upload(COFFEE.read_bytes())
        assert len(program.get("/images").raise_for_status().json()["items"]) == 1
        person.open("/account")
        assert secret not in page.content()  # it was shown once
        expect(keys.get_by_role("listitem").filter(has_text="my script")).to_contain_text("used ")
        person.remove("Revoke", within=keys)
        expect(keys.get_by_text("Revoked")).to_be_visible()
        assert program.get("/images").status_code == 401

    hooks = page.get_by_role("region", name="Webhooks")
    hooks.get_by_label("URL").fill(f"{receiver.url}/{person.email('hook')}")
    person.press("Add", within=hooks)
    expect(hooks.get_by_text("Requests are signed with this secret")).to_be_visible()
    person.press("Send test")
    person.press("Deliveries")
    expect(hooks.get_by_text("delivered (204)").first).to_be_visible()
    assert receiver.wait_for(f"/{person.email('hook')}")
    person.remove("Remove", within=hooks)
    expect(hooks.get_by_role("button", name="Deliveries")).to_have_count(0)


def test_somebody_consents_takes_a_copy_and_leaves(
    new_person: Callable[..., Person], mailbox: Mailbox, live: Service
) -> None:
    person = new_person()
    page = person.page
    email = person.sign_up(mailbox, "leaving")
    path = person.caption(COFFEE)
    words = person.heading.inner_text()
    person.open("/account")
    consent = page.get_by_role("switch", name="to train the next model")
    expect(consent).not_to_be_checked()  # nobody consents by doing nothing
    consent.check()
    expect(consent).to_be_checked()
    person.open("/account")
    expect(consent).to_be_checked()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download all data").click()
    with zipfile.ZipFile(Path(download.value.path())) as copy:
        assert any(name.startswith("images/") for name in copy.namelist())
        texts = b"".join(copy.read(name) for name in copy.namelist() if name.endswith((".json", ".jsonl")))
    assert json.dumps(words).encode() in texts
    assert email.encode() in texts

    picture = str(
        page.evaluate(
            "fetch('/api/v1/images').then(a => a.json())"
            ".then(a => new URL(Object.values(a.items[0].urls.thumbnail)[0], location).href)"
        )
    )
    assert httpx.get(picture, timeout=ANSWERS_S).status_code == 200
    person.press("Delete account")
    expect(page.get_by_role("dialog")).to_contain_text("cannot be undone")
    person.press("Delete everything")
    expect(page.get_by_role("banner").get_by_role("link", name="Sign in")).to_be_visible()
    person.open(path)
    expect(page.get_by_text("Page not found")).to_be_visible()
    person.open("/library")
    expect(person.main.get_by_role("checkbox")).to_have_count(0)
    person.enter_password(email)
    expect(page.get_by_label("Password")).to_have_attribute("aria-invalid", "true")
    assert live.rows("SELECT count(*) FROM people_user WHERE email = %s", email) == [(0,)]
    wait_until(
        lambda: httpx.get(picture, timeout=ANSWERS_S, verify=False).status_code >= 400,
        what="the end of the files",
    )


def test_a_session_elsewhere_is_ended(new_person: Callable[..., Person], mailbox: Mailbox) -> None:
    here, there = new_person(), new_person()
    email = here.sign_up(mailbox, "sessions")
    there.enter_password(email)
    there.is_signed_in()
    here.open("/account")
    sessions = here.page.get_by_role("region", name="Active sessions")
    expect(sessions.get_by_role("listitem")).to_have_count(2)
    here.press("Sign out", within=sessions)
    expect(sessions.get_by_role("listitem")).to_have_count(1)
    there.open("/account")
    expect(there.page.get_by_text("You are using Cutline without an account")).to_be_visible()
    assert PASSWORD not in here.page.content()
