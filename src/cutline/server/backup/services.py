"""Make a backup of the database and the files of one moment."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from typing import IO, TypeAlias

from django.core.files.base import File
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import QuerySet, Sum

from cutline.errors import BackupError
from cutline.server.backup import archive, places, tables
from cutline.server.backup.contents import (
    FORMAT,
    ROWS_SUFFIX,
    About,
    Progress,
    beside,
    checked,
    fingerprint,
    kept,
    leaves,
    nothing,
    sealing_key,
    short,
)
from cutline.server.backup.encryption import Sealer
from cutline.server.images.models import StoredFile
from cutline.server.images.stores import store

_ROUNDS = 5  # snapshots until no file vanishes between one and the copies of its files
_MOST_LISTED = 1000

_Dump: TypeAlias = tuple[IO[bytes], int]  # compressed rows, and their number


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A backup that was written and read back."""

    name: str
    about: About
    encrypted: bool


@dataclass(slots=True, kw_only=True)
class _Copied:
    """What is in the archive so far. Keys are hashed: there may be millions."""

    keys: set[bytes] = field(default_factory=set)
    bytes: int = 0


def total_bytes() -> int:
    """About how many bytes of files a backup has now, for a progress bar; 0 where there are no tables."""
    if _not_migrated():
        return 0
    return _live().aggregate(Sum("bytes"))["bytes__sum"] or 0


def back_up(place: str, *, progress: Progress = nothing) -> Made:
    """Write a backup to a folder or s3://BUCKET/PREFIX, read it back, and keep it if it is whole.

    The service may run meanwhile. Raises BackupError; then there is no new backup.
    """
    with kept("No backup was made."):
        if waiting := _not_migrated():
            raise BackupError(f"The database lacks {waiting} migrations.", hint="Run: cutline manage migrate")
        key, made_at = sealing_key(), datetime.now(UTC)
        name = f"cutline-{made_at:%Y%m%dT%H%M%SZ}.tar{'.enc' if key else ''}"
        draft = places.draft(place, name)
        try:
            sealed = Sealer(draft, key) if key else None
            with archive.Writer(sealed or draft) as writer:
                about = _write(writer, made_at, progress)
            if sealed:
                sealed.finish()
            draft.finish()
            with draft.opened() as stream:
                if checked(stream) != about:
                    raise BackupError("What was read back is not what was written.")
            draft.keep()
        except BaseException:
            draft.drop()
            raise
    return Made(name=places.shown(draft.name), about=about, encrypted=bool(key))


def _write(writer: archive.Writer, made_at: datetime, progress: Progress) -> About:
    copied, missing = _Copied(), set[str]()
    for _ in range(_ROUNDS):
        with ExitStack() as stack:
            dumps = _dumps(stack)
            vanished = _copy(_live_keys(dumps), copied, writer, progress)
            if vanished <= missing:  # the store has lost them: they did not go since the last snapshot
                return _finish(writer, dumps, copied, made_at, missing=vanished)
            missing = vanished
    raise BackupError("Files were deleted faster than they could be copied.", hint="Try again later.")


def _dumps(stack: ExitStack) -> dict[str, _Dump]:
    """Every table in a temporary file, all as they were at one moment."""
    with tables.snapshot():
        found = {}
        for name, model in tables.tables().items():
            file, number = tables.dump(model)
            found[name] = (stack.enter_context(file), number)
        return found


def _live_keys(dumps: Mapping[str, _Dump]) -> Iterator[str]:
    """The keys of the files that belong to something, in a dump of the ledger."""
    columns = [each.attname for each in StoredFile._meta.concrete_fields]
    key, state = columns.index("key"), columns.index("state")
    file, _ = dumps[StoredFile._meta.db_table]
    return (row[key] for row in tables.rows(file) if row[state] == StoredFile.State.LIVE)


def _copy(keys: Iterable[str], copied: _Copied, writer: archive.Writer, progress: Progress) -> set[str]:
    """Write files that are not in the archive yet; give those that are not in the store."""
    vanished = set()
    wanted = (each for each in keys if short(each) not in copied.keys)
    for key, content in beside(_open, wanted):
        if content is None:
            vanished.add(key)
            continue
        with content:
            size = content.size
            writer.add(archive.FILES + key, content, size)
        copied.keys.add(short(key))
        copied.bytes += size
        progress(size)
    return vanished


def _finish(
    writer: archive.Writer,
    dumps: Mapping[str, _Dump],
    copied: _Copied,
    made_at: datetime,
    *,
    missing: set[str],
) -> About:
    deleted = copied.keys - {short(key) for key in _live_keys(dumps)}
    for name, (file, _) in dumps.items():
        size = file.seek(0, 2)
        file.seek(0)
        writer.add(f"{archive.DATABASE}{name}{ROWS_SUFFIX}", file, size)
    about = About(
        format=FORMAT,
        cutline=version("cutline"),
        made_at=made_at.isoformat(timespec="seconds"),
        database=connection.vendor,
        migrations=tuple(sorted(".".join(node) for node in leaves(MigrationExecutor(connection)))),
        rows={name: number for name, (_, number) in dumps.items()},
        files=len(copied.keys),
        bytes=copied.bytes,
        secret_key=fingerprint(),
        deleted=tuple(sorted(key.hex() for key in deleted)),
        missing=tuple(sorted(missing)[:_MOST_LISTED]),
    )
    writer.add_bytes(archive.ABOUT, json.dumps(asdict(about), indent=1).encode())
    writer.finish()
    return about


def _not_migrated() -> int:
    executor = MigrationExecutor(connection)
    return len(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def _live() -> QuerySet[StoredFile]:
    return StoredFile.objects.filter(state=StoredFile.State.LIVE)


def _open(key: str) -> tuple[str, File[bytes] | None]:
    try:
        return key, store().open(key, "rb")
    except FileNotFoundError:
        return key, None
