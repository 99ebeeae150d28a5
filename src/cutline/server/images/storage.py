"""File storage, a folder or an S3 bucket, and the ledger by which no file is ever orphaned.

A file's life: `put` writes a pending row, commits it, then writes the file. `keep`, in the transaction that
makes what the file belongs to, makes the row live. `discard` says that nothing needs it any more.
`sweep_files` deletes what was discarded, and what stayed pending because its process died. So a row stands
before its file is written and until its file is gone, and a process may be killed at any moment.
"""

from __future__ import annotations

import logging
import mimetypes
import shutil
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from functools import cached_property, lru_cache
from pathlib import Path
from typing import IO, Any, cast
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.core.files.base import ContentFile, File
from django.core.files.storage import FileSystemStorage
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac
from storages.backends.s3 import S3Storage

from cutline.errors import ConfigError
from cutline.server.config import settings
from cutline.server.errors import Conflict, NotFound, ServiceUnavailable
from cutline.server.images.models import StoredFile
from cutline.server.images.presign import presigned

log = logging.getLogger(__name__)

PENDING_S = 900.0  # no request or job writes a file for longer before it keeps it
_SALT = "cutline.files"
_ONE_REQUEST_BYTES = 64 * 2**20  # what is larger goes to a bucket in parts, and comes into a temporary file
_STORE_ERRORS = (OSError, ClientError, BotoCoreError)
_TYPES = {
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "avif": "image/avif",
    "gif": "image/gif",
    "zip": "application/zip",
}


class Folder(FileSystemStorage):
    """Files in a folder, readable by the service alone."""

    def delete_all(self, keys: Sequence[str]) -> None:
        """Delete files, those that are gone already too, and the folders that they leave empty."""
        for key in keys:
            self.delete(key)
        for parent in {Path(self.path(key)).parent for key in keys}:
            if parent != Path(self.location):
                with suppress(OSError):  # not empty, or gone already
                    parent.rmdir()

    def link(self, key: str, *, began: int, lasts_s: int, download_name: str) -> str:
        """A link to /files that works from `began` (epoch) on, for so long."""
        expires = began + lasts_s
        query = {"e": str(expires), "s": signature(key, expires, download_name)}
        if download_name:
            query["n"] = download_name
        return f"/files/{quote(key)}?{urlencode(query)}"


class Bucket(S3Storage):  # type: ignore[misc]  # it has no types
    """Files in an S3 bucket.

    django-storages makes a connection for each thread, which takes a tenth of a second, and every request
    here is a thread of its own. boto3's client may be shared, so all use one; and a file is one request.
    """

    @cached_property
    def client(self) -> Any:
        """boto3's client, for all threads."""
        return self.connection.meta.client

    @cached_property
    def _credentials(self) -> Any:
        return self._create_session().get_credentials()

    def _save(self, name: str, content: File[bytes]) -> str:
        key = self._normalize_name(name)
        parameters = {"ContentType": getattr(content, "content_type", None) or content_type_of(name)}
        content.seek(0)
        if (content.size or 0) > _ONE_REQUEST_BYTES:
            self.client.upload_fileobj(content, self.bucket_name, key, ExtraArgs=parameters)
        else:
            self.client.put_object(Bucket=self.bucket_name, Key=key, Body=content.read(), **parameters)
        return name

    def _open(self, name: str, mode: str = "rb") -> File[bytes]:
        key = self._normalize_name(name)
        try:
            answer = self.client.get_object(Bucket=self.bucket_name, Key=key)
        except ClientError as error:
            if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == 404:
                raise FileNotFoundError(name) from error
            raise
        with closing(answer["Body"]) as body:
            if answer["ContentLength"] <= _ONE_REQUEST_BYTES:
                return ContentFile(body.read(), name)
            file = tempfile.TemporaryFile()  # noqa: SIM115 (whoever opened it closes it)
            shutil.copyfileobj(body, file, 2**20)
            file.seek(0)
            return File(file, name)

    def delete_all(self, keys: Sequence[str]) -> None:
        """Delete files, those that are gone already too: one request for at most 1,000."""
        objects = [{"Key": self._normalize_name(key)} for key in keys]
        answer = self.client.delete_objects(
            Bucket=self.bucket_name, Delete={"Objects": objects, "Quiet": True}
        )
        if answer.get("Errors"):
            raise OSError(f"{len(answer['Errors'])} files could not be deleted: {answer['Errors'][0]}")

    def link(self, key: str, *, began: int, lasts_s: int, download_name: str) -> str:
        """A presigned link that works from `began` (epoch) on, for so long."""
        return presigned(
            self._base_url,
            self._normalize_name(key),
            credentials=self._credentials,
            region=self.region_name,
            began=began,
            lasts_s=lasts_s,
            parameters={
                "response-content-type": content_type_of(key),
                "response-content-disposition": content_disposition(key, download_name),
                "response-cache-control": f"private, max-age={lasts_s // 2}",
            },
        )

    @cached_property
    def _base_url(self) -> str:
        if self.endpoint_url:
            return f"{self.endpoint_url.rstrip('/')}/{self.bucket_name}"
        return f"https://{self.bucket_name}.s3.{self.region_name}.amazonaws.com"


