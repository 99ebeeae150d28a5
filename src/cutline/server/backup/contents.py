"""What stands in a backup beside rows and files, and what making and restoring one share."""

from __future__ import annotations

import hashlib
import hmac
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings as django_settings
from django.core.exceptions import SuspiciousOperation
from django.db import DatabaseError
from django.db.migrations.executor import MigrationExecutor

from cutline.errors import BackupError, ConfigError, CutlineError
from cutline.server.backup import archive, places
from cutline.server.backup.encryption import MAGIC, Opener, Readable, exactly, key_of
from cutline.server.config import settings
from cutline.strict import load_json, parse_json

FORMAT = 1
ROWS_SUFFIX = ".jsonl.gz"
_AT_ONCE = 8  # files that are read or written at a time
_FAILURES = (OSError, ClientError, BotoCoreError, SuspiciousOperation, DatabaseError)

T = TypeVar("T")
R = TypeVar("R")
Progress: TypeAlias = Callable[[int], object]  # so many more bytes of files


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What backup.json says of a backup."""

    format: int
    cutline: str
    made_at: str
    database: str  # sqlite or postgresql; a backup of one goes into the other
    migrations: tuple[str, ...]  # APP.NAME of the last one of each app
    rows: Mapping[str, int]  # by table
    files: int
    bytes: int
    secret_key: str  # a fingerprint: second factors are encrypted with the key itself
    deleted: tuple[str, ...]  # hashes of the keys of files that went after they had been copied
    missing: tuple[str, ...]  # files that the database names and the store has lost; 1,000 at most


def nothing(_: int) -> None:
    """Where nobody looks at the progress."""


def check(backup: str, *, progress: Progress = nothing) -> About:
    """Read a whole backup, and say what is in it. Raises BackupError where it is damaged."""
    with places.opened(backup) as stream:
        return checked(stream, progress)


def has_same_secret_key(about: About) -> bool:
    """Whether second factors and signed links of a backup work with the secret key of this service."""
    return hmac.compare_digest(about.secret_key, fingerprint())


def checked(stream: Readable, progress: Progress = nothing) -> About:
    """The same of a stream."""
    about: About | None = None
    files, dumps = 0, set()
    for entry in archive.entries(plain(stream)):
        if about is not None:
            raise BackupError(f"The backup has {entry.name} after its end.")
        if entry.name.startswith(archive.FILES):
            files += 1
            progress(entry.size)
        elif entry.name.startswith(archive.DATABASE):
            dumps.add(table_of(entry))
        elif entry.name == archive.ABOUT:
            about = _about(entry.content.read())
        else:
            raise BackupError(f"The backup has {entry.name}, which does not belong there.")
    if about is None or about.files != files or set(about.rows) != dumps:
        raise BackupError("The backup does not have all that it names.")
    return about


def _about(data: bytes) -> About:
    try:
        loaded = load_json(data)
        if isinstance(loaded, dict) and isinstance(found := loaded.get("format"), int) and found > FORMAT:
            raise BackupError(
                f"The backup has format {found}, this version of Cutline reads {FORMAT}.",
                hint="Install the version of Cutline that it was made with, or a newer one.",
            )
        return parse_json(About, loaded)
    except ValueError as error:
        raise BackupError(f"The backup's {archive.ABOUT} cannot be used: {error}") from error


def beside(act: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Do something for each item, some at a time, and give the results in order."""
    with ThreadPoolExecutor(_AT_ONCE, "backup") as threads:
        running: deque[Future[R]] = deque()
        try:
            for item in items:
                running.append(threads.submit(act, item))
                if len(running) == _AT_ONCE:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            for each in running:
                each.cancel()


def plain(stream: Readable) -> Readable:
    """The archive itself: decrypted, where its first bytes say that it is encrypted."""
    peeked = _Peeked(stream, len(MAGIC))
    if peeked.first != MAGIC:
        return peeked
    key = sealing_key()
    if key is None:
        raise BackupError(
            "The backup is encrypted, and there is no key.",
            hint="Set CUTLINE_BACKUP_KEY or CUTLINE_BACKUP_KEY_FILE.",
        )
    return Opener(peeked, key)


class _Peeked:
    """A stream whose first bytes are known, and are read again."""

    def __init__(self, stream: Readable, size: int) -> None:
        self.first = exactly(stream, size)
        self._again, self._stream = self.first, stream

    def read(self, size: int) -> bytes:
        if not self._again:
            return self._stream.read(size)
        taken, self._again = self._again[:size], self._again[size:]
        return taken


def table_of(entry: archive.Entry) -> str:
    """The table whose rows an entry has."""
    return entry.name.removeprefix(archive.DATABASE).removesuffix(ROWS_SUFFIX)


def leaves(executor: MigrationExecutor) -> set[tuple[str, str]]:
    """The last migration of each app."""
    return set(executor.loader.graph.leaf_nodes())


def sealing_key() -> bytes | None:
    """The operator's key, None where there is none. Raises ConfigError."""
    text = settings().backup_key.get_secret_value()
    try:
        return key_of(text) if text else None
    except ValueError as error:
        raise ConfigError(f"CUTLINE_BACKUP_KEY {error}") from error


def fingerprint() -> str:
    """Tells secret keys apart, and says nothing about a random one."""
    return hmac.new(django_settings.SECRET_KEY.encode(), b"cutline backup", hashlib.sha256).hexdigest()[:32]


def short(key: str) -> bytes:
    """A hash of a file's key: a set of millions stays small."""
    return hashlib.blake2b(key.encode(), digest_size=16).digest()


@contextmanager
def kept(what: str) -> Iterator[None]:
    """Let an error say what was kept."""
    try:
        yield
    except CutlineError as error:
        error.kept = error.kept or what
        raise
    except _FAILURES as error:
        raise BackupError(f"{type(error).__name__}: {error}", kept=what) from error
