"""The socket's other half: slow readers, messages that overtake each other, a channel layer that forgets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
import uvicorn
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from channels.layers import get_channel_layer
from django.db import OperationalError
from uvicorn.server import ServerState

from cutline.server.events.channel import group_of
from cutline.server.events.models import Event
from cutline.server.events.services import as_message
from cutline.server.listening import BoundedProtocol
from cutline.server.people.models import Owner
from cutline.server.people.sessions import SessionStore
from cutline.server.people.viewers import OWNER_IN_SESSION
from cutline.server.realtime import consumer
from cutline.server.realtime.consumer import SIGNED_OUT, TOO_SLOW, EventConsumer
from cutline.server.realtime.routing import websockets
from tests.server.events.samples import sample
from tests.server.services.process import ANSWERS_S

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.asyncio]


@pytest_asyncio.fixture
async def owner() -> Owner:
    return await Owner.objects.acreate()


def _session(owner: Owner) -> str:
    session = SessionStore()
    session[OWNER_IN_SESSION] = owner.pk.hex
    session.save()
    return str(session.session_key)


def _scope(session: str, query: str = "") -> dict[str, Any]:
    return {
        "type": "websocket",
        "path": "/ws",
        "query_string": query.encode(),
        "headers": [(b"cookie", f"sessionid={session}".encode())] if session else [],
        "client": ("127.0.0.1", 1),
    }


class Socket:
    """A client of the consumer, without a server between."""

    def __init__(self, session: str, query: str = "") -> None:
        self.app = ApplicationCommunicator(EventConsumer.as_asgi(), _scope(session, query))

    async def connect(self) -> None:
        """Open it."""
        await self.app.send_input({"type": "websocket.connect"})
        assert (await self.app.receive_output(timeout=ANSWERS_S))["type"] == "websocket.accept"

    async def receive(self) -> dict[str, Any]:
        """The next message."""
        output = await self.app.receive_output(timeout=ANSWERS_S)
        assert output["type"] == "websocket.send", output
        message: dict[str, Any] = json.loads(output["text"])
        return message

    async def next(self) -> dict[str, Any]:
        """The next message that is no heartbeat."""
        while (message := await self.receive())["type"] == "ping":
            pass
        return message

    async def leave(self) -> None:
        """Close it."""
        await self.app.send_input({"type": "websocket.disconnect", "code": 1000})
        await self.app.wait(timeout=ANSWERS_S)


@pytest_asyncio.fixture
async def socket(owner: Owner) -> AsyncIterator[Socket]:
    made = Socket(await sync_to_async(_session)(owner))
    yield made
    await made.leave()


def _record(owner: Owner) -> Event:
    """A row whose message is not sent."""
    return Event.objects.create(owner=owner, type="image.deleted", data=sample("image.deleted"))


async def _until(is_so: Callable[[], object]) -> None:
    async with asyncio.timeout(ANSWERS_S):
        while not is_so():
            await asyncio.sleep(0.01)


async def _send(owner: Owner, event: Event, previous: int) -> None:
    layer = get_channel_layer()
    assert layer is not None
    message = {"type": "event", "event": as_message(event), "previous": previous}
    await layer.group_send(group_of(owner.pk), message)


async def test_messages_that_overtake_each_other_arrive_in_order_and_once(
    socket: Socket, owner: Owner
) -> None:
    await socket.connect()
    assert (await socket.next())["type"] == "hello"
    first, second, third = [await sync_to_async(_record)(owner) for _ in range(3)]
    await _send(owner, second, previous=first.pk)
    await _send(owner, first, previous=0)
    await _send(owner, third, previous=second.pk)
    found = [(await socket.next())["id"] for _ in range(3)]
    assert found == [first.pk, second.pk, third.pk]
    fourth = await sync_to_async(_record)(owner)
    await _send(owner, fourth, previous=third.pk)
    assert (await socket.next())["id"] == fourth.pk  # and nothing before it


async def test_somebody_new_who_only_listens_stays_connected_beyond_heartbeats(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(consumer, "HEARTBEAT_S", 0.05)
    socket = Socket("")
    await socket.connect()
    hello = await socket.next()
    for _ in range(3):  # before each but the first, it was asked whether this session may still listen
        assert (await socket.receive()) == {"type": "ping"}
    owner = await Owner.objects.aget(pk=hello["data"]["owner"])
    event = await sync_to_async(_record)(owner)
    await _send(owner, event, previous=0)
    assert (await socket.next())["id"] == event.pk
    await socket.leave()


async def test_whoever_signs_out_is_let_go_before_the_next_heartbeat(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "HEARTBEAT_S", 10 * ANSWERS_S)
    key = await sync_to_async(_session)(owner)
    socket = Socket(key)
    await socket.connect()
    assert (await socket.next())["type"] == "hello"
    await sync_to_async(SessionStore(key).delete)()
    layer = get_channel_layer()
    assert layer is not None
    await layer.group_send(group_of(owner.pk), {"type": "recheck"})
    closed = await socket.app.receive_output(timeout=ANSWERS_S)
    assert (closed["type"], closed["code"]) == ("websocket.close", SIGNED_OUT)
    await socket.leave()


async def test_what_the_channel_layer_lost_comes_with_the_heartbeat(
    socket: Socket, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "HEARTBEAT_S", 0.2)
    await socket.connect()
    assert (await socket.next())["type"] == "hello"
    assert (await socket.receive()) == {"type": "ping"}
    layer = get_channel_layer()
    assert layer is not None
    await layer.flush()  # as after a restart of Redis: groups are forgotten
    lost = await sync_to_async(_record)(owner)
    assert (await socket.next())["id"] == lost.pk
    assert (await socket.receive()) == {"type": "ping"}  # the heartbeat joins the group, and looks then
    live = await sync_to_async(_record)(owner)
    await _send(owner, live, previous=lost.pk)
    assert (await socket.next())["id"] == live.pk


async def test_too_much_to_replay_means_begin_anew(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer, "REPLAY_LIMIT", 2)
    events = [await sync_to_async(_record)(owner) for _ in range(4)]
    key = await sync_to_async(_session)(owner)
    for after, expected in (
        (events[0].pk, ["hello", "reset"]),
        (events[1].pk, ["hello", "image.deleted", "image.deleted"]),
    ):
        socket = Socket(key, f"after={after}")
        await socket.connect()
        assert [(await socket.next())["type"] for _ in expected] == expected
        await socket.leave()


async def test_a_reader_that_is_too_slow_is_let_go_and_told_to_resume(
    owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "QUEUE_LIMIT", 5)
    closing: list[int] = []

    def close_soon(self: EventConsumer, code: int, reason: str) -> None:
        closing.append(code)
        closes(self, code, reason)

    closes = EventConsumer._close_soon
    monkeypatch.setattr(EventConsumer, "_close_soon", close_soon)
    key = await sync_to_async(_session)(owner)
    reads = asyncio.Event()
    sent: list[dict[str, Any]] = []
    incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    incoming.put_nowait({"type": "websocket.connect"})

    async def send(message: Any) -> None:
        """A client's network: nothing more goes through once hello did, until it reads again."""
        if len(sent) >= 2:
            await reads.wait()
        sent.append(message)

    running = asyncio.create_task(
        EventConsumer.as_asgi()(_scope(key), incoming.get, send)  # type: ignore[arg-type]
    )
    await _until(lambda: len(sent) == 2)
    assert json.loads(sent[1]["text"])["type"] == "hello"
    previous = 0
    for _ in range(12):
        event = await sync_to_async(_record)(owner)
        await _send(owner, event, previous)
        previous = event.pk
    await _until(lambda: closing)
    assert len(sent) == 2
    reads.set()
    await _until(lambda: sent[-1]["type"] == "websocket.close")
    assert (sent[-1]["code"], sent[-1]["reason"]) == (TOO_SLOW, "resume with after=N")
    assert len(sent) <= 4  # what it was too late for is not sent
    incoming.put_nowait({"type": "websocket.disconnect", "code": TOO_SLOW})
    await asyncio.wait_for(running, ANSWERS_S)


