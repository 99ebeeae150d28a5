"""Signing in through an OpenID Connect provider: a real one, in a process of its own."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import httpx
import pytest
from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount
from django.urls import URLResolver, get_resolver

from cutline.server.account.providers import provider_names, social_providers
from cutline.server.images.models import Image
from cutline.server.people.models import User
from tests.server.account.accounts import PASSWORD, Person, link_in, mails_to
from tests.server.account.test_claiming import make_image
from tests.server.services.openid import OpenIdProvider
from tests.server.services.process import ANSWERS_S

pytestmark = pytest.mark.django_db

CALLBACK = "/account/provider/callback"


@pytest.fixture
def house(openid: OpenIdProvider, configure: Callable[..., Any], settings: Any) -> OpenIdProvider:
    """The provider, and the service that knows it."""
    settings.SOCIALACCOUNT_PROVIDERS = social_providers(configure(openid_providers=openid.setting("house")))
    return openid


def begin(person: Person, process: str = "login") -> str:
    """Press "sign in with House": where the browser is sent."""
    person.account("GET", "config")
    form = {
        "provider": "house",
        "callback_url": CALLBACK,
        "process": process,
        "csrfmiddlewaretoken": person.browser.cookies["csrftoken"].value,
    }
    answer = person.browser.post("/_allauth/browser/v1/auth/provider/redirect", form)
    assert answer.status_code == 302, answer.content
    location: str = answer["Location"]
    return location


def come_back(person: Person, location: str) -> Any:
    """Follow the provider's redirect to us; gives the answer."""
    parts = urlsplit(location)
    assert parts.path == "/accounts/oidc/house/login/callback/"
    return person.browser.get(f"{parts.path}?{parts.query}")


def sign_in(person: Person, house: OpenIdProvider, subject: str, *, process: str = "login") -> Any:
    """The whole way there and back; gives the last answer."""
    return come_back(person, house.consent(begin(person, process), subject))


def test_the_session_tells_of_the_providers(person: Person, house: OpenIdProvider) -> None:
    providers = person.api("GET", "/session").json()["providers"]
    assert providers == [{"id": "house", "name": "House"}]


def test_the_first_sign_in_makes_an_account_and_claims_what_the_session_owns(
    person: Person, house: OpenIdProvider
) -> None:
    house.add("ada", email="Ada@Example.org", name="Ada Lovelace")
    image = make_image(person.write_something())
    answer = sign_in(person, house, "ada")
    assert (answer.status_code, answer["Location"]) == (302, CALLBACK)
    me = person.api("GET", "/me").json()
    assert (me["email"], me["name"]) == ("ada@example.org", "Ada Lovelace")
    assert Image.objects.get(owner__user__email="ada@example.org") == image
    assert EmailAddress.objects.get().verified
    assert not person.user.has_usable_password()


def test_the_next_sign_in_is_the_same_account(person: Person, house: OpenIdProvider) -> None:
    house.add("ada", email="ada@example.org")
    sign_in(person, house, "ada")
    house.add("ada", email="ada@elsewhere.org")  # the subject counts, not the address
    elsewhere = Person()
    sign_in(elsewhere, house, "ada")
    assert elsewhere.owner_id == person.owner_id
    assert User.objects.count() == 1


def test_an_address_that_the_provider_did_not_verify_must_be_verified_here(
    person: Person, house: OpenIdProvider
) -> None:
    house.add("eve", email="eve@example.org", verified=False)
    sign_in(person, house, "eve")
    assert person.api("GET", "/session").json()["viewer"]["user"] is None
    key = link_in(mails_to("eve@example.org")[0], "verify-email").rpartition("/")[2]
    assert person.account("POST", "auth/email/verify", key=key).status_code == 200
    assert person.api("GET", "/me").json()["email"] == "eve@example.org"


@pytest.mark.parametrize("verified", [True, False])
def test_a_provider_does_not_open_an_account_that_has_the_same_address(
    person: Person, house: OpenIdProvider, verified: bool
) -> None:
    person.sign_up()
    house.add("thief", email=person.email, verified=verified)
    thief = Person()
    sign_in(thief, house, "thief")
    assert thief.api("GET", "/session").json()["viewer"]["user"] is None
    assert not SocialAccount.objects.exists()


def test_somebody_who_is_signed_in_can_connect_the_provider_and_then_sign_in_with_it(
    person: Person, house: OpenIdProvider
) -> None:
    house.add("ada-at-work", email="ada@work.example")
    person.sign_up()
    sign_in(person, house, "ada-at-work", process="connect")
    assert [each["uid"] for each in person.account("GET", "account/providers").json()["data"]] == [
        "ada-at-work"
    ]
    elsewhere = Person()
    sign_in(elsewhere, house, "ada-at-work")
    assert elsewhere.owner_id == person.owner_id


def test_the_way_there_carries_a_state_and_a_pkce_challenge(person: Person, house: OpenIdProvider) -> None:
    query = parse_qs(urlsplit(begin(person)).query)
    assert query["code_challenge_method"] == ["S256"]
    assert len(query["state"][0]) >= 16
    assert query["redirect_uri"] == ["http://testserver/accounts/oidc/house/login/callback/"]
    assert set(query["scope"][0].split()) >= {"openid", "email", "profile"}


