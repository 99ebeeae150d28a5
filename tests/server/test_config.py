"""Settings: read from the environment, and refused where they are unfit."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cutline.errors import ConfigError
from cutline.server.config import ServerSettings, development_secret, settings

SOUND = {
    "mode": "production",
    "secret_key": "k3jH7-" + "abcdefghij" * 5,
    "public_url": "https://cutline.example.com",
    "hosts": "cutline.example.com",
    "trust_proxy": "true",
    "database_url": "postgres://cutline:secret@database/cutline",
    "broker_url": "redis://:secret@redis/0",
    "channel_layer_url": "redis://:secret@redis/1",
    "cache_url": "rediss://:secret@redis/2",
    "storage_url": "s3://photos?endpoint=https://s3.example.com",
    "storage_access_key": "key",
    "storage_secret_key": "secret",
    "mail_url": "smtp://cutline:secret@mail.example.com:587",
    "mail_from": "Cutline <cutline@example.com>",
    "metrics_token": "token",
}
Configure = Callable[..., ServerSettings]


def refused(configure: Configure, **changes: str) -> str:
    with pytest.raises(ConfigError) as refusal:
        configure(**(SOUND | changes))
    return str(refusal.value)


def named(message: str) -> set[str]:
    return {name.lower() for name in re.findall(r"^  CUTLINE_(\w+):", message, flags=re.MULTILINE)}


def test_sound_settings_are_taken_in_production(configure: Configure) -> None:
    made = configure(**SOUND)
    assert made.hosts == ("cutline.example.com",)
    assert not made.in_process


def test_a_laptop_needs_no_setting(configure: Configure) -> None:
    assert configure().in_process


def test_production_without_settings_names_each_that_is_missing(configure: Configure) -> None:
    with pytest.raises(ConfigError) as refusal:
        configure(mode="production")
    assert named(str(refusal.value)) >= {
        "secret_key",
        "public_url",
        "database_url",
        "broker_url",
        "channel_layer_url",
        "cache_url",
        "storage_url",
        "mail_url",
        "metrics_token",
    }


@pytest.mark.parametrize(
    ("setting", "value", "why"),
    [
        ("secret_key", "short", "guessed"),
        ("secret_key", "a" * 60, "guessed"),
        ("debug", "true", "visitor"),
        ("hosts", "*", "any name"),
        ("hosts", "other.example.com", "lacks cutline.example.com"),
        ("public_url", "http://cutline.example.com", "readable"),
        ("trust_proxy", "false", "proxy"),
        ("database_url", "postgres://cutline@database/cutline", "password"),
        ("broker_url", "redis://redis/0", "password"),
        ("channel_layer_url", "redis://redis/0", "password"),
        ("cache_url", "redis://redis/0", "password"),
        ("storage_url", "s3://photos?endpoint=http://s3.example.com", "readable"),
        ("mail_url", "smtp://cutline:secret@mail.example.com", "readable"),
        ("mail_url", "http://mail.example.com", "smtp"),
        ("mail_from", "Cutline <cutline@localhost>", "localhost"),
        ("metrics_token", "", "everybody"),
        ("google_client_id", "id", "google_client_id is set"),
    ],
)
def test_production_refuses_what_is_insecure_and_says_why(
    configure: Configure, setting: str, value: str, why: str
) -> None:
    message = refused(configure, **{setting: value})
    expected = "google_secret" if setting == "google_client_id" else setting
    assert named(message) == {expected}
    assert why in message


def test_one_machine_may_be_production_when_it_is_chosen_outright(configure: Configure) -> None:
    memory = dict.fromkeys(("broker_url", "channel_layer_url", "cache_url"), "memory://")
    chosen = {"database_url": "sqlite:////srv/cutline.sqlite3", "storage_url": "file:///srv/files"}
    assert configure(**(SOUND | memory | chosen)).in_process


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"batch_size": "0"}, "CUTLINE_BATCH_SIZE"),
        ({"rate_user": "often"}, "CUTLINE_RATE_USER"),
        ({"public_url": "cutline.example.com"}, "CUTLINE_PUBLIC_URL"),
        ({"public_url": "https://example.com/cutline"}, "root of its host"),
        ({"log_format": "xml"}, "CUTLINE_LOG_FORMAT"),
        ({"broker_url": "redis://localhost"}, "channel_layer_url and cache_url"),
        ({"storage_access_key": "key"}, "set together"),
        ({"publish_below": "0.9", "hold_above": "0.5"}, "publish_below"),
        ({"public_url": "ftp://cutline.example"}, "CUTLINE_PUBLIC_URL: must be http(s)://HOST"),
    ],
)
def test_settings_that_make_no_sense_are_refused_on_a_laptop_too(
    configure: Configure, changes: dict[str, str], why: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(why)):
        configure(**changes)


def test_a_refusal_never_shows_a_secret(configure: Configure) -> None:
    assert "hunter2" not in refused(
        configure, secret_key="hunter2", database_url="postgres://u:hunter2@d/c?x"
    )


def test_a_broker_may_be_a_socket(configure: Configure) -> None:
    made = configure(
        broker_url="unix:///run/redis.sock?db=3",
        channel_layer_url="redis://:x@r/1",
        cache_url="redis://:x@r/2",
    )
    assert made.celery_broker_url == "redis+socket:///run/redis.sock?virtual_host=3"


def test_the_development_secret_stays_and_is_its_owners_alone(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    secret = development_secret(folder)
    assert len(secret) >= 50
    assert development_secret(folder) == secret
    assert (folder / "secret.key").stat().st_mode & 0o077 == 0
    assert [path.name for path in folder.iterdir()] == ["secret.key"]


def test_every_setting_says_what_it_is_for() -> None:
    assert [name for name, field in ServerSettings.model_fields.items() if not field.description] == []


def test_no_command_starts_with_unfit_settings(tmp_path: Path) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("CUTLINE_")}
    for words in (["serve"], ["worker"], ["beat"], ["manage", "migrate"]):
        done = subprocess.run(
            [sys.executable, "-m", "cutline.cli.main", *words],
            env=env | {"CUTLINE_MODE": "production"},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=240,
        )
        assert done.returncode == 2, done.stderr
        assert "CUTLINE_SECRET_KEY: is missing" in done.stderr
        assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_settings_are_read_once(configure: Configure) -> None:
    configure(max_images=3)
    os.environ["CUTLINE_MAX_IMAGES"] = "4"
    assert settings().max_images == 3
