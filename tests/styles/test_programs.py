"""The programs that show and measure the model that ships, run on a tiny one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import voices
from benchmarks import styles as benchmark
from cutline.evaluation.style_rows import Row
from cutline.styles import Voice
from cutline.styles.built_in import BuiltInWriter
from cutline.styles.causal import CausalModel
from cutline.styles.restyling import GuardedRestyler
from tests.tiny_writer import DOG, write_tiny_writer

pytest.importorskip("onnx")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_writer(tmp_path_factory.mktemp("model"))


def test_samples_stand_in_a_table_with_what_was_asked_for(folder: Path) -> None:
    restyler = GuardedRestyler(BuiltInWriter(CausalModel(folder)))
    rows = [
        Row(id="", family="dry", description=DOG, voice=Voice(tone=tone), caption="", restrained=False)
        for tone in ("dry", "tongue-in-cheek")
    ]
    page = voices.page(restyler, rows, seed=3, evaluation="# Captions in a voice\n")
    [trained, unseen] = [line for line in page.splitlines() if line.startswith(f"| {DOG}")]
    assert "| dry; personal, medium |" in trained
    assert "| tongue-in-cheek\\*; personal, medium |" in unseen
    assert page.endswith("## Captions in a voice\n")
    assert page == voices.page(restyler, rows, seed=3, evaluation="# Captions in a voice\n")


def test_time_and_memory_are_measured(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert benchmark.main(["--model", str(folder), "--captions", "2", "--only", "alone"]) == 0
    alone = json.loads(capsys.readouterr().out)
    assert 0 < alone["first_piece_s"] <= alone["whole_s"] <= alone["whole_p95_s"]
    assert alone["peak_mb"] > 10
    facts = {"busy": True, "cores": 2, "processor": "P", "memory_gb": 1, "system": "S", "python": "3"}
    found = {"machine": facts | {"load_before": 9}, "model": "m@1", "alone": alone, "beside": alone}
    assert benchmark.BUSY in benchmark.table(found)
    slow = found | {"beside": alone | {"first_piece_s": 0.5, "whole_s": 1.0, "peak_mb": 500}}
    assert [must.met for must in benchmark.musts(slow)] == [False, True, False]
