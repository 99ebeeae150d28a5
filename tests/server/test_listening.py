"""Connections that ask for nothing, or never end asking, and those that read nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from cutline.server import listening
from cutline.server.listening import MAX_HEADER_BYTES, BoundedProtocol
from tests.server.services.process import ANSWERS_S

Configure = Callable[..., object]
ASKED = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


async def _hello(scope: Any, receive: Any, send: Any) -> None:
    size = 10**8 if scope["path"] == "/large" else 5
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % size)]})
    await send({"type": "http.response.body", "body": b"h" * size})


class _Server:
    """The protocol, listening."""

    def __init__(self, app: Any) -> None:
        self.port = 0
        self._app = app
        self._open: list[BoundedProtocol] = []
        self._received = 0
        self._some_came = asyncio.Event()
        self.one_ended = asyncio.Event()

    async def received(self, size_bytes: int) -> None:
        """Wait until a client is there, and so much has come."""
        while not self._open or self._received < size_bytes:
            self._some_came.clear()
            await self._some_came.wait()

    def ends_at(self) -> float:
        """When the only client's time is over."""
        [protocol] = self._open
        assert protocol._asking_timer is not None
        return protocol._asking_timer.when()

    def let_time_pass(self) -> None:
        """The only client's time is over."""
        assert self.ends_at()
        self._open[0]._give_up()

    async def connect(self, data: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A client that has sent something."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        return reader, writer

    async def answer(self, data: bytes) -> bytes:
        """The status of what is answered to a client, who then waits until it is cut off."""
        reader, writer = await self.connect(data)
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer[9:12]

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Accept connections; at the end, all of them are closed."""
        config = uvicorn.Config(self._app, http=BoundedProtocol, log_config=None, access_log=False)
        config.load()
        own = self

        class Protocol(BoundedProtocol):
            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                own._open.append(self)
                super().connection_made(transport)
                own._some_came.set()

            def data_received(self, data: bytes) -> None:
                super().data_received(data)
                own._received += len(data)
                own._some_came.set()

            def connection_lost(self, exc: Exception | None) -> None:
                super().connection_lost(exc)
                own._open.remove(self)
                own.one_ended.set()

        server = await asyncio.get_running_loop().create_server(
            lambda: Protocol(config=config, server_state=ServerState(), app_state={}), "127.0.0.1", 0
        )
        async with server:
            self.port = server.sockets[0].getsockname()[1]
            yield
            while self._open:
                self.one_ended.clear()
                self._open[0].transport.abort()
                await self.one_ended.wait()


def _run(ask: Callable[[_Server], Coroutine[Any, Any, None]], app: Any = _hello) -> None:
    async def all_of_it() -> None:
        server = _Server(app)
        async with server.listening():
            await ask(server)

    asyncio.run(asyncio.wait_for(all_of_it(), ANSWERS_S))


async def _end(*writers: asyncio.StreamWriter) -> None:
    for writer in writers:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()


@pytest.mark.parametrize("line", [b"Upgrade: h2c", b"upgrade:h2c", b"UPGRADE: TLS/1.0"])
def test_a_request_that_would_rather_speak_http_2_keeps_its_body(line: bytes) -> None:
    async def echo(scope: Any, receive: Any, send: Any) -> None:
        body = (await receive())["body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    async def ask(server: _Server) -> None:
        head = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, close\r\nContent-Length: 16\r\n"
        reader, writer = await server.connect(head + line + b"\r\n\r\n\r\nUpgrade: h2c\r\n")
        assert b"Upgrade: h2c" in await reader.read()
        await _end(writer)

    _run(ask, echo)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", b""),
        (b"GET / HT", b"408"),
        (b"GET / HTTP/1.1\r\nHost: local", b"408"),
        (b"\r\n\r\n\r\n", b"408"),
        (ASKED + b"GET / HTTP/1.1\r\nHo", b"200"),
    ],
    ids=["nothing", "half a line", "half a header", "empty lines", "a second request"],
)
def test_headers_must_come_in_time(data: bytes, status: bytes, configure: Configure) -> None:
    configure(header_timeout_s=ANSWERS_S)

    async def ask(server: _Server) -> None:
        reader, writer = await server.connect(data)
        first = await reader.readuntil(b"hhhhh") if status == b"200" else b""
        await server.received(len(data))
        server.let_time_pass()
        assert (first or await reader.read())[9:12] == status
        assert await reader.read() == b""
        await _end(writer)

    _run(ask)


def test_drops_of_a_header_lengthen_nothing(configure: Configure) -> None:
    configure(header_timeout_s=ANSWERS_S)

    async def ask(server: _Server) -> None:
        _, writer = await server.connect(b"GET / HTTP/1.1\r\nX: ")
        await server.received(1)
        before = server.ends_at()
        writer.write(b"aaaa")
        await server.received(len(b"GET / HTTP/1.1\r\nX: aaaa"))
        assert server.ends_at() == before
        await _end(writer)

    _run(ask)


def test_a_request_in_time_is_answered_and_may_be_followed_by_another(configure: Configure) -> None:
    configure(header_timeout_s=ANSWERS_S)

    async def ask(server: _Server) -> None:
        reader, writer = await server.connect()
        for _ in range(3):
            writer.write(ASKED)
            assert (await reader.readuntil(b"hhhhh"))[9:12] == b"200"
        await _end(writer)

    _run(ask)


def test_headers_have_a_size() -> None:
    async def ask(server: _Server) -> None:
        reader, writer = await server.connect(b"GET / HTTP/1.1\r\nX: " + b"a" * (MAX_HEADER_BYTES + 1))
        assert (await reader.readline())[9:12] == b"431"
        await _end(writer)

    _run(ask)


def test_one_address_has_a_quarter_of_all_connections(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(max_connections=8, header_timeout_s=ANSWERS_S)
    monkeypatch.setattr(listening, "_REFUSED_S", 0.05)

    async def ask(server: _Server) -> None:
        clients = [await server.connect(ASKED) for _ in range(2)]
        for reader, _ in clients:
            await reader.readuntil(b"hhhhh")
        assert await server.answer(b"") == b"429"
        server.one_ended.clear()
        await _end(clients[0][1])
        await server.one_ended.wait()
        reader, writer = await server.connect(ASKED)
        assert (await reader.readuntil(b"hhhhh"))[9:12] == b"200"
        await _end(writer, clients[1][1])

    _run(ask)


def test_who_is_refused_waits_for_it_and_few_do(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(max_connections=8, header_timeout_s=ANSWERS_S)
    monkeypatch.setattr(listening, "_REFUSED_S", ANSWERS_S)

    async def ask(server: _Server) -> None:
        clients = [await server.connect(ASKED) for _ in range(2)]
        for reader, _ in clients:
            await reader.readuntil(b"hhhhh")
        waiting = [await server.connect(ASKED) for _ in range(4)]
        reader, writer = await server.connect(ASKED)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):  # at once, without an answer
            await reader.readexactly(1)
        assert not any(reader._buffer for reader, _ in waiting)  # type: ignore[attr-defined]
        await _end(writer, *(writer for _, writer in [*waiting, *clients]))

    _run(ask)


def test_proxies_have_as_many_connections_as_they_like_and_may_keep_idle_ones(configure: Configure) -> None:
    configure(max_connections=8, trust_proxy=True, proxies="127.0.0.0/8")

    async def ask(server: _Server) -> None:
        clients = [await server.connect(ASKED) for _ in range(4)]
        for reader, _ in clients:
            assert (await reader.readuntil(b"hhhhh"))[9:12] == b"200"
        assert all(each.timeout_keep_alive > 120 for each in server._open)
        await _end(*(writer for _, writer in clients))

    _run(ask)


def test_idle_connections_of_others_end_soon(configure: Configure) -> None:
    configure(trust_proxy=True, proxies="10.0.0.0/8")

    async def ask(server: _Server) -> None:
        reader, writer = await server.connect(ASKED)
        await reader.readuntil(b"hhhhh")
        assert [each.timeout_keep_alive for each in server._open] == [5]
        await _end(writer)

    _run(ask)


def test_an_answer_that_nobody_reads_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "_UNREAD_S", 0.05)

    async def ask(server: _Server) -> None:
        _, writer = await server.connect(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await server.one_ended.wait()
        await _end(writer)

    _run(ask)
