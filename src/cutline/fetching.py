"""Calls to addresses that somebody else chose: photos by URL, and the service's webhooks.

A name is resolved once; every address it has is checked, and the connection goes to one that was checked, so
that no second answer of a name server can lead elsewhere. Each redirect starts over. Nothing of the
environment (proxies, .netrc) is used.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

import httpcore
import httpx

from cutline.errors import SMALLER_PHOTO, AddressForbidden, FetchFailed
from cutline.open_internet import IPAddress, is_open

MAX_REDIRECTS = 5
MAX_URL = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What may be called, and for how long.

    allow: networks (CIDR) that may be called although they are not on the open internet. before_waiting is
    called before a server is waited for.
    """

    allow: tuple[str, ...] = ()
    timeout_s: float = 15.0
    before_waiting: Callable[[], None] | None = None


_USER_AGENT = "Cutline (fetches a photo that somebody asked for)"
_MOST_OF_ONE_HOST = 4  # photos fetched from it at once
_SLICE_S = 10.0  # one try of connecting, of the whole time


def check_url(url: str, rules: Rules) -> httpx.URL:
    """A URL in its parts, if it is one that may be called; its addresses are checked when it is.

    Raises AddressForbidden (not http(s), a system port, a private address) or FetchFailed (no URL at all).
    """
    if len(url) > MAX_URL or any(ord(c) < 33 for c in url.strip()):
        raise FetchFailed("This is not a valid URL.")
    try:
        parsed = httpx.URL(url.strip())
        port = parsed.port or (443 if parsed.scheme == "https" else 80)
        host = parsed.raw_host.decode("ascii")
    except (httpx.InvalidURL, ValueError, UnicodeError, TypeError) as error:
        raise FetchFailed("This is not a valid URL.") from error
    if parsed.scheme not in ("http", "https"):
        raise AddressForbidden("Only http and https addresses are fetched.")
    if not host:
        raise FetchFailed("This URL has no host.")
    if port not in (80, 443) and not 1024 <= port <= 65535:
        raise AddressForbidden(f"Port {port} is not allowed.", hint="Use 80, 443, or a port above 1023.")
    if address := _address_in(host):
        check_addresses([address], rules)
    return parsed


