"""Full-text search over captions and tags: FTS5 in SQLite, text search and trigrams in PostgreSQL.

`Image.search_text` is the searched text: code that changes a caption or tags sets it with `text_of`. Each
word of a query must occur, or begin a word that occurs, so that results appear while typing. PostgreSQL
also forgives a misspelt word, by trigrams, unless the words are so common that the newest images have a page
of them.

In SQLite an index of its own (images_search) follows the table by triggers. It also knows whose an image is
and whether it is in the gallery, so that a word costs no more than the matches that may be seen. Where there
are very many, they need not be sorted: in the list's own order, a page of them is found soon.
Django alters a SQLite table by rebuilding it, which drops its triggers: so `install` runs after every migrate
instead of a migration.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from django.db import ProgrammingError, connection, connections, transaction
from django.db.models import BooleanField, Count, Q, QuerySet
from django.db.models.expressions import RawSQL

from cutline.server.images.models import Image
from cutline.server.transactions import retried
from cutline.texts import WORD, plain

log = logging.getLogger(__name__)

_MOST_WORDS = 8
_LONGEST_WORD = 40
_FORGIVEN_FROM = 5  # letters: shorter words resemble too many others
_CHECKPOINT_MS = 300  # writers wait for it
_COMMON = 3000  # matches: to sort more takes longer than to look through a list in its order
_NEWEST, _PAGE = 1500, 50  # so many of the newest images have a page of matches: words are common, too
_GALLERY = "gallery"
IN_GALLERY = UUID(int=0)


def text_of(caption: str, tags: Iterable[str], *, description: str = "") -> str:
    """The searched text of an image: its words in lower case and without accents."""
    return plain(" ".join([caption, *([description] if description else []), *tags]))


def words_of(query: str) -> list[str]:
    """The words of a query, as they are searched; empty where it has none."""
    words = (_stem(word[:_LONGEST_WORD]) for word in WORD.findall(plain(query[:1000])))
    return list(dict.fromkeys(words))[:_MOST_WORDS]


def _stem(word: str) -> str:
    """A word without the ending of an English plural, so that "dogs" also finds "dog"."""
    if word.isascii() and len(word) > 4 and word.endswith("ies"):
        return word[:-3]
    if word.isascii() and len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def matching(
    images: QuerySet[Image], query: str, shelf: UUID | None = None, *, listed: bool = False
) -> QuerySet[Image]:
    """Those of the images that match; all of them for an empty query, none for one without any word.

    images: of the table itself, not of a join. shelf: the owner whose library they are; IN_GALLERY; or None,
    which is slower: it searches everybody's and drops what is not among the images. listed: they are the
    whole shelf, and will be read page by page in an order that has an index.
    """
    words = words_of(query)
    if not words:
        return images.none() if query.strip() else images
    if connection.vendor == "postgresql":
        if listed and _fill_a_page(images, words, in_gallery=shelf == IN_GALLERY):
            return images.filter(_in_the_text(words))
        return _in_postgresql(images, words)
    conditions = [f'words:"{word}"*' for word in words]
    if shelf is not None:
        conditions.insert(0, f'shelf:"{_GALLERY if shelf == IN_GALLERY else shelf.hex}"')
    match = " AND ".join(conditions)  # bound as a parameter; and WORD leaves no quotes in a word
    if listed and _is_common(match):
        return images.filter(_in_the_text(words))
    found = RawSQL(
        "SELECT image_id FROM images_search_document WHERE id IN"
        " (SELECT rowid FROM images_search WHERE images_search MATCH %s)",
        [match],
    )
    return images.filter(id__in=found)


def _in_the_text(words: list[str]) -> Q:
    """That the text has all these words, without an index: it contains each, and that begins a word."""
    letter = "[[:alnum:]]" if connection.vendor == "postgresql" else r"[^\W_]"
    return Q(*(Q(search_text__contains=word, search_text__regex=f"(?<!{letter}){word}") for word in words))


def _is_common(match: str) -> bool:
    """Whether so many images match that it is not worth while to sort them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM (SELECT 1 FROM images_search WHERE images_search MATCH %s LIMIT %s)",
            [match, _COMMON],
        )
        [count] = cursor.fetchone()
    return bool(count >= _COMMON)


def _fill_a_page(images: QuerySet[Image], words: list[str], *, in_gallery: bool) -> bool:
    """Whether a page of matches is soon found in the list's own order, without PostgreSQL's indexes.

    Words that are so common need not be forgiven misspelling either.
    """
    newest = images.order_by("-published_at" if in_gallery else "-created_at", "-pk")[:_NEWEST]
    matches = newest.aggregate(found=Count("pk", filter=_in_the_text(words)))
    return bool(matches["found"] > _PAGE)


def forget_words() -> None:
    """Take the words of images that are gone out of SQLite's files, where they would stay readable.

    By itself the index only marks them as gone, and the write-ahead log keeps what was written last. While
    somebody reads, the log stays until the next time.
    """
    if connection.vendor != "sqlite":
        return
    _optimize()
    if not connection.in_atomic_block:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout")
            [timeout_ms] = cursor.fetchone()
            cursor.execute(f"PRAGMA busy_timeout={_CHECKPOINT_MS}")
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            cursor.execute(f"PRAGMA busy_timeout={timeout_ms}")


