"""A line of threads: whoever came first is next."""

from __future__ import annotations

import threading
from collections import deque


class Line:
    """A lock that goes from hand to hand, in the order in which threads asked for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # guards what follows
        self._is_held = False
        self._waiting: deque[threading.Lock] = deque()

    def enter(self, patience_s: float) -> bool:
        """Wait to be the first; False where that took too long."""
        with self._lock:
            if not self._is_held:
                self._is_held = True
                return True
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        if turn.acquire(timeout=patience_s):
            return True
        with self._lock:
            if turn not in self._waiting:  # its turn came just now
                return True
            self._waiting.remove(turn)
            return False

    def leave(self) -> None:
        """Let the next one in."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._is_held = False
