"""Signatures of webhooks, as the Standard Webhooks specification has them (standardwebhooks.com).

A call carries webhook-id, webhook-timestamp (seconds since 1970) and webhook-signature: one or more
"v1,BASE64" separated by spaces, each the HMAC-SHA256 of "id.timestamp.body". The time is signed, so that a
call that somebody recorded cannot be played again later; the id stays the same in every try and replay of
one message.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
import time
from collections.abc import Iterable, Mapping

from cutline.server.errors import Invalid

PREFIX = "whsec_"
TOLERANCE_S = 300.0


def new_secret() -> str:
    """256 random bits, in the form that libraries for Standard Webhooks take."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode("ascii")


def headers(signing: Iterable[str], *, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers of a call, signed with each of these secrets (two while one is being replaced)."""
    signatures = (sign(secret, message_id=message_id, timestamp=timestamp, body=body) for secret in signing)
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": " ".join(signatures),
    }


def sign(secret: str, *, message_id: str, timestamp: int, body: bytes) -> str:
    """One signature. timestamp: seconds since 1970."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode("ascii")


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
    try:
        message_id, timestamp = headers["webhook-id"], int(headers["webhook-timestamp"])
        expected = sign(secret, message_id=message_id, timestamp=timestamp, body=body)
        given = headers["webhook-signature"].split()
    except (KeyError, ValueError, binascii.Error) as error:
        raise Invalid("This call has no signature.") from error
    if abs((time.time() if now is None else now) - timestamp) > tolerance_s:
        raise Invalid("This call is too old, or from the future.")
    if not any(hmac.compare_digest(expected.encode(), each.encode()) for each in given):
        raise Invalid("The signature is wrong.")
