"""/ws of the running service, in both modes: who may listen, what they hear, when it ends."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync import client as sync
from websockets.sync.client import ClientConnection

from tests.server.services.client import Visitor
from tests.server.services.mailbox import Mailbox
from tests.server.services.process import ANSWERS_S
from tests.server.services.service import Service

CONTRACT = json.loads((Path(__file__).parents[3] / "contracts/events.schema.json").read_text())

NewVisitor = Callable[..., Visitor]
MakePhoto = Callable[..., bytes]


def _address(live: Service, query: str = "") -> str:
    return live.url.replace("http", "ws", 1) + "/ws" + query


def _receive(socket: ClientConnection) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(socket.recv(timeout=ANSWERS_S))
    jsonschema.validate(message, CONTRACT)
    return message


def _until(socket: ClientConnection, type: str) -> dict[str, Any]:
    while (message := _receive(socket))["type"] != type:
        pass
    return message


def _until_caption_of(socket: ClientConnection, image: str) -> list[dict[str, Any]]:
    """Read until an image has its caption; all that came."""
    seen: list[dict[str, Any]] = []
    while not any(each["type"] == "caption.ready" and each["data"]["image"] == image for each in seen[-1:]):
        seen.append(_receive(socket))
    return seen


def _close_code(socket: ClientConnection) -> int | None:
    """Read until the end; why it came."""
    try:
        while True:
            _receive(socket)
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else None


def connect(address: str, headers: Mapping[str, str] | None = None) -> ClientConnection:
    """Open a socket of the service, which may be busy."""
    return sync.connect(address, additional_headers=headers, open_timeout=ANSWERS_S)


@contextlib.contextmanager
def _listening(visitor: Visitor, live: Service, query: str = "") -> Iterator[ClientConnection]:
    cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in visitor.cookies.jar)
    with connect(_address(live, query), {"Cookie": cookies}) as socket:
        assert _receive(socket)["type"] == "hello"
        yield socket


def test_every_message_is_as_the_contract_says(
    visitor: Visitor, live: Service, make_photo: MakePhoto
) -> None:
    visitor.upload(make_photo(900))
    with _listening(visitor, live) as socket:
        seen = set()
        while "caption.ready" not in seen:
            seen.add(_receive(socket)["type"])
        assert {"image.created", "job.changed"} <= seen


def test_a_ping_is_answered(visitor: Visitor, live: Service) -> None:
    with connect(_address(live)) as socket:
        assert _receive(socket)["type"] == "hello"
        for nonsense in ("", "{", "[1]", "null", '{"type": 1}', "x" * 1000):
            socket.send(nonsense)
        socket.send(b"\x00\xff")
        socket.send('{"type": "ping"}')
        assert _receive(socket)["type"] == "pong"


def test_somebody_new_is_given_a_session(live: Service, new_visitor: NewVisitor) -> None:
    visitor = new_visitor()
    with visitor.listen() as listener:
        owner = listener.hello["data"]["owner"]
    assert visitor.cookies.get("sessionid")
    with visitor.listen() as listener:
        assert listener.hello["data"]["owner"] == owner
    with new_visitor().listen() as listener:
        assert listener.hello["data"]["owner"] != owner


@pytest.mark.parametrize(
    ("headers", "query", "status", "code"),
    [
        ({"Authorization": "Bearer ck_wrong"}, "", 401, "unauthenticated"),
        ({}, "?key=ck_wrong", 401, "unauthenticated"),
        ({"Origin": "http://evil.example"}, "", 403, "cross_origin"),
        ({"Origin": "null"}, "", 403, "cross_origin"),
        ({"Origin": "http://evil.example", "Host": "evil.example"}, "", 403, "cross_origin"),
        ({"Origin": "http://["}, "", 403, "cross_origin"),
        ({}, "/nowhere", 404, "not_found"),
        ({}, "/", 404, "not_found"),
        ({}, "?ticket=wt_wrong", 401, "unauthenticated"),
        ({}, "?after=x", 400, "malformed"),
        ({}, "?after=-1", 400, "malformed"),
    ],
)
def test_who_may_not_listen_is_told_why(
    live: Service, headers: dict[str, str], query: str, status: int, code: str
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        connect(_address(live, query), headers)
    assert refused.value.response.status_code == status
    assert json.loads(refused.value.response.body or b"")["code"] == code


def test_our_own_pages_may_listen(live: Service) -> None:
    with connect(_address(live), {"Origin": live.url}) as socket:
        assert _receive(socket)["type"] == "hello"


def test_a_number_from_another_time_means_begin_anew(
    visitor: Visitor, live: Service, make_photo: MakePhoto
) -> None:
    visitor.upload(make_photo(901))
    with _listening(visitor, live, "?after=999999999") as socket:
        assert _until(socket, "reset")["data"]["last_event"] > 0


def test_keys_listen_by_header_and_by_ticket_until_they_are_revoked(
    visitor: Visitor, live: Service, mailbox: Mailbox, make_photo: MakePhoto
) -> None:
    visitor.sign_up(mailbox, f"listens-{live.port}@example.org")
    key = visitor.new_key("images:read")
    bearer = {"Authorization": f"Bearer {key['key']}"}
    with pytest.raises(InvalidStatus) as refused:
        connect(_address(live, f"?key={key['key']}"))
    assert refused.value.response.status_code == 401
    ticket = visitor.post("/events/ticket", headers=bearer).json()["ticket"]
    with (
        connect(_address(live), bearer) as by_header,
        connect(_address(live, f"?ticket={ticket}")) as by_ticket,
    ):
        owners = {_receive(socket)["data"]["owner"] for socket in (by_header, by_ticket)}
        assert len(owners) == 1
        (item,) = visitor.upload(make_photo(902))
        for socket in (by_header, by_ticket):
            assert _until(socket, "caption.ready")["data"]["image"] == item["id"]
        assert visitor.delete(f"/keys/{key['id']}").status_code == 204
        for socket in (by_header, by_ticket):
            assert _close_code(socket) == 4401
    assert key["key"] not in live.output()


def test_a_key_without_the_scope_may_not_listen(visitor: Visitor, live: Service, mailbox: Mailbox) -> None:
    visitor.sign_up(mailbox, f"scope-{live.port}@example.org")
    key = visitor.new_key("caption")["key"]
    with pytest.raises(InvalidStatus) as refused:
        connect(_address(live), {"Authorization": f"Bearer {key}"})
    assert refused.value.response.status_code == 403


def test_signing_out_closes_the_socket(visitor: Visitor, live: Service, mailbox: Mailbox) -> None:
    visitor.sign_up(mailbox, f"out-{live.port}@example.org")
    with _listening(visitor, live) as socket:
        visitor.account("DELETE", "auth/session")
        assert _close_code(socket) == 4401


def test_one_viewer_s_events_reach_all_their_sockets_and_no_other(
    new_visitor: NewVisitor, live: Service, make_photo: MakePhoto
) -> None:
    one, other = new_visitor(), new_visitor()
    one.upload(make_photo(903))
    other.upload(make_photo(904))
    with (
        _listening(one, live) as first,
        _listening(one, live) as second,
        _listening(other, live) as foreign,
    ):
        (item,) = one.upload(make_photo(905))
        for socket in (first, second):
            _until_caption_of(socket, item["id"])
        (last,) = other.upload(make_photo(906))
        assert item["id"] not in json.dumps(_until_caption_of(foreign, last["id"]))
