"""What processes and their children use: the most memory in a while, and processor time."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

_EVERY_S = 0.1


class Memory:
    """Looks at what processes have in memory, all together, until it is left: with Memory(pids) as memory."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._pids = pids
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self.peak_mb = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(_EVERY_S):
            self.peak_mb = max(self.peak_mb, resident_mb(self._pids))


def resident_mb(pids: Sequence[int]) -> int:
    """What processes and their children have in memory now."""
    return sum(map(_resident_mb, _with_children(pids)))


def cpu_s(pids: Sequence[int]) -> float:
    """How long processors have worked for processes and their children so far, in seconds."""
    return sum(map(_worked_s, _with_children(pids)))


def _worked_s(pid: int) -> float:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:  # it has ended
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_mb(pid: int) -> int:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:  # it has ended
        return 0
    return int(status.partition("VmRSS:")[2].split()[0]) // 1024 if "VmRSS:" in status else 0


def _with_children(pids: Iterable[int]) -> list[int]:
    found = list(pids)
    for pid in found:  # grows while it is read
        try:
            tasks = [each.read_text() for each in Path(f"/proc/{pid}/task").glob("*/children")]
        except OSError:
            continue
        found += [int(child) for text in tasks for child in text.split()]
    return found
