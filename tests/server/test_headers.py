"""What browsers are told about every answer."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpResponseBase
from django.test import Client

from cutline.errors import ConfigError
from cutline.server import headers
from cutline.server.config import ServerSettings
from cutline.server.realtime.consumer import _cookie_of
from tests.server.test_config import SOUND

Configure = Callable[..., ServerSettings]


@pytest.fixture(autouse=True)
def _fresh() -> None:
    headers._policy.cache_clear()


def policy(path: str = "/") -> dict[str, set[str]]:
    parts = (part.split() for part in headers.content_policy(path).split("; "))
    return {name: set(sources) for name, *sources in parts}


@pytest.mark.parametrize("path", ["/", "/api/v1/session", "/nowhere", "/static/interim/page.js"])
def test_every_answer_may_be_framed_by_nobody_and_sniffed_as_nothing_else(path: str, db: None) -> None:
    answer = Client().get(path)
    assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Referrer-Policy"] == "same-origin"


def test_only_our_own_scripts_run() -> None:
    assert policy()["script-src"] == {"'self'"}
    assert policy()["default-src"] == {"'none'"}
    assert "'unsafe-inline'" not in policy()["style-src"]


def test_what_is_looser_is_so_for_the_admin_alone() -> None:
    assert policy("/admin/")["script-src"] == {"'self'", "'unsafe-eval'"}
    assert "'unsafe-inline'" not in policy("/admin/")["style-src"]
    assert policy("/admin")["script-src"] == {"'self'"}
    assert policy("/api/v1/docs")["script-src"] == {"'self'"}


def test_pictures_may_come_from_the_object_store(configure: Configure) -> None:
    configure(storage_url="s3://photos/x?endpoint=https://s3.example.com:9000&region=eu")
    assert "https://s3.example.com:9000" in policy()["img-src"]


def test_a_form_may_lead_to_the_providers_that_are_set(configure: Configure) -> None:
    assert policy()["form-action"] == {"'self'"}
    headers._policy.cache_clear()
    configure(
        google_client_id="id",
        google_secret="secret",
        openid_providers='[{"id":"x","name":"X","server_url":"https://login.example.com/realm",'
        '"client_id":"c","secret":"s"}]',
    )
    assert policy()["form-action"] == {"'self'", "https://accounts.google.com", "https://login.example.com"}


def test_no_shared_cache_keeps_what_was_made_for_one_viewer(db: None) -> None:
    for path in ("/", "/api/v1/images"):
        assert "private" in Client().get(path)["Cache-Control"]


def test_static_files_may_be_cached() -> None:
    answer = Client().get("/static/interim/page.js")
    assert (answer.status_code, answer["Cache-Control"]) == (200, "max-age=300, public")


def preflight(origin: str, path: str = "/api/v1/session") -> HttpResponseBase:
    return Client().options(
        path,
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": "PATCH",
            "Access-Control-Request-Headers": "content-type,idempotency-key,x-api-key",
        },
    )


@pytest.fixture
def trusted(settings: Any) -> str:
    """An origin that is trusted: CUTLINE_TRUSTED_ORIGINS is what Django's setting is made of."""
    settings.CORS_ALLOWED_ORIGINS = ["https://web.example"]
    return "https://web.example"


def test_a_page_of_a_trusted_origin_may_ask_and_read(trusted: str, db: None) -> None:
    asked = preflight(trusted)
    assert asked.status_code == 200
    assert asked["Access-Control-Allow-Origin"] == trusted
    assert asked["Access-Control-Allow-Credentials"] == "true"
    assert "PATCH" in asked["Access-Control-Allow-Methods"]
    assert {"idempotency-key", "prefer", "x-api-key"} <= set(
        asked["Access-Control-Allow-Headers"].split(", ")
    )
    answer = Client().get("/api/v1/session", headers={"Origin": trusted})
    assert answer["Access-Control-Allow-Origin"] == trusted
    assert {"ETag", "Retry-After"} <= set(answer["Access-Control-Expose-Headers"].split(", "))
    assert "origin" in answer["Vary"].lower()


