"""Signatures of webhooks: what `cutline.signatures` makes of them, and the error where one does not hold."""

from __future__ import annotations

from collections.abc import Mapping

from cutline.server.errors import Invalid
from cutline.signatures import TOLERANCE_S, fault_of, headers, new_secret, sign

__all__ = ["headers", "new_secret", "sign", "verify"]


def verify(
    secret: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    now: float | None = None,
    tolerance_s: float = TOLERANCE_S,
) -> None:
    """What a receiver does before it believes a call. Names of headers in lower case.

    Raises Invalid where the signature is missing or wrong, or the call is too old or from the future.
    """
    if fault := fault_of([secret], headers, body, now=now, tolerance_s=tolerance_s):
        raise Invalid(fault)
