"""The service's photos, as the function reads them: the masters alone, from the one store it was given."""

from __future__ import annotations

import re
from contextlib import closing
from typing import Any, Protocol
from urllib.parse import urlsplit

from cutline.errors import ConfigError, ImageMissing, ImageTooLarge, MissingExtra
from cutline.images import DEFAULT_LIMITS
from cutline.object_store import Bucket
from cutline.serverless.events import StoredObject

MASTER = re.compile(r"images/[0-9a-f-]{36}/[0-9a-f]{16}-master\.jpg")
"""The keys of what is captioned: the photo as the service keeps it, checked and scaled down."""


class Photos(Protocol):
    """Where the photos lie."""

    def key_of(self, found: StoredObject) -> str | None:
        """The photo's key, as the service knows it; None for an object that is none of its photos."""
        ...

    def read(self, key: str) -> bytes:
        """The photo. Raises ImageMissing, ImageTooLarge."""
        ...


def own_key(found: StoredObject, bucket: str, prefix: str) -> str | None:
    """The key of a photo within the prefix of a bucket; None for anything else."""
    start = f"{prefix}/" if prefix else ""
    key = found.key.removeprefix(start)
    is_ours = found.bucket == bucket and found.key.startswith(start) and MASTER.fullmatch(key)
    return key if is_ours else None


class InBucket:
    """Photos in an S3 bucket."""

    def __init__(self, place: Bucket, client: Any) -> None:
        self._place = place
        self._client = client

    def key_of(self, found: StoredObject) -> str | None:
        """As Photos."""
        return own_key(found, self._place.name, self._place.prefix)

    def read(self, key: str) -> bytes:
        """As Photos."""
        from botocore.exceptions import ClientError

        whole = f"{self._place.prefix}/{key}" if self._place.prefix else key
        try:
            answer = self._client.get_object(Bucket=self._place.name, Key=whole)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in ("NoSuchKey", "404"):
                raise ImageMissing("The photo is not there any more.") from error
            raise
        with closing(answer["Body"]) as body:
            _check_size(answer["ContentLength"])
            return bytes(body.read())


class InOtherStore:
    """Photos in a store that fsspec knows: gs://BUCKET/PREFIX, abfs://CONTAINER/PREFIX, file:///FOLDER."""

    def __init__(self, url: str) -> None:
        try:
            import fsspec
        except ModuleNotFoundError as error:
            raise MissingExtra(
                f"Reading {url} needs fsspec, which is not installed.",
                hint="Install it with: pip install 'cutline[gcs]' or 'cutline[azure]'",
            ) from error
        self._fsspec = fsspec
        self._url = url.rstrip("/")
        parts = urlsplit(url)
        self._bucket, self._prefix = parts.netloc.partition("@")[0], parts.path.strip("/")

    def key_of(self, found: StoredObject) -> str | None:
        """As Photos."""
        return own_key(found, self._bucket, self._prefix)

    def read(self, key: str) -> bytes:
        """As Photos."""
        try:
            with self._fsspec.open(f"{self._url}/{key}", "rb") as file:
                data = bytes(file.read(DEFAULT_LIMITS.max_file_bytes + 1))
        except FileNotFoundError as error:
            raise ImageMissing("The photo is not there any more.") from error
        _check_size(len(data))
        return data


def open_photos(url: str, *, access_key: str = "", secret_key: str = "") -> Photos:
    """The photos at CUTLINE_STORAGE_URL. Raises ConfigError, MissingExtra."""
    if not url:
        raise ConfigError("CUTLINE_STORAGE_URL is missing.", hint="Say where the service's photos are.")
    if url.startswith("s3://"):
        place = Bucket.from_url(url)
        return InBucket(place, place.client(access_key=access_key, secret_key=secret_key))
    return InOtherStore(url)


def _check_size(size_bytes: int) -> None:
    if size_bytes > DEFAULT_LIMITS.max_file_bytes:
        raise ImageTooLarge(f"The photo has {size_bytes:,} bytes.")
