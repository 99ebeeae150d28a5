"""Who reaches a service on a laptop: this machine alone, or the network that it is in."""

from __future__ import annotations

import contextlib
import ctypes
import ipaddress
import os
import socket
import sys
from collections.abc import Iterator, Sequence

import click

# Where packets to these would leave, this machine has an address; none is ever sent.
_ELSEWHERE = ("10.255.255.255", "172.31.255.255", "192.168.255.255", "203.0.113.1", "fd00::1", "2001:db8::1")
_SHARED = ipaddress.ip_network("100.64.0.0/10")  # as overlay networks have (RFC 6598)
_WILDCARDS = ("", "0.0.0.0", "::", "[::]")


def is_for_others(host: str) -> bool:
    """Whether listening there lets other machines connect."""
    with contextlib.suppress(ValueError):
        return not ipaddress.ip_address(host.strip("[]")).is_loopback
    return host != "localhost"


def own_names() -> tuple[str, ...]:
    """This machine's names and private addresses, as they stand in URLs. Nothing is looked up."""
    name = socket.gethostname().lower()
    names = [name, *([] if "." in name or not name else [f"{name}.local"])]
    return tuple(dict.fromkeys([*filter(_is_name, names), *_private_addresses()]))


def reachable(host: str, names: Sequence[str]) -> tuple[str, ...]:
    """Those of the names under which a service that listens on a host is reached."""
    if host in _WILDCARDS:
        return tuple(names)
    with contextlib.suppress(ValueError):
        return (_in_url(ipaddress.ip_address(host.strip("[]"))),)
    return (host.lower(),)


def can_ask() -> bool:
    """Whether somebody sits at a terminal."""
    return sys.stdin.isatty()


def lets_others_in(names: Sequence[str], *, choice: bool | None) -> bool:
    """Whether to answer to these names. choice: the option; where it is not given, a terminal is asked."""
    if choice is not None or not can_ask():
        return bool(choice)
    click.echo(f"Others on the network reach this machine as {', '.join(names)}.", err=True)
    return click.confirm("Let them in? They can upload photos, as you can", err=True)


def _private_addresses() -> list[str]:
    """Those that the machine goes out by, then the others of its interfaces."""
    found = []
    for text in dict.fromkeys([*_probed_addresses(), *_interface_addresses()]):
        address = ipaddress.ip_address(text.partition("%")[0])
        is_here = (
            address.is_loopback or address.is_unspecified or (address.version == 6 and address.is_link_local)
        )
        if not is_here and (address.is_private or address in _SHARED):
            found.append(_in_url(address))
    return found


def _probed_addresses() -> Iterator[str]:
    for other in _ELSEWHERE:
        family = socket.AF_INET6 if ":" in other else socket.AF_INET
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((other, 9))
            yield str(probe.getsockname()[0])


class _Interface(ctypes.Structure):
    """An address of an interface, and the next one: struct ifaddrs, of Linux, macOS and the BSDs."""


_Interface._fields_ = [
    ("next", ctypes.POINTER(_Interface)),
    ("name", ctypes.c_char_p),
    ("flags", ctypes.c_uint),
    ("address", ctypes.c_void_p),
]


def _interface_addresses() -> Iterator[str]:
    """All addresses of the machine's interfaces; none where the system has another way to ask, as Windows."""
    if os.name != "posix":
        return
    system = ctypes.CDLL(None)
    first = ctypes.POINTER(_Interface)()
    if not hasattr(system, "getifaddrs") or system.getifaddrs(ctypes.byref(first)) != 0:
        return
    try:
        at = first
        while at:
            if at.contents.address:
                yield from _address_at(at.contents.address)
            at = at.contents.next
    finally:
        system.freeifaddrs(first)


def _address_at(place: int) -> Iterator[str]:
    """The IP address in a struct sockaddr, if it is one."""
    head = ctypes.string_at(place, 2)
    # The BSDs have a length before the family, which is one byte.
    family = int.from_bytes(head, sys.byteorder) if sys.platform == "linux" else head[1]
    if family == socket.AF_INET:
        yield socket.inet_ntop(socket.AF_INET, ctypes.string_at(place + 4, 4))
    elif family == socket.AF_INET6:
        yield socket.inet_ntop(socket.AF_INET6, ctypes.string_at(place + 8, 16))


def _in_url(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    return f"[{address}]" if address.version == 6 else str(address)


def _is_name(name: str) -> bool:
    return name.replace("-", "").replace(".", "").isalnum() and name.isascii() and name != "localhost"
