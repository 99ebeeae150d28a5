"""Where backups lie: in a folder, or in an S3 bucket.

A backup is written as a draft, which only `keep` makes a backup: in a folder it is NAME.partial until then,
in a bucket an upload that is not completed. A process that is killed leaves no file that looks like a backup.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Protocol, cast
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from cutline.errors import BackupError
from cutline.object_store import Bucket
from cutline.server.backup.encryption import Readable
from cutline.server.config import settings

_PART = 16 * 2**20  # S3 takes 10,000 parts: each thousand has larger ones, which makes 880 GB
_LARGER_EVERY = 1000


class Draft(Protocol):
    """A backup that is being written."""

    name: str

    def write(self, data: bytes, /) -> object:
        """Append."""

    def finish(self) -> None:
        """Write what is left, so that it can be read."""

    def opened(self) -> AbstractContextManager[Readable]:
        """Read it from its start."""

    def keep(self) -> None:
        """Make it a backup."""

    def drop(self) -> None:
        """Delete it, as far as that is possible."""


def draft(place: str, name: str) -> Draft:
    """Begin a backup in a folder or s3://BUCKET/PREFIX. Raises BackupError, ConfigError."""
    if not place.startswith("s3://"):
        return _FolderDraft(Path(place.removeprefix("file://")), name)
    bucket = Bucket.from_url(place)
    key = f"{bucket.prefix}/{name}" if bucket.prefix else name
    return _BucketDraft(_client(bucket), bucket.name, key)


@contextmanager
def opened(backup: str) -> Iterator[Readable]:
    """Read a backup, a file or s3://BUCKET/KEY, from its start. Raises BackupError, ConfigError."""
    if backup.startswith("s3://"):
        bucket = Bucket.from_url(backup)
        with _object(_client(bucket), bucket.name, bucket.prefix) as body:
            yield body
        return
    try:
        file = Path(backup.removeprefix("file://")).open("rb")  # noqa: SIM115 (closed below)
    except OSError as error:
        raise BackupError(f"The backup {backup} cannot be read: {error.strerror}.") from error
    with file:
        yield file


class _FolderDraft:
    def __init__(self, folder: Path, name: str) -> None:
        self.name = str(folder / name)
        self._partial = folder / f"{name}.partial"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if (folder / name).exists():
                raise BackupError(f"{self.name} exists.", kept="It stays as it is.")
            self._file = os.fdopen(
                os.open(self._partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb", buffering=0
            )
        except OSError as error:
            raise _unwritable(str(folder), error) from error

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[cast("IO[bytes]", self._file).write(view) :]
        except OSError as error:
            raise _unwritable(self.name, error) from error

    def finish(self) -> None:
        try:
            os.fsync(self._file.fileno())
            self._file.close()
        except OSError as error:
            raise _unwritable(self.name, error) from error

    def opened(self) -> AbstractContextManager[Readable]:
        return opened(str(self._partial))

    def keep(self) -> None:
        try:
            os.replace(self._partial, self.name)
            if hasattr(os, "O_DIRECTORY"):  # without it a crash of the machine could undo the new name
                folder = os.open(self._partial.parent, os.O_RDONLY | os.O_DIRECTORY)
                os.fsync(folder)
                os.close(folder)
        except OSError as error:
            raise _unwritable(self.name, error) from error

    def drop(self) -> None:
        with suppress(OSError):
            self._file.close()
            self._partial.unlink(missing_ok=True)


class _BucketDraft:
    def __init__(self, client: Any, bucket: str, key: str) -> None:
        self.name = f"s3://{bucket}/{key}"
        self._client = client
        self._object = {"Bucket": bucket, "Key": key}
        self._waiting = bytearray()
        self._parts: list[dict[str, Any]] = []
        self._finished = False
        with _answers(self.name):
            self._upload = client.create_multipart_upload(**self._object)["UploadId"]

    def write(self, data: bytes) -> None:
        self._waiting += data
        while len(self._waiting) >= (size := _PART * (1 + len(self._parts) // _LARGER_EVERY)):
            self._send(size)

    def finish(self) -> None:
        self._send(len(self._waiting))
        with _answers(self.name):
            self._client.complete_multipart_upload(
                **self._object, UploadId=self._upload, MultipartUpload={"Parts": self._parts}
            )
        self._finished = True

    def opened(self) -> AbstractContextManager[Readable]:
        return _object(self._client, self._object["Bucket"], self._object["Key"])

    def keep(self) -> None:
        """It has been there since `finish`."""

    def drop(self) -> None:
        with suppress(ClientError, BotoCoreError):
            if self._finished:
                self._client.delete_object(**self._object)
            else:
                self._client.abort_multipart_upload(**self._object, UploadId=self._upload)

    def _send(self, size: int) -> None:
        number = len(self._parts) + 1
        part = bytes(self._waiting[:size])
        del self._waiting[:size]
        with _answers(self.name):
            answer = self._client.upload_part(
                **self._object, UploadId=self._upload, PartNumber=number, Body=part
            )
        self._parts.append({"PartNumber": number, "ETag": answer["ETag"]})


@contextmanager
def _object(client: Any, bucket: str, key: str) -> Iterator[Readable]:
    name = f"s3://{bucket}/{key}"
    with _answers(name):
        body = client.get_object(Bucket=bucket, Key=key)["Body"]
    with closing(body):
        yield _Body(body, name)


class _Body:
    """An object's bytes as they come."""

    def __init__(self, body: Any, name: str) -> None:
        self._body, self._name = body, name

    def read(self, size: int) -> bytes:
        with _answers(self._name):
            return cast("bytes", self._body.read(size))


@contextmanager
def _answers(name: str) -> Iterator[None]:
    try:
        yield
    except (ClientError, BotoCoreError, OSError) as error:
        raise BackupError(f"{name} does not answer as it should: {error}") from error


def _client(bucket: Bucket) -> Any:
    return bucket.client(
        access_key=settings().backup_access_key.get_secret_value(),
        secret_key=settings().backup_secret_key.get_secret_value(),
    )


def _unwritable(name: str, error: OSError) -> BackupError:
    return BackupError(f"{name} cannot be written: {error.strerror or error}.", kept="No backup was made.")


def shown(backup: str) -> str:
    """A place as it may be printed: without what follows the question mark."""
    return urlsplit(backup)._replace(query="").geturl() if backup.startswith("s3://") else backup
