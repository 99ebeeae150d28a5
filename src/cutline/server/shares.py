"""Shares of what a process has little of: memory for pixels, calls to other servers, connections.

Everything is taken on behalf of a payer (an account, or the network of somebody without one), and nobody gets
so much that others get nothing.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ClassVar

from cutline.server.errors import ServiceUnavailable, TooManyRequests

_WAITING_OF_ONE = 64  # more of one payer are refused at once: each that waits holds a thread
_WAITING = 256
_MOST_NAMES = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Payer:
    """On whose behalf something is taken, and how long it may be waited for."""

    names: tuple[str, ...] = ()  # none: the service itself
    patience_s: float = 600.0


@dataclass(slots=True, kw_only=True, eq=False)
class _Claim:
    amount: int
    names: tuple[str, ...]
    granted: threading.Event = field(default_factory=threading.Event)


class FairBudget:
    """So much of something for all threads, at most half of it for one payer's name; who comes later waits.

    What is more than there is in all may be taken when nothing else is: it only never runs beside another. A
    payer who holds nothing may always take one thing. Of those who wait, whoever's payer holds least goes
    first, then whoever came first.
    total and at_once: asked again each time. before_waiting: called once in a thread that is about to wait.
    """

    def __init__(
        self,
        what: str,
        *,
        total: Callable[[], int],
        at_once: Callable[[], int],
        before_waiting: Callable[[], None] = lambda: None,
    ) -> None:
        self._what = what
        self._total = total
        self._at_once = at_once
        self._before_waiting = before_waiting
        self._lock = threading.Lock()  # guards what follows
        self._waiting: list[_Claim] = []
        self._held: list[_Claim] = []

    @contextmanager
    def taken(self, amount: int, payer: Payer) -> Iterator[None]:
        """Have so much of it meanwhile. Raises ServiceUnavailable where it does not come in time."""
        claim = _Claim(amount=amount, names=payer.names or ("",))
        self._ask(claim)
        if not claim.granted.is_set():
            self._before_waiting()
            claim.granted.wait(payer.patience_s)
        with self._lock:
            if not claim.granted.is_set():
                self._waiting.remove(claim)
                raise self._refusal()
        try:
            yield
        finally:
            with self._lock:
                self._held.remove(claim)
                self._grant()

    def _ask(self, claim: _Claim) -> None:
        with self._lock:
            self._waiting.append(claim)
            self._grant()
            if claim.granted.is_set():
                return
            of_one = sum(each.names == claim.names for each in self._waiting)
            if of_one > _WAITING_OF_ONE or len(self._waiting) > _WAITING:
                self._waiting.remove(claim)
                raise self._refusal()

    def _grant(self) -> None:
        """Give to those who wait, while there is enough. The lock is held."""
        while claim := self._next():
            if self._held and not self._fits(claim, self._held, self._total(), self._at_once()):
                return  # nobody who wants less overtakes: what is large would wait for ever
            self._waiting.remove(claim)
            self._held.append(claim)
            claim.granted.set()

    def _next(self) -> _Claim | None:
        holding = Counter(name for each in self._held for name in each.names)
        may = [claim for claim in self._waiting if self._is_due(claim)]
        return min(may, key=lambda claim: max(holding[name] for name in claim.names), default=None)

    def _is_due(self, claim: _Claim) -> bool:
        for name in claim.names:
            held = [each for each in self._held if name in each.names]
            if held and not self._fits(claim, held, self._total() // 2, self._at_once() // 2):
                return False
        return True

    @staticmethod
    def _fits(claim: _Claim, held: Sequence[_Claim], total: int, at_once: int) -> bool:
        return len(held) < at_once and claim.amount + sum(each.amount for each in held) <= total

    def _refusal(self) -> ServiceUnavailable:
        return ServiceUnavailable(
            f"Too much {self._what} is asked for at once.", hint="Try again in a moment."
        )


class Work:
    """How long things were worked on for somebody, forgotten at the rate at which that may be done.

    rate: so much of the time. now: the seconds of a clock that only goes forward.
    """

    def __init__(self, rate: float, now: float) -> None:
        self._rate = rate
        self._at = now
        self._seconds = 0.0
        self.count = 0  # what is worked on now

    def seconds(self, now: float) -> float:
        """How much is not forgotten."""
        return max(0.0, self._seconds + (now - self._at) * (self.count - self._rate))

    def add(self, count: int, now: float) -> None:
        """From now on so many more are worked on; fewer, if negative."""
        self._seconds = self.seconds(now)
        self._at = now
        self.count += count


class TooManyAtOnce(TooManyRequests):
    """One account or address has too many requests or connections open."""

    retry_after_s: ClassVar[int] = 5


class Tally:
    """How much of something is in use, in all and under each name. Whatever is too much is refused at once.

    total and each: what may be in use in all, and under one name; asked again each time.
    """

    def __init__(self, what: str, *, total: Callable[[], int], each: Callable[[], int]) -> None:
        self._what = what
        self._total = total
        self._each = each
        self._lock = threading.Lock()
        self._in_use = 0
        self._by_name: Counter[str] = Counter()

    @contextmanager
    def held(self, *names: str, amount: int = 1) -> Iterator[None]:
        """Use so much meanwhile. Raises TooManyAtOnce for a name, ServiceUnavailable in all."""
        self.take(*names, amount=amount)
        try:
            yield
        finally:
            self.give_back(*names, amount=amount)

    def take(self, *names: str, amount: int = 1) -> None:
        """Use so much from now on. Raises as `held`; then nothing was taken."""
        with self._lock:
            if any(self._by_name[name] + amount > self._each() for name in names):
                raise TooManyAtOnce(
                    f"Too many {self._what} at once from your account or network.",
                    hint="Wait until some of them have ended.",
                )
            if self._in_use + amount > self._total():
                raise ServiceUnavailable(f"Too many {self._what} at once.", hint="Try again in a moment.")
            self._in_use += amount
            self._by_name.update(dict.fromkeys(names, amount))

    def give_back(self, *names: str, amount: int = 1) -> None:
        """Use so much no longer."""
        with self._lock:
            self._in_use -= amount
            for name in names:
                self._by_name[name] -= amount
                if not self._by_name[name]:
                    del self._by_name[name]


class Pace:
    """How fast each name may go on: so much at once, then so much a second.

    clock: in seconds.
    """

    def __init__(
        self, per_s: float, *, at_once: float = 0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_s = per_s
        self._at_once_s = at_once / per_s
        self._clock = clock
        self._used_until: dict[str, float] = {}

    def wait_s(self, name: str = "", amount: float = 1) -> float:
        """How long to wait before so much more is done for this name."""
        now = self._clock()
        if len(self._used_until) > _MOST_NAMES:
            self._used_until = {each: until for each, until in self._used_until.items() if until > now}
        until = max(now, self._used_until.get(name, now)) + amount / self._per_s
        self._used_until[name] = until
        return max(0.0, until - now - self._at_once_s)
