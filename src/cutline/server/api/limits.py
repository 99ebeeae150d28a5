"""Whom a request counts for: its account, whichever key it comes by, or its network without an account."""

from __future__ import annotations

from django.http import HttpRequest

from cutline.server import rates
from cutline.server.config import settings
from cutline.server.people.viewers import Viewer, viewer_of
from cutline.server.rates import RateLimited, Standing, forget, network_of
from cutline.server.request_context import context_of
from cutline.server.shares import Pace, Payer

__all__ = [
    "CAPTION_PATH",
    "count",
    "count_accounts",
    "count_address",
    "count_styles",
    "count_websocket",
    "forget",
    "network_of",
    "payer_of",
    "refusal_wait_s",
]

_PATIENCE_S = 30.0  # for so long a request waits for room; then its client is told to come again
CAPTION_PATH = "/api/v1/caption"
_LONGEST_REFUSAL_S = 10.0
_REFUSALS = Pace(10, at_once=20)


def count(viewer: Viewer, *, method: str, path: str) -> Standing | None:
    """Count a request of this viewer, and say what is left. None where the counters cannot be reached.

    A key of somebody without an account changes nothing: anybody makes as many of them as they like.

    Raises: RateLimited.
    """
    if viewer.user_id is not None:
        return rates.hit("account", settings().rate_user, viewer.user_id.hex)
    standing = count_address(viewer.address)
    if method == "POST" and path == CAPTION_PATH:
        return rates.hit("caption", settings().rate_caption, rates.network_of(viewer.address))
    return standing


def count_address(address: str) -> Standing | None:
    """Count a request of an address, whoever sends it: also one whose key does not work.

    Raises: RateLimited.
    """
    return rates.hit("address", settings().rate_anonymous, rates.network_of(address))


def count_styles(request: HttpRequest) -> None:
    """Count that captions in a voice are asked for, by account or, without one, by network.

    Raises: RateLimited.
    """
    viewer = viewer_of(request)
    who = viewer.user_id.hex if viewer.user_id else rates.network_of(viewer.address)
    try:
        standing = rates.hit("styles", settings().rate_styles, who)
    except RateLimited as error:
        context_of(request).put(error.standing)
        raise
    if standing is not None:
        context_of(request).put(standing)  # for the answer's headers


def count_accounts(address: str) -> Standing | None:
    """Count a request for signing in, an account's pages or the admin, whoever sends it.

    Raises: RateLimited.
    """
    return rates.hit("accounts", settings().rate_accounts, rates.network_of(address))


def count_websocket(address: str) -> Standing | None:
    """Count a new websocket, whoever opens it.

    Raises: RateLimited.
    """
    return rates.hit("websockets", settings().rate_websockets, rates.network_of(address))


def refusal_wait_s(network: str) -> float:
    """How long a network waits for being told that it asks too often: or it would ask ever faster."""
    return min(_LONGEST_REFUSAL_S, _REFUSALS.wait_s(network))


def payer_of(viewer: Viewer) -> Payer:
    """On whose behalf a request takes what there is little of: its address's, and the account's with one."""
    address = f"address:{network_of(viewer.address)}"
    names = (f"owner:{viewer.owner_id}", address) if viewer.user_id else (address,)
    return Payer(names=names, patience_s=_PATIENCE_S)
