"""A server as a child process: in a group of its own, with its output in a file, gone when we are."""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import httpx

LAUNCHER = Path(__file__).with_name("launch.py")
ANSWERS_S = 300.0  # what takes so long never comes, however busy the machine is

_held = contextlib.ExitStack()
atexit.register(_held.close)


class ServerFailed(Exception):
    """A server ended, or did not become ready in time; the message ends with its last output."""


def wheel(package: str) -> Path:
    """Find an installed package's folder without running its code, which may warn or write."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise ServerFailed(f"{package} is not installed: make setup")
    return Path(found.origin).parent


def free_ports(count: int) -> list[int]:
    """Find TCP ports on 127.0.0.1 that nobody uses, all different.

    On Linux they stay ours until this process ends: a socket that is bound and does not listen keeps every
    other program from being given the port, and lets a server that names it, and reuses addresses, have it.
    """
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        each.bind(("127.0.0.1", 0))
    ports = [int(each.getsockname()[1]) for each in sockets]
    if sys.platform == "linux":
        for each in sockets:
            _held.enter_context(each)
    else:
        for each in sockets:
            each.close()
    return ports


def accepts(port: int) -> bool:
    """Whether somebody listens there."""
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex(("127.0.0.1", port)) == 0


def answers(url: str) -> bool:
    """Whether somebody answers there, with success. Cheap, as it is asked again and again: no TLS."""
    try:
        return httpx.get(url, timeout=5, verify=False).is_success
    except httpx.TransportError:
        return False


def wait_until(
    ready: Callable[[], object], *, what: str, timeout_s: float = ANSWERS_S, every_s: float = 0.02
) -> None:
    """Ask again and again until it is so. Raises TimeoutError, naming what was waited for."""
    end = time.monotonic() + timeout_s
    while not ready():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not after {timeout_s:g} s")
        time.sleep(every_s)


class Process:
    """One server process, which can be killed and started again."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        folder: Path,
        env: Mapping[str, str] | None = None,
        user: str = "",
    ) -> None:
        self.name = name
        self.command = [str(word) for word in command]
        self.log = folder / f"{name}.log"
        self._folder, self._env, self._user = folder, env, user
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id. Raises ServerFailed where it was never started."""
        if self._child is None:
            raise ServerFailed(f"{self.name} was not started")
        return self._child.pid

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._child is not None and self._child.poll() is None

    @property
    def returncode(self) -> int | None:
        """How it ended; None while it runs."""
        return None if self._child is None else self._child.poll()

    def start(self, ready: Callable[[], bool] | None = None, *, timeout_s: float = ANSWERS_S) -> None:
        """Start it, and wait until it is ready. Raises ServerFailed, with its output."""
        launcher = [sys.executable, "-I", "-S", str(LAUNCHER), str(os.getpid()), self._user]
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                [*launcher, *self.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env=None if self._env is None else dict(self._env),
                start_new_session=True,
            )
        if ready is None:
            return
        end = time.monotonic() + timeout_s
        while not ready():
            if not self.alive:
                raise ServerFailed(f"{self.name} ended with {self.returncode}:\n{self.output()[-4000:]}")
            if time.monotonic() > end:
                self.kill()
                raise ServerFailed(f"{self.name} not ready after {timeout_s:g} s:\n{self.output()[-4000:]}")
            time.sleep(0.02)

    def output(self) -> str:
        """What it has written so far, over all its starts."""
        return self.log.read_text("utf-8", "replace") if self.log.exists() else ""

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process alone."""
        if self._child is not None and self.alive:
            self._child.send_signal(number)

    def kill(self) -> None:
        """SIGKILL the whole group, and wait for the process's end."""
        if self._child is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._child.pid, signal.SIGKILL)
        self._child.wait()

    def stop(self, timeout_s: float = ANSWERS_S) -> int:
        """SIGTERM, then SIGKILL if it takes longer; the exit code."""
        if self._child is None:
            return 0
        self.signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(timeout_s)
        self.kill()  # what is left of the group, too
        return self._child.returncode