@retried
def _optimize() -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO images_search (images_search) VALUES ('optimize')")


def _in_postgresql(images: QuerySet[Image], words: list[str]) -> QuerySet[Image]:
    exactly = RawSQL(
        "to_tsvector('simple', images_image.search_text) @@ to_tsquery('simple', %s)",
        [" & ".join(f"{word}:*" for word in words)],
        output_field=BooleanField(),
    )
    condition = Q(exactly)
    if min(len(word) for word in words) >= _FORGIVEN_FROM:
        nearly = [
            RawSQL("%s <%% images_image.search_text", [word], output_field=BooleanField()) for word in words
        ]
        alike = Q(nearly[0])
        for each in nearly[1:]:
            alike &= Q(each)
        condition |= alike
    return images.filter(condition)


# -- the index -------------------------------------------------------------------------------------------

_SHELF = """replace({row}.owner_id, '-', '') || CASE WHEN {row}.published_at IS NOT NULL
    AND {row}.deleted_at IS NULL THEN ' gallery' ELSE '' END"""
_ADD = (
    "INSERT INTO images_search (rowid, shelf, words) VALUES"
    " ((SELECT id FROM images_search_document WHERE image_id = NEW.id), {shelf}, NEW.search_text);"
).format(shelf=_SHELF.format(row="NEW"))
_REMOVE = (
    "DELETE FROM images_search WHERE rowid = (SELECT id FROM images_search_document WHERE image_id = OLD.id);"
)
_SQLITE = (
    "CREATE TABLE IF NOT EXISTS images_search_document"
    " (id INTEGER PRIMARY KEY, image_id CHAR(32) NOT NULL UNIQUE)",
    "CREATE VIRTUAL TABLE IF NOT EXISTS images_search USING fts5"
    " (shelf, words, tokenize = 'unicode61', prefix = '2 3 4')",
    "DROP TRIGGER IF EXISTS images_search_insert",
    "DROP TRIGGER IF EXISTS images_search_update",
    "DROP TRIGGER IF EXISTS images_search_delete",
    "CREATE TRIGGER images_search_insert AFTER INSERT ON images_image BEGIN"
    " INSERT INTO images_search_document (image_id) VALUES (NEW.id);"
    f" {_ADD} END",
    "CREATE TRIGGER images_search_update AFTER UPDATE OF"
    " search_text, owner_id, published_at, deleted_at ON images_image"
    " WHEN NEW.search_text IS NOT OLD.search_text OR NEW.owner_id IS NOT OLD.owner_id"
    " OR (NEW.published_at IS NULL) IS NOT (OLD.published_at IS NULL)"
    " OR (NEW.deleted_at IS NULL) IS NOT (OLD.deleted_at IS NULL) BEGIN"
    f" {_REMOVE} {_ADD} END",
    "CREATE TRIGGER images_search_delete AFTER DELETE ON images_image BEGIN"
    f" {_REMOVE} DELETE FROM images_search_document WHERE image_id = OLD.id; END",
    # Rows that came while there were no triggers.
    "INSERT INTO images_search_document (image_id) SELECT id FROM images_image"
    " WHERE id NOT IN (SELECT image_id FROM images_search_document)",
    "INSERT INTO images_search (rowid, shelf, words)"
    f" SELECT document.id, {_SHELF.format(row='image')}, image.search_text"
    " FROM images_search_document document JOIN images_image image ON image.id = document.image_id"
    " WHERE document.id NOT IN (SELECT rowid FROM images_search)",
)
_POSTGRESQL = (
    "CREATE EXTENSION IF NOT EXISTS pg_trgm",
    "CREATE INDEX IF NOT EXISTS images_search_words ON images_image"
    " USING gin (to_tsvector('simple', search_text))",
    "CREATE INDEX IF NOT EXISTS images_search_trigrams ON images_image USING gin (search_text gin_trgm_ops)",
)


_FORGIVING = """DO $$ BEGIN
    PERFORM word_similarity('', '');
    EXECUTE format('ALTER DATABASE %I SET pg_trgm.word_similarity_threshold = 0.45', current_database());
END $$"""


def install(using: str = "default", **_: Any) -> None:
    """Make the index, or what is missing of it. Connected to Django's post_migrate signal."""
    chosen = connections[using]
    with chosen.cursor() as cursor:
        if Image._meta.db_table not in chosen.introspection.table_names(cursor):
            return  # the database stands at a migration before images
        for statement in _POSTGRESQL if chosen.vendor == "postgresql" else _SQLITE:
            cursor.execute(statement)
        if chosen.vendor == "postgresql":
            try:
                with transaction.atomic(using):
                    cursor.execute(_FORGIVING)
            except ProgrammingError as error:  # only the database's owner may
                log.warning("Search forgives fewer misspelt words: %s", error)
