"""Settings: read from the environment, and refused where they are unfit."""

from __future__ import annotations

import os
import random
import re
import ssl
import string
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kombu import Connection
from pydantic import SecretStr

from cutline.cli._service import make_private, set_up
from cutline.errors import ConfigError
from cutline.registry.places import RegistrySettings
from cutline.server.config import HOLD_SECRETS, SECRET_BITS, ServerSettings, development_secret, settings
from cutline.server.strength import bits_of
from cutline.settings import from_environment
from tests.server.services.process import ANSWERS_S

SOUND = {
    "mode": "production",
    "secret_key": "Zk1vXn3bTf8Jw2Lr9cHs5Gd6Yp4Mx0aRt-Ue_WiOvBzKj3DqPyNgF",
    "public_url": "https://cutline.example.com",
    "hosts": "cutline.example.com",
    "trust_proxy": "true",
    "proxies": "10.0.0.2",
    "database_url": "postgres://cutline:secret@database/cutline?sslmode=verify-full",
    "broker_url": "rediss://:secret@redis/0",
    "channel_layer_url": "rediss://:secret@redis/1",
    "cache_url": "rediss://:secret@redis/2",
    "storage_url": "s3://photos?endpoint=https://s3.example.com",
    "storage_access_key": "key",
    "storage_secret_key": "secret",
    "mail_url": "smtp://cutline:secret@mail.example.com:587",
    "mail_from": "Cutline <cutline@example.com>",
    "metrics_token": "Vd83kq0Zt1xWn7Lb2Ry9",
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
        ("hosts", "*", "any host name"),
        ("hosts", "other.example.com", "lacks cutline.example.com"),
        ("public_url", "http://cutline.example.com", "unencrypted"),
        ("trust_proxy", "false", "proxy"),
        ("database_url", "postgres://cutline@database/cutline?sslmode=require", "password"),
        ("broker_url", "rediss://redis/0", "password"),
        ("channel_layer_url", "rediss://redis/0", "password"),
        ("cache_url", "rediss://redis/0", "password"),
        ("storage_url", "s3://photos?endpoint=http://s3.example.com", "unencrypted"),
        ("mail_url", "smtp://cutline:secret@mail.example.com", "unencrypted"),
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


OPENID = '[{"id":"x","name":"X","server_url":"%s","client_id":"c","secret":"s"}]'
RISKS = [
    ("secret_key", "abcde" * 10, "risk_guessable_secret_key"),
    ("secret_key", "django-insecure-" + SOUND["secret_key"], "risk_guessable_secret_key"),
    ("secret_key", "password" * 8, "risk_guessable_secret_key"),
    ("secret_key", "0123456789abcdef" * 4, "risk_guessable_secret_key"),
    ("secret_key", "qwertyuiopasdfghjklzxcvbnmQWERTYUIOPASDFGHJKL123456", "risk_guessable_secret_key"),
    ("secret_key", "the quick brown fox jumps over the lazy dog again", "risk_guessable_secret_key"),
    ("metrics_token", "a", "risk_guessable_metrics_token"),
    ("metrics_token", "metrics-token-of-the-service", "risk_guessable_metrics_token"),
    ("metrics_token", "prometheus", "risk_guessable_metrics_token"),
    ("proxies", "0.0.0.0/0", "risk_forged_addresses"),
    ("proxies", "10.0.0.0/8,128.0.0.0/1", "risk_forged_addresses"),
    ("proxies", "::/0", "risk_forged_addresses"),
    ("proxies", "::ffff:0:0/96", "risk_forged_addresses"),
    ("proxies", "::/80", "risk_forged_addresses"),
    ("fetch_allow", "0.0.0.0/0", "risk_fetch_anywhere"),
    ("trusted_origins", "http://app.example.com", "risk_http_origins"),
    ("trusted_origins", "https://app.example.com,http://localhost:3000", "risk_http_origins"),
    ("mail_url", "smtp://mail.example.com", "risk_readable_mail"),
    ("mail_url", "smtp://mail.example.com:25?starttls=0", "risk_readable_mail"),
    ("openid_providers", OPENID % "http://login.example.com/realm", "risk_forged_openid"),
    ("database_url", "postgres://u:p@database/cutline", "risk_readable_database"),
    ("database_url", "postgres://u:p@10.0.0.5/cutline?sslmode=prefer", "risk_readable_database"),
    ("database_url", "postgres://u:p@/cutline?host=database", "risk_readable_database"),
    ("broker_url", "redis://:p@redis/0", "risk_readable_redis"),
    ("broker_url", "amqp://u:p@rabbit//", "risk_readable_redis"),
    ("channel_layer_url", "redis://:p@10.0.0.7/0", "risk_readable_redis"),
    ("cache_url", "rediss://:p@redis/0?ssl_cert_reqs=none", "risk_readable_redis"),
    ("log_level", "DEBUG", "risk_debug_logs"),
    ("max_pixels", str(10**12), "risk_memory"),
    ("max_upload_bytes", str(10**12), "risk_memory"),
]


@pytest.mark.parametrize(("setting", "value", "risk"), RISKS)
def test_a_risk_is_refused_unless_somebody_takes_it_by_its_name(
    configure: Configure, setting: str, value: str, risk: str
) -> None:
    message = refused(configure, **{setting: value})
    assert named(message) == {setting}
    assert f"CUTLINE_{risk.upper()}=true" in message
    configure(**{risk: "true"})


def test_each_risk_that_can_be_taken_is_refused_first() -> None:
    fields = {name for name in ServerSettings.model_fields if name.startswith("risk_")}
    assert fields == {risk for _, _, risk in RISKS}
    assert all(str(ServerSettings.model_fields[name].description).startswith("Risk: ") for name in fields)


@pytest.mark.parametrize(
    "changes",
    [
        {"database_url": "postgres://cutline@127.0.0.1/cutline"},
        {"database_url": "postgres://cutline@%2Fvar%2Frun%2Fpostgresql/cutline"},
        {"database_url": "postgres://cutline:p@database/cutline?sslmode=require"},
        {"broker_url": "unix:///run/redis.sock?db=1", "cache_url": "redis://localhost/2"},
        {"broker_url": "amqps://u:p@rabbit//"},
        {"mail_url": "smtp://localhost"},
        {"mail_url": "smtp://mail.example.com?starttls=1"},
        {"openid_providers": OPENID % "http://127.0.0.1:9000"},
        {"proxies": "10.0.0.0/8,fd00::/8,104.16.0.0/13,2400:cb00::/32"},
        {"trusted_origins": "https://app.example.com"},
        {"fetch_allow": "10.0.0.0/8"},
    ],
)
def test_what_is_no_risk_needs_no_leave(configure: Configure, changes: dict[str, str]) -> None:
    configure(**(SOUND | changes))


def test_no_random_secret_is_taken_for_a_weak_one() -> None:
    chosen = random.Random(7)
    alphabets = ("0123456789abcdef", string.ascii_letters + string.digits + "-_")
    for alphabet in alphabets:
        for _ in range(200):
            assert bits_of("".join(chosen.choices(alphabet, k=64))) > SECRET_BITS


def test_the_broker_s_certificate_is_checked(configure: Configure) -> None:
    made = configure(broker_url="rediss://:p@redis/0", channel_layer_url="redis://r", cache_url="redis://r")
    assert Connection(made.celery_broker_url).ssl == {"ssl_cert_reqs": ssl.CERT_REQUIRED}


@pytest.mark.parametrize("setting", ["proxies", "fetch_allow"])
def test_what_is_no_network_is_refused_at_the_start(configure: Configure, setting: str) -> None:
    with pytest.raises(ConfigError, match=f"CUTLINE_{setting.upper()}"):
        configure(**{setting: "10.0.0.0/8,proxy.example"})


def test_production_wants_to_be_told_where_its_proxies_are(
    configure: Configure,
) -> None:
    sound = {name: value for name, value in SOUND.items() if name != "proxies"}
    with pytest.raises(ConfigError) as refusal:
        configure(**sound)
    assert named(str(refusal.value)) == {"proxies"}


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


@pytest.fixture
def umask() -> Iterator[int]:
    """What the tests' own process may write; it is so again afterwards."""
    before = os.umask(0o022)
    yield before
    os.umask(before)


def test_what_a_command_writes_is_its_user_s_alone(
    tmp_path: Path, configure: Configure, umask: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUTLINE_DATA_DIR", "")
    old = tmp_path / "old"
    old.mkdir(mode=0o755)
    for folder in (tmp_path / "parent" / "data", old):
        settings.cache_clear()
        set_up(folder)
        for name in ("cutline.sqlite3", "mail.log"):
            (folder / name).touch()
        (folder / "mail").mkdir()
        made = [folder, *folder.iterdir()]
        assert [path for path in made if path.stat().st_mode & 0o077] == []


def test_the_folder_that_a_command_names_counts_whoever_read_the_settings_before(
    tmp_path: Path, configure: Configure, umask: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUTLINE_DATA_DIR", str(tmp_path / "another"))
    assert configure().data_dir == tmp_path / "another"
    assert set_up(tmp_path / "named").data_dir == tmp_path / "named"
    assert not (tmp_path / "another").exists()


def test_a_folder_of_everybody_stays_everybody_s(tmp_path: Path, umask: int) -> None:
    tmp_path.chmod(0o1777)
    make_private(tmp_path)
    assert tmp_path.stat().st_mode & 0o7777 == 0o1777


def test_a_private_folder_is_left_as_it_is_for_it_may_be_read_only(tmp_path: Path, umask: int) -> None:
    tmp_path.chmod(0o700)
    before = tmp_path.stat().st_ctime_ns
    make_private(tmp_path)
    assert tmp_path.stat().st_ctime_ns == before


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
            timeout=ANSWERS_S,
        )
        assert done.returncode == 2, done.stderr
        assert "CUTLINE_SECRET_KEY: is missing" in done.stderr
        assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_settings_are_read_once(configure: Configure) -> None:
    configure(max_images=3)
    os.environ["CUTLINE_MAX_IMAGES"] = "4"
    assert settings().max_images == 3


# Secrets in files


def in_files(folder: Path, values: dict[str, str]) -> dict[str, str]:
    """The same settings, each in a file of its own."""
    for name, value in values.items():
        (folder / name).write_text(f"{value}\n")
    return {f"{name}_file": str(folder / name) for name in values}


def test_every_secret_can_be_in_a_file(configure: Configure, tmp_path: Path) -> None:
    values = SOUND | {
        "google_secret": "g-secret",
        "github_secret": "h-secret",
        "openid_providers": OPENID % "https://login.example.com",
        "backup_key": "b-key",
        "backup_access_key": "b-access",
        "backup_secret_key": "b-secret",
        "callback_secret": "whsec_" + 32 * "A",
    }
    wanted = configure(**values)
    for name in HOLD_SECRETS:
        del os.environ[f"CUTLINE_{name.upper()}"]
    assert configure(**in_files(tmp_path, {name: values[name] for name in HOLD_SECRETS})) == wanted


def test_each_setting_whose_type_is_a_secret_is_listed_as_one() -> None:
    typed = {name for name, field in ServerSettings.model_fields.items() if field.annotation is SecretStr}
    assert typed < set(HOLD_SECRETS) < set(ServerSettings.model_fields)


def test_numbers_and_lists_can_be_in_files_too(configure: Configure, tmp_path: Path) -> None:
    made = configure(**in_files(tmp_path, {"max_images": "7", "hosts": "a.example, b.example\r"}))
    assert (made.max_images, made.hosts) == (7, ("a.example", "b.example"))


def test_files_that_cannot_be_used_are_refused_by_name_and_without_their_words(
    configure: Configure, tmp_path: Path
) -> None:
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "bytes").write_bytes(b"hunter2\xff")
    (tmp_path / "fine").write_text("hunter2")
    with pytest.raises(ConfigError) as refusal:
        configure(
            secret_key_file=tmp_path / "missing",
            metrics_token_file=tmp_path / "empty",
            mail_url_file=tmp_path / "bytes",
            google_secret_file=tmp_path,
            github_secret="one",
            github_secret_file=tmp_path / "fine",
        )
    said = str(refusal.value)
    names = ("secret_key", "metrics_token", "mail_url", "google_secret", "github_secret")
    assert named(said) == {f"{name}_file" for name in names}
    assert "hunter2" not in said
    assert "both set" in said


def test_a_variable_that_names_no_file_changes_nothing(configure: Configure) -> None:
    assert configure(secret_key="s", secret_key_file="").secret_key.get_secret_value() == "s"


def test_the_keys_of_a_registry_can_be_in_files(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("secret\n")
    found = from_environment(
        RegistrySettings(), environ={"CUTLINE_REGISTRY_SECRET_KEY_FILE": str(tmp_path / "key")}
    )
    assert found.registry_secret_key == "secret"
