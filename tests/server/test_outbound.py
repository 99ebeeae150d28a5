"""Fetching by URL: only from the open internet, whatever names and redirects say."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager, ExitStack
from itertools import islice
from typing import Any

import httpcore
import pytest

from cutline import fetching
from cutline.errors import AddressForbidden, FetchFailed
from cutline.server import outbound
from cutline.server.errors import ServiceUnavailable
from cutline.server.shares import Payer
from tests.server.services.process import ANSWERS_S
from tests.server.services.receiver import Receiver

Names = dict[str, list[str]]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """A name server of our own: what it does not know goes to the real one."""
    known: Names = {}
    real = socket.getaddrinfo

    def look_up(host: Any, port: Any, *rest: Any, **words: Any) -> Any:
        if host in known:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in known[host]]
        return real(host, port, *rest, **words)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return known


@pytest.fixture
def allowed(configure: Callable[..., Any], receiver: Receiver) -> Receiver:
    """Somebody else's server, which may be called although it is on this machine."""
    configure(fetch_allow="127.0.0.1/32", fetch_timeout_s=60)
    return receiver


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/x.jpg",
        "http://127.1/x.jpg",
        "http://0/x.jpg",
        "http://2130706433/x.jpg",
        "http://0x7f000001/x.jpg",
        "http://localhost/x.jpg",
        "http://[::1]/x.jpg",
        "http://[::]/x.jpg",
        "http://[::ffff:127.0.0.1]/x.jpg",
        "http://[::ffff:7f00:1]/x.jpg",
        "http://[64:ff9b::7f00:1]/x.jpg",
        "http://[2002:7f00:1::]/x.jpg",
        "http://[fe80::1]/x.jpg",
        "http://[fc00::1]/x.jpg",
        "http://[fec0::1]/x.jpg",
        "http://[ff02::1]/x.jpg",
        "http://10.0.0.1/x.jpg",
        "http://172.16.0.1/x.jpg",
        "http://192.168.1.1/x.jpg",
        "http://169.254.169.254/latest/meta-data/",
        "http://100.64.0.1/x.jpg",
        "http://0.0.0.0/x.jpg",
        "http://224.0.0.1/x.jpg",
        "http://255.255.255.255/x.jpg",
        "http://198.18.0.1/x.jpg",
        "http://192.0.2.1/x.jpg",
        "http://user@127.0.0.1/x.jpg",
        "http://example.org@127.0.0.1/x.jpg",
        "http://127.0.0.1:22/x.jpg",
        "https://example.org:25/x.jpg",
        "ftp://example.org/x.jpg",
        "file:///etc/passwd",
        "gopher://127.0.0.1:70/x",
        "data:image/png;base64,AAAA",
        "javascript:alert(1)",
    ],
)
def test_no_address_of_our_own_network_is_called(url: str) -> None:
    with pytest.raises(AddressForbidden):
        outbound.fetch_photo(url, max_bytes=100)


CLOSED = [
    "0.0.0.1", "10.255.255.255", "100.64.0.0", "100.127.255.255", "127.255.255.254", "168.63.129.16",
    "169.254.0.1", "172.16.0.0", "172.31.255.255", "192.0.0.1", "192.0.0.9", "192.0.0.10", "192.0.0.170",
    "192.0.2.255", "192.31.196.1", "192.52.193.1", "192.88.99.1", "192.168.255.255", "192.175.48.1",
    "198.18.0.0", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.0", "239.255.255.255",
    "240.0.0.1", "255.255.255.255",
    "::", "::1", "::ffff:10.0.0.1", "::ffff:168.63.129.16", "64:ff9b::a00:1", "64:ff9b:1::1", "100::1",
    "100:0:0:1::1", "2001::1", "2001:2::1", "2001:10::1", "2001:20::1", "2001:1ff:ffff::1", "2001:db8::1",
    "2002::1", "2002:808:808::1", "2620:4f:8000::1", "3fff::1", "3fff:fff::1", "4000::1", "5f00::1",
    "fc00::1", "fdff::1", "fe80::1", "fec0::1", "ff02::1",
]  # fmt: skip
OPEN = [
    "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0", "126.0.0.1",
    "168.63.129.15", "172.15.255.255", "172.32.0.0", "192.0.1.1", "192.0.3.0", "192.167.255.255",
    "198.17.255.255", "198.20.0.0", "223.255.255.255", "2001:200::1", "2001:4860:4860::8888",
    "2606:4700::1111", "2a00:1450::1", "3ffe::1", "::ffff:8.8.8.8", "64:ff9b::808:808",
]  # fmt: skip


@pytest.mark.parametrize("address", CLOSED)
def test_an_address_that_is_not_on_the_open_internet_is_refused(address: str) -> None:
    with pytest.raises(AddressForbidden):
        outbound.check_addresses([address])


