"""How a process that waits is asked to stop by a signal."""

from __future__ import annotations

import math
import signal
import time


class StopRequest:
    """What a signal sets and the main thread waits for.

    No `threading.Event`: its lock may be held where the signal's handler sets it. And the main thread looks
    by itself: where another thread is being created, the kernel may give that one the signal, and then
    nothing wakes the main thread, in which Python runs handlers.
    """

    _LOOKS_EVERY_S = 0.2

    def __init__(self) -> None:
        self._is_set = False

    def set(self) -> None:
        """Ask for the stop."""
        self._is_set = True

    @property
    def is_set(self) -> bool:
        """Whether somebody asked."""
        return self._is_set

    def wait(self, timeout_s: float = math.inf) -> None:
        """Wait for it, at most so long, in the main thread."""
        end = time.monotonic() + timeout_s
        while not self._is_set and (left := end - time.monotonic()) > 0:
            time.sleep(min(left, self._LOOKS_EVERY_S))


def stop_requested() -> StopRequest:
    """What the first SIGTERM or SIGINT sets. A SIGINT after it ends the process at once.

    Call it before anything is started, so that a signal during the start is not lost. Further SIGTERMs are
    ignored: supervisors may repeat them, and have SIGKILL for slow processes. They are ignored rather than
    handled because Python removes handlers at its very end, where a SIGTERM would then kill the process.
    """
    stop = StopRequest()

    def request(number: int, frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        stop.set()

    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, request)
    return stop
