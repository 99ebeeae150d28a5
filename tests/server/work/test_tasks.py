"""What messages do to a worker's pool."""

from __future__ import annotations

from typing import ClassVar

import pytest

from cutline.server.jobs import hints
from cutline.server.work import tasks


class Pool:
    """Counts how often it is woken."""

    made: ClassVar[list[Pool]] = []

    def __init__(self, *arguments: object, **options: object) -> None:
        self.woken = 0
        self.made.append(self)

    def start(self) -> None:
        """Start."""

    def wake(self) -> None:
        """Count."""
        self.woken += 1

    def stop(self, timeout_s: float) -> None:
        """Stop."""


def test_a_message_after_the_stop_begins_no_other_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pool, "made", [])
    monkeypatch.setattr(tasks, "WorkerPool", Pool)
    monkeypatch.setattr(hints, "listen", lambda listener: None)
    monkeypatch.setattr(tasks, "_pool", None)
    tasks.work()
    assert not Pool.made
    tasks.start_pool()
    tasks.work()
    tasks.stop_pool(0)
    tasks.work()
    assert [pool.woken for pool in Pool.made] == [1]
