"""What is in deploy/ names only settings, secrets and series that there are."""

from __future__ import annotations

import json
import re
import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from runpy import run_path

import pytest
import yaml
from prometheus_client import REGISTRY

import cutline.server.health  # noqa: F401 (registers the queue's series)
from cutline.server.config import HOLD_SECRETS, ServerSettings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SETTINGS = {f"CUTLINE_{name.upper()}" for name in ServerSettings.model_fields}
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
        if variable.removesuffix("_FILE") not in SETTINGS | OF_VITE
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
    made = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()}
    assert (tmp_path / "secrets").stat().st_mode & 0o077 == 0
    assert "STACK_HOST=cutline.test\n" in (tmp_path / ".env").read_text()
    subprocess.run(run, check=True, capture_output=True)
    assert {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir()} == made
    stack = yaml.safe_load((DEPLOY / "compose/compose.yaml").read_text(encoding="utf-8"))
    assert set(stack["secrets"]) <= set(made)
    identities = json.loads(made["s3_config"])["identities"]
    assert identities[0]["credentials"][0]["secretKey"] == made["storage_secret_key"].strip()


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
        given[name.removeprefix("CUTLINE_").lower()] = value.removeprefix("${STACK_MAIL_FROM:-").rstrip("}")
    del given["aws_ca_bundle"]
    configure(**given)  # production mode: what is insecure or missing would be refused