def store() -> Folder | Bucket:
    """The configured storage: a folder or a bucket."""
    return _store(settings().storage_url, settings().data_dir)


def in_folder() -> bool:
    """Whether files lie in a folder, and this service itself serves them."""
    return isinstance(store(), Folder)


_MAKING = threading.Lock()  # threads that come at once shall not make one client each


def _store(url: str, data_dir: Path) -> Folder | Bucket:
    with _MAKING:
        return _made_store(url, data_dir)


@lru_cache(maxsize=4)
def _made_store(url: str, data_dir: Path) -> Folder | Bucket:
    if url.startswith("s3://"):
        bucket = _bucket(url)
        _ = bucket.client
        return bucket
    if "://" in url and not url.startswith("file://"):
        raise ConfigError(f"CUTLINE_STORAGE_URL is {url!r}.", hint="Use s3://BUCKET or a folder.")
    folder = Path(url.removeprefix("file://")) if url else data_dir.resolve() / "files"
    return Folder(location=folder, file_permissions_mode=0o600, directory_permissions_mode=0o700)


def _bucket(url: str) -> Bucket:
    parts = urlsplit(url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    config = Config(
        signature_version="s3v4",
        connect_timeout=5,
        read_timeout=30,
        retries={"max_attempts": 3, "mode": "standard"},
        max_pool_connections=32,
        s3={"addressing_style": "path" if query.get("endpoint") else "auto"},
        # Other makers' stores do not know the newer checksums.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    return Bucket(
        bucket_name=parts.netloc,
        location=parts.path.strip("/"),
        region_name=query.get("region") or "us-east-1",
        endpoint_url=query.get("endpoint") or None,
        access_key=settings().storage_access_key.get_secret_value() or None,
        secret_key=settings().storage_secret_key.get_secret_value() or None,
        default_acl=None,
        file_overwrite=True,  # keys are random: no need to ask first whether one is free
        signature_version="s3v4",
        client_config=config,
    )


def content_type_of(key: str) -> str:
    """What a file is, by its key's ending; keys are ours, so that their endings can be believed."""
    ending = key.rpartition(".")[2].lower()
    return _TYPES.get(ending) or mimetypes.guess_type(key)[0] or "application/octet-stream"


# The life of a file


def put(key: str, data: bytes | IO[bytes], content_type: str = "") -> StoredFile:
    """Write a file, pending until `keep`. Call it outside of a transaction: its row must be committed first.

    data: its bytes, or a seekable file of them. Raises ServiceUnavailable if the storage does not respond;
    what may have been written then goes by itself.
    """
    content: File[bytes] = ContentFile(data) if isinstance(data, bytes) else File(data)
    content.content_type = content_type or content_type_of(key)  # type: ignore[attr-defined]
    file = StoredFile.objects.create(key=key, bytes=content.size)
    try:
        saved = store().save(key, content)
    except _STORE_ERRORS as error:
        discard([file])
        raise ServiceUnavailable("The file storage is not reachable.", hint="Try again soon.") from error
    if saved != key:  # somebody took this random key: never share it
        StoredFile.objects.create(key=saved, bytes=file.bytes, state=StoredFile.State.DISCARDED)
        discard([file])
        raise ServiceUnavailable(f"The file storage already has the key {key}.")
    return file


def keep(*files: StoredFile) -> None:
    """Make files live, in the transaction that makes what they belong to.

    Raises Conflict where the sweep has taken one for abandoned: then nothing may refer to it.
    """
    keys = [file.key for file in files]
    kept = StoredFile.objects.filter(key__in=keys, state=StoredFile.State.PENDING).update(
        state=StoredFile.State.LIVE, changed_at=timezone.now()
    )
    if kept != len(keys):
        raise Conflict("Storing the photo took too long.", hint="Send it again.")
    for file in files:
        file.state = StoredFile.State.LIVE


def discard(files: Iterable[StoredFile | str]) -> None:
    """Leave files (or their keys) to the sweep, in the transaction that deletes what they belonged to."""
    keys = [file if isinstance(file, str) else file.key for file in files]
    for start in range(0, len(keys), 500):
        StoredFile.objects.filter(key__in=keys[start : start + 500]).update(
            state=StoredFile.State.DISCARDED, changed_at=timezone.now()
        )


def discard_pending(files: Iterable[StoredFile]) -> None:
    """Leave files to the sweep that were put and never kept. Those that were kept after all stay."""
    StoredFile.objects.filter(key__in=[file.key for file in files], state=StoredFile.State.PENDING).update(
        state=StoredFile.State.DISCARDED, changed_at=timezone.now()
    )


def read(file: StoredFile | str) -> bytes:
    """The bytes of a file. Raises NotFound, or ServiceUnavailable if the storage does not respond."""
    with opened(file) as content:
        return content.read()


@contextmanager
def opened(file: StoredFile | str) -> Iterator[IO[bytes]]:
    """A seekable file. Raises NotFound, or ServiceUnavailable if the storage does not respond."""
    key = file if isinstance(file, str) else file.key
    try:
        content = store().open(key, "rb")
    except FileNotFoundError as error:
        raise NotFound("This file no longer exists.") from error
    except _STORE_ERRORS as error:
        raise ServiceUnavailable("The file storage is not reachable.", hint="Try again soon.") from error
    with content:
        yield cast("IO[bytes]", content)


def sweep_files(*, pending_s: float = PENDING_S, most: int = 10_000) -> int:
    """Delete discarded files, and those pending for longer than this. Returns how many are gone."""
    now = timezone.now()
    StoredFile.objects.filter(
        state=StoredFile.State.PENDING, changed_at__lt=now - timedelta(seconds=pending_s)
    ).update(state=StoredFile.State.DISCARDED, changed_at=now)
    discarded = StoredFile.objects.filter(state=StoredFile.State.DISCARDED).order_by("changed_at")
    keys = list(discarded.values_list("key", flat=True)[:most])
    for start in range(0, len(keys), 500):
        some = keys[start : start + 500]
        try:
            store().delete_all(some)
        except _STORE_ERRORS:
            log.warning("Files could not be deleted; the next sweep tries again.", exc_info=True)
            return start
        StoredFile.objects.filter(key__in=some).delete()
    return len(keys)


# Links


def url(file: StoredFile | str, seconds: float, download_name: str = "") -> str:
    """A link that works for at least so many seconds and at most twice as long.

    It stays the same for that long, so that browsers can cache what it leads to. With a download name,
    browsers save the file instead of showing it.
    """
    key = file if isinstance(file, str) else file.key
    period_s = max(1, round(seconds))
    began = int(time.time()) // period_s * period_s
    return _link(settings().storage_url, key, began, 2 * period_s, download_name)


@lru_cache(maxsize=20_000)
def _link(storage_url: str, key: str, began: int, lasts_s: int, download_name: str) -> str:
    return store().link(key, began=began, lasts_s=lasts_s, download_name=download_name)


def signature(key: str, expires: int, download_name: str) -> str:
    """What makes a link to a file in a folder believable."""
    return salted_hmac(_SALT, f"{expires}\n{download_name}\n{key}", algorithm="sha256").hexdigest()[:40]


def is_signed(key: str, expires: str, given: str, download_name: str) -> bool:
    """Whether a link was made by `url` and still works."""
    if not (expires.isascii() and expires.isdigit() and len(expires) < 12 and int(expires) > time.time()):
        return False
    return constant_time_compare(given, signature(key, int(expires), download_name))


def content_disposition(key: str, download_name: str) -> str:
    """inline for renditions, which we made; attachment where a name is asked for or others made the file."""
    if download_name:
        plain = "".join(
            c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in download_name
        )
        return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(download_name, safe='')}"
    return "attachment" if "-original." in key or not content_type_of(key).startswith("image/") else "inline"