@pytest.mark.parametrize("path", ["/", "/ws/", "/wss", "//ws", "/api/v1/ws", "/admin/ws", "/ws/../ws", ""])
async def test_a_websocket_to_another_address_is_told_that_there_is_none(path: str) -> None:
    answers: dict[str, Any] = {"websocket.http.response": {}}
    for extensions, expected in ((answers, "websocket.http.response.start"), ({}, "websocket.close")):
        app = ApplicationCommunicator(websockets(), {**_scope(""), "path": path, "extensions": extensions})
        await app.send_input({"type": "websocket.connect"})
        first = await app.receive_output(timeout=ANSWERS_S)
        assert (first["type"], first.get("status", 404)) == (expected, 404)
        if extensions:
            body = json.loads((await app.receive_output(timeout=ANSWERS_S))["body"])
            assert body["code"] == "not_found"
        await app.wait(timeout=ANSWERS_S)


async def test_a_refused_websocket_is_no_error_of_the_server(caplog: pytest.LogCaptureFixture) -> None:
    config = uvicorn.Config(websockets(), ws="websockets-sansio", lifespan="off", log_config=None)
    loop, states = asyncio.get_running_loop(), ServerState()
    config.load()
    server = await loop.create_server(
        lambda: BoundedProtocol(config=config, server_state=states, app_state={}, _loop=loop), "127.0.0.1", 0
    )
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(
            b"GET /no HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        assert (await asyncio.wait_for(reader.read(), ANSWERS_S)).startswith(b"HTTP/1.1 404")
        writer.close()
        await asyncio.gather(*states.tasks)
    assert [record for record in caplog.records if record.name == "uvicorn.error"] == []


async def test_one_owner_has_few_sockets_at_once(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer, "MOST_OF_OWNER", 1)
    session = await sync_to_async(_session)(owner)
    first = Socket(session)
    await first.connect()
    assert await _refused(session) == (429, b"5")
    await first.leave()
    again = Socket(session)
    await again.connect()
    await again.leave()


async def test_one_network_has_a_quarter_of_all_sockets(
    owner: Owner, configure: Callable[..., object]
) -> None:
    configure(max_connections=8)
    session = await sync_to_async(_session)(owner)
    sockets = [Socket(session) for _ in range(2)]
    for socket in sockets:
        await socket.connect()
    assert await _refused(session) == (429, b"5")
    for socket in sockets:
        await socket.leave()


async def test_opening_sockets_counts_as_asking(owner: Owner, configure: Callable[..., object]) -> None:
    configure(rate_anonymous="1/minute")
    session = await sync_to_async(_session)(owner)
    first = Socket(session)
    await first.connect()
    assert (await _refused(session))[0] == 429
    await first.leave()


async def test_a_network_opens_only_so_many_sockets_a_minute(
    owner: Owner, configure: Callable[..., object]
) -> None:
    configure(rate_websockets="1/day")
    session = await sync_to_async(_session)(owner)
    first = Socket(session)
    await first.connect()
    await first.leave()
    assert (await _refused(session))[0] == 429


async def _refused(session: str) -> tuple[int, bytes]:
    """The status and Retry-After of a handshake that is refused."""
    scope = {**_scope(session), "extensions": {"websocket.http.response": {}}}
    app = ApplicationCommunicator(EventConsumer.as_asgi(), scope)
    await app.send_input({"type": "websocket.connect"})
    start = await app.receive_output(ANSWERS_S)
    await app.receive_output(ANSWERS_S)
    await app.wait(ANSWERS_S)
    assert start["type"] == "websocket.http.response.start"
    return start["status"], dict(start["headers"])[b"retry-after"]


async def test_a_database_that_is_away_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(scope: Any) -> None:
        raise OperationalError("gone")

    monkeypatch.setattr(consumer, "viewer_of_scope", fail)
    scope = {**_scope(""), "extensions": {"websocket.http.response": {}}}
    app = ApplicationCommunicator(EventConsumer.as_asgi(), scope)
    await app.send_input({"type": "websocket.connect"})
    assert (await app.receive_output(timeout=ANSWERS_S))["status"] == 503
    assert "unavailable" in (await app.receive_output(timeout=ANSWERS_S))["body"].decode()
    await app.wait(timeout=ANSWERS_S)


async def test_words_of_a_caption_go_to_its_owner_alone_and_are_not_recorded(
    socket: Socket, owner: Owner
) -> None:
    other = await Owner.objects.acreate()
    stranger = Socket(await sync_to_async(_session)(other))
    await socket.connect()
    await stranger.connect()
    for each in (socket, stranger):
        assert (await each.next())["type"] == "hello"
    words = {"job": "1", "text": "Paws first"}
    layer = get_channel_layer()
    assert layer is not None
    await layer.group_send(group_of(owner.pk), {"type": "words", "data": words})
    assert await socket.next() == {"type": "styles.words", "data": words}
    theirs = await sync_to_async(_record)(other)
    await _send(other, theirs, previous=0)
    assert (await stranger.next())["id"] == theirs.pk
    assert not await Event.objects.filter(owner=owner).aexists()
    await stranger.leave()