@pytest.mark.parametrize("address", OPEN)
def test_an_address_on_the_open_internet_is_allowed(address: str) -> None:
    outbound.check_addresses([address])


def test_a_domain_whose_name_servers_keep_silent_does_not_hold_up_others(
    monkeypatch: pytest.MonkeyPatch, names: Names
) -> None:
    names["quick.example.org"] = ["10.0.0.1"]
    known, silent, asked = socket.getaddrinfo, threading.Event(), threading.Semaphore(0)

    def look_up(host: Any, *rest: Any, **words: Any) -> Any:
        if not str(host).endswith("silent.test"):
            return known(host, *rest, **words)
        asked.release()
        silent.wait()
        raise OSError("no answer")

    def fetch(url: str) -> str:
        with pytest.raises((FetchFailed, AddressForbidden)) as caught:
            outbound.fetch_photo(url, max_bytes=100)
        return str(caught.value)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with ThreadPoolExecutor(40) as visitors:
        waiting = [visitors.submit(fetch, f"http://{n}.silent.test/") for n in range(30)]
        for _ in range(4):
            assert asked.acquire(timeout=ANSWERS_S)
        assert "not on the open internet" in fetch("http://quick.example.org/")
        refused = [each.result() for each in islice(as_completed(waiting, timeout=ANSWERS_S), 26)]
        silent.set()
    assert all("are not responding" in answer for answer in refused)
    assert not asked.acquire(blocking=False)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "   ",
        "cat.jpg",
        "http://",
        "http:///x",
        "http://[::1",
        "http://a b/",
        "http://x\ny/",
        "x" * 3000,
        "http://example.org:99999/",
        "http://no-such-host.invalid/x.jpg",
        "http://\u202e.example/",
        "http://0177.0.0.1/x.jpg",
        "http://localhost.:8000/x.jpg",
    ],
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises((FetchFailed, AddressForbidden)):
        outbound.fetch_photo(url, max_bytes=100)


def test_a_name_that_leads_to_a_private_address_is_refused(names: Names) -> None:
    names["cdn.example"] = ["10.1.2.3"]
    with pytest.raises(AddressForbidden):
        outbound.fetch_photo("http://cdn.example/x.jpg", max_bytes=100)


def test_one_private_address_of_several_is_enough(names: Names) -> None:
    names["cdn.example"] = ["93.184.216.34", "127.0.0.1"]
    with pytest.raises(AddressForbidden):
        outbound.fetch_photo("http://cdn.example/x.jpg", max_bytes=100)


