"""The fuzzer itself: what it takes for a failure, and that a seed gives the same inputs again."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import strategies as st

from cutline.errors import UnreadableImage
from tests.fuzz.targets import Target
from tests.fuzz.worker import TooMuchMemory, TooSlow, Trial, _round

ROOT = Path(__file__).parents[2]


def trial_of(
    try_out: Callable[[bytes], object], folder: Path, *, limit_s: float = 60, limit_mb: int = 10_000
) -> tuple[Trial, Target]:
    target = Target(inputs=st.binary(max_size=8), try_out=try_out)
    return Trial(target, folder / "input.bin", limit_s=limit_s, limit_mb=limit_mb), target


def test_an_error_of_our_own_is_an_answer(tmp_path: Path) -> None:
    def refuse(data: bytes) -> None:
        raise UnreadableImage("no")

    trial, target = trial_of(refuse, tmp_path)
    _round(trial, target, 1)
    assert trial.refused == trial.count > 0


def test_any_other_exception_is_a_failure_and_its_input_is_kept(tmp_path: Path) -> None:
    def fail(data: bytes) -> None:
        if len(data) > 2:
            raise KeyError(data)

    trial, target = trial_of(fail, tmp_path)
    with pytest.raises(KeyError):
        _round(trial, target, 1)
    assert (tmp_path / "input.bin").read_bytes() == b"\0\0\0"  # made as small as it goes


def test_what_takes_too_long_or_too_much_memory_is_a_failure(tmp_path: Path) -> None:
    trial, _ = trial_of(lambda data: None, tmp_path, limit_s=-1)
    with pytest.raises(TooSlow):
        trial.run(b"")
    trial, _ = trial_of(lambda data: None, tmp_path, limit_mb=-1)
    with pytest.raises(TooMuchMemory):
        trial.run(b"")


@pytest.mark.slow
def test_a_seed_gives_the_same_inputs_again() -> None:
    words = [sys.executable, "-m", "tests.fuzz", "--seconds", "0", "--target", "archives", "--seed", "5"]
    first, second = (
        subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout for _ in range(2)
    )
    assert "200 inputs with the seeds 5 to 5" in first
    assert first.partition(" refused")[0] == second.partition(" refused")[0]
