"""What is in deploy/ names only settings, secrets and series that there are."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import ssl
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from runpy import run_path

import pytest
import yaml
from prometheus_client import REGISTRY

import cutline.server.health  # noqa: F401 (registers the queue's series)
from cutline.registry import RegistrySettings
from cutline.server.config import HOLD_SECRETS, ServerSettings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SETTINGS = {f"CUTLINE_{name.upper()}" for name in ServerSettings.model_fields}
OF_REGISTRIES = {f"CUTLINE_{field.name.upper()}" for field in fields(RegistrySettings)}
OF_VITE = {"CUTLINE_URL"}  # where the web app's development server finds the service
SECRETS = {f"CUTLINE_{name.upper()}" for name in HOLD_SECRETS}


def test_the_chart_has_the_stack_s_alerts() -> None:
    alerts = (DEPLOY / "compose/prometheus/alerts.yml").read_text(encoding="utf-8")
    assert (DEPLOY / "helm/cutline/alerts.yml").read_text(encoding="utf-8") == alerts


def texts() -> Iterator[tuple[str, str]]:
    for path in sorted(DEPLOY.rglob("*")):
        if path.is_file() and "node_modules" not in path.parts and path.suffix not in {".pyc", ".json"}:
            yield str(path.relative_to(DEPLOY)), path.read_text(encoding="utf-8")


def test_every_setting_that_is_given_exists() -> None:
    unknown = {
        (name, variable)
        for name, text in texts()
        for variable in re.findall(r"\bCUTLINE_[A-Z_]*[A-Z]\b", text)
        if variable.removesuffix("_FILE") not in SETTINGS | OF_REGISTRIES | OF_VITE
    }
    assert unknown == set()


def test_no_secret_is_given_but_as_a_file() -> None:
    given = {
        (name, variable)
        for name, text in texts()
        for variable in re.findall(r"\b(CUTLINE_[A-Z_]*[A-Z])(?:=|: )(?!\s*$)", text)
        if variable in SECRETS
    }
    assert given == set()


def test_each_credential_of_a_unit_is_the_secret_that_its_setting_names() -> None:
    for unit in (DEPLOY / "systemd").rglob("*"):
        if unit.is_file():
            text = re.sub(r"^#.*$", "", unit.read_text(encoding="utf-8"), flags=re.MULTILINE)
            loaded = re.findall(r"^LoadCredential=(\w+):/etc/cutline/secrets/(\w+)$", text, re.MULTILINE)
            named = re.findall(r"^Environment=CUTLINE_(\w+)_FILE=%d/(\w+)$", text, re.MULTILINE)
            assert all(name == file for name, file in loaded), unit
            assert [(name.lower(), name.lower()) for name, _ in named] == loaded, unit
            assert all(name.lower() == file for name, file in named), unit


# What is watched


def series() -> set[str]:
    """Each series that a process of the service offers."""
    named = list(REGISTRY.collect())
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
    return {metric.name + suffix for metric in named for suffix in suffixes.get(metric.type, ())}


@pytest.mark.django_db
def test_dashboards_and_alerts_name_series_that_there_are() -> None:
    watched = {
        name
        for path in (DEPLOY / "compose").rglob("*")
        if path.suffix in {".json", ".yml"}
        for name in re.findall(r"\bcutline_[a-z_]+\b", path.read_text(encoding="utf-8"))
    }
    assert len(watched) > 20
    assert watched - series() == set()


@pytest.mark.django_db
def test_every_metric_is_on_the_dashboard() -> None:
    dashboard = (DEPLOY / "compose/grafana/dashboards/cutline.json").read_text(encoding="utf-8")
    shown = set(re.findall(r"\bcutline_[a-z_]+\b", dashboard))
    metrics = {re.sub(r"_(total|bucket|sum|count)$", "", name) for name in series() if name[:8] == "cutline_"}
    assert {name for name in metrics if not any(each.startswith(name) for each in shown)} == set()


def test_every_alert_is_explained() -> None:
    rules = yaml.safe_load((DEPLOY / "compose/prometheus/alerts.yml").read_text(encoding="utf-8"))
    told = (ROOT / "docs/guide/deploy.md").read_text(encoding="utf-8")
    names = [rule["alert"] for group in rules["groups"] for rule in group["rules"]]
    assert len(names) >= 10
    assert [name for name in names if f"| `{name}` |" not in told] == []


# The stack's own programs


def test_the_stack_s_first_certificate_is_trusted_by_its_own_bundle(tmp_path: Path) -> None:
    tls = run_path(str(DEPLOY / "compose/tls.py"))
    assert tls["main"](tmp_path, "cutline.test") == 0
    assert (tmp_path / "privkey.pem").stat().st_mode & 0o077 == 0
    before = (tmp_path / "fullchain.pem").read_bytes()
    assert tls["main"](tmp_path, "cutline.test") == 0
    assert (tmp_path / "fullchain.pem").read_bytes() == before, "what is there stays"
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(tmp_path / "fullchain.pem", tmp_path / "privkey.pem")
    for host, is_trusted in (("cutline.test", True), ("other.test", False)):
        assert shake_hands(server, tmp_path / "ca-bundle.pem", host) == is_trusted


def shake_hands(server: ssl.SSLContext, bundle: Path, host: str) -> bool:
    """Whether a client that trusts the bundle trusts the server as this host; no network is used."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    ours = ssl.create_default_context(cafile=str(bundle)).wrap_bio(to_client, to_server, server_hostname=host)
    for _ in range(4):
        for side in (ours, theirs):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLCertVerificationError:
                return False
    return ours.version() is not None


