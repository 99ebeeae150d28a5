"""What the function tells of a photo, and to whom: the service, or an SNS topic that it subscribes to."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from cutline.captioning.protocol import Caption, ModelInfo
from cutline.chat import NoRedirects, asked_wait_s
from cutline.errors import ConfigError, FetchFailed
from cutline.signatures import headers, is_secret

PATH = "/callbacks/captions"
TRIES = 5
_FIRST_WAIT_S = 1.0  # then twice as long each time; a second at least, so that no two signatures are the same
_LONGEST_WAIT_S = 20.0
_TIMEOUT_S = 10.0
_NOT_WANTED = (404, 409, 410)  # no such photo, or nobody waits for its captions any more
_AGAIN = (408, 425, 429)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The captions of one photo, best first, and the model that wrote them."""

    key: str
    captions: Sequence[Caption]
    model: ModelInfo

    def body(self) -> bytes:
        """As JSON: what /callbacks/captions takes."""
        return json.dumps(
            {
                "key": self.key,
                "captions": list(map(_written, self.captions)),
                "model": {
                    "name": self.model.name,
                    "version": self.model.version,
                    "hash": self.model.bundle_hash,
                },
            },
            ensure_ascii=False,
        ).encode()

    def message_id(self) -> str:
        """The same for each event that tells of the photo, as long as the same model captions it."""
        named = f"{self.key}\n{self.model.label}\n{self.model.bundle_hash}"
        return "cap_" + hashlib.sha256(named.encode()).hexdigest()[:32]


def _written(caption: Caption) -> dict[str, Any]:
    """An older service takes no confidence: it is there only where the model says one."""
    written = {
        "text": caption.text,
        "log_prob": caption.log_prob if math.isfinite(caption.log_prob) else None,
    }
    return written if caption.confidence is None else written | {"confidence": caption.confidence}


Tell: TypeAlias = Callable[[Answer], None]
"""Tells of a photo. Raises FetchFailed, or what a cloud's library raises: then the event must come again."""


class Service:
    """The service, called back. secrets: as CUTLINE_CALLBACK_SECRET has them, separated by spaces."""

    def __init__(
        self, public_url: str, secrets: str, *, sleep: Callable[[float], object] = time.sleep
    ) -> None:
        if not public_url:
            raise ConfigError("CUTLINE_PUBLIC_URL is missing.", hint="Say where the service is.")
        if not _is_safe(public_url):
            raise ConfigError(
                f"CUTLINE_PUBLIC_URL is {public_url}: captions of private photos would be sent unencrypted.",
                hint="Use https.",
            )
        self._secrets = secrets.split()
        if not self._secrets or not all(map(is_secret, self._secrets)):
            raise ConfigError(
                "CUTLINE_CALLBACK_SECRET is missing, or no whsec_ and base64.",
                hint="Give the function and the service the same one.",
            )
        self._url = public_url.rstrip("/") + PATH
        self._opener = urllib.request.build_opener(NoRedirects)
        self._sleep = sleep

    def __call__(self, answer: Answer) -> None:
        """Tell the service, several times where it does not answer. Raises FetchFailed."""
        for failures in range(1, TRIES + 1):
            status, wait_s = self._post(answer)
            if 200 <= status < 300:
                return
            if status in _NOT_WANTED:
                logger.info("Not wanted: %s", answer.message_id(), extra={"status": status})
                return
            if status and status < 500 and status not in _AGAIN:
                raise FetchFailed(f"The service refused the captions with the status {status}.")
            if failures < TRIES:
                self._sleep(min(_LONGEST_WAIT_S, max(wait_s, _FIRST_WAIT_S * 2 ** (failures - 1))))
        raise FetchFailed(f"The service took no captions in {TRIES} tries; the last status was {status}.")

    def _post(self, answer: Answer) -> tuple[int, float]:
        """The status (0: no answer), and for how long the service asks to wait."""
        body = answer.body()
        signed = headers(self._secrets, message_id=answer.message_id(), timestamp=int(time.time()), body=body)
        request = urllib.request.Request(
            self._url,
            data=body,
            headers={"Content-Type": "application/json", "User-Agent": "Cutline-Function", **signed},
        )
        try:
            with self._opener.open(request, timeout=_TIMEOUT_S) as response:
                return response.status, 0.0
        except urllib.error.HTTPError as error:
            with error:
                return error.code, asked_wait_s(error.headers.get("Retry-After", "").strip()) or 0.0
        except (OSError, HTTPException) as error:
            logger.warning("The service does not answer: %s", error)
            return 0, 0.0


def _is_safe(url: str) -> bool:
    """Whether what is sent there cannot be read on its way: https, this machine, or a cluster's service."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    inside = host in ("localhost", "127.0.0.1", "::1") or host.endswith((".svc", ".svc.cluster.local"))
    return bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and inside))


class Topic:
    """An SNS topic; arn names it. SNS signs, retries and delivers."""

    def __init__(self, arn: str, client: Any = None) -> None:
        self._arn = arn
        self._client = client or _sns(arn)

    def __call__(self, answer: Answer) -> None:
        """Publish. Raises what botocore raises."""
        self._client.publish(TopicArn=self._arn, Message=answer.body().decode())


def _sns(arn: str) -> Any:
    import boto3
    from botocore.config import Config

    region = (arn.split(":") + [""] * 4)[3]
    config = Config(connect_timeout=5, read_timeout=10, retries={"max_attempts": 4, "mode": "standard"})
    return boto3.client("sns", region_name=region or None, config=config)
