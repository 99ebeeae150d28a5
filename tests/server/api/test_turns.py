"""While others ask too, one network has few requests in work at once, and its others wait for their turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from cutline.server.api import turns
from cutline.server.api.turns import Stopped, Turns, in_turn
from cutline.server.shares import TooManyAtOnce

pytestmark = pytest.mark.asyncio

HERE, THERE = "192.0.2.1", "198.51.100.1"


class Clock:
    """A clock that stands still until it is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def made(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Turns:
    found = Turns(alone=3, shared=1, clock=clock)
    monkeypatch.setattr(turns, "TURNS", found)
    return found


async def test_nobody_waits_while_nobody_else_asks(made: Turns) -> None:
    asked = [made.ask(HERE) for _ in range(4)]
    assert [each.done() for each in asked] == [True, True, True, False]
    made.give_back(HERE, asked[1])
    assert asked[3].done()


async def test_while_others_ask_one_network_waits_and_the_others_do_not(made: Turns) -> None:
    other = made.ask(THERE)
    first, second, third = (made.ask(HERE) for _ in range(3))
    assert (other.done(), first.done(), second.done(), third.done()) == (True, True, False, False)
    made.give_back(HERE, second)  # it waits no longer
    made.give_back(HERE, first)
    assert third.done()


async def test_who_was_here_alone_waits_once_somebody_comes(made: Turns) -> None:
    asked = [made.ask(HERE) for _ in range(3)]
    assert made.ask(THERE).done()
    made.give_back(HERE, asked[0])
    waiting = made.ask(HERE)
    made.give_back(HERE, asked[1])
    assert not waiting.done()
    made.give_back(HERE, asked[2])
    assert waiting.done()


async def test_whoever_has_gone_for_a_while_counts_no_longer(made: Turns, clock: Clock) -> None:
    made.give_back(THERE, made.ask(THERE))
    held, waiting = made.ask(HERE), made.ask(HERE)
    assert not waiting.done()
    clock.now = 60.0
    assert made.ask(HERE).done()
    assert waiting.done()
    made.give_back(HERE, held)


async def test_nobody_is_many(made: Turns, clock: Clock) -> None:
    assert not made.is_shared()
    made.give_back(HERE, made.ask(HERE))
    made.give_back(THERE, made.ask(THERE))
    assert made.is_shared()
    clock.now = 60.0
    assert not made.is_shared()


async def test_whoever_is_in_work_for_long_still_counts(made: Turns, clock: Clock) -> None:
    made.ask(THERE)
    clock.now = 60.0
    assert [made.ask(HERE).done() for _ in range(2)] == [True, False]


async def test_whoever_has_had_much_work_done_rests_while_others_ask(made: Turns, clock: Clock) -> None:
    made.give_back(THERE, made.ask(THERE))
    turn = made.ask(HERE)
    clock.now = 2.0
    made.give_back(HERE, turn)
    waiting = made.ask(HERE)
    assert made.ask("203.0.113.1").done()
    assert not waiting.done()
    clock.now = 6.0
    made.ask(HERE)
    assert waiting.done()


async def test_whoever_has_had_more_work_done_has_one_at_a_time(clock: Clock) -> None:
    made = Turns(alone=3, shared=2, clock=clock)
    made.give_back(THERE, made.ask(THERE))
    held = [made.ask(HERE), made.ask(HERE)]
    assert held[1].done()
    clock.now = 0.35
    for turn in held:
        made.give_back(HERE, turn)
    assert [made.ask(HERE).done() for _ in range(2)] == [True, False]
    assert [made.ask(THERE).done() for _ in range(2)] == [True, True]


async def test_whoever_has_had_more_work_done_begins_while_nobody_else_is_in_work(clock: Clock) -> None:
    made = Turns(alone=3, shared=2, clock=clock)
    turn = made.ask(HERE)
    clock.now = 0.9
    theirs = made.ask(THERE)
    made.give_back(HERE, turn)
    waiting = made.ask(HERE)
    assert not waiting.done()
    made.give_back(THERE, theirs)
    await asyncio.wait_for(waiting, 60)


async def test_whoever_is_ahead_waits_for_a_gap_only_so_long(clock: Clock) -> None:
    made = Turns(alone=3, shared=2, clock=clock)
    turn = made.ask(HERE)
    clock.now = 0.9
    made.ask(THERE)
    made.give_back(HERE, turn)
    waiting = made.ask(HERE)
    assert not waiting.done()
    clock.now = 1.45
    await asyncio.wait_for(waiting, 60)


async def test_of_those_who_have_much_work_done_alike_nobody_rests(made: Turns, clock: Clock) -> None:
    held = {network: made.ask(network) for network in (HERE, THERE)}
    for network, turn in held.items():
        clock.now += 2.0
        made.give_back(network, turn)
        assert made.ask(network).done()


async def test_a_turn_that_does_not_come_is_refused(made: Turns, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "PATIENCE_S", 0.0)
    made.ask(THERE)
    async with made.taken(HERE):
        with pytest.raises(TooManyAtOnce):
            async with made.taken(HERE):
                pytest.fail("It had no turn.")
    async with made.taken(HERE):  # nothing is left of it
        pass


# -- requests ----------------------------------------------------------------------------------------------


class Request:
    """A request that comes in two pieces, to an application that answers when it may."""

    def __init__(self, address: str = HERE) -> None:
        self.scope = {"type": "http", "path": "/", "client": (address, 1), "headers": []}
        self.last = asyncio.Event()  # the client sends its last piece
        self.gone = asyncio.Event()  # the client leaves
        self.may_answer = asyncio.Event()
        self.in_work = asyncio.Event()
        self.sent: list[str] = []
        self._pieces = [True, False]
        running = in_turn(self._app)(self.scope, self._receive, self._send)
        self.running: asyncio.Future[None] = asyncio.ensure_future(running)

    async def _receive(self) -> Any:
        if not self._pieces:
            await self.gone.wait()
            return {"type": "http.disconnect"}
        more = self._pieces.pop(0)
        if not more:
            await self.last.wait()
        return {"type": "http.request", "body": b"x", "more_body": more}

    async def _send(self, message: Any) -> None:
        self.sent.append(message["type"])

    async def _app(self, scope: Any, receive: Callable[[], Any], send: Callable[[Any], Any]) -> None:
        while (message := await receive()).get("more_body"):
            pass
        if message["type"] == "http.disconnect":
            return
        self.in_work.set()
        await self.may_answer.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await self.gone.wait()  # a slow reader


async def steps() -> None:
    """Let everything run that can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_request_has_its_turn_from_the_end_of_its_body_to_the_beginning_of_its_answer(
    made: Turns,
) -> None:
    made.ask(THERE)
    slow, first, second = Request(), Request(), Request()
    first.last.set()
    await first.in_work.wait()  # though another is still being sent
    second.last.set()
    await steps()
    assert not second.in_work.is_set()
    first.may_answer.set()
    await second.in_work.wait()  # though the first answer is still being read
    slow.last.set()
    await steps()
    assert not slow.in_work.is_set()
    for each in (first, second, slow):
        each.may_answer.set()
        each.gone.set()
        await each.running
        assert each.sent == ["http.response.start"]


async def test_whoever_leaves_while_they_wait_costs_nothing(made: Turns) -> None:
    made.ask(THERE)
    first, second = Request(), Request()
    first.last.set()
    await first.in_work.wait()
    second.last.set()
    await steps()
    second.gone.set()
    await second.running
    assert (second.in_work.is_set(), second.sent) == (False, [])
    first.may_answer.set()
    first.gone.set()
    await first.running
    async with made.taken(HERE):
        pass


async def test_a_request_waits_only_so_long(made: Turns, monkeypatch: pytest.MonkeyPatch) -> None:
    made.ask(THERE)
    made.ask(HERE)
    monkeypatch.setattr(turns, "PATIENCE_S", 0.0)
    request = Request()
    request.last.set()
    with pytest.raises(Stopped):
        await request.running
    assert not request.in_work.is_set()
