"""What the cache raises while it does not answer."""

from __future__ import annotations

import sys


def cache_errors() -> tuple[type[Exception], ...]:
    """The errors of a cache that does not answer: `except cache_errors():`, which asks when there is one.

    Redis's own are among them where Redis is the cache. Its client takes a fifth of a second to import, so
    nothing imports it for its errors: where it was not imported, it raised nothing.
    """
    redis = sys.modules.get("redis.exceptions")
    return (OSError,) if redis is None else (OSError, redis.RedisError)
