"""Nothing is reported to anybody: no name is looked up, and no file appears in the home folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cutline import telemetry

ROOT = Path(__file__).parents[1]
PHOTO = ROOT / "examples" / "cat.jpg"
ALONE = ["unshare", "--net", "--mount", "--map-root-user"]

CAPTION = """
import sys
from cutline.cli.main import main
sys.exit(main(["caption", "--json", {photo!r}]))
"""
LIBRARY = """
import cutline
assert cutline.load({uri!r}).caption({photo!r})
"""
SERVE = """
from pathlib import Path
from tests.server.services.service import Mode, Service

service = Service(Mode.LAPTOP, Path({folder!r}))
service.start()
try:
    with service.visitor() as visitor:
        visitor.headers["Prefer"] = "wait=60"
        photo = Path({photo!r}).read_bytes()
        [item] = visitor.post("/images", files=[("files", ("a.jpg", photo))]).json()["items"]
        assert item["caption"], item
        visitor.patch("/images/" + item["id"], json={{"visibility": "public"}}).raise_for_status()
finally:
    service.stop()
"""
TRAIN = """
import sys
sys.path.insert(0, "tests/training")
from pathlib import Path
from tiny_recipe import write_recipe
from cutline.cli.main import main
sys.exit(main(["train", str(write_recipe(Path({folder!r}))), "stages.captions.epochs=1"]))
"""


def environment(home: Path, **more: str) -> dict[str, str]:
    """That of somebody who set nothing, with a home of their own."""
    home.mkdir(exist_ok=True)
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in telemetry.OFF and not name.startswith(("XDG_", "CUTLINE_"))
    }
    return kept | {"HOME": str(home), "PYTHONPATH": str(ROOT)} | more


def run(code: str, env: dict[str, str], *before: str) -> str:
    """What a Python program printed. Raises AssertionError with its errors where it failed."""
    done = subprocess.run(
        [*before, sys.executable, "-c", code], env=env, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def files_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def alone() -> list[str]:
    """What to put before a command so that it runs without a network, and tells what it looked up."""
    words = [*ALONE, sys.executable, str(ROOT / "tests" / "without_network.py")]
    try:
        done = subprocess.run([*words, "true"], capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("unshare is not installed")
    if done.returncode:
        pytest.skip(f"this machine allows no network of one's own: {done.stderr.strip()[-200:]}")
    return words


def test_importing_cutline_turns_reports_off_for_child_processes_too(tmp_path: Path) -> None:
    child = "import json, os; print(json.dumps(dict(os.environ)))"
    code = f"import subprocess, sys, cutline; subprocess.run([sys.executable, '-c', {child!r}], check=True)"
    seen = json.loads(run(code, environment(tmp_path / "home")))
    assert {name: seen.get(name) for name in telemetry.OFF} == telemetry.OFF


def test_an_empty_variable_asks_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in telemetry.OFF:
        monkeypatch.setenv(name, "")
    telemetry.turn_off()
    assert {name: os.environ[name] for name in telemetry.OFF} == telemetry.OFF


def test_who_wants_reports_gets_them(tmp_path: Path) -> None:
    code = "import os, cutline; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    assert run(code, environment(tmp_path / "home", ORT_DISABLE_TELEMETRY="0")).strip() == "0"


@pytest.mark.parametrize("program", [CAPTION, LIBRARY], ids=["command", "library"])
def test_captioning_leaves_no_file_in_the_home_folder(program: str, tmp_path: Path) -> None:
    run(program.format(photo=str(PHOTO), uri=None), environment(tmp_path / "home"))
    assert files_in(tmp_path / "home") == []


@pytest.mark.slow
@pytest.mark.parametrize("program", [CAPTION, SERVE, TRAIN], ids=["command", "service", "training"])
def test_without_a_network_nothing_is_looked_up_and_nothing_left_in_the_home_folder(
    program: str, alone: list[str], tmp_path: Path
) -> None:
    code = program.format(photo=str(PHOTO), folder=str(tmp_path))
    output = run(code, environment(tmp_path / "home"), *alone)
    assert json.loads(output.splitlines()[-1]) == []
    assert files_in(tmp_path / "home") == []


@pytest.mark.slow
def test_openvino_reports_nothing_either(alone: list[str], tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    output = run(LIBRARY.format(photo=str(PHOTO), uri="openvino:"), environment(tmp_path / "home"), *alone)
    assert json.loads(output.splitlines()[-1]) == []
    assert files_in(tmp_path / "home") == []


@pytest.mark.parametrize("consent", ["1", "0", None])
def test_openvino_reports_where_its_user_opted_in(
    consent: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if consent:
        (tmp_path / "intel").mkdir()
        (tmp_path / "intel" / "openvino_telemetry").write_text(consent)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.delitem(sys.modules, "openvino_telemetry", raising=False)
    with telemetry.openvino_kept_quiet():
        assert ("openvino_telemetry" in sys.modules) == (consent != "1")
    assert "openvino_telemetry" not in sys.modules


def test_the_look_up_of_a_name_is_noticed(alone: list[str], tmp_path: Path) -> None:
    look_up = "import socket\ntry: socket.getaddrinfo('example.com', 80)\nexcept OSError: pass"
    output = run(look_up, environment(tmp_path / "home"), *alone)
    assert json.loads(output.splitlines()[-1]) == ["example.com"]
