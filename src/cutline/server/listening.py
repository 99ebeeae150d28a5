"""How the web server listens: uvicorn, with bounds on how many connect, and how slowly they may go on.

uvicorn waits for ever for headers that do not end and for answers that nobody reads, and has no bound on the
size of headers. Bodies and requests are bounded in api/admission.py.
"""

from __future__ import annotations

import asyncio
import re
import sys
from contextlib import ExitStack, suppress
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from cutline.errors import CutlineError
from cutline.server.config import settings
from cutline.server.proxies import is_proxy
from cutline.server.rates import network_of
from cutline.server.shares import Tally

MAX_HEADER_BYTES = 64 * 2**10
_SWITCH_S = 0.001
_REFUSED_S = 5.0
_UNREAD_S = 60.0  # for so long nothing of an answer may be read
# Longer than proxies keep what is idle (nginx 60 s, Caddy and deploy/aws's load balancer 120): else they send
# requests into connections that are ending.
_IDLE_PROXY_S = 180
# Java's HTTP client and curl --http2 ask for HTTP/2 so. The parser would drop the body of such a request.
_OTHER_UPGRADE = re.compile(rb"\r\nupgrade:(?![^\r\n]*websocket)[^\r\n]*(?=\r\n)", re.IGNORECASE)
_FILES_BESIDE = 256  # database, temporary files, calls to others

_CONNECTIONS = Tally(
    "connections",
    total=lambda: settings().max_connections,
    each=lambda: settings().max_connections // 4,
)
_REFUSED = Tally(
    "refused connections",
    total=lambda: settings().max_connections,
    each=lambda: settings().max_connections // 2,
)


class BoundedProtocol(HttpToolsProtocol):
    """A connection that must ask for something in time, and read what it is answered in HTTP/1.1."""

    def __init__(self, *words: Any, **named: Any) -> None:
        super().__init__(*words, **named)
        self._held = ExitStack()
        self._is_refused = self._is_in_headers = False
        self._header_bytes = 0
        self._asking_timer: asyncio.TimerHandle | None = None
        self._unread_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, or refuse one connection too many."""
        super().connection_made(transport)
        peer = self.client[0] if self.client else ""
        is_of_proxy = settings().trust_proxy and is_proxy(peer)
        names = () if is_of_proxy else (f"address:{network_of(peer)}",)
        if is_of_proxy:
            self.timeout_keep_alive = _IDLE_PROXY_S
        try:
            self._held.enter_context(_CONNECTIONS.held(*names))
        except CutlineError as error:
            self._refuse_later(error.http_status, names)
            return
        self._wait_for_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._held.close()
        self._stop_timers()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on. What comes between two requests must become a request in time."""
        if self._is_refused:
            return
        if self._is_in_headers or not self._is_answering():
            self._header_bytes += len(data)
            self._wait_for_headers()
            head, end, body = data.partition(b"\r\n\r\n")
            data = _OTHER_UPGRADE.sub(b"", head + end) + body
        super().data_received(data)
        if self._header_bytes > MAX_HEADER_BYTES:
            self._refuse(431, "Request Header Fields Too Large")

    def on_message_begin(self) -> None:
        """Begin a request, maybe before the last one is answered."""
        super().on_message_begin()
        self._is_in_headers = True
        self._wait_for_headers()

    def on_headers_complete(self) -> None:
        """Go on to the body, or to a websocket."""
        self._is_in_headers = False
        self._header_bytes = 0
        if self._asking_timer is not None:
            self._asking_timer.cancel()
            self._asking_timer = None
        super().on_headers_complete()

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over: from now on it counts as a websocket."""
        self._held.close()
        self._stop_timers()
        super().handle_websocket_upgrade()

    def pause_writing(self) -> None:
        """Wait until the client has read."""
        super().pause_writing()
        if self._unread_timer is None:
            self._unread_timer = self.loop.call_later(_UNREAD_S, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on: the client has read."""
        super().resume_writing()
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait_for_headers(self) -> None:
        if self._asking_timer is None:
            self._asking_timer = self.loop.call_later(settings().header_timeout_s, self._give_up)

    def _give_up(self) -> None:
        self._asking_timer = None
        if self._is_answering():
            self._wait_for_headers()  # of a request that came before the answer to the last one
        elif self._header_bytes:
            self._refuse(408, "Request Timeout")
        else:
            self.transport.close()

    def _refuse_later(self, status: int, names: tuple[str, ...]) -> None:
        """Let one connection too many wait, unread: whoever is refused at once would come again at once."""
        self._is_refused = True
        try:
            self._held.enter_context(_REFUSED.held(*names))
        except CutlineError:
            self.transport.abort()
            return
        self.transport.pause_reading()
        self._asking_timer = self.loop.call_later(_REFUSED_S, self._refuse, status, "Too many connections")

    def _refuse(self, status: int, reason: str) -> None:
        self._is_refused = True
        self._stop_timers()
        if not self._is_answering():
            lines = (
                f"HTTP/1.1 {status} {reason}",
                "connection: close",
                "content-length: 0",
                "retry-after: 5",
            )
            self.transport.write("\r\n".join([*lines, "", ""]).encode("ascii"))
        self.transport.close()

    def _stop_timers(self) -> None:
        for timer in (self._asking_timer, self._unread_timer):
            if timer is not None:
                timer.cancel()
        self._asking_timer = self._unread_timer = None


def allow_files() -> None:
    """Raise this process's limit of open files, where it may be raised, to what its connections need."""
    with suppress(ImportError, ValueError, OSError):
        import resource  # not on Windows

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = 3 * settings().max_connections + _FILES_BESIDE
        if soft != resource.RLIM_INFINITY and soft < wanted:
            most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def take_short_turns() -> None:
    """Have the threads of this process take the interpreter from each other sooner than Python's 5 ms.

    Each time that a thread has waited for a file, the database or the model, it waits again until a busy one
    lets go: an answer that waits often would take ten times as long beside a single busy thread.
    """
    sys.setswitchinterval(_SWITCH_S)
