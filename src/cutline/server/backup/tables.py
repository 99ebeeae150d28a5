"""Rows as JSON lines, whichever database they are from: a backup of SQLite goes into PostgreSQL, too.

A table's first line is {"columns": [...]}; each other line is a row. Values are as Django knows them: times
as ISO 8601, UUIDs as text, bytes as base64, JSON as itself.
"""

from __future__ import annotations

import base64
import gzip
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from typing import IO, Any, cast
from uuid import UUID

from django.apps import apps
from django.core.exceptions import ValidationError
from django.core.management.color import no_style
from django.db import DatabaseError, connection, models, transaction

from cutline.errors import BackupError

_IN_MEMORY = 4 * 2**20  # of one table, compressed; the rest is in an unnamed temporary file
_ROWS = 500

Tables = Mapping[str, type[models.Model]]


def tables(registry: Any = apps) -> Tables:
    """Every table of the service, by its name. registry: Django's, or that of an earlier migration."""
    found = registry.get_models(include_auto_created=True)
    return {each._meta.db_table: each for each in found if each._meta.managed and not each._meta.proxy}


@contextmanager
def snapshot() -> Iterator[None]:
    """Read all tables as they are at one moment, while others write."""
    if connection.vendor == "postgresql":
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield
        return
    if connection.in_atomic_block:  # SQLite's transactions are snapshots
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")  # not `atomic`, which is IMMEDIATE here: writers would wait
        try:
            yield
        finally:
            cursor.execute("ROLLBACK")


def dump(model: type[models.Model]) -> tuple[IO[bytes], int]:
    """All rows of a table, compressed, in a file at its start; and how many they are."""
    fields = model._meta.concrete_fields
    file = cast("IO[bytes]", tempfile.SpooledTemporaryFile(_IN_MEMORY))  # noqa: SIM115 (the caller's)
    number = 0
    with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=3, mtime=0) as packed:
        packed.write(_line({"columns": [field.column for field in fields]}))
        rows = model._base_manager.order_by("pk").values_list(*[field.attname for field in fields])
        for row in rows.iterator(chunk_size=_ROWS):
            packed.write(_line(row))
            number += 1
    file.seek(0)
    return file, number


def rows(file: IO[bytes]) -> Iterator[list[Any]]:
    """The rows of a dump, from its start."""
    file.seek(0)
    with gzip.GzipFile(fileobj=file, mode="rb") as unpacked:
        next(unpacked)
        for line in unpacked:
            yield json.loads(line)


def load(model: type[models.Model], file: IO[bytes]) -> int:
    """Insert the rows of a table, and say how many they were. Raises BackupError where they do not fit."""
    table = model._meta.db_table
    with gzip.GzipFile(fileobj=file, mode="rb") as unpacked, connection.cursor() as cursor:
        try:
            columns = json.loads(unpacked.readline())["columns"]
            by_column = {field.column: field for field in model._meta.concrete_fields}
            if set(columns) != set(by_column):
                raise BackupError(f"The table {table} has other columns than the backup.")
            fields = [by_column[column] for column in columns]
            insert = _insert(table, columns)
            number = 0
            rows = (_values(fields, json.loads(line)) for line in unpacked)
            while some := list(islice(rows, _ROWS)):
                cursor.executemany(insert, some)
                number += len(some)
        except (ValueError, LookupError, TypeError, ValidationError, DatabaseError) as error:
            raise BackupError(f"The rows of the table {table} cannot be restored: {error}.") from error
    return number


def empty(every: Tables) -> None:
    """Delete all rows, in the caller's transaction: references are checked at its end."""
    with connection.cursor() as cursor:
        for table in every:
            cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")


def count_on(every: Tables) -> None:
    """Let new rows have numbers after those that were restored."""
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), list(every.values())):
            cursor.execute(statement)


def _insert(table: str, columns: list[str]) -> str:
    quoted = connection.ops.quote_name
    names = ", ".join(map(quoted, columns))
    return f"INSERT INTO {quoted(table)} ({names}) VALUES ({', '.join(['%s'] * len(columns))})"


def _values(fields: list[Any], row: list[Any]) -> list[Any]:
    return [
        field.get_db_prep_save(field.to_python(value), connection)
        for field, value in zip(fields, row, strict=True)
    ]


def _line(value: object) -> bytes:
    return json.dumps(value, default=_plain, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _plain(value: object) -> object:
    if isinstance(value, bytes | memoryview):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, UUID | Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no form in a backup")
