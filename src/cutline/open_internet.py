"""Which addresses are on the open internet: a list of our own, the same on every Python.

From the IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890 and its updates), the multicast and
reserved ranges, and addresses by which clouds reach their own platform. ``ipaddress.is_global`` is no use: it
differs between patch releases, and lets some of these pass.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

CLOSED_V4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carriers' NAT; some clouds' metadata
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # a cloud's platform, from within its machines
        "169.254.0.0/16",  # link-local; most clouds' metadata
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # IETF protocols
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarking
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
    )
)
OPEN_V6 = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "2000::/3",  # all of global unicast
        "64:ff9b::/96",  # NAT64: as open as the IPv4 address within
        "::ffff:0:0/96",  # IPv4, written as IPv6: the same
    )
)
CLOSED_V6 = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # IETF protocols: Teredo, ORCHID, benchmarking
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)
_CARRYING_V4 = OPEN_V6[1:]


def is_open(address: IPAddress) -> bool:
    """Whether an address, and the IPv4 address that it may carry, is on the open internet."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in CLOSED_V4)
    if not any(address in network for network in OPEN_V6):
        return False
    return not any(address in network for network in CLOSED_V6) and all(map(is_open, _carried(address)))


def _carried(address: ipaddress.IPv6Address) -> Iterator[ipaddress.IPv4Address]:
    if any(address in network for network in _CARRYING_V4):
        yield ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