@pytest.mark.parametrize("origin", ["https://evil.example", "http://web.example", "null"])
def test_a_page_of_any_other_origin_reads_nothing(trusted: str, origin: str, db: None) -> None:
    assert "Access-Control-Allow-Origin" not in preflight(origin)
    answer = Client().get("/api/v1/session", headers={"Origin": origin})
    assert "Access-Control-Allow-Origin" not in answer


def test_pages_and_the_admin_are_for_no_other_origin(trusted: str, db: None) -> None:
    for path in ("/", "/admin/login/", "/_allauth/browser/v1/config"):
        answer = Client().get(path, headers={"Origin": trusted})
        assert "Access-Control-Allow-Origin" not in answer


def test_trusted_origins_are_the_setting(configure: Configure) -> None:
    configure(trusted_origins="https://web.example,http://localhost:3000")
    made = runpy.run_path(str(Path(headers.__file__).with_name("django_settings.py")))
    assert made["CORS_ALLOWED_ORIGINS"] == ["https://web.example", "http://localhost:3000"]


@pytest.mark.parametrize("wrong", ["web.example", "https://web.example/", "ftp://web.example", "*"])
def test_what_is_no_origin_is_refused_at_the_start(configure: Configure, wrong: str) -> None:
    with pytest.raises(ConfigError, match="CUTLINE_TRUSTED_ORIGINS"):
        configure(trusted_origins=wrong)


def django_settings(configure: Configure, **values: str) -> dict[str, Any]:
    """What Django's settings are with these of ours."""
    configure(**values)
    return runpy.run_path(str(Path(headers.__file__).with_name("django_settings.py")))


def test_with_https_no_other_host_can_give_a_browser_our_cookies(configure: Configure) -> None:
    made = django_settings(configure, public_url="https://cutline.example.com")
    for name in ("SESSION", "CSRF"):
        assert made[f"{name}_COOKIE_NAME"].startswith("__Host-")
        assert made[f"{name}_COOKIE_SECURE"]
        # What a browser wants of such a name, beside Secure:
        assert made.get(f"{name}_COOKIE_DOMAIN") is None
        assert made.get(f"{name}_COOKIE_PATH", "/") == "/"
    assert "cookie" not in made["MESSAGE_STORAGE"].lower()


def test_a_laptop_without_https_has_plain_cookies(configure: Configure) -> None:
    made = django_settings(configure, public_url="http://127.0.0.1:8000")
    assert (made["SESSION_COOKIE_NAME"], made["CSRF_COOKIE_NAME"]) == ("sessionid", "csrftoken")


def test_the_session_that_a_websocket_gives_is_such_a_cookie(settings: Any) -> None:
    settings.SESSION_COOKIE_NAME, settings.SESSION_COOKIE_SECURE = "__Host-sessionid", True
    cookie = _cookie_of("abc").decode().split("; ")
    assert cookie[0] == "__Host-sessionid=abc"
    assert {"Path=/", "Secure", "HttpOnly", "SameSite=Lax"} <= set(cookie)
    assert not any(part.startswith("Domain") for part in cookie)


@pytest.mark.parametrize("subdomains", [True, False])
def test_browsers_are_told_to_use_https_below_this_host_too(configure: Configure, subdomains: bool) -> None:
    values = {**SOUND, "hsts_subdomains": str(subdomains)}
    made = django_settings(configure, **values)
    assert made["SECURE_HSTS_SECONDS"] >= 365 * 24 * 3600
    assert made["SECURE_HSTS_INCLUDE_SUBDOMAINS"] is subdomains


@pytest.mark.parametrize("host", ["evil.example", "a b", "[", "127.0.0.1.evil.example", "", "x" * 300])
@pytest.mark.parametrize("path", ["/", "/api/v1/session", "/admin/login/", "/_allauth/browser/v1/config"])
def test_a_wrong_host_is_refused_without_a_traceback(
    host: str, path: str, db: None, caplog: pytest.LogCaptureFixture
) -> None:
    answer = Client(headers={"Host": host}).get(path)
    assert answer.status_code == 400
    assert [record for record in caplog.records if record.exc_info or record.levelname == "ERROR"] == []
