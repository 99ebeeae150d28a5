"""Fuzzes one target until its time is over.

python -m tests.fuzz.worker TARGET SEED SECONDS FOLDER LIMIT_S LIMIT_MB
"""

from __future__ import annotations

import faulthandler
import resource
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase, given, settings

from cutline.errors import CutlineError
from tests.fuzz.targets import TARGETS, Target

_ROUND = 200  # inputs of one seed
_TELL_EVERY_S = 30.0
_GRACE_S = 10  # after which an input that takes too long ends the process


class TooMuchMemory(Exception):
    """An input needed more memory than the limit."""


class TooSlow(Exception):
    """An input took longer than the limit."""


def main(name: str, seed: int, seconds: float, folder: Path, limit_s: float, limit_mb: int) -> None:
    """Fuzz in rounds, each with a seed of its own. What fails is raised, with the input in the folder."""
    target = TARGETS[name](folder)
    told = time.monotonic()
    end = told + seconds
    trial = Trial(target, folder / "input.bin", limit_s=limit_s, limit_mb=limit_mb)
    round_ = 0
    while round_ == 0 or time.monotonic() < end:
        trial.end = end
        try:
            _round(trial, target, seed + round_)
        except Exception:
            sys.stdout.write(f"failed with the seed {seed + round_}\n")
            raise
        round_ += 1
        if time.monotonic() > told + _TELL_EVERY_S:
            told = time.monotonic()
            _tell(trial, seed, seed + round_ - 1)
    _tell(trial, seed, seed + round_ - 1)


def _tell(trial: Trial, first: int, last: int) -> None:
    """Say how far it has come: whoever ends it later can go on with the next seed."""
    sys.stdout.write(
        f"{trial.count:,} inputs with the seeds {first} to {last}: {trial.refused:,} refused,"
        f" the slowest {trial.slowest_s:.2f} s, the largest {trial.largest_mb} MB\n"
    )
    sys.stdout.flush()


def _round(trial: Trial, target: Target, seed: int) -> None:
    @hypothesis.seed(seed)
    @settings(
        max_examples=_ROUND,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(target.inputs)
    def run(value: Any) -> None:
        trial.run(value)

    run()


class Trial:
    """Tries inputs one by one, and measures each."""

    def __init__(self, target: Target, kept: Path, *, limit_s: float, limit_mb: int) -> None:
        self._target, self._kept = target, kept
        self._limit_s, self._limit_mb = limit_s, limit_mb
        self.end = 0.0
        self.count = self.refused = self.largest_mb = 0
        self.slowest_s = 0.0

    def run(self, value: Any) -> None:
        """Try an input. Raises TooSlow, TooMuchMemory, or what the target should not have raised."""
        if time.monotonic() > self.end and self.count >= _ROUND:
            return  # the rest of a round costs nothing then
        self._kept.write_bytes(value if isinstance(value, bytes) else repr(value).encode())
        before_mb = _memory_mb(forget=True)
        faulthandler.dump_traceback_later(self._limit_s + _GRACE_S, exit=True)  # also where no Python runs
        began = time.monotonic()
        try:
            self._target.try_out(value)
        except CutlineError:
            self.refused += 1
        finally:
            faulthandler.cancel_dump_traceback_later()
        took_s = time.monotonic() - began
        took_mb = _memory_mb() - before_mb
        self.count += 1
        self.slowest_s = max(self.slowest_s, took_s)
        self.largest_mb = max(self.largest_mb, took_mb)
        if took_s > self._limit_s:
            raise TooSlow(f"{took_s:.1f} s")
        if took_mb > self._limit_mb:
            raise TooMuchMemory(f"{took_mb} MB")


def _memory_mb(*, forget: bool = False) -> int:
    """The most memory that this process has had, in MB; on Linux, since it was last forgotten."""
    try:
        if forget:
            Path("/proc/self/clear_refs").write_text("5")
        status = Path("/proc/self/status").read_text()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (
            2**20 if sys.platform == "darwin" else 2**10
        )
    return int(status.partition("VmHWM:")[2].split()[0]) // 2**10


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main(
        sys.argv[1],
        int(sys.argv[2]),
        float(sys.argv[3]),
        Path(sys.argv[4]),
        float(sys.argv[5]),
        int(sys.argv[6]),
    )
