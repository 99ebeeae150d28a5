"""The ledger of stored files, by which no file is ever orphaned, and links to them.

A file's life: `put` writes a pending row, commits it, then writes the file. `keep`, in the transaction that
makes what the file belongs to, makes the row live. `discard` says that nothing needs it any more.
`sweep_files` deletes what was discarded, and what stayed pending because its process died. So a row stands
before its file is written and until its file is gone, and a process may be killed at any moment.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import lru_cache
from typing import IO, cast

from botocore.exceptions import BotoCoreError, ClientError
from django.core.files.base import ContentFile, File
from django.utils import timezone

from cutline.server.config import settings
from cutline.server.errors import Conflict, NotFound, ServiceUnavailable
from cutline.server.images.file_links import content_type_of
from cutline.server.images.models import StoredFile
from cutline.server.images.stores import store

log = logging.getLogger(__name__)

PENDING_S = 900.0  # no request or job writes a file for longer before it keeps it
_STORE_ERRORS = (OSError, ClientError, BotoCoreError)


def put(key: str, data: bytes | IO[bytes], content_type: str = "") -> StoredFile:
    """Write a file, pending until `keep`. Call it outside of a transaction: its row must be committed first.

    data: its bytes, or a seekable file of them. Raises ServiceUnavailable if the storage does not respond;
    what may have been written then goes by itself.
    """
    return _put([(key, data)], content_type)[0]


def put_all(files: Mapping[str, bytes]) -> list[StoredFile]:
    """Write files by their keys, as `put` does, with one write to the database. Raises as `put` does."""
    return _put(list(files.items()))


def _put(files: Sequence[tuple[str, bytes | IO[bytes]]], content_type: str = "") -> list[StoredFile]:
    contents = [_content(key, data, content_type) for key, data in files]
    rows = [
        StoredFile(key=key, bytes=content.size) for (key, _), content in zip(files, contents, strict=True)
    ]
    StoredFile.objects.bulk_create(rows)
    for row, content in zip(rows, contents, strict=True):
        try:
            saved = store().save(row.key, content)
        except _STORE_ERRORS as error:
            discard(rows)
            raise ServiceUnavailable("The file storage is not reachable.", hint="Try again soon.") from error
        if saved != row.key:  # somebody took this random key: never share it
            StoredFile.objects.create(key=saved, bytes=row.bytes, state=StoredFile.State.DISCARDED)
            discard(rows)
            raise ServiceUnavailable(f"The file storage already has the key {row.key}.")
    return rows


def _content(key: str, data: bytes | IO[bytes], content_type: str) -> File[bytes]:
    content: File[bytes] = ContentFile(data) if isinstance(data, bytes) else File(data)
    content.content_type = content_type or content_type_of(key)  # type: ignore[attr-defined]
    return content


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