def test_the_stack_s_secrets_are_made_once_and_are_sound(tmp_path: Path) -> None:
    for name in ("secrets.sh", "example.env"):
        shutil.copy(DEPLOY / "compose" / name, tmp_path)
    run = [tmp_path / "secrets.sh", "cutline.test"]
    subprocess.run(run, check=True, capture_output=True)
    made = secrets_in(tmp_path)
    assert (tmp_path / "secrets").stat().st_mode & 0o077 == 0
    assert (tmp_path / "secrets/own").stat().st_mode & 0o777 == 0o755, "containers may read in it"
    assert "STACK_HOST=cutline.test\n" in (tmp_path / ".env").read_text()
    subprocess.run(run, check=True, capture_output=True)
    assert secrets_in(tmp_path) == made
    stack = yaml.safe_load((DEPLOY / "compose/compose.yaml").read_text(encoding="utf-8"))
    assert set(stack["secrets"]) <= set(made)
    identities = json.loads(made["s3_config"])["identities"]
    assert identities[0]["credentials"][0]["secretKey"] == made["storage_secret_key"].strip()


def secrets_in(folder: Path) -> dict[str, str]:
    """The stack's own secrets."""
    return {path.name: path.read_text() for path in (folder / "secrets").iterdir() if path.is_file()}


def test_the_service_starts_with_the_stack_s_settings(
    tmp_path: Path, configure: Callable[..., object]
) -> None:
    for name in ("secrets.sh", "example.env"):
        shutil.copy(DEPLOY / "compose" / name, tmp_path)
    subprocess.run([tmp_path / "secrets.sh", "cutline.test"], check=True, capture_output=True)
    stack = yaml.safe_load((DEPLOY / "compose/compose.yaml").read_text(encoding="utf-8"))
    given = {}
    for name, value in stack["services"]["web1"]["environment"].items():
        value = value.replace("${STACK_HOST:?run ./secrets.sh first}", "cutline.test")
        value = value.replace("${STACK_HOST}", "cutline.test").replace("/run/secrets", f"{tmp_path}/secrets")
        given[name.removeprefix("CUTLINE_").lower()] = re.sub(r"^\$\{\w+:-(.*)\}$", r"\1", value)
    del given["aws_ca_bundle"]
    configure(**given)  # production mode: what is insecure or missing would be refused


def test_cron_gives_the_learner_the_settings_of_the_service(
    tmp_path: Path, configure: Callable[..., object]
) -> None:
    secrets = {
        "secret_key": "k" * 25 + "".join(map(str, range(30))),
        "database_url": "postgres://cutline:secret@127.0.0.1/cutline",
        "broker_url": "redis://127.0.0.1:6379/0",
        "channel_layer_url": "redis://127.0.0.1:6379/1",
        "cache_url": "redis://127.0.0.1:6379/2",
        "mail_url": "smtp://cutline:secret@mail.example.com:587",
        "metrics_token": "an4Xq9Tz7LmPw2Ks8Vb6RcYd",
    }
    for name, value in secrets.items():
        (tmp_path / name).write_text(f"{value}\n")
    cron = (DEPLOY / "cron/cutline-learner").read_text(encoding="utf-8")
    settings = (DEPLOY / "systemd/cutline.env").read_text(encoding="utf-8")
    lines = re.findall(r"^CUTLINE_\w+=.*$", cron, re.MULTILINE) + shlex.split(settings, comments=True)
    given = dict(line.replace("/etc/cutline/learner", str(tmp_path)).split("=", 1) for line in lines)
    configure(**{name.removeprefix("CUTLINE_").lower(): value for name, value in given.items()})


def test_our_containers_may_write_to_each_new_volume() -> None:
    stack = yaml.safe_load((DEPLOY / "compose/compose.yaml").read_text(encoding="utf-8"))
    layers = (DEPLOY / "docker/layers.sh").read_text(encoding="utf-8")
    [line] = [line for line in layers.splitlines() if line.startswith("chmod 0700 ")]
    owned = re.findall(r"\$to/state(/[\w/]+)", line)
    mounted = {
        volume.split(":")[1]
        for service in stack["services"].values()
        if service["image"].startswith("cutline-") and "user" not in service
        for volume in service.get("volumes", ())
        if not volume.endswith(":ro")
    }
    assert "/var/backups/cutline" in mounted
    assert mounted <= {f"/var{folder}" for folder in owned}


