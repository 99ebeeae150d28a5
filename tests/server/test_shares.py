"""What is little is shared out: nobody gets so much that others get nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from cutline.server.errors import ServiceUnavailable
from cutline.server.shares import FairBudget, Pace, Payer
from tests.server.services.process import wait_until

ANSWERS_S = 60.0


def budget(
    total: int = 100, at_once: int = 8, before_waiting: Callable[[], None] = lambda: None
) -> FairBudget:
    return FairBudget("work", total=lambda: total, at_once=lambda: at_once, before_waiting=before_waiting)


def payer(*names: str, patience_s: float = ANSWERS_S) -> Payer:
    return Payer(names=names, patience_s=patience_s)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def in_turn(
    threads: ThreadPoolExecutor, shares: FairBudget, amount: int, who: Payer, done: list[str]
) -> Future[None]:
    """Take a share in a thread of its own, which has asked for it when this returns."""
    asked = len(shares._waiting) + len(done)

    def take() -> None:
        with shares.taken(amount, who):
            done.append(who.names[0])

    future = threads.submit(take)
    wait_until(lambda: len(shares._waiting) + len(done) > asked, what="the thread")
    return future


def test_what_does_not_fit_waits_until_it_does(threads: ThreadPoolExecutor) -> None:
    lent: list[str] = []
    shares = budget(before_waiting=lambda: lent.append("connection"))
    done: list[str] = []
    with shares.taken(60, payer("a")):
        waiting = in_turn(threads, shares, 60, payer("b"), done)
        assert not done
    waiting.result(ANSWERS_S)
    assert done == ["b"]
    assert lent == ["connection"]  # by the one that waited alone


def test_one_payer_has_at_most_half_of_it(threads: ThreadPoolExecutor) -> None:
    shares = budget()
    done: list[str] = []
    with shares.taken(30, payer("a")):
        waiting = in_turn(threads, shares, 30, payer("a"), done)
        with shares.taken(30, payer("b")):  # who comes later, and has nothing yet
            assert not done
    waiting.result(ANSWERS_S)


def test_every_name_of_a_payer_counts(threads: ThreadPoolExecutor) -> None:
    shares = budget()
    done: list[str] = []
    with shares.taken(30, payer("account 1", "address")):
        waiting = in_turn(threads, shares, 30, payer("account 2", "address"), done)
        assert not done
    waiting.result(ANSWERS_S)


def test_what_is_larger_than_all_of_it_is_taken_alone(threads: ThreadPoolExecutor) -> None:
    shares = budget()
    done: list[str] = []
    with shares.taken(1000, payer("a")):
        waiting = in_turn(threads, shares, 1, payer("b"), done)
        assert not done
    waiting.result(ANSWERS_S)


def test_whoever_has_least_goes_first(threads: ThreadPoolExecutor) -> None:
    shares = budget(at_once=4)
    done: list[str] = []
    with ExitStack() as all_of_it, ExitStack() as one:
        one.enter_context(shares.taken(1, payer("a")))
        all_of_it.enter_context(shares.taken(1, payer("a")))
        all_of_it.enter_context(shares.taken(1, payer("b")))
        all_of_it.enter_context(shares.taken(1, payer("b")))
        waiting = [in_turn(threads, shares, 1, payer(name), done) for name in ("a", "a", "newcomer")]
        one.close()
        waiting[2].result(ANSWERS_S)
        assert done[0] == "newcomer"
    for each in waiting:
        each.result(ANSWERS_S)


def test_whoever_waits_too_long_is_told_when_to_come_again() -> None:
    shares = budget()
    with (
        shares.taken(100, payer("a")),
        pytest.raises(ServiceUnavailable) as refusal,
        shares.taken(100, payer("b", patience_s=0.01)),
    ):
        pass
    assert refusal.value.retry_after_s
    with shares.taken(100, payer("c")):  # nothing is left behind
        pass


def test_too_many_who_wait_are_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cutline.server.shares._WAITING_OF_ONE", 0)
    shares = budget()
    with shares.taken(100, payer("a")), pytest.raises(ServiceUnavailable), shares.taken(1, payer("b")):
        pass


def test_a_pace_lets_some_go_at_once_and_the_others_one_by_one() -> None:
    now = [0.0]
    pace = Pace(10, at_once=2, clock=lambda: now[0])
    assert [pace.wait_s("a") for _ in range(4)] == pytest.approx([0.0, 0.0, 0.1, 0.2])
    assert pace.wait_s("b") == 0.0
    now[0] = 60.0
    assert [pace.wait_s("a") for _ in range(3)] == pytest.approx([0.0, 0.0, 0.1])
