"""A registry in an S3 bucket. `create` is a conditional write: If-None-Match."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

from cutline.errors import RegistryUnavailable, VersionRefused
from cutline.object_store import Bucket
from cutline.registry.store import Stored

_AT_ONCE = 1000  # keys that one request can delete
_TRIES = 5


class S3Store:
    """A bucket, or the part of it below a prefix. See Store."""

    def __init__(self, bucket: Bucket, *, access_key: str = "", secret_key: str = "") -> None:
        self._bucket = bucket
        self._client = bucket.client(access_key=access_key, secret_key=secret_key)
        self._before = f"{bucket.prefix}/" if bucket.prefix else ""
        self._checked = False
        self._checking = threading.Lock()

    @property
    def where(self) -> str:
        """The bucket's URL."""
        return f"s3://{self._bucket.name}/{self._bucket.prefix}".rstrip("/")

    def check_writable(self) -> None:
        """Write one key twice: a store that takes the second ignores conditions, and would lose moves."""
        with self._checking:
            if self._checked:
                return
            key = f"probes/{uuid.uuid4().hex}"
            first, second = self.create(key, b"first"), self.create(key, b"second")
            self.delete([key])
            if not first or second:
                raise RegistryUnavailable(
                    f"The store of {self.where} ignores the conditions of writes (If-None-Match).",
                    kept="Nothing was written.",
                    hint="Use a store that knows them, or a folder.",
                )
            self._checked = True

    def create(self, key: str, data: bytes) -> bool:
        """As Store."""
        from botocore.exceptions import ClientError

        with self._errors():
            for _ in range(_TRIES):
                try:
                    self._client.put_object(**self._at(key), Body=data, IfNoneMatch="*")
                except ClientError as error:
                    if (status := _status(error)) == 412:
                        return False
                    if status != 409:  # 409: somebody writes the same key at this moment
                        raise
                else:
                    return True
            raise RegistryUnavailable(f"{self.where} is too busy to write {key}.", hint="Try again soon.")

    def read(self, key: str, most: int) -> bytes | None:
        """As Store."""
        from botocore.exceptions import ClientError

        with self._errors():
            try:
                answer = self._client.get_object(**self._at(key))
            except ClientError as error:
                if _status(error) == 404 and _code(error) != "NoSuchBucket":
                    return None
                raise
            with answer["Body"] as body:
                data: bytes = body.read(most + 1)
        if len(data) > most:
            raise VersionRefused(f"{self.where}/{key} is longer than {most:,} bytes.")
        return data

    def listed(self, prefix: str, *, after: str = "") -> Iterator[Stored]:
        """As Store."""
        with self._errors():
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket.name,
                Prefix=self._before + prefix,
                StartAfter=self._before + after if after else "",
            )
            found = [
                Stored(
                    key=entry["Key"].removeprefix(self._before),
                    bytes=entry["Size"],
                    modified_s=entry["LastModified"].timestamp(),
                )
                for page in pages
                for entry in page.get("Contents", ())
            ]
        return iter(found)

    def touch(self, key: str, data: bytes) -> None:
        """As Store: the same content is written again."""
        with self._errors():
            self._client.put_object(**self._at(key), Body=data)

    def delete(self, keys: Iterable[str]) -> None:
        """As Store."""
        waiting = iter(keys)
        while some := list(islice(waiting, _AT_ONCE)):
            objects = [{"Key": self._before + key} for key in some]
            with self._errors():
                answer = self._client.delete_objects(
                    Bucket=self._bucket.name, Delete={"Objects": objects, "Quiet": True}
                )
            if answer.get("Errors"):
                raise RegistryUnavailable(f"{self.where} did not delete {len(answer['Errors'])} files.")

    def sweep_drafts(self, older_than_s: float) -> int:
        """A bucket has no drafts: an object is there whole, or not at all."""
        return 0

    def _at(self, key: str) -> dict[str, Any]:
        return {"Bucket": self._bucket.name, "Key": self._before + key}

    @contextmanager
    def _errors(self) -> Iterator[None]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except (BotoCoreError, ClientError, OSError) as error:
            raise RegistryUnavailable(
                f"The registry {self.where} failed: {error}.",
                hint="Check the bucket, its endpoint and the keys (CUTLINE_REGISTRY_ACCESS_KEY).",
            ) from error


def _status(error: Any) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
