"""Signatures of calls over HTTP, as the Standard Webhooks specification has them (standardwebhooks.com).

A call carries webhook-id, webhook-timestamp (seconds since 1970) and webhook-signature: one or more
"v1,BASE64" separated by spaces, each the HMAC-SHA256 of "id.timestamp.body". The time is signed, so that a
call that somebody recorded cannot be played again later; the id stays the same in every try and replay of
one message.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Iterable, Mapping

PREFIX = "whsec_"
TOLERANCE_S = 300.0
SECRET_BYTES = 24  # the shortest that the specification allows

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"


def new_secret() -> str:
    """256 random bits, in the form that libraries for Standard Webhooks take."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode("ascii")


def is_secret(text: str) -> bool:
    """Whether this is a secret that calls can be signed with: whsec_ and the base64 of 24 bytes or more."""
    try:
        return text.startswith(PREFIX) and len(_key(text)) >= SECRET_BYTES
    except ValueError:  # binascii's, and what no ASCII is
        return False


def headers(signing: Iterable[str], *, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers of a call, signed with each of these secrets (two while one is being replaced)."""
    signatures = (sign(secret, message_id=message_id, timestamp=timestamp, body=body) for secret in signing)
    return {ID: message_id, TIMESTAMP: str(timestamp), SIGNATURE: " ".join(signatures)}


def sign(secret: str, *, message_id: str, timestamp: int, body: bytes) -> str:
    """One signature. timestamp: seconds since 1970."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.new(_key(secret), signed, hashlib.sha256).digest()).decode("ascii")


def fault_of(
    secrets: Iterable[str],
    headers: Mapping[str, str],
    body: bytes,
    *,
    now: float | None = None,
    tolerance_s: float = TOLERANCE_S,
) -> str:
    """What is wrong with a call that one of these secrets should have signed, a sentence; "" if nothing is.

    headers: their names in lower case, or in a mapping that does not care.
    """
    try:
        message_id, timestamp = headers[ID], int(headers[TIMESTAMP])
        age_s = (time.time() if now is None else now) - timestamp
        given = [each.encode() for each in headers[SIGNATURE].split()]
        expected = [
            sign(secret, message_id=message_id, timestamp=timestamp, body=body).encode() for secret in secrets
        ]
    except (KeyError, ValueError, OverflowError):
        return "This call has no signature."
    if abs(age_s) > tolerance_s:
        return "This call is too old, or from the future."
    if not any(hmac.compare_digest(one, other) for one in expected for other in given):
        return "The signature is wrong."
    return ""


def _key(secret: str) -> bytes:
    """The bytes of a secret. Raises ValueError."""
    return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
