"""Signing up, in and out, and getting back in: over HTTP, with the mails that are sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.usersessions.models import UserSession
from django.conf import settings as django_settings
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.test import Client

from cutline.server.mail.models import Mail
from cutline.server.people.hashers import Argon2
from cutline.server.people.models import User
from tests.server.account.accounts import PASSWORD, Person, link_in, mails_to

pytestmark = pytest.mark.django_db

NEW_PASSWORD = "another fine long password"


@pytest.fixture
def without_web_app(settings: Any) -> None:
    """Where the web app is not built in, the server's own pages answer."""
    settings.ROOT_URLCONF = "tests.server.account.urls_without_web_app"


def flows(answer: Any) -> list[str]:
    """What must still be done, by allauth's answer."""
    return [flow["id"] for flow in answer.json()["data"]["flows"] if flow.get("is_pending")]


# -- signing up ------------------------------------------------------------------------------------------


def test_signing_up_sends_a_mail_whose_link_signs_in(person: Person) -> None:
    answer = person.account("POST", "auth/signup", email="Ada@Example.org", password=PASSWORD)
    assert answer.status_code == 401
    assert flows(answer) == ["verify_email"]
    assert person.api("GET", "/session").json()["viewer"]["user"] is None
    (mail,) = mails_to("ada@example.org")
    assert mail.state == Mail.State.WAITING
    link = link_in(mail, "verify-email")
    assert link.startswith("http://testserver/account/verify-email/")  # where the request found the service
    answer = person.account("POST", "auth/email/verify", key=link.rpartition("/")[2])
    assert answer.status_code == 200
    viewer = person.api("GET", "/session").json()["viewer"]
    assert viewer["email"] == "ada@example.org"
    assert viewer["user"] == str(person.user.pk)
    assert viewer["role"] == "user"


def test_links_lead_to_the_address_that_was_set_whatever_the_request_named(
    person: Person, configure: Callable[..., Any]
) -> None:
    configure(public_url="https://cutline.example.com")
    person.account("POST", "auth/signup", email=person.email, password=PASSWORD)
    (mail,) = mails_to(person.email)
    assert "testserver" not in mail.text
    assert link_in(mail, "verify-email").startswith("https://cutline.example.com/account/verify-email/")


@pytest.mark.both_databases
@pytest.mark.parametrize("path", ["auth/signup", "auth/login", "auth/password/request"])
def test_an_address_that_no_account_can_have_is_refused(person: Person, path: str) -> None:
    email = f"{'a' * 250}@example.org"
    answer = person.account("POST", path, email=email, password=PASSWORD)
    assert answer.status_code == 400, answer.json()
    assert not mails_to(email)


def test_an_administrator_made_on_the_command_line_signs_in_at_once(person: Person) -> None:
    User.objects.create_superuser(person.email.upper(), PASSWORD)
    assert person.log_in().status_code == 200
    assert person.api("GET", "/session").json()["viewer"]["role"] == "admin"


def test_an_address_that_was_not_verified_cannot_sign_in(person: Person) -> None:
    person.account("POST", "auth/signup", email=person.email, password=PASSWORD)
    answer = Person().log_in()
    assert answer.status_code == 401
    assert flows(answer) == ["verify_email"]


def test_the_link_signs_in_only_the_browser_that_signed_up(person: Person) -> None:
    person.account("POST", "auth/signup", email=person.email, password=PASSWORD)
    key = link_in(mails_to(person.email)[0], "verify-email").rpartition("/")[2]
    elsewhere = Person()
    assert elsewhere.account("POST", "auth/email/verify", key=key).status_code == 401
    assert elsewhere.api("GET", "/session").json()["viewer"]["user"] is None
    assert EmailAddress.objects.get(email=person.email).verified
    assert Person().log_in().status_code == 200


def test_a_made_up_link_verifies_nothing(person: Person) -> None:
    person.account("POST", "auth/signup", email=person.email, password=PASSWORD)
    key = link_in(mails_to(person.email)[0], "verify-email").rpartition("/")[2]
    assert person.account("POST", "auth/email/verify", key=key[:-1] + "-").status_code == 400
    assert not EmailAddress.objects.get(email=person.email).verified


@pytest.mark.parametrize("password", ["short", "password1234", "qwertyuiop"])
def test_a_weak_password_is_refused(person: Person, password: str) -> None:
    answer = person.account("POST", "auth/signup", email=person.email, password=password)
    assert answer.status_code == 400
    assert {error["param"] for error in answer.json()["errors"]} == {"password"}
    assert not User.objects.exists()


