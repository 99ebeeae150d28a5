"""Who reaches a service on a laptop: this machine alone, or the network that it is in."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import sys
from collections.abc import Sequence

import click

# Where packets to these would leave, this machine has an address; none is ever sent.
_ELSEWHERE = ("10.255.255.255", "172.31.255.255", "192.168.255.255", "203.0.113.1", "fd00::1", "2001:db8::1")
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
    return (f"[{host}]" if ":" in host.strip("[]") and host[0] != "[" else host,)


def lets_others_in(names: Sequence[str], *, choice: bool | None) -> bool:
    """Whether to answer to these names. choice: the option; where it is not given, a terminal is asked."""
    if choice is not None or not sys.stdin.isatty():
        return bool(choice)
    click.echo(f"Others on the network reach this machine as {', '.join(names)}.", err=True)
    return click.confirm("Let them in? They can upload photos, as you can", err=True)


def _private_addresses() -> list[str]:
    found = []
    for other in _ELSEWHERE:
        family = socket.AF_INET6 if ":" in other else socket.AF_INET
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((other, 9))
            address = ipaddress.ip_address(str(probe.getsockname()[0]).partition("%")[0])
            if address.is_private and not (address.is_loopback or address.is_unspecified):
                found.append(f"[{address}]" if address.version == 6 else str(address))
    return found


def _is_name(name: str) -> bool:
    return name.replace("-", "").replace(".", "").isalnum() and name.isascii() and name != "localhost"
