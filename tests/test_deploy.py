"""What is in deploy/ names only settings, secrets and series that there are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from cutline.server.config import HOLD_SECRETS, ServerSettings

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
SETTINGS = {f"CUTLINE_{name.upper()}" for name in ServerSettings.model_fields}
SECRETS = {f"CUTLINE_{name.upper()}" for name in HOLD_SECRETS}


def texts() -> Iterator[tuple[str, str]]:
    for path in sorted(DEPLOY.rglob("*")):
        if path.is_file() and "node_modules" not in path.parts and path.suffix not in {".pyc", ".json"}:
            yield str(path.relative_to(DEPLOY)), path.read_text(encoding="utf-8")


def test_every_setting_that_is_given_exists() -> None:
    unknown = {
        (name, variable)
        for name, text in texts()
        for variable in re.findall(r"\bCUTLINE_[A-Z_]*[A-Z]\b", text)
        if variable.removesuffix("_FILE") not in SETTINGS
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
