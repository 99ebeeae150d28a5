"""The index of a folder: one SQLite file. A process that is killed at any moment leaves a sound one.

Paths are kept below the folder, so folder and index can move together.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from cutline.copies import Thumbnail
from cutline.copies import unpacked as unpacked_thumbnail
from cutline.errors import OutputError
from cutline.vectors import Floats, packed, unpacked

FILE_NAME = ".cutline-search"
"""Of the index in its folder."""

_FORMAT = 1
_APPLICATION = 0x43555449  # "CUTI": tells our file from other SQLite files
_WAIT_S = 30.0
_SCHEMA = (
    "CREATE TABLE photos (id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, bytes INTEGER NOT NULL,"
    " changed_ns INTEGER NOT NULL, space TEXT NOT NULL, model TEXT NOT NULL, caption TEXT NOT NULL,"
    " error TEXT NOT NULL, vector BLOB, thumbnail BLOB)",
    "CREATE TABLE sentences (id INTEGER PRIMARY KEY, model TEXT NOT NULL, vector BLOB NOT NULL)",
    "CREATE VIRTUAL TABLE words USING fts5 (caption, tokenize = 'porter unicode61 remove_diacritics 2')",
    "CREATE TRIGGER photos_in AFTER INSERT ON photos BEGIN"
    " INSERT INTO words (rowid, caption) VALUES (NEW.id, NEW.caption); END",
    "CREATE TRIGGER photos_out AFTER DELETE ON photos BEGIN"
    " DELETE FROM words WHERE rowid = OLD.id; DELETE FROM sentences WHERE id = OLD.id; END",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What tells that a photo has not changed since it was indexed, and that the same model would do it."""

    bytes: int
    changed_ns: int
    space: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Entry:
    """A photo of the index. ``path`` is below the folder; ``error`` says why there is no caption."""

    path: str
    stamp: Stamp
    model: str
    caption: str = ""
    error: str = ""
    vector: Floats | None = None
    thumbnail: Thumbnail | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A photo that was found. ``likeness`` is the cosine to the photo or text that was asked for, if any."""

    path: str
    caption: str
    likeness: float | None = None


class PhotoIndex:
    """The index of a folder, open. Raises OutputError where it cannot be used, or is none of ours."""

    def __init__(self, path: str) -> None:
        self.path = path
        with self._errors():
            self._db = sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None)
            try:
                self._open()
            except BaseException:
                self._db.close()
                raise

    def __enter__(self) -> Self:
        """The index itself; leaving the block closes it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self._db.close()

    def stamps(self) -> dict[str, Stamp]:
        """The stamp of each photo, by path."""
        with self._errors():
            rows = self._db.execute("SELECT path, bytes, changed_ns, space FROM photos")
            return {
                os.fsdecode(path): Stamp(bytes=size, changed_ns=changed_ns, space=space)
                for path, size, changed_ns, space in rows
            }

    def write(self, entries: Iterable[Entry]) -> None:
        """Write some photos, all or none of them; what was known of them before goes."""
        rows = [
            (
                os.fsencode(each.path),
                each.stamp.bytes,
                each.stamp.changed_ns,
                each.stamp.space,
                each.model,
                each.caption,
                each.error,
                None if each.vector is None else packed(each.vector),
                None if each.thumbnail is None else each.thumbnail.tobytes(),
            )
            for each in entries
        ]
        with self._transaction():
            self._db.executemany("DELETE FROM photos WHERE path = ?", [row[:1] for row in rows])
            self._db.executemany(
                "INSERT INTO photos"
                " (path, bytes, changed_ns, space, model, caption, error, vector, thumbnail)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                rows,
            )

    def forget(self, paths: Iterable[str]) -> None:
        """Remove photos that are gone."""
        with self._transaction():
            self._db.executemany(
                "DELETE FROM photos WHERE path = ?", [(os.fsencode(path),) for path in paths]
            )

    def vector(self, path: str, space: str) -> Floats | None:
        """Where a photo lies among others; None for one that is not there, or not in this space."""
        with self._errors():
            row = self._db.execute(
                "SELECT vector FROM photos WHERE path = ? AND space = ? AND vector IS NOT NULL",
                (os.fsencode(path), space),
            ).fetchone()
        return unpacked(row)[0] if row else None

    def vectors(self, space: str) -> tuple[list[int], Floats]:
        """The numbers of all photos in this space, and where they lie, [N, E]."""
        with self._errors():
            rows = self._db.execute(
                "SELECT id, vector FROM photos WHERE space = ? AND vector IS NOT NULL ORDER BY path",
                (space,),
            ).fetchall()
        return [row[0] for row in rows], unpacked([row[1] for row in rows])

    def sentences(self, embed: Callable[[Sequence[str]], Floats], model: str) -> tuple[list[int], Floats]:
        """The numbers of photos with a caption, and what it means, [N, E]; embed makes what is missing."""
        while fresh := self._without_sentence(model):
            vectors = embed([caption for _, caption in fresh])
            rows = [(number, model, packed(row)) for (number, _), row in zip(fresh, vectors, strict=True)]
            with self._transaction():
                self._db.executemany("INSERT OR REPLACE INTO sentences VALUES (?, ?, ?)", rows)
        with self._errors():
            found = self._db.execute("SELECT id, vector FROM sentences ORDER BY id").fetchall()
        return [row[0] for row in found], unpacked([row[1] for row in found])

    def _without_sentence(self, model: str) -> list[tuple[int, str]]:
        with self._errors():
            return self._db.execute(
                "SELECT id, caption FROM photos WHERE caption <> '' AND id NOT IN"
                " (SELECT id FROM sentences WHERE model = ?) LIMIT 4096",
                (model,),
            ).fetchall()

    def thumbnails(self, numbers: Sequence[int]) -> list[Thumbnail | None]:
        """The thumbnails of photos; None for those that another run has removed meanwhile."""
        with self._errors():
            rows = dict(self._db.execute("SELECT id, thumbnail FROM photos WHERE thumbnail IS NOT NULL"))
        return [unpacked_thumbnail(rows[number]) if number in rows else None for number in numbers]

    def with_words(self, words: Sequence[str], count: int) -> list[int]:
        """The numbers of photos whose captions have some of these words, the best first (BM25)."""
        if not words:
            return []
        query = " OR ".join(f'"{word}"' for word in words)
        with self._errors():
            rows = self._db.execute(
                "SELECT rowid FROM words WHERE words MATCH ? ORDER BY bm25(words), rowid LIMIT ?",
                (query, count),
            )
            return [row[0] for row in rows]

    def hits(self, numbers: Sequence[int], likeness: Mapping[int, float]) -> list[Hit]:
        """What is known of photos, in this order, without those that another run has removed meanwhile."""
        hits: list[Hit] = []
        with self._errors():
            for number in numbers:
                asked = self._db.execute("SELECT path, caption FROM photos WHERE id = ?", (number,))
                for path, caption in asked:
                    hit = Hit(path=os.fsdecode(path), caption=caption, likeness=likeness.get(number))
                    hits.append(hit)
        return hits

    def count(self) -> int:
        """How many photos have a caption."""
        with self._errors():
            return int(self._db.execute("SELECT count(*) FROM photos WHERE error = ''").fetchone()[0])

    def _open(self) -> None:
        [application] = self._db.execute("PRAGMA application_id").fetchone()
        [version] = self._db.execute("PRAGMA user_version").fetchone()
        [tables] = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if tables == 0:
            self._make()
        elif application != _APPLICATION:
            raise OutputError(f"{self.path} is a database of another program, and stays as it is.")
        elif version != _FORMAT:
            raise OutputError(
                f"{self.path} is an index of format {version}; this Cutline reads format {_FORMAT}.",
                hint="Update Cutline, or remove the file: the next search makes it anew.",
            )

    def _make(self) -> None:
        self._db.execute("PRAGMA journal_mode = WAL")
        with self._transaction():
            if self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                return  # another run was quicker
            for statement in _SCHEMA:
                self._db.execute(statement)
            self._db.execute(f"PRAGMA application_id = {_APPLICATION}")
            self._db.execute(f"PRAGMA user_version = {_FORMAT}")

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._errors():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise OutputError(
                f"The index {self.path} cannot be used ({error}).",
                hint="Name another file with --index; a damaged one can be removed, and is then made anew.",
            ) from error
