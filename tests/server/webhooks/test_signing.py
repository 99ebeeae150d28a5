"""Signatures: right by the specification's own example, and wrong wherever something changed."""

from __future__ import annotations

import time

import pytest

from cutline.server.errors import Invalid
from cutline.server.webhooks import signing

# The example that the libraries of Standard Webhooks test themselves with.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE = "msg_p5jXN8AQM9LWM0D4loKWxJek"
BODY = b'{"test": 2432232314}'
AT = 1614265330
OTHER_SECRET = f"whsec_{'A' * 32}"
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def _headers(**changed: str) -> dict[str, str]:
    headers = {"webhook-id": MESSAGE, "webhook-timestamp": str(AT), "webhook-signature": SIGNATURE}
    return headers | {name.replace("_", "-"): value for name, value in changed.items()}


def test_the_specification_s_example_has_its_signature() -> None:
    assert signing.sign(SECRET, message_id=MESSAGE, timestamp=AT, body=BODY) == SIGNATURE


def test_a_call_is_believed_while_it_is_fresh() -> None:
    signing.verify(SECRET, _headers(), BODY, now=AT + 299)


@pytest.mark.parametrize("now", [AT + 301, AT - 301])
def test_a_call_that_was_recorded_is_not_believed_later(now: float) -> None:
    with pytest.raises(Invalid, match="too old"):
        signing.verify(SECRET, _headers(), BODY, now=now)


@pytest.mark.parametrize(
    ("headers", "body", "secret"),
    [
        (_headers(), b'{"test": 2432232315}', SECRET),
        (_headers(webhook_id="msg_other"), BODY, SECRET),
        (_headers(webhook_timestamp=str(AT + 1)), BODY, SECRET),
        (_headers(webhook_signature="v1,AAAA"), BODY, SECRET),
        (_headers(webhook_signature=SIGNATURE.replace("v1,", "v2,")), BODY, SECRET),
        (_headers(), BODY, OTHER_SECRET),
    ],
)
def test_whatever_is_changed_breaks_the_signature(headers: dict[str, str], body: bytes, secret: str) -> None:
    with pytest.raises(Invalid, match="wrong"):
        signing.verify(secret, headers, body, now=AT)


@pytest.mark.parametrize("missing", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_a_call_without_one_of_the_headers_is_not_signed(missing: str) -> None:
    headers = {name: value for name, value in _headers().items() if name != missing}
    with pytest.raises(Invalid, match="no signature"):
        signing.verify(SECRET, headers, BODY, now=AT)


def test_while_a_secret_is_replaced_both_verify() -> None:
    old, new = signing.new_secret(), signing.new_secret()
    now = int(time.time())
    headers = signing.headers([new, old], message_id="msg_1", timestamp=now, body=BODY)
    signing.verify(old, headers, BODY)
    signing.verify(new, headers, BODY)
    with pytest.raises(Invalid):
        signing.verify(signing.new_secret(), headers, BODY)
