"""The locks in requirements/ have what pyproject.toml asks for, with hashes; else `make lock` is due."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
TESTED = EXTRAS["all"][0].removeprefix("cutline[").removesuffix("]").split(",")
LOCKS = {
    "base": [],
    "server": EXTRAS["server"],
    "serverless": EXTRAS["serverless"],
    "train": EXTRAS["train"],
    # What tests need: the stores' libraries are large, and want other versions of what the service has.
    "dev": [each for name in [*TESTED, "dev"] for each in EXTRAS[name]],
}


def locked(name: str) -> dict[str, set[str]]:
    """The versions that a lock has of each package: several where they depend on the Python."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    versions: dict[str, set[str]] = {}
    for package, version in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", text, flags=re.MULTILINE):
        versions.setdefault(canonicalize_name(package), set()).add(version)
    return versions


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_satisfies_the_project_s_ranges(name: str) -> None:
    versions = locked(name)
    for text in [*PROJECT["dependencies"], *LOCKS[name]]:
        wanted = Requirement(text)
        if wanted.name == "torch":  # installed first and by itself
            continue
        found = versions.get(canonicalize_name(wanted.name), set())
        assert found, f"{wanted.name} is not in requirements/{name}.txt: run `make lock`"
        assert all(wanted.specifier.contains(version, prereleases=True) for version in found), text


@pytest.mark.parametrize("name", ["base", "server", "serverless", "train"])
def test_what_is_shipped_has_the_versions_that_were_tested(name: str) -> None:
    tested = locked("dev")
    assert all(versions <= tested[package] for package, versions in locked(name).items())


@pytest.mark.parametrize("name", [*LOCKS, "node", "tools", "deploy", "infrastructure", "ansible"])
def test_every_locked_package_has_a_hash(name: str) -> None:
    lines = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    pinned = [number for number, line in enumerate(lines) if "==" in line and not line.startswith((" ", "#"))]
    assert pinned
    assert all("--hash=sha256:" in lines[number + 1] for number in pinned)
