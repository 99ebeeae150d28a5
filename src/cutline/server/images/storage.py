"""Where files lie, a folder or an S3 bucket, and the ledger by which none is ever orphaned.

A file's life: `put` writes a pending row, commits it, then writes the file. `keep`, in the transaction that
makes what the file belongs to, makes the row live. `doom` says that nothing needs it any more. `sweep_files`
deletes what is doomed, and what stayed pending because its process died. So a row stands before its file is
written and until its file is gone, and a process may be killed at any moment.
"""

from __future__ import annotations

import logging
import mimetypes
import time
from collections.abc import Iterable
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from botocore.exceptions import BotoCoreError, ClientError
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage
from django.core.files.storage import Storage as DjangoStorage
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from cutline.errors import ConfigError
from cutline.server.config import settings
from cutline.server.errors import Conflict, NotFound, ServiceUnavailable
from cutline.server.images.models import StoredFile

if TYPE_CHECKING:
    from storages.backends.s3 import S3Storage

log = logging.getLogger(__name__)

PENDING_S = 900.0  # no request or job writes a file for longer before it keeps it
_SALT = "cutline.files"
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


def store() -> DjangoStorage:
    """The folder or bucket that the settings name."""
    return _store(settings().storage_url, settings().data_dir)


def in_folder() -> bool:
    """Whether files lie in a folder, and this service itself serves them."""
    return not settings().storage_url.startswith("s3://")


@lru_cache(maxsize=4)
def _store(url: str, data_dir: Path) -> DjangoStorage:
    if url.startswith("s3://"):
        return _bucket(url)
    if "://" in url and not url.startswith("file://"):
        raise ConfigError(f"CUTLINE_STORAGE_URL is {url!r}.", hint="Use s3://BUCKET or a folder.")
    folder = Path(url.removeprefix("file://")) if url else data_dir.resolve() / "files"
    return FileSystemStorage(location=folder, file_permissions_mode=0o600, directory_permissions_mode=0o700)


def _bucket(url: str) -> S3Storage:
    from botocore.config import Config  # a laptop needs neither
    from storages.backends.s3 import S3Storage

    parts = urlsplit(url)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    options: dict[str, Any] = {
        "bucket_name": parts.netloc,
        "location": parts.path.strip("/"),
        "region_name": query.get("region") or "us-east-1",
        "access_key": settings().storage_access_key.get_secret_value() or None,
        "secret_key": settings().storage_secret_key.get_secret_value() or None,
        "default_acl": None,
        "file_overwrite": True,  # keys are random: no need to ask first whether one is free
        "client_config": Config(
            signature_version="s3v4",
            connect_timeout=5,
            read_timeout=30,
            retries={"max_attempts": 3, "mode": "standard"},
            max_pool_connections=32,
            s3={"addressing_style": "path" if query.get("endpoint") else "auto"},
        ),
    }
    if query.get("endpoint"):
        options["endpoint_url"] = query["endpoint"]
    return S3Storage(**options)


def content_type_of(key: str) -> str:
    """What a file is, by its key's ending; keys are ours, so that their endings can be believed."""
    ending = key.rpartition(".")[2].lower()
    return _TYPES.get(ending) or mimetypes.guess_type(key)[0] or "application/octet-stream"


# The life of a file


def put(key: str, data: bytes, content_type: str = "") -> StoredFile:
    """Write a file, pending until `keep`. Call it outside of a transaction: its row must be committed first.

    Raises ServiceUnavailable where the store does not answer; what may have been written goes by itself.
    """
    file = StoredFile.objects.create(key=key, bytes=len(data))
    content = ContentFile(data)
    content.content_type = content_type or content_type_of(key)  # type: ignore[attr-defined]
    try:
        saved = store().save(key, content)
    except _STORE_ERRORS as error:
        doom([file])
        raise ServiceUnavailable("The store of files does not answer.", hint="Try again soon.") from error
    if saved != key:  # somebody took this random key: never share it
        StoredFile.objects.create(key=saved, bytes=len(data), state=StoredFile.State.DOOMED)
        doom([file])
        raise ServiceUnavailable(f"The store has a file of the key {key} already.")
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


