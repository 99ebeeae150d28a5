"""`cutline registry`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cutline.cli.main import main
from cutline.registry import Registry

Run = Callable[..., Any]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command of `cutline registry` with --json; what it printed."""

    def called(*words: object, code: int = 0) -> Any:
        assert main(["registry", *map(str, words), "--json"]) == code, capsys.readouterr().err
        told = capsys.readouterr()
        return json.loads(told.out) if code == 0 or told.out else told.err

    return called


def test_from_the_first_push_to_the_way_back(
    run: Run, registry: Registry, bundles: list[Path], tmp_path: Path
) -> None:
    place = registry.where
    assert [each["is_built_in"] for each in run("list", place)["versions"]] == [True]
    (tmp_path / "gates.json").write_text('{"passed": true, "summary": "Good."}', encoding="utf-8")
    (tmp_path / "metrics.json").write_text('{"cider": 63.0}', encoding="utf-8")
    (tmp_path / "recipe.yaml").write_text("seed: 1\n", encoding="utf-8")
    given = [
        f"--{name}={tmp_path / file}"
        for name, file in (
            ("gates", "gates.json"),
            ("metrics", "metrics.json"),
            ("recipe", "recipe.yaml"),
        )
    ]
    pushed = run("push", place, bundles[1], *given, "--parent", "champion", "--data", "photos")
    assert pushed["gates"] == {"passed": True, "summary": "Good."}
    assert pushed["parents"] == [registry.find("0").id]
    short = pushed["id"][:10]
    run("promote", f"{place}#{short}", "--to", "challenger", "--why", "canary", "--expect", "")
    difference = run("diff", place)
    assert difference["relation"] == "descends from it"
    assert difference["metrics"] == {"cider": [None, 63.0]}
    moved = run("promote", place, "--why", "better", "--by", "ann")
    assert (moved["alias"], moved["version"], moved["by"]) == ("champion", pushed["id"], "ann")
    assert run("show", place)["id"] == pushed["id"]
    assert run("list", place)["versions"][1]["aliases"] == ["challenger", "champion"]
    assert run("clear", f"{place}#challenger", "--why", "done")["version"] == ""
    assert run("rollback", place, "--why", "worse")["version"] == registry.find("0").id
    assert [move["action"] for move in run("history", place)] == ["promote", "rollback"]
    assert run("note", f"{place}#{short}", "--why", "seen", "--by", "ann")["why"] == "seen"
    assert run("show", f"{place}#{short}")["notes"][0]["by"] == "ann"
    assert run("verify", place)["problems"] == []
    assert run("prune", place, "--dry-run")["versions"] == []


def test_a_version_travels_from_one_registry_to_another(
    run: Run, registry: Registry, bundles: list[Path], tmp_path: Path
) -> None:
    pushed = run("push", registry.where, bundles[2])
    run("pull", f"{registry.where}#{pushed['id']}", tmp_path / "pulled")
    run("pull", f"{registry.where}#{pushed['id']}", tmp_path / "bundle.zip", "--bundle")
    assert run("push", tmp_path / "second", tmp_path / "pulled")["id"] == pushed["id"]
    assert (
        run("push", tmp_path / "third", f"registry:{tmp_path / 'second'}#{pushed['id']}")["id"]
        == pushed["id"]
    )
    assert run("push", tmp_path / "fourth", tmp_path / "bundle.zip")["id"] == pushed["id"]
    (tmp_path / "pulled" / "bundle" / "decoder.onnx").write_bytes(b"changed")
    assert "not the original" in run("push", tmp_path / "fifth", tmp_path / "pulled", code=1)
    assert "exists already" in run("pull", f"{registry.where}#0", tmp_path / "pulled", code=1)


def test_errors_are_told_with_what_to_do(
    run: Run, registry: Registry, bundles: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    place = registry.where
    id_ = run("push", place, bundles[1])["id"]
    assert "has not passed the gates" in run("promote", f"{place}#{id_}", "--why", "x", code=1)
    assert "stands for no version" in run("promote", place, "--why", "x", code=1)
    assert "no version that begins" in run("show", f"{place}#abcdef01", code=1)
    assert "always a champion" in run("clear", f"{place}#champion", "--why", "x", code=2)
    record = registry.find(id_).manifest.files["bundle/decoder.onnx"].sha256
    (Path(place) / "objects" / record[:2] / record).write_bytes(b"")
    assert len(run("verify", place, code=1)["problems"]) == 1
    assert main(["registry", "promote", place]) == 2  # nobody said why
    assert main(["registry", "push", "", str(bundles[1])]) == 2
    assert "No registry is named" in capsys.readouterr().err


def test_a_model_s_uri_may_name_a_version(
    registry: Registry, bundles: list[Path], tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    id_ = run("push", registry.where, bundles[1])["id"]
    Image.new("RGB", (30, 20), "red").save(tmp_path / "red.png")
    said = []
    for model in (f"registry:{registry.where}#{id_}", str(bundles[1])):
        assert main(["caption", str(tmp_path / "red.png"), "--model", model]) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
    assert main(["bundle", "show", f"registry:{registry.where}#{id_}"]) == 0


def test_what_people_read(
    registry: Registry, bundles: list[Path], capsys: pytest.CaptureFixture[str], run: Run
) -> None:
    id_ = run("push", registry.where, bundles[1])["id"]
    place = registry.where
    for words in (
        ["promote", f"{place}#{id_[:9]}", "--why", "x", "--override-gates"],
        ["note", place, "--why", "seen"],
        ["list", place],
        ["show", place],
        ["history", place],
        ["diff", f"{place}#0", "champion"],
        ["verify", place],
        ["prune", place],
    ):
        assert main(["registry", *words]) == 0
    out = capsys.readouterr().out
    assert "gates overridden" in out
    assert "no gates" in out
    assert ": seen" in out
    assert "all intact" in out


@pytest.mark.slow
def test_to_mlflow_and_back(
    run: Run, registry: Registry, bundles: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlflow")
    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    (tmp_path / "metrics.json").write_text('{"dev set": {"cider": 63.0}}', encoding="utf-8")
    id_ = run("push", registry.where, bundles[1], f"--metrics={tmp_path / 'metrics.json'}")["id"]
    run("promote", f"{registry.where}#{id_}", "--to", "best", "--why", "x")
    model = ["--name", "captions", "--uri", uri]
    exported = run("export-mlflow", f"{registry.where}#{id_}", *model)
    assert exported == {"name": "captions", "version": "1"}
    assert run("export-mlflow", f"{registry.where}#{id_}", *model) == exported
    for chosen in ([], ["--alias", "best"], ["--number", "1"]):
        assert run("import-mlflow", tmp_path / "other", *model, *chosen)["id"] == id_
    assert "MLflow" in run("import-mlflow", tmp_path / "other", "--name", "none", "--uri", uri, code=1)
