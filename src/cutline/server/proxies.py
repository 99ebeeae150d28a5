"""Behind proxies: which address a client has, and whether it came over https.

Every proxy adds to X-Forwarded-For the address that it saw. Only as many of these are believed as there are
proxies (settings.proxy_count), and only from addresses that proxies have: what stands further left, a client
may have made up, be it on the proxies' own network.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from cutline.server.config import settings

_SCHEMES = ("http", "https", "ws", "wss")


def client_address(peer: str, forwarded_for: str) -> str:
    """The client's network address. peer: who connected to us; "" for a local socket."""
    chosen = settings()
    if not chosen.trust_proxy:
        return peer
    address = peer
    for hop in list(reversed(forwarded_for.split(",")))[: chosen.proxy_count]:
        if not is_proxy(address):
            break
        try:
            address = str(ip_address(hop.strip()))
        except ValueError:
            break
    return address


def with_forwarded_scheme(scope: dict[str, Any]) -> dict[str, Any]:
    """An ASGI connection with the scheme that its client used, where a proxy tells it."""
    peer = str((scope.get("client") or ("",))[0])
    told = dict(scope["headers"]).get(b"x-forwarded-proto", b"").decode("latin-1").strip()
    if not settings().trust_proxy or told not in _SCHEMES or not is_proxy(peer):
        return scope
    is_secure = told in ("https", "wss")
    plain = "ws" if scope["type"] == "websocket" else "http"
    return {**scope, "scheme": f"{plain}s" if is_secure else plain}


def is_proxy(address: str) -> bool:
    """Whether proxies have this address."""
    if not address:
        return True  # a socket of this machine
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return any(found in network for network in _networks(settings().proxies))


@lru_cache(maxsize=4)
def _networks(proxies: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(each, strict=False) for each in proxies)