def test_the_pages_of_the_server_lead_from_the_mail_to_an_account_without_the_web_app(
    person: Person, without_web_app: None
) -> None:
    browser = Client()
    form = {"email": person.email, "password1": PASSWORD}
    page = browser.get("/account/signup", follow=True)
    assert page.status_code == 200
    assert browser.post(page.redirect_chain[-1][0], form).status_code == 302
    link = link_in(mails_to(person.email)[0], "verify-email")
    page = browser.get(link.removeprefix("http://testserver"), follow=True)
    assert page.status_code == 200
    browser.post(page.redirect_chain[-1][0])
    assert browser.get("/api/v1/me").json()["email"] == person.email


def test_passwords_are_kept_as_argon2(person: Person) -> None:
    assert person.sign_up().password.startswith("argon2$argon2id$")
    assert Argon2().encode("a password", "some salt").startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")


# -- no enumeration --------------------------------------------------------------------------------------


def test_signing_up_with_a_taken_address_answers_as_with_a_free_one(person: Person, other: Person) -> None:
    person.sign_up()
    cache.clear()  # the same address gets a mail every three minutes at most
    free = Person().account("POST", "auth/signup", email="free@example.org", password=PASSWORD)
    taken = Person().account("POST", "auth/signup", email=person.email, password=PASSWORD)
    assert (taken.status_code, flows(taken)) == (free.status_code, flows(free))
    assert set(taken.json()["data"]) == set(free.json()["data"])
    assert "already exists" in mails_to(person.email)[-1].text
    assert User.objects.filter(email=person.email).count() == 1


def test_asking_for_a_reset_answers_the_same_for_strangers(person: Person) -> None:
    person.sign_up()
    known = Person().account("POST", "auth/password/request", email=person.email)
    unknown = Person().account("POST", "auth/password/request", email="nobody@example.org")
    assert known.status_code == unknown.status_code == 200
    assert known.json() == unknown.json()


def test_a_wrong_password_answers_as_an_unknown_address(person: Person, other: Person) -> None:
    person.sign_up()
    wrong, unknown = Person().log_in("not the password"), other.log_in()
    assert wrong.status_code == unknown.status_code == 400
    assert wrong.json() == unknown.json()


# -- signing in and out ----------------------------------------------------------------------------------


def test_signing_in_and_out(person: Person) -> None:
    user = person.sign_up()
    person.log_out()
    assert person.api("GET", "/session").json()["viewer"]["user"] is None
    assert person.api("GET", "/me").status_code == 404
    person.email = "ADA@example.org"
    assert person.log_in().status_code == 200
    assert person.api("GET", "/me").json()["user"] == str(user.pk)


def test_signing_in_changes_the_session_s_key(person: Person) -> None:
    person.sign_up()
    person.log_out()
    person.write_something()
    before = person.browser.cookies[django_settings.SESSION_COOKIE_NAME].value
    person.log_in()
    assert person.browser.cookies[django_settings.SESSION_COOKIE_NAME].value != before
    assert not Session.objects.filter(session_key=before).exists()


def test_signing_in_needs_the_csrf_token(person: Person) -> None:
    person.sign_up()
    body = {"email": person.email, "password": PASSWORD}
    answer = Client(enforce_csrf_checks=True).post(
        "/_allauth/browser/v1/auth/login", body, content_type="application/json"
    )
    assert answer.status_code == 403
    assert answer["Content-Type"] == "application/problem+json"
    assert "X-CSRFToken" in answer.json()["hint"]


def test_guessing_passwords_is_stopped(person: Person) -> None:
    person.sign_up()
    guesser = Person()
    codes = [guesser.log_in(f"wrong {number}").status_code for number in range(6)]
    assert codes[0] == 400
    answer = guesser.log_in()  # even the right one, now
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["code"] == "too_many_login_attempts"


def test_many_sign_ups_from_one_address_are_stopped() -> None:
    codes = [
        Client()
        .post(
            "/_allauth/app/v1/auth/signup",
            {"email": f"p{number}@example.org", "password": "x"},
            content_type="application/json",
        )
        .status_code
        for number in range(21)
    ]
    assert codes[0] == 400
    assert codes[-1] == 429


def test_an_app_signs_in_by_token_and_calls_the_api_with_it(person: Person) -> None:
    user = person.sign_up()
    app = Client()
    body = {"email": person.email, "password": PASSWORD}
    answer = app.post("/_allauth/app/v1/auth/login", body, content_type="application/json")
    token = answer.json()["meta"]["session_token"]
    headers = {"X-Session-Token": token}
    assert Client().get("/api/v1/me", headers=headers).json()["user"] == str(user.pk)
    assert Client().get("/api/v1/me", headers={"X-Session-Token": token[:-1] + "!"}).status_code == 401
    assert app.delete("/_allauth/app/v1/auth/session", headers=headers).status_code == 401
    assert Client().get("/api/v1/me", headers=headers).status_code == 401