# Programs for servers, with stand-ins for what runs there


def program(path: Path, text: str) -> None:
    """Write a shell script."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)


COPY = r"""
for to in "$@"; do :; done
for each in "$@"; do
  case $each in -* | ssh | .env | secrets | settings.env | *:*) ;; *) cp -r "$each" "${to#*:}" ;; esac
done
"""


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine that deploy/deliver reaches: what Docker is asked there is in the file `asked`."""
    program(
        tmp_path / "bin/docker",
        f'echo "$*" >> {tmp_path}/asked; case $* in *" ps "*) cat {tmp_path}/up;; esac',
    )
    program(tmp_path / "bin/ssh", 'shift; exec sh -c "$*"')
    program(tmp_path / "bin/rsync", COPY)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin", prepend=":")
    monkeypatch.setenv("STACK_FOLDER", f"{tmp_path}/srv")
    for variable in ("SSH", "STACK_HOST"):
        monkeypatch.delenv(variable, raising=False)
    (tmp_path / "up").touch()
    return tmp_path


def deliver(server: Path, version: str, *more: str) -> list[str]:
    """Deliver a version to a server; gives what Docker was asked there, from nothing on."""
    (server / "asked").unlink(missing_ok=True)
    (server / "manifest.json").write_text(json.dumps([{"RepoTags": [f"cutline-web:{version}"]}]))
    with tarfile.open(server / "ours.tar", "w") as tar:
        tar.add(server / "manifest.json", "manifest.json")
    words = [DEPLOY / "deliver", server / "ours.tar", "root@cutline.test", *more]
    subprocess.run(words, check=True, capture_output=True)
    return (server / "asked").read_text().splitlines()


def test_a_bare_server_gets_all_images_and_starts(server: Path) -> None:
    (server / "theirs.tar").touch()
    asked = deliver(server, "1.0", f"{server}/theirs.tar")
    assert [line for line in asked if line.startswith("load")] == [
        f"load --quiet --input {server}/srv/others.tar",
        f"load --quiet --input {server}/srv/images.tar",
    ]
    assert asked[-1] == "compose up --detach --wait"
    variables = (server / "srv/compose/.env").read_text()
    assert "STACK_HOST=cutline.test\n" in variables
    assert "STACK_VERSION=1.0\n" in variables
    assert (server / "srv/compose/secrets/secret_key").exists()


def test_a_server_that_runs_is_rolled_over(server: Path) -> None:
    deliver(server, "1.0")
    before = secrets_in(server / "srv/compose")
    (server / "up").write_text("web1\nnginx\n")
    asked = deliver(server, "1.1")
    assert "compose run --rm --no-deps -T migrate" in asked
    assert "compose up --detach --wait" not in asked, "all at once"
    assert "STACK_VERSION=1.1\n" in (server / "srv/compose/.env").read_text()
    assert secrets_in(server / "srv/compose") == before


def test_a_command_gets_the_units_settings_and_secrets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    for name in ("secret_key", "backup_key", "secret_key~"):
        (secrets / name).touch()
    program(tmp_path / "bin/systemd-run", 'printf "%s\\n" "$@"')
    monkeypatch.setenv("PATH", f"{tmp_path}/bin", prepend=":")
    text = (DEPLOY / "systemd/cutline-manage").read_text(encoding="utf-8")
    program(tmp_path / "cutline-manage", text.replace("/etc/cutline/secrets", str(secrets)))
    done = subprocess.run(
        [tmp_path / "cutline-manage", "backup", "/two words"], check=True, capture_output=True, text=True
    )
    words = done.stdout.splitlines()
    assert words[-4:] == ["/opt/cutline/bin/cutline", "manage", "backup", "/two words"]
    unit = words[words.index("--unit") + 1]
    credentials = {word for word in words if word.startswith("LoadCredential=")}
    assert credentials == {f"LoadCredential={name}:{secrets}/{name}" for name in ("secret_key", "backup_key")}
    assert f"CUTLINE_BACKUP_KEY_FILE=/run/credentials/{unit}/backup_key" in words
    assert "User=cutline" in words
    assert "EnvironmentFile=/etc/cutline/cutline.env" in words


# The chart


def test_what_a_release_is_told_goes_back_with_it() -> None:
    rendered = (DEPLOY / "kustomize/cutline.yaml").read_text(encoding="utf-8")
    told = [each["metadata"] for each in yaml.safe_load_all(rendered) if each["kind"] != "Job"]
    hooks = [
        meta["annotations"]["helm.sh/hook"] for meta in told if "helm.sh/hook" in meta.get("annotations", {})
    ]
    assert hooks
    assert all("pre-rollback" in hook for hook in hooks)
