"""Clocks: for calls in this process, and for whole commands."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One command from start to end."""

    wall_s: float
    peak_mb: float


def in_turn(
    calls: Mapping[str, Callable[[], object]], *, rounds: int, repeats: Mapping[str, int] | None = None
) -> dict[str, float]:
    """Time calls in turn, round after round, and give each one's median seconds.

    Taking turns spreads whatever else the machine does over all of them. The first, untimed round warms up.
    ``repeats`` lets a short call run several times in its turn; each run counts.
    """
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for round_ in range(rounds + 1):
        for name, call in calls.items():
            for _ in range((repeats or {}).get(name, 1)):
                started = time.perf_counter()
                call()
                if round_:
                    seconds[name].append(time.perf_counter() - started)
    return {name: statistics.median(each) for name, each in seconds.items()}


# Linux counts the memory of the process that starts a command as the command's own until it has started. So a
# small interpreter starts it, and not this one, which may have grown.
_STARTER = """
import os, sys, time
null = (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)
started = time.perf_counter()
process = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=[null])
_, status, usage = os.wait4(process, 0)
print(time.perf_counter() - started, usage.ru_maxrss / 1024, os.waitstatus_to_exitcode(status))
"""


def command(arguments: Sequence[str]) -> Run:
    """Run a command and give its wall time and its peak memory, its children's included.

    Raises CalledProcessError where the command fails.
    """
    starter = [sys.executable, "-I", "-S", "-c", _STARTER, *arguments]
    done = subprocess.run(starter, stdout=subprocess.PIPE, text=True, check=True)
    wall_s, peak_mb, code = done.stdout.split()
    if code != "0":
        raise subprocess.CalledProcessError(int(code), arguments)
    return Run(wall_s=float(wall_s), peak_mb=float(peak_mb))


def median_run(runs: Sequence[Run]) -> Run:
    """The median time, with the highest memory."""
    return Run(wall_s=statistics.median(run.wall_s for run in runs), peak_mb=max(run.peak_mb for run in runs))