def _address_in(host: str) -> str | None:
    """The address that a host is without asking a name server: also 127.1, 2130706433 and localhost."""
    if re.fullmatch(r"(.+\.)?localhost\.?", host, re.IGNORECASE):
        return "127.0.0.1"
    try:
        return str(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        pass
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except OSError:
        return None


def check_addresses(addresses: Iterable[str], rules: Rules) -> None:
    """Refuse unless all of these are addresses of the open internet, or allowed by the rules.

    Raises AddressForbidden.
    """
    allowed = _allowed(rules.allow)
    for text in addresses:
        address = ipaddress.ip_address(text.partition("%")[0])
        if not any(_is_in(address, network) for network in allowed) and not is_open(address):
            raise AddressForbidden(
                "This URL leads to an address that is not on the open internet.",
                hint="An administrator can allow networks with CUTLINE_FETCH_ALLOW.",
            )


@lru_cache(maxsize=4)
def _allowed(networks: tuple[str, ...]) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    return tuple(ipaddress.ip_network(network, strict=False) for network in networks)


def _is_in(address: IPAddress, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    return address.version == network.version and address in network


# Connections to checked addresses, within a deadline

# A name server that keeps silent holds a thread for as long as the system's resolver waits for it: one domain
# may hold only a few of them.
_RESOLVERS = ThreadPoolExecutor(max_workers=32, thread_name_prefix="resolve")
_MAX_LOOKUPS = 4  # of one domain at once


class _Lookups:
    """Names that are being looked up, counted by their domain."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: Counter[str] = Counter()

    def submit(self, host: str, port: int) -> Future[list[Any]]:
        """Look a name up on a thread. Raises FetchFailed where its domain has too many look-ups running."""
        domain = ".".join(host.rstrip(".").lower().rsplit(".", 2)[-2:])
        with self._lock:
            if self._running[domain] >= _MAX_LOOKUPS:
                raise FetchFailed(
                    "The name servers of this address are not responding.", hint="Try again later."
                )
            self._running[domain] += 1
        future = _RESOLVERS.submit(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        future.add_done_callback(lambda _: self._ended(domain))
        return future

    def _ended(self, domain: str) -> None:
        with self._lock:
            self._running[domain] -= 1
            if not self._running[domain]:
                del self._running[domain]


_LOOKUPS = _Lookups()


class Deadline:
    """The moment by which all must be done."""

    def __init__(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds

    def left_s(self) -> float:
        """Seconds until then. Raises FetchFailed when there are none."""
        left = self._at - time.monotonic()
        if left <= 0:
            raise FetchFailed("The server took too long to answer.")
        return left


class _Hosts:
    """Photos that are being fetched, counted by their host: nobody can turn us against somebody's server."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._running: Counter[str] = Counter()

    @contextmanager
    def turn(self, host: str, deadline: Deadline) -> Iterator[None]:
        """Be one of the few that fetch from this host. Raises FetchFailed where none of them ends in time."""
        with self._condition:
            while self._running[host] >= _MOST_OF_ONE_HOST:
                self._condition.wait(deadline.left_s())
            self._running[host] += 1
        try:
            yield
        finally:
            with self._condition:
                self._running[host] -= 1
                if not self._running[host]:
                    del self._running[host]
                self._condition.notify_all()


_HOSTS = _Hosts()


class _TimedStream(httpcore.NetworkStream):
    """A connection whose every wait ends at the deadline: a server may not drip bytes for hours."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, timeout=self._deadline.left_s())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, timeout=self._deadline.left_s())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        stream = self._stream.start_tls(ssl_context, server_hostname, timeout=self._deadline.left_s())
        return _TimedStream(stream, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _CheckedBackend(httpcore.NetworkBackend):
    """Resolves a name, checks all its addresses, connects to one of those."""

    def __init__(self, deadline: Deadline, rules: Rules) -> None:
        self._deadline = deadline
        self._rules = rules
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = self._addresses(host, port)
        check_addresses(addresses, self._rules)
        failure: Exception = FetchFailed("The server cannot be reached.")
        for address in addresses[:4]:
            try:
                stream = self._backend.connect_tcp(
                    address,
                    port,
                    timeout=min(self._deadline.left_s(), _SLICE_S),
                    socket_options=socket_options,
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return _TimedStream(stream, self._deadline)
        raise failure

    def _addresses(self, host: str, port: int) -> list[str]:
        # The resolver knows no deadline, so that it is waited for, not called.
        future = _LOOKUPS.submit(host, port)
        try:
            found = future.result(timeout=self._deadline.left_s())
        except FutureTimeout as error:
            raise FetchFailed("Resolving the server's name took too long.") from error
        except (OSError, UnicodeError) as error:
            raise FetchFailed("The server's name could not be resolved.") from error
        addresses = list(dict.fromkeys(str(info[4][0]) for info in found))
        if not addresses:
            raise FetchFailed("The server's name could not be resolved.")
        return addresses


@lru_cache(maxsize=1)
def _ssl_context() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)


def trusted_roots() -> list[bytes]:
    """The certificates (DER) of the authorities that calls trust."""
    return _ssl_context().get_ca_certs(binary_form=True)


@contextmanager
def call(
    method: str,
    url: httpx.URL,
    deadline: Deadline,
    rules: Rules,
    *,
    headers: Mapping[str, str],
    body: bytes = b"",
) -> Iterator[httpcore.Response]:
    """One request, no redirects. Raises AddressForbidden or FetchFailed."""
    if rules.before_waiting is not None:
        rules.before_waiting()
    target = url.copy_with(fragment=None, userinfo=b"")
    request_headers = {
        "Host": url.netloc.decode("ascii"),
        "User-Agent": _USER_AGENT,
        "Accept-Encoding": "identity",
        "Connection": "close",
        **headers,
    }
    try:
        with (
            httpcore.ConnectionPool(
                ssl_context=_ssl_context(), network_backend=_CheckedBackend(deadline, rules), retries=0
            ) as pool,
            pool.stream(
                method,
                httpcore.URL(
                    scheme=target.raw_scheme, host=target.raw_host, port=target.port, target=target.raw_path
                ),
                headers=list(request_headers.items()),
                content=body or None,
            ) as response,
        ):
            yield response
    except (httpcore.TimeoutException, TimeoutError) as error:
        raise FetchFailed("The server took too long to answer.") from error
    except (
        httpcore.NetworkError,
        httpcore.ProtocolError,
        httpcore.UnsupportedProtocol,
        OSError,
        ValueError,
    ) as error:
        raise FetchFailed("The server could not be reached, or its response was invalid.") from error


def fetch_photo(url: str, *, max_bytes: int, rules: Rules) -> tuple[bytes, str]:
    """The bytes behind a URL and the name that it gives them; up to five redirects are followed.

    Raises AddressForbidden, or FetchFailed (unreachable, too slow, too large, or answered with an error).
    """
    deadline = Deadline(rules.timeout_s)
    target = check_url(url, rules)
    for _ in range(MAX_REDIRECTS + 1):
        with (
            _HOSTS.turn(target.host, deadline),
            call("GET", target, deadline, rules, headers={"Accept": "image/*,*/*;q=0.5"}) as response,
        ):
            headers = {name.lower(): value for name, value in response.headers}
            if response.status in (301, 302, 303, 307, 308) and b"location" in headers:
                target = _next_url(target, headers[b"location"], rules)
                continue
            if response.status != 200:
                raise FetchFailed(f"The server answered with the status {response.status}.")
            return _body(response, headers, max_bytes, deadline), _name_of(target)
    raise FetchFailed("Too many redirects.")


def _next_url(target: httpx.URL, location: bytes, rules: Rules) -> httpx.URL:
    try:
        joined = str(target.join(location.decode("utf-8", "replace")))
    except (httpx.InvalidURL, ValueError) as error:
        raise FetchFailed("The server redirects to an invalid URL.") from error
    return check_url(joined, rules)


def _body(
    response: httpcore.Response, headers: Mapping[bytes, bytes], max_bytes: int, deadline: Deadline
) -> bytes:
    too_large = FetchFailed(f"The file is larger than {max_bytes:,} bytes.", hint=SMALLER_PHOTO)
    announced = headers.get(b"content-length", b"")
    if announced.isdigit() and int(announced) > max_bytes:
        raise too_large
    if headers.get(b"content-encoding", b"identity").lower() not in (b"identity", b""):
        raise FetchFailed("The server compressed its response although it was asked not to.")
    body = bytearray()
    for chunk in response.iter_stream():
        body += chunk
        if len(body) > max_bytes:
            raise too_large
        deadline.left_s()
    return bytes(body)


def _name_of(url: httpx.URL) -> str:
    return unquote(url.path.rstrip("/").rpartition("/")[2])
