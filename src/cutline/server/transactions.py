"""Short transactions that outlive deadlocks, locked databases and lost connections by running again."""

from __future__ import annotations

import functools
import logging
import random
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from django.db import InterfaceError, OperationalError, connection, transaction

P = ParamSpec("P")
R = TypeVar("R")

logger = logging.getLogger(__name__)

TRIES = 6
_FIRST_WAIT_S = 0.02


def retried(function: Callable[P, R]) -> Callable[P, R]:
    """Run a function in a transaction of its own, again (at most TRIES times) where the database gave way.

    The function must have no effect outside the database: it may run several times, and once more although
    its commit succeeded, where the connection broke before the answer came. Inside another transaction it
    runs once: that one must be run again as a whole.
    Raises OperationalError or InterfaceError where the last try failed too.
    """

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        if connection.in_atomic_block:
            return function(*args, **kwargs)
        for failures in range(1, TRIES):
            try:
                with transaction.atomic():
                    return function(*args, **kwargs)
            except (OperationalError, InterfaceError) as error:
                logger.info("A transaction is retried: %s", error)
                forget_broken_connection()
                time.sleep(random.uniform(0.5, 1) * _FIRST_WAIT_S * 2**failures)
        with transaction.atomic():
            return function(*args, **kwargs)

    return run


def lend_connection() -> None:
    """Give this thread's connection back to PostgreSQL's pool before a wait; a query takes one again."""
    if connection.vendor == "postgresql" and not connection.in_atomic_block:
        connection.close()


def forget_broken_connection() -> None:
    """Close this thread's connection where it cannot be used any more; the next query makes a new one."""
    if not connection.in_atomic_block and connection.connection is not None and not connection.is_usable():
        connection.close()
