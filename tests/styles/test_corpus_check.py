"""The check of the corpus finds each kind of fault: else `make check` would say nothing of it."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "recipes" / "styles"


@pytest.fixture(scope="module")
def check() -> ModuleType:
    spec = importlib.util.spec_from_file_location("styles_check", FOLDER / "check.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def row(check: ModuleType) -> Any:
    return check.Row(
        id="0001", description="A dog runs along the beach.", source="coco:1", tone="quirky",
        audience="personal", length="medium", hashtags=1, emoji=False, restraint=False, split="train",
        caption="All paws and no plans: this dog has the whole beach to itself. #BeachDog",
    )  # fmt: skip


def test_a_good_row_has_no_fault(check: ModuleType, row: Any) -> None:
    assert list(check.corpus_faults([row], check.load_tones())) == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"caption": "All paws and no plans: this dog and a cat have the beach. #Beach"}, "'cat' is not in"),
        (
            {"caption": "All paws and no plans: three dogs have the whole long beach. #Beach"},
            "'three' is not in",
        ),
        ({"caption": "All paws and no plans, says Rex, who has the whole beach. #Beach"}, "'rex' is not in"),
        ({"caption": "A dog, and no plans at all. #Beach"}, "letters"),
        ({"caption": "All paws and no plans: this dog has the whole beach to itself."}, "0 hashtags of 1"),
        ({"caption": "All paws and no plans: #Beach this dog has it all to itself."}, "stand at the end"),
        ({"caption": "All paws and no plans: this dog has the beach to itself \u2728 #Beach"}, "1 emoji"),
        ({"emoji": True}, "0 emoji"),
        ({"tone": "unheard-of"}, "does not stand in tones.yaml"),
        ({"audience": "martian"}, "out of range"),
        ({"split": "dev"}, "no split dev"),
        ({"tone": "mischievous"}, "is not to be trained on"),
    ],
)
def test_each_fault_of_a_row_is_told(check: ModuleType, row: Any, changes: dict[str, Any], told: str) -> None:
    faults = list(check.corpus_faults([replace(row, **changes)], check.load_tones()))
    assert len(faults) == 1, faults
    assert told in faults[0]


def test_restraint_may_leave_out_hashtags_and_length(check: ModuleType, row: Any) -> None:
    sober = replace(row, restraint=True, caption="A dog runs along the beach.", emoji=True, length="long")
    assert list(check.corpus_faults([sober], check.load_tones())) == []


def test_rows_that_are_alike_are_told(check: ModuleType, row: Any) -> None:
    twin = replace(row, id="0002", description="A dog on a beach.", tone="dry")
    [fault] = check.corpus_faults([row, twin], check.load_tones())
    assert fault.startswith("0002: as 0001")


def test_one_opening_too_often_is_told(check: ModuleType, row: Any) -> None:
    rows = [
        replace(row, id=str(n), description=f"{row.description} {'again ' * n}", caption=text)
        for n, text in enumerate(
            f"All paws and no {word}: this dog has the whole beach to itself. #BeachDog"
            for word in ("plans", "fear", "hurry", "doubts")
        )
    ]
    [fault] = check.corpus_faults(rows, check.load_tones())
    assert "4 captions begin 'all paws and no'" in fault


def test_a_held_out_description_that_is_trained_on_is_told(check: ModuleType, row: Any) -> None:
    held_out = replace(
        row, id="0002", split="held-out", tone="mischievous", caption=row.caption.replace("All", "Oh")
    )
    [fault] = check.corpus_faults([row, held_out], check.load_tones())
    assert "is trained on, too" in fault


def test_a_corpus_that_is_too_small_is_told(check: ModuleType, row: Any) -> None:
    assert len(list(check.size_faults([row]))) == 2
