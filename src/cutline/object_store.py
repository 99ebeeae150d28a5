"""S3 buckets: what a URL says of one, and the client for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from cutline.errors import ConfigError, MissingExtra

if TYPE_CHECKING:
    from botocore.config import Config


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """A bucket, or the keys in it that begin with ``prefix``. ``endpoint`` is empty for AWS itself."""

    name: str
    prefix: str
    endpoint: str
    region: str

    @classmethod
    def from_url(cls, url: str) -> Bucket:
        """Read s3://BUCKET[/PREFIX]?endpoint=URL&region=R. Raises ConfigError."""
        parts = urlsplit(url)
        if parts.scheme != "s3" or not parts.netloc:
            raise ConfigError(f"{url!r} names no bucket.", hint="Write s3://BUCKET/PREFIX?endpoint=URL.")
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        return cls(
            name=parts.netloc,
            prefix=parts.path.strip("/"),
            endpoint=query.get("endpoint", ""),
            region=query.get("region") or "us-east-1",
        )

    def client_config(self) -> Config:
        """How requests are made: with limits on time, and in ways that other makers' stores know, too."""
        from botocore.config import Config

        return Config(
            signature_version="s3v4",
            connect_timeout=5,
            read_timeout=30,
            retries={"max_attempts": 3, "mode": "standard"},
            max_pool_connections=32,
            s3={"addressing_style": "path" if self.endpoint else "auto"},
            # Other makers' stores do not know the newer checksums.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )

    def client(self, *, access_key: str = "", secret_key: str = "") -> Any:
        """A boto3 client, for all threads. Without keys, boto3 looks for some in its usual places.

        Raises MissingExtra.
        """
        try:
            import boto3
        except ModuleNotFoundError as error:
            raise MissingExtra(
                "S3 needs boto3, which is not installed.",
                hint="Install it with: pip install 'cutline[registry]'",
            ) from error
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint or None,
            region_name=self.region,
            aws_access_key_id=access_key or None,
            aws_secret_access_key=secret_key or None,
            config=self.client_config(),
        )
