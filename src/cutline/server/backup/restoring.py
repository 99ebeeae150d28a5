"""Check a backup, and restore it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from typing import IO, Any, cast

from django.apps import apps
from django.core.files.base import File
from django.core.management import call_command
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor

from cutline.errors import BackupError
from cutline.server.backup import archive, places, tables
from cutline.server.backup.contents import (
    About,
    Progress,
    beside,
    check,
    kept,
    leaves,
    nothing,
    plain,
    short,
    table_of,
)
from cutline.server.backup.encryption import Readable
from cutline.server.images.file_links import content_type_of
from cutline.server.images.models import StoredFile
from cutline.server.images.stores import Folder, store
from cutline.server.people.models import Owner, User

_IN_MEMORY = 4 * 2**20  # of one file; the rest is in an unnamed temporary file
_AT_ONCE = 1000  # files that are deleted by one request
_OF_PEOPLE = (StoredFile, Owner, User)  # everything else belongs to one of them


def restore(backup: str, *, replace: bool = False, progress: Progress = nothing) -> About:
    """Put the database and the files back as they were. Nothing else may use them meanwhile.

    Nothing is changed before the whole backup was checked; the database changes at once, at the end. replace:
    what is there now may go. Raises BackupError, which says what was kept.
    """
    with kept("Nothing was changed."):
        about = check(backup, progress=progress)
        if not replace:
            _refuse_to_replace()
        state = _migrated_as(about)
    with kept(
        "The database has the rows that it had. Files that were written stay in the store: restore again with"
        " --replace."
    ):
        before = set(StoredFile.objects.values_list("key", flat=True)) if replace else set()
        with ExitStack() as stack:
            dumps = _restore_files(backup, about, stack, progress)
            _load(tables.tables(state), dumps, about)
    with kept("The backup was restored."):
        call_command("migrate", verbosity=0, interactive=False)
        if replace:
            _delete(before - set(StoredFile.objects.values_list("key", flat=True)))
    return about


def _refuse_to_replace() -> None:
    hint = "Restore into an empty database and an empty store, or say --replace: what is there then goes."
    present = set(connection.introspection.table_names())
    if any(kind._meta.db_table in present and kind._base_manager.exists() for kind in _OF_PEOPLE):
        raise BackupError("The database is not empty.", hint=hint)
    if not store().is_empty():
        raise BackupError("The store is not empty.", hint=hint)


def _migrated_as(about: About) -> Any:
    """Bring the tables to where the backup's were; give the models of that time."""
    executor = MigrationExecutor(connection)
    wanted = [(app, name) for app, _, name in (each.partition(".") for each in about.migrations)]
    if unknown := [node for node in wanted if node not in executor.loader.graph.nodes]:
        raise BackupError(
            f"The backup was made by a newer Cutline, {about.cutline}:"
            f" this one does not know {'.'.join(unknown[0])}.",
            hint="Install that version, or a newer one.",
        )
    if set(wanted) == leaves(executor):
        call_command("migrate", verbosity=0, interactive=False)
        return apps
    if set(executor.loader.applied_migrations) - {
        step for node in wanted for step in executor.loader.graph.forwards_plan(node)
    }:
        raise BackupError(
            f"The backup was made by an older Cutline, {about.cutline}; the database has newer tables.",
            hint="Restore into a database without tables: they are then brought forward with their rows.",
        )
    return executor.migrate(wanted).apps


def _restore_files(backup: str, about: About, stack: ExitStack, progress: Progress) -> dict[str, IO[bytes]]:
    """Write the files to the store; give the dumps of the tables."""
    dumps: dict[str, IO[bytes]] = {}

    def files(stream: Readable) -> Iterator[tuple[str, IO[bytes]]]:
        for entry in archive.entries(plain(stream)):
            if entry.name.startswith(archive.DATABASE):
                dumps[table_of(entry)] = stack.enter_context(_spooled(entry.content))
            elif entry.name.startswith(archive.FILES):
                progress(entry.size)
                key = entry.name.removeprefix(archive.FILES)
                if short(key).hex() not in deleted:
                    yield key, _spooled(entry.content)

    deleted = set(about.deleted)
    with places.opened(backup) as stream:
        for _ in beside(_save, files(stream)):
            pass
    return dumps


def _load(every: tables.Tables, dumps: Mapping[str, IO[bytes]], about: About) -> None:
    if unknown := set(dumps) - set(every):
        raise BackupError(f"The backup has tables that this Cutline does not know: {', '.join(unknown)}.")
    with transaction.atomic():
        tables.empty(every)
        for name, file in dumps.items():
            if tables.load(every[name], file) != about.rows[name]:
                raise BackupError(f"The table {name} lacks rows.")
        tables.count_on(every)


def _save(file: tuple[str, IO[bytes]]) -> None:
    key, content = file
    where = store()
    with content:
        if isinstance(where, Folder):
            where.delete(key)  # it would take another name beside a file that is there
        named: File[bytes] = File(content, key)
        named.content_type = content_type_of(key)  # type: ignore[attr-defined]
        if where.save(key, named) != key:
            raise BackupError(f"{key} cannot be written: it is there already.")


def _delete(keys: set[str]) -> None:
    listed = sorted(keys)
    for start in range(0, len(listed), _AT_ONCE):
        store().delete_all(listed[start : start + _AT_ONCE])


def _spooled(content: IO[bytes]) -> IO[bytes]:
    """A copy of what is read only once."""
    copy = cast("IO[bytes]", tempfile.SpooledTemporaryFile(_IN_MEMORY))  # noqa: SIM115 (the caller's)
    shutil.copyfileobj(content, copy, _IN_MEMORY)
    copy.seek(0)
    return copy