def doom(files: Iterable[StoredFile | str]) -> None:
    """Give files (or their keys) to the sweep, in the transaction that takes away what they belonged to."""
    keys = [file if isinstance(file, str) else file.key for file in files]
    for start in range(0, len(keys), 500):
        StoredFile.objects.filter(key__in=keys[start : start + 500]).update(
            state=StoredFile.State.DOOMED, changed_at=timezone.now()
        )


def read(file: StoredFile | str) -> bytes:
    """The bytes of a file. Raises NotFound, or ServiceUnavailable where the store does not answer."""
    key = file if isinstance(file, str) else file.key
    try:
        with store().open(key, "rb") as opened:
            data: bytes = opened.read()
            return data
    except FileNotFoundError as error:
        raise NotFound("This file is gone.") from error
    except _STORE_ERRORS as error:
        raise ServiceUnavailable("The store of files does not answer.", hint="Try again soon.") from error


def sweep_files(*, pending_s: float = PENDING_S, most: int = 10_000) -> int:
    """Delete doomed files, and those pending for longer than this. Gives how many are gone."""
    now = timezone.now()
    StoredFile.objects.filter(
        state=StoredFile.State.PENDING, changed_at__lt=now - timedelta(seconds=pending_s)
    ).update(state=StoredFile.State.DOOMED, changed_at=now)
    doomed = StoredFile.objects.filter(state=StoredFile.State.DOOMED).order_by("changed_at")
    keys = list(doomed.values_list("key", flat=True)[:most])
    gone = 0
    for start in range(0, len(keys), 200):
        deleted = []
        for key in keys[start : start + 200]:
            try:
                _delete(key)
            except _STORE_ERRORS:
                log.warning("A file could not be deleted; the next sweep tries again.", exc_info=True)
                break
            deleted.append(key)
        StoredFile.objects.filter(key__in=deleted, state=StoredFile.State.DOOMED).delete()
        gone += len(deleted)
        if len(deleted) < len(keys[start : start + 200]):
            break
    return gone


def _delete(key: str) -> None:
    folder = store()
    folder.delete(key)
    if isinstance(folder, FileSystemStorage):  # and the folder of its image, when this was the last
        parent = Path(folder.path(key)).parent
        if parent != Path(folder.base_location):
            try:
                parent.rmdir()
            except OSError:  # not empty, or gone already
                return


# Links


def url(file: StoredFile | str, seconds: float, download_name: str = "") -> str:
    """A link that works for at least so many seconds and at most twice as long.

    It stays the same for that long, so that browsers can cache what it leads to. With a download name,
    browsers save the file instead of showing it.
    """
    key = file if isinstance(file, str) else file.key
    period_s = max(1, round(seconds))
    began = int(time.time()) // period_s * period_s
    if in_folder():
        expires = began + 2 * period_s
        query = {"e": str(expires), "s": signature(key, expires, download_name)}
        if download_name:
            query["n"] = download_name
        return f"/files/{quote(key)}?{urlencode(query)}"
    return _presigned(key, began, 2 * period_s, download_name)


def signature(key: str, expires: int, download_name: str) -> str:
    """What makes a link to a file in a folder believable."""
    return salted_hmac(_SALT, f"{expires}\n{download_name}\n{key}", algorithm="sha256").hexdigest()[:40]


def is_signed(key: str, expires: str, given: str, download_name: str) -> bool:
    """Whether a link was made by `url` and still works."""
    if not (expires.isascii() and expires.isdigit() and len(expires) < 12 and int(expires) > time.time()):
        return False
    return constant_time_compare(given, signature(key, int(expires), download_name))


@lru_cache(maxsize=20_000)
def _presigned(key: str, began: int, lasts_s: int, download_name: str) -> str:
    """A presigned URL that says it was made at `began`: made again within the period, it is the same."""
    from cutline.server.images.presign import presigned

    bucket = _store(settings().storage_url, settings().data_dir)
    disposition = content_disposition(key, download_name)
    return presigned(bucket, key, began=began, lasts_s=lasts_s, disposition=disposition)


def content_disposition(key: str, download_name: str) -> str:
    """inline for renditions, which we made; attachment where a name is asked for or others made the file."""
    if download_name:
        plain = "".join(
            c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in download_name
        )
        return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(download_name, safe='')}"
    return "attachment" if "-original." in key or not content_type_of(key).startswith("image/") else "inline"
