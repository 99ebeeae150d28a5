"""The database engine `cutline.server.sqlite`: SQLite, with a line before its one lock for writing.

By itself SQLite asks again and again, after up to a tenth of a second, whether the lock is free, and whoever
asks at the right moment has it: beside a few threads that write all the time, others may wait for very long.
All writers of a laptop's service are in one process, so here they wait for each other, the first one first.
Another process, such as `cutline manage`, still meets them at SQLite's own lock.
"""

from __future__ import annotations

import os
import re
from functools import partial
from typing import Any

from django.db.backends.sqlite3 import base
from django.db.utils import OperationalError

from cutline.server.sqlite.line import Line

_LINES: dict[tuple[int, str], Line] = {}  # by process, for a fork has nobody in line, and the database's name
_WRITES = re.compile(r"\s*(?:INSERT|UPDATE|DELETE|REPLACE)\b", re.IGNORECASE)


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection that waits in line before it writes; transactions do where they begin, being IMMEDIATE."""

    def __init__(self, *words: Any, **named: Any) -> None:
        super().__init__(*words, **named)
        self._is_first = False

    @property
    def _line(self) -> Line:
        place = os.getpid(), str(self.settings_dict["NAME"])
        return _LINES.get(place) or _LINES.setdefault(place, Line())

    def _start_transaction_under_autocommit(self) -> None:
        self._enter()
        try:
            super()._start_transaction_under_autocommit()  # type: ignore[misc]
        except BaseException:
            self._leave()
            raise

    def _commit(self) -> None:
        super()._commit()  # type: ignore[misc]
        self._leave()

    def _rollback(self) -> None:
        try:
            super()._rollback()  # type: ignore[misc]
        finally:
            self._leave()

    def _close(self) -> None:
        try:
            super()._close()  # type: ignore[misc]
        finally:
            self._leave()

    def create_cursor(self, name: object = None) -> Any:
        """A cursor whose single writes wait in line, too."""
        return self.connection.cursor(factory=partial(_Cursor, wrapper=self))

    def _enter(self) -> None:
        if self.is_in_memory_db():
            return
        if not self._line.enter(float(self.settings_dict["OPTIONS"].get("timeout", 5.0))):
            raise OperationalError("database is locked: others write to it")
        self._is_first = True

    def _leave(self) -> None:
        if self._is_first:
            self._is_first = False
            self._line.leave()


class _Cursor(base.SQLiteCursorWrapper):
    def __init__(self, connection: Any, *, wrapper: DatabaseWrapper) -> None:
        super().__init__(connection)
        self._wrapper = wrapper

    def execute(self, query: str, params: Any = None) -> Any:
        if self.connection.in_transaction or not _WRITES.match(query):
            return super().execute(query, params)
        self._wrapper._enter()
        try:
            return super().execute(query, params)
        finally:
            self._wrapper._leave()
