"""The sweep: every part runs, none keeps another back, and one process at a time does it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.cache import cache
from django.utils.module_loading import import_string

from cutline.server.work import scheduler
from tests.server.services.process import ANSWERS_S, wait_until

RAN: list[str] = []


def good() -> None:
    RAN.append("good")


def bad() -> None:
    RAN.append("bad")
    raise OSError("no disk")


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    RAN.clear()
    cache.clear()
    parts = [scheduler.RecurringTask(name=name, function=f"{__name__}.{name}") for name in ("bad", "good")]
    monkeypatch.setattr(scheduler, "RECURRING", parts)


def test_a_part_that_fails_keeps_no_other_back(caplog: pytest.LogCaptureFixture) -> None:
    scheduler.sweep()
    assert RAN == ["bad", "good"]
    assert "A recurring task failed: bad." in caplog.messages


def test_who_comes_second_in_an_interval_does_nothing() -> None:
    scheduler.sweep()
    scheduler.sweep()
    assert RAN == ["bad", "good"]


def test_no_mark_is_set_that_a_kill_could_leave_for_good(
    configure: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(sweep_s=1)
    monkeypatch.setattr(scheduler.cache, "add", lambda *arguments, **options: False)
    scheduler.sweep()  # 0.9 s would be 0, which a cache sets before it deletes it
    assert RAN == ["bad", "good"]


def test_it_sweeps_where_the_cache_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*arguments: object, **options: object) -> bool:
        raise ConnectionError

    monkeypatch.setattr(scheduler.cache, "add", away)
    scheduler.sweep()
    assert RAN == ["bad", "good"]


def test_the_clock_begins_soon_and_ends_when_told() -> None:
    clock = scheduler.Scheduler()
    clock.start()
    wait_until(lambda: "good" in RAN, what="the first sweep")
    clock.stop()
    clock._thread.join(ANSWERS_S)
    assert not clock._thread.is_alive()


def test_every_part_is_a_function_that_exists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert len(scheduler.RECURRING) > 5
    for part in scheduler.RECURRING:
        assert callable(import_string(part.function)), part.name


@pytest.mark.django_db(transaction=True)
def test_the_whole_sweep_runs_on_an_empty_service(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.undo()
    scheduler.sweep()
    assert [message for message in caplog.messages if "failed" in message] == []
