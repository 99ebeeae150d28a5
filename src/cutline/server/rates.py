"""Rates: how often something may happen for one account or network, counted over a sliding window."""

from __future__ import annotations

import hashlib
import hmac
import logging
import math
import time
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, ip_address

import limits
from django.conf import settings as django_settings
from django.http.response import HttpResponseBase
from limits.errors import StorageError
from limits.storage import storage_from_string
from limits.strategies import RateLimiter, SlidingWindowCounterRateLimiter

from cutline.server import security_log
from cutline.server.config import settings
from cutline.server.errors import TooManyRequests
from cutline.server.observability.metrics import RATE_LIMITED
from cutline.server.security_log import Event

MARK_LENGTH = 32  # letters of network_mark

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How much of a limit is left."""

    policy: str
    limit: int
    window_s: int
    remaining: int
    reset_s: int

    def write(self, response: HttpResponseBase) -> None:
        """Say it in the headers: those of the IETF draft, and the older three that most clients know."""
        response["RateLimit-Policy"] = f'"{self.policy}";q={self.limit};w={self.window_s}'
        response["RateLimit"] = f'"{self.policy}";r={self.remaining};t={self.reset_s}'
        response["RateLimit-Limit"] = str(self.limit)
        response["RateLimit-Remaining"] = str(self.remaining)
        response["RateLimit-Reset"] = str(self.reset_s)


class RateLimited(TooManyRequests):
    """A rate limit is used up; it says which, and when to come back."""

    def __init__(self, standing: Standing) -> None:
        super().__init__(
            f"Rate limit exceeded: at most {standing.limit} requests in {standing.window_s} s.",
            hint=f"Try again in {standing.reset_s} s.",
        )
        self.standing = standing
        self.retry_after_s = standing.reset_s


def network_of(address: str) -> str:
    """An IPv6 client has a whole /64 to itself; an IPv4 address stands for itself."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        mapped = parsed.ipv4_mapped
        return str(mapped) if mapped else str(IPv6Address(int(parsed) >> 64 << 64))
    return str(parsed)


def network_mark(address: str) -> str:
    """What is kept of a network, to tell that visitors share one: a keyed hash, which names no address."""
    key = django_settings.SECRET_KEY.encode()
    return hmac.digest(key, f"network:{network_of(address)}".encode(), hashlib.sha256).hex()[:MARK_LENGTH]


def hit(policy: str, rate: str, who: str) -> Standing | None:
    """Count something of `who`, and say what is left. None where the counters cannot be reached.

    Raises: RateLimited.
    """
    item = limits.parse(rate)
    limiter = _limiter(settings().cache_url)
    try:
        allowed = limiter.hit(item, policy, who)
        stats = limiter.get_window_stats(item, policy, who)
    except StorageError as error:
        # Counting is not worth refusing everybody while Redis is away.
        log.warning("Requests are not counted: %s", error.storage_error)
        return None
    standing = Standing(
        policy=policy,
        limit=item.amount,
        window_s=item.get_expiry(),
        remaining=max(0, int(stats.remaining)) if allowed else 0,
        reset_s=max(1, math.ceil(stats.reset_time - time.time())),
    )
    if not allowed:
        RATE_LIMITED.labels(policy).inc()
        security_log.write(Event.RATE_REFUSED, policy=policy, counted=who)
        raise RateLimited(standing)
    return standing


@lru_cache(maxsize=1)
def _limiter(url: str) -> RateLimiter:
    if url.startswith("unix://"):
        url = "redis+" + url
    return SlidingWindowCounterRateLimiter(storage_from_string(url, wrap_exceptions=True))


def forget() -> None:
    """Reset the counters, as a restart with counters in memory does. For tests."""
    _limiter.cache_clear()
