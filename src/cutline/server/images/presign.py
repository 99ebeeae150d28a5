"""Presigned S3 links (signature version 4) that stay the same for a while."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest


class _SignedAt(S3SigV4QueryAuth):
    """botocore's own signer, at a moment of our choosing: with its own, now, no link could be cached."""

    def __init__(self, credentials: Any, region: str, *, began: int, lasts_s: int) -> None:
        super().__init__(credentials, "s3", region, expires=lasts_s)
        self._at = datetime.fromtimestamp(began, UTC).strftime("%Y%m%dT%H%M%SZ")

    def _modify_request_before_signing(self, request: Any) -> None:
        request.context["timestamp"] = self._at
        super()._modify_request_before_signing(request)  # type: ignore[misc]  # not in its stubs


def presigned(
    base_url: str,
    key: str,
    *,
    credentials: Any,
    region: str,
    began: int,
    lasts_s: int,
    parameters: dict[str, str],
) -> str:
    """A link to the object `key` below a bucket's base URL that works from `began` (epoch) on, for so long.

    parameters: response-content-type and the like.
    """
    request = AWSRequest(method="GET", url=f"{base_url}/{quote(key)}", params=parameters)
    _SignedAt(credentials, region, began=began, lasts_s=lasts_s).add_auth(request)
    return str(request.url)