# -- getting back in -------------------------------------------------------------------------------------


def test_a_forgotten_password_is_set_anew_through_the_mail(person: Person) -> None:
    person.sign_up()
    elsewhere = Person()
    elsewhere.account("POST", "auth/password/request", email=person.email)
    link = link_in(mails_to(person.email)[-1], "/account/password/reset/")
    key = link.rpartition("/")[2]
    assert elsewhere.account("POST", "auth/password/reset", key=key, password=NEW_PASSWORD).status_code == 401
    assert person.api("GET", "/session").json()["viewer"]["user"] is None  # whoever was in is out
    assert Person().log_in().status_code == 400
    assert Person().log_in(NEW_PASSWORD).status_code == 200
    again = elsewhere.account("POST", "auth/password/reset", key=key, password="yet another long one")
    assert again.status_code == 400  # a link works once


def test_the_reset_link_leads_to_a_page_without_the_web_app(person: Person, without_web_app: None) -> None:
    person.sign_up()
    Person().account("POST", "auth/password/request", email=person.email)
    link = link_in(mails_to(person.email)[-1], "/account/password/reset/")
    browser = Client()
    page = browser.get(link.removeprefix("http://testserver"), follow=True)
    assert page.status_code == 200
    browser.post(page.redirect_chain[-1][0], {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD})
    assert Person().log_in(NEW_PASSWORD).status_code == 200


@pytest.mark.parametrize("key", ["nonsense", "-", "a-b-c", "..-.."])
def test_a_made_up_reset_link_is_harmless(client: Client, key: str, without_web_app: None) -> None:
    assert client.get(f"/account/password/reset/{key}", follow=True).status_code == 200


def test_changing_the_password_is_told_by_mail_and_ends_other_sessions(person: Person) -> None:
    person.sign_up()
    elsewhere = Person()
    elsewhere.log_in()
    answer = person.account(
        "POST", "account/password/change", current_password=PASSWORD, new_password=NEW_PASSWORD
    )
    assert answer.status_code == 200
    assert "changed" in mails_to(person.email)[-1].text
    assert person.api("GET", "/me").status_code == 200
    assert elsewhere.api("GET", "/session").json()["viewer"]["user"] is None


# -- sessions --------------------------------------------------------------------------------------------


def test_a_session_elsewhere_can_be_seen_and_ended(person: Person) -> None:
    person.sign_up()
    elsewhere = Person()
    elsewhere.browser.defaults["HTTP_USER_AGENT"] = "a lost phone"
    elsewhere.log_in()
    sessions = person.account("GET", "auth/sessions").json()["data"]
    assert len(sessions) == 2
    (lost,) = [session for session in sessions if session["user_agent"] == "a lost phone"]
    assert not lost["is_current"]
    assert person.account("DELETE", "auth/sessions", sessions=[lost["id"]]).status_code == 200
    assert elsewhere.api("GET", "/session").json()["viewer"]["user"] is None
    assert person.api("GET", "/me").status_code == 200


def test_a_session_s_last_use_is_written_seldom(
    person: Person, django_assert_num_queries: Callable[..., Any]
) -> None:
    person.sign_up()
    person.api("GET", "/me")
    seen = UserSession.objects.get().last_seen_at
    person.api("GET", "/me")
    assert UserSession.objects.get().last_seen_at == seen


# -- what the browser keeps ------------------------------------------------------------------------------


def test_signing_out_tells_the_browser_to_forget_what_it_keeps(person: Person) -> None:
    person.sign_up()
    assert "Clear-Site-Data" not in person.api("GET", "/session")
    answer = person.account("DELETE", "auth/session")
    assert answer["Clear-Site-Data"] == '"cache", "storage"'
    assert "Clear-Site-Data" not in person.log_in()
    assert person.api("DELETE", "/me")["Clear-Site-Data"] == '"cache", "storage"'


def test_signing_out_on_the_server_s_own_pages_does_so_too(person: Person, without_web_app: None) -> None:
    person.sign_up()
    person.browser.handler.enforce_csrf_checks = False
    assert person.browser.post("/accounts/logout/")["Clear-Site-Data"] == '"cache", "storage"'
    person.log_in()
    User.objects.update(role="admin")
    assert person.browser.post("/admin/logout/")["Clear-Site-Data"] == '"cache", "storage"'