def test_the_address_that_was_checked_is_the_one_that_is_called(
    allowed: Receiver, names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name server that answers differently the second time gets no second time."""
    allowed.offer("/rebinding.jpg", b"photo")
    asked: list[str] = []
    called: list[str] = []
    names["cdn.example"] = ["127.0.0.1"]
    look_up, connect = socket.getaddrinfo, httpcore.SyncBackend.connect_tcp

    def once(host: Any, *rest: Any, **words: Any) -> Any:
        asked.append(host)
        found = look_up(host, *rest, **words)
        names["cdn.example"] = ["10.0.0.1"]
        return found

    def note(self: Any, host: str, *rest: Any, **words: Any) -> Any:
        called.append(host)
        return connect(self, host, *rest, **words)

    monkeypatch.setattr(socket, "getaddrinfo", once)
    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", note)
    port = allowed.url.rpartition(":")[2]
    data, name = outbound.fetch_photo(f"http://cdn.example:{port}/rebinding.jpg", max_bytes=100)
    assert (data, name) == (b"photo", "rebinding.jpg")
    assert called == ["127.0.0.1"]
    assert asked.count("cdn.example") == 1


def test_a_photo_comes_with_its_name(allowed: Receiver) -> None:
    url = allowed.offer("/photos/my%20cat.jpg", b"photo")
    assert outbound.fetch_photo(url + "#part", max_bytes=5) == (b"photo", "my cat.jpg")


def test_redirects_are_followed_and_checked_each(allowed: Receiver) -> None:
    allowed.offer("/there.jpg", b"photo")
    allowed.redirects["/a"] = "/b"
    allowed.redirects["/b"] = f"{allowed.url}/there.jpg"
    assert outbound.fetch_photo(f"{allowed.url}/a", max_bytes=100)[0] == b"photo"
    for target in ("http://10.0.0.1/x", "http://localhost:22/", "file:///etc/passwd", "http://[::1]:8000/"):
        allowed.redirects["/evil"] = target
        with pytest.raises(AddressForbidden):
            outbound.fetch_photo(f"{allowed.url}/evil", max_bytes=100)
    allowed.redirects["/round"] = "/round"
    with pytest.raises(FetchFailed, match="Too many redirects"):
        outbound.fetch_photo(f"{allowed.url}/round", max_bytes=100)


def test_too_large_an_answer_is_left(allowed: Receiver) -> None:
    url = allowed.offer("/large.jpg", b"x" * 1000)
    with pytest.raises(FetchFailed, match="larger"):
        outbound.fetch_photo(url, max_bytes=999)


def test_an_error_of_the_server_is_told(allowed: Receiver) -> None:
    with pytest.raises(FetchFailed, match="404"):
        outbound.fetch_photo(f"{allowed.url}/nothing-here", max_bytes=100)


@pytest.fixture
def talker() -> Iterator[Callable[[Callable[[socket.socket], None]], str]]:
    """A server that answers as a test wants: talker(function) gives its URL."""
    servers: list[socket.socket] = []

    def start(speak: Callable[[socket.socket], None]) -> str:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)

        def serve() -> None:
            try:
                connection, _ = server.accept()
                with connection:
                    connection.recv(65536)
                    speak(connection)
            except OSError:
                return

        threading.Thread(target=serve, daemon=True).start()
        return f"http://127.0.0.1:{server.getsockname()[1]}/x.jpg"

    yield start
    for server in servers:
        server.close()


def _drip(connection: socket.socket) -> None:
    """A whole answer, for whoever waits a minute for it."""
    for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 1200 + b"\r\nContent-Length: 5\r\n\r\nphoto":
        connection.send(bytes([byte]))
        time.sleep(0.05)


def _endless(connection: socket.socket) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        connection.send(b"x" * 65536)


ANSWERS: dict[str, Callable[[socket.socket], None]] = {
    "silence": lambda connection: connection.recv(1),  # until the client leaves
    "dripping": _drip,
    "endless": _endless,
    "garbage": lambda connection: connection.sendall(b"\x00\xff garbage\r\n\r\n"),
    "cut short": lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nx"),
    "huge header": lambda connection: connection.sendall(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 300_000),
    "compressed": lambda connection: connection.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n\r\nx"
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("answer", ANSWERS)
def test_a_server_that_misbehaves_costs_a_moment_and_no_more(
    answer: str,
    allowed: Receiver,
    talker: Callable[[Callable[[socket.socket], None]], str],
    configure: Callable[..., Any],
) -> None:
    configure(fetch_timeout_s=2)
    url = talker(ANSWERS[answer])
    with pytest.raises(FetchFailed):
        outbound.fetch_photo(url, max_bytes=10_000_000)


def test_json_is_posted_and_redirects_are_answers(allowed: Receiver) -> None:
    status, text = outbound.post_json(f"{allowed.url}/hook", b'{"a": 1}', {"X-Signature": "abc"}, 60)
    assert (status, text) == (204, "")
    [call] = allowed.at("/hook")
    assert call.body == b'{"a": 1}'
    assert call.headers["x-signature"] == "abc"
    assert call.headers["content-type"] == "application/json"
    with pytest.raises(AddressForbidden):
        outbound.post_json("http://10.0.0.1/hook", b"{}", {}, 5)


def test_the_environments_proxy_is_not_asked(allowed: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://10.0.0.1:3128")
    assert outbound.fetch_photo(allowed.offer("/direct.jpg", b"photo"), max_bytes=100)[0] == b"photo"


# -- in turn -----------------------------------------------------------------------------------------------


def payer(*names: str, patience_s: float = 0.01) -> Payer:
    return Payer(names=names, patience_s=patience_s)


def test_one_payer_fetches_half_of_what_is_fetched_at_once(
    allowed: Receiver, configure: Callable[..., Any]
) -> None:
    configure(fetches_at_once=4, fetch_allow="127.0.0.0/8", fetch_timeout_s=60)
    url = allowed.offer("/turns.jpg", b"photo")

    def fetched(*names: str) -> AbstractContextManager[tuple[bytes, str]]:
        return outbound.fetched_photo(url, max_bytes=100, payer=payer(*names))

    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(fetched("account 1", "address"))
        with pytest.raises(ServiceUnavailable), fetched("account 2", "address"):
            pass
        for _ in range(2):  # somebody else's turn comes at once
            stack.enter_context(fetched("elsewhere"))
        with pytest.raises(ServiceUnavailable), fetched("nobody"):
            pass
    with fetched("nobody") as (data, _):
        assert data == b"photo"


def test_one_host_is_asked_for_few_photos_at_once(allowed: Receiver, configure: Callable[..., Any]) -> None:
    configure(fetch_timeout_s=0.3, fetch_allow="127.0.0.0/8")
    url = allowed.offer("/busy.jpg", b"photo")
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(fetching._HOSTS.turn("127.0.0.1", fetching.Deadline(60)))
        with pytest.raises(FetchFailed, match="too long"):
            outbound.fetch_photo(url, max_bytes=100)
    configure(fetch_timeout_s=60)
    assert outbound.fetch_photo(url, max_bytes=100)[0] == b"photo"
