"""Calls to addresses that somebody else chose, by the service's settings: photos by URL, and webhooks.

How they are kept to the open internet stands in ``cutline.fetching``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

import httpx

from cutline import fetching
from cutline.errors import FetchFailed
from cutline.fetching import MAX_URL
from cutline.server.config import settings
from cutline.server.shares import FairBudget, Payer
from cutline.server.transactions import lend_connection

__all__ = [
    "MAX_URL",
    "check_addresses",
    "check_url",
    "fetch_photo",
    "fetch_small",
    "fetched_photo",
    "post_json",
]

_EXCERPT_BYTES = 500


def _rules() -> fetching.Rules:
    return fetching.Rules(
        allow=settings().fetch_allow,
        timeout_s=settings().fetch_timeout_s,
        before_waiting=lend_connection,  # others need it while somebody else's server takes its time
    )


def check_url(url: str) -> httpx.URL:
    """As `fetching.check_url`. Raises AddressForbidden or FetchFailed."""
    return fetching.check_url(url, _rules())


def check_addresses(addresses: Iterable[str]) -> None:
    """As `fetching.check_addresses`. Raises AddressForbidden."""
    fetching.check_addresses(addresses, _rules())


def fetch_photo(url: str, *, max_bytes: int) -> tuple[bytes, str]:
    """As `fetching.fetch_photo`. Raises AddressForbidden or FetchFailed."""
    return fetching.fetch_photo(url, max_bytes=max_bytes, rules=_rules())


_FETCHES = FairBudget(
    "fetching of photos",
    total=lambda: settings().fetches_at_once,
    at_once=lambda: settings().fetches_at_once,
    before_waiting=lend_connection,
)


@contextmanager
def fetched_photo(url: str, *, max_bytes: int, payer: Payer) -> Iterator[tuple[bytes, str]]:
    """As `fetch_photo`, in its turn: so many at once in all, and for one payer.

    The turn lasts as long as the context: so the photos that are in memory are as few as those being fetched.
    Raises as `fetch_photo`, and ServiceUnavailable where its turn does not come in time.
    """
    check_url(url)
    with _FETCHES.taken(1, payer):
        yield fetch_photo(url, max_bytes=max_bytes)


def post_json(url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> tuple[int, str]:
    """Send JSON; give the status and the beginning of the answer. Redirects are answers, and not followed.

    Raises AddressForbidden or FetchFailed.
    """
    deadline = fetching.Deadline(timeout_s)
    sent = {"Content-Type": "application/json", **headers}
    with fetching.call("POST", check_url(url), deadline, _rules(), headers=sent, body=body) as response:
        excerpt = bytearray()
        for chunk in response.iter_stream():
            excerpt += chunk
            if len(excerpt) >= _EXCERPT_BYTES:
                break
        return response.status, bytes(excerpt[:_EXCERPT_BYTES]).decode("utf-8", "replace")


def fetch_small(url: str, *, max_bytes: int, timeout_s: float) -> bytes:
    """What a GET answers with the status 200; no redirects. Raises AddressForbidden or FetchFailed."""
    deadline = fetching.Deadline(timeout_s)
    body = bytearray()
    with fetching.call("GET", check_url(url), deadline, _rules(), headers={}) as response:
        if response.status != 200:
            raise FetchFailed(f"The server answered with the status {response.status}.")
        for chunk in response.iter_stream():
            body += chunk
            if len(body) > max_bytes:
                raise FetchFailed(f"The answer is larger than {max_bytes:,} bytes.")
    return bytes(body)
