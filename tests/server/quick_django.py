"""What Django does anew for each test, done once in a process of tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.core.management.commands import flush
from django.db import connections

from cutline.server.static_files import StaticFiles


@contextmanager
def quick_django() -> Iterator[None]:
    """Look for static files once, and keep what Django itself writes into a new database."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(StaticFiles, "__init__", found_once(StaticFiles.__init__))
        kept = Kept()
        patch.setattr(flush, "sql_flush", kept.sql_flush)
        patch.setattr(flush, "emit_post_migrate_signal", kept.write_again)
        yield


def found_once(find: Callable[..., None]) -> Callable[..., None]:
    """The same constructor, which looks for the files of a folder once: each test client has a middleware."""
    found: dict[object, dict[str, Any]] = {}

    def init(self: StaticFiles, get_response: object = None) -> None:
        root = settings.WHITENOISE_ROOT
        if root not in found:
            find(self, get_response)
            found[root] = vars(self).copy()
        vars(self).update(found[root], get_response=get_response)

    return init


class Kept:
    """The content types and permissions of each database, which are the same before and after a test.

    Else each test with transactions of its own would have them, some hundred rows, deleted and written again.
    """

    def __init__(self) -> None:
        self._write = flush.emit_post_migrate_signal
        self._rows: dict[str, tuple[int, int]] = {}

    def sql_flush(self, style: Any, connection: Any, **words: Any) -> list[str]:
        """As Django's, without those two tables."""
        kept = {ContentType._meta.db_table, Permission._meta.db_table}
        names = connection.introspection.django_table_names(only_existing=True, include_views=False)
        statements: list[str] = connection.ops.sql_flush(
            style, [name for name in names if name not in kept], **words
        )
        return statements

    def write_again(self, verbosity: int, interactive: bool, db: str) -> None:
        """Write them as Django does where this is a database's first test, or a test deleted some."""
        vendor = connections[db].vendor
        if self._rows.get(vendor) != _rows(db):
            self._write(verbosity, interactive, db)
            self._rows[vendor] = _rows(db)


def _rows(db: str) -> tuple[int, int]:
    return ContentType.objects.using(db).count(), Permission.objects.using(db).count()