@pytest.mark.parametrize("changed", ["state", "code"])
def test_a_changed_state_or_code_signs_nobody_in(person: Person, house: OpenIdProvider, changed: str) -> None:
    house.add("ada", email="ada@example.org")
    parts = urlsplit(house.consent(begin(person), "ada"))
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    query[changed] = "made-up"
    answer = come_back(person, urlunsplit(parts._replace(query=urlencode(query))))
    assert answer.status_code in (302, 401, 403)
    assert person.api("GET", "/session").json()["viewer"]["user"] is None
    assert not User.objects.exists()


def test_somebody_else_s_way_back_signs_nobody_in(person: Person, house: OpenIdProvider) -> None:
    house.add("eve", email="eve@example.org")
    location = house.consent(begin(Person()), "eve")
    come_back(person, location)  # a link that Eve sent
    assert person.api("GET", "/session").json()["viewer"]["user"] is None


def test_a_way_back_works_once(person: Person, house: OpenIdProvider) -> None:
    house.add("ada", email="ada@example.org")
    location = house.consent(begin(person), "ada")
    come_back(person, location)
    person.log_out()
    come_back(person, location)
    assert person.api("GET", "/session").json()["viewer"]["user"] is None


def test_whoever_says_no_at_the_provider_comes_back_signed_out(person: Person, house: OpenIdProvider) -> None:
    answer = httpx.post(begin(person), data={"action": "deny"}, timeout=ANSWERS_S)
    back = come_back(person, answer.headers["location"])
    assert back.status_code == 302
    assert "error=" in back["Location"]
    assert person.api("GET", "/session").json()["viewer"]["user"] is None


def test_a_provider_that_does_not_answer_is_an_error_that_is_told(
    person: Person, configure: Callable[..., Any], settings: Any, openid: OpenIdProvider
) -> None:
    gone = openid.setting("house").replace(str(openid.port), "1")
    settings.SOCIALACCOUNT_PROVIDERS = social_providers(configure(openid_providers=gone))
    assert begin(person) == "/account/provider/callback?error=unavailable&error_process=login"


def test_nobody_is_sent_to_another_site_after_signing_in(person: Person, house: OpenIdProvider) -> None:
    person.account("GET", "config")
    form = {
        "provider": "house",
        "callback_url": "https://evil.example/",
        "process": "login",
        "csrfmiddlewaretoken": person.browser.cookies["csrftoken"].value,
    }
    answer = person.browser.post("/_allauth/browser/v1/auth/provider/redirect", form)
    assert "error=" in answer["Location"]
    assert "evil" not in answer["Location"]


def test_google_and_github_are_there_where_they_are_set_up(
    person: Person, configure: Callable[..., Any], settings: Any
) -> None:
    chosen = configure(google_client_id="g", google_secret="gs", github_client_id="h", github_secret="hs")
    assert provider_names(chosen) == {"google": "Google", "github": "GitHub"}
    settings.SOCIALACCOUNT_PROVIDERS = social_providers(chosen)
    person.account("GET", "config")
    for provider, host in (("google", "accounts.google.com"), ("github", "github.com")):
        form = {
            "provider": provider,
            "callback_url": CALLBACK,
            "process": "login",
            "csrfmiddlewaretoken": person.browser.cookies["csrftoken"].value,
        }
        answer = person.browser.post("/_allauth/browser/v1/auth/provider/redirect", form)
        parts = urlsplit(answer["Location"])
        assert parts.hostname == host
        assert parse_qs(parts.query)["client_id"] == [provider[0] if provider == "google" else "h"]


def test_the_account_of_a_provider_can_set_a_password_and_sign_in_with_it(
    person: Person, house: OpenIdProvider
) -> None:
    house.add("ada", email="ada@example.org")
    sign_in(person, house, "ada")
    assert person.account("POST", "account/password/change", new_password=PASSWORD).status_code == 200
    assert Person().log_in().status_code == 200


def _provider_pages() -> list[str]:
    """Every address below /accounts that belongs to a provider."""
    found: list[str] = []

    def walk(patterns: Any, prefix: str) -> None:
        for each in patterns:
            path = prefix + re.sub(r"<\w+:\w+>|\(\?P<\w+>[^)]*\)", "house", str(each.pattern)).strip("^$")
            if isinstance(each, URLResolver):
                walk(each.url_patterns, path)
            elif path.split("/")[1] in ("google", "github", "oidc"):
                found.append(f"/{path}")

    walk([each for each in get_resolver().url_patterns if str(each.pattern) == "accounts/"], "")
    return found


def test_a_provider_that_is_not_set_up_is_not_there(person: Person) -> None:
    pages = _provider_pages()
    assert len(pages) >= 6
    for page in pages:
        for query in ("", "?code=x&state=y", "?process=connect"):
            for method in ("get", "post"):
                answer = getattr(person.browser, method)(page + query)
                assert answer.status_code in (400, 403, 404, 405), (method, page, query)
    person.account("GET", "config")
    for provider in ("google", "github", "house", "twitter"):
        form = {"provider": provider, "callback_url": CALLBACK, "process": "login"}
        token = person.browser.cookies["csrftoken"].value
        redirect = person.browser.post(
            "/_allauth/browser/v1/auth/provider/redirect", {**form, "csrfmiddlewaretoken": token}
        )
        assert redirect.status_code < 500
        for way in ("auth/provider/token", "auth/provider/signup", "account/providers"):
            body = {"provider": provider, "process": "login", "token": {"client_id": "x", "id_token": "y"}}
            assert person.account("POST", way, **body).status_code < 500
