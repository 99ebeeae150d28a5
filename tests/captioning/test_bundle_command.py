from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny_bundle import edit_manifest

from cutline.captioning.bundle import manifest_schema, read_bundle
from cutline.cli.main import main


def test_show_says_what_a_bundle_is(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundle", "show", str(bundle)]) == 0
    shown = capsys.readouterr().out
    for fact in ("tiny@0.1.0", "CC0-1.0", "transformer, 2 x 3 grid, 9 tokens", "12 x 12 px", "beam_size 3"):
        assert fact in shown
    assert main(["bundle", "show", str(bundle), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads((bundle / "bundle.json").read_text())


def test_verify_passes_a_sound_bundle_and_names_the_damage_of_another(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bundle", "verify", str(bundle)]) == 0
    assert "is valid: tiny@0.1.0, 4 files" in capsys.readouterr().out
    (bundle / "MODEL_CARD.md").write_text("# Tiny\n\nRandom weights, for fools.\n")
    assert main(["bundle", "verify", str(bundle)]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "MODEL_CARD.md" in captured.err
    assert "SHA-256 differs" in captured.err


def test_verify_writes_as_long_a_sentence_as_the_bundle_promises(
    bundle: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    architecture = json.loads((bundle / "bundle.json").read_text())["architecture"]
    edit_manifest(bundle, architecture=architecture | {"max_tokens": 90})
    assert main(["bundle", "verify", str(bundle)]) == 1
    assert "does not run with the shapes in bundle.json" in capsys.readouterr().err


def test_export_makes_a_zip_and_a_folder_again_and_spares_what_stands_there(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive, folder = tmp_path / "copy.zip", tmp_path / "deep" / "copy"
    assert main(["bundle", "export", str(archive), "--from", str(bundle)]) == 0
    assert main(["bundle", "export", str(folder), "--from", str(archive)]) == 0
    assert read_bundle(folder).files == read_bundle(bundle).files
    before = archive.read_bytes()
    assert main(["bundle", "export", str(archive), "--from", str(folder)]) == 1
    assert "exists already" in capsys.readouterr().err
    assert archive.read_bytes() == before
    assert main(["bundle", "export", str(archive), "--from", str(folder), "--force"]) == 0


def test_a_place_without_a_bundle_is_one_clear_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bundle", "show", str(tmp_path / "none")]) == 1
    assert "There is no bundle at" in capsys.readouterr().err


def test_the_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bundle", "schema"]) == 0
    assert json.loads(capsys.readouterr().out) == manifest_schema()
