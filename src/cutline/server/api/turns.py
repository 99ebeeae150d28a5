"""Turns: while others ask too, a network has a few requests in work at once, and for some of the time.

Each request in work holds a thread, and all threads share one interpreter. Whoever sends many at once would
get as many shares of it as they send, and everybody else one. A request waits when all of it has come, and
gives its turn back when its answer begins: who sends or reads slowly holds none.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from cutline.errors import CutlineError
from cutline.server.api.asgi_types import App, Receive, Scope, Send
from cutline.server.people.viewers import address_of_scope
from cutline.server.rates import network_of
from cutline.server.shares import TooManyAtOnce, Work

_UNMARKED = ("/healthz", "/readyz", "/metrics")  # whoever watches the service waits for nobody
_RECENT_S = 3.0  # for so long after a request its network counts as one that asks
PATIENCE_S = 30.0
_ALIKE_S = 0.4  # so much more work than for others is done for a network before it has one request at a time
_AT_ONCE_S = 1.0  # and so much more before it rests
_WORK = 0.2  # then so much of the time
_GAP_S = 0.5  # for so long whoever is ahead waits for a moment in which nobody else is in work
_LOOK_AGAIN_S = 0.01


Turn: TypeAlias = asyncio.Future[None]


class Stopped(Exception):
    """A request goes no further: not even Django's own handling of errors shall answer it."""

    def __init__(self, error: CutlineError) -> None:
        super().__init__(error.message)
        self.error = error


@dataclass(slots=True)
class _Network:
    work: Work
    seen: float
    ended: float = 0.0  # when its last turn did
    waiting: deque[Turn] = field(default_factory=deque)
    wakes: asyncio.TimerHandle | None = None


class Turns:
    """Who is in work, and who waits. For one event loop.

    alone, shared: how many one network has in work, while nobody else asks, and while others do. Then whoever
    has had more work done than another has one at a time, between those of others; with much more it rests.
    """

    def __init__(self, *, alone: int, shared: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._alone = alone
        self._shared = shared
        self._clock = clock
        self._networks: OrderedDict[str, _Network] = OrderedDict()  # whoever was seen last is the last

    def ask(self, name: str) -> Turn:
        """Ask for a turn: it is done as soon as it has come. Give it back in any case."""
        network = self._seen(name)
        turn: Turn = asyncio.get_running_loop().create_future()
        network.waiting.append(turn)
        self._grant(network)
        return turn

    def give_back(self, name: str, turn: Turn) -> None:
        """End a turn, or wait for it no longer: the next of the same network has it."""
        network = self._seen(name)
        if turn.done():
            network.work.add(-1, network.seen)
            network.ended = network.seen
        else:
            network.waiting.remove(turn)
        self._grant(network)

    @asynccontextmanager
    async def taken(self, name: str) -> AsyncIterator[None]:
        """Have a turn meanwhile. Raises TooManyAtOnce where it does not come in time."""
        turn = self.ask(name)
        try:
            await asyncio.wait({turn}, timeout=PATIENCE_S)
            if not turn.done():
                raise too_many()
            yield
        finally:
            self.give_back(name, turn)

    def is_shared(self) -> bool:
        """Whether more than one network asks."""
        return self._has_others()

    def _seen(self, name: str) -> _Network:
        now = self._clock()
        network = self._networks.setdefault(name, _Network(work=Work(_WORK, now), seen=now))
        network.seen = now
        self._networks.move_to_end(name)
        return network

    def _grant(self, network: _Network) -> None:
        while network.waiting:
            ahead_s = self._ahead_s(network)
            if network.work.count >= self._most(ahead_s):
                return
            if rest_s := self._rest_s(network, ahead_s):
                self._wake_later(network, rest_s)
                return
            network.waiting.popleft().set_result(None)
            network.work.add(1, self._clock())

    def _rest_s(self, network: _Network, ahead_s: float) -> float:
        """How long a network waits before it is looked at again; 0: its turn has come."""
        if ahead_s > _AT_ONCE_S:
            return (ahead_s - _AT_ONCE_S) / _WORK
        if ahead_s <= _ALIKE_S or self._clock() - network.ended > _GAP_S:
            return 0.0
        others_work = any(each.work.count for each in self._networks.values() if each is not network)
        return _LOOK_AGAIN_S if others_work else 0.0

    def _most(self, ahead_s: float) -> int:
        """How many a network has in work that had so much more done than another."""
        if not self._has_others():
            return self._alone
        return self._shared if ahead_s <= _ALIKE_S else 1

    def _ahead_s(self, network: _Network) -> float:
        """How much more work it had done than whoever had the least; nothing, while it had little."""
        now = self._clock()
        its_own = network.work.seconds(now)
        if its_own <= _ALIKE_S or not self._has_others():
            return 0.0
        return its_own - min(each.work.seconds(now) for each in self._networks.values())

    def _wake_later(self, network: _Network, seconds: float) -> None:
        def wake() -> None:
            network.wakes = None
            network.seen = self._clock()
            self._grant(network)

        if network.wakes is None and not network.work.count:  # else whoever is in work wakes the next
            network.wakes = asyncio.get_running_loop().call_later(min(seconds, _RECENT_S), wake)

    def _has_others(self) -> bool:
        """Whether more than one network asks. Forgets those that ask no longer."""
        long_ago = self._clock() - _RECENT_S
        while self._networks:
            name, network = next(iter(self._networks.items()))
            if network.seen >= long_ago:
                break
            del self._networks[name]
            if network.work.count or network.waiting:
                self._networks[name] = network
                network.seen = self._clock()
        return len(self._networks) > 1


TURNS = Turns(alone=64, shared=2)
"""Of the requests of this process."""


def network_of_scope(scope: Scope) -> str:
    """Whose turn a request needs."""
    return network_of(address_of_scope(scope))


def in_turn(app: App) -> App:
    """Wrap Django: a request begins when it is its network's turn."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] in _UNMARKED:
            await app(scope, receive, send)
            return
        request = _InTurn(network_of_scope(scope), receive, send)
        try:
            await app(scope, request.receive, request.send)
        finally:
            request.end()

    return answer


class _InTurn:
    """One request that has a turn from the end of its body to the beginning of its answer."""

    def __init__(self, name: str, receive: Receive, send: Send) -> None:
        self._name = name
        self._receive = receive
        self._send = send
        self._is_whole = False
        self._turn: Turn | None = None

    async def receive(self) -> MutableMapping[str, Any]:
        """The next message; the one that ends the body, in turn. Raises Stopped."""
        message = await self._receive()
        if self._is_whole or message["type"] != "http.request" or message.get("more_body", False):
            return message
        self._is_whole = True
        return message if await self._has_turn() else {"type": "http.disconnect"}

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Send on; the turn ends where the answer begins."""
        self.end()
        await self._send(message)

    def end(self) -> None:
        """Give the turn back, if there is one."""
        turn, self._turn = self._turn, None
        if turn is not None:
            TURNS.give_back(self._name, turn)

    async def _has_turn(self) -> bool:
        """Wait for the turn; False where the client leaves before. Raises Stopped."""
        self._turn = TURNS.ask(self._name)
        if self._turn.done():
            return True
        leaving = asyncio.ensure_future(self._leaving())
        try:
            await asyncio.wait({self._turn, leaving}, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
        if self._turn.done():
            return True
        self.end()
        if not leaving.done():
            raise Stopped(too_many())
        return False

    async def _leaving(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass


def too_many() -> TooManyAtOnce:
    """The error for a request whose turn did not come in time."""
    return TooManyAtOnce(
        "Too many requests at once from your network.", hint="Wait until some of them have ended."
    )
