"""pgvector, where the database has it: a column `near` beside each embedding, which the database compares.

The column is no part of the model: where the extension is missing, or may not be made, everything works
without it, in memory (shelves.py). So `install` runs after every migrate, and never fails.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.db import DatabaseError, connection, connections, transaction

from cutline.server.likeness.models import Embedding
from cutline.vectors import Floats, unpacked

log = logging.getLogger(__name__)

_TABLE = Embedding._meta.db_table
_STATEMENTS = (
    "CREATE EXTENSION IF NOT EXISTS vector",
    f"ALTER TABLE {_TABLE} ADD COLUMN IF NOT EXISTS near halfvec",
    f"CREATE INDEX IF NOT EXISTS embeddings_to_place ON {_TABLE} (id) WHERE near IS NULL",
)


def install(using: str = "default", **_: Any) -> None:
    """Add the column, if the database can. Connected to Django's post_migrate signal."""
    chosen = connections[using]
    if chosen.vendor != "postgresql":
        return
    _has_column.cache_clear()
    with chosen.cursor() as cursor:
        if _TABLE not in chosen.introspection.table_names(cursor):
            return  # the database stands at an earlier migration
        try:
            with transaction.atomic(using):
                for statement in _STATEMENTS:
                    cursor.execute(statement)
        except DatabaseError as error:  # no such extension, an old one, or only a superuser may
            log.warning("Likeness is computed in memory, without pgvector: %s", error)


def is_there() -> bool:
    """Whether the database compares vectors itself."""
    return connection.vendor == "postgresql" and _has_column()


@lru_cache(maxsize=1)
def _has_column() -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM information_schema.columns WHERE table_schema = current_schema()"
            " AND table_name = %s AND column_name = 'near'",
            [_TABLE],
        )
        return cursor.fetchone() is not None


def literal(vector: Floats) -> str:
    """A vector as pgvector reads it."""
    return f"[{','.join(format(number, '.5g') for number in vector.tolist())}]"


def place(rows: Iterable[tuple[UUID, str, Floats]]) -> None:
    """Let the database know where embeddings lie: the image, the space, and the vector of each."""
    with connection.cursor() as cursor:
        cursor.executemany(
            f"UPDATE {_TABLE} SET near = %s::halfvec WHERE image_id = %s AND space = %s",
            [(literal(vector), image_id, space) for image_id, space, vector in rows],
        )


def place_those_left(most: int = 1000) -> None:
    """Do so for rows that came without it: from before there was pgvector, or from a backup."""
    left = Embedding.objects.extra(where=["near IS NULL"]).exclude(vector=b"").order_by("pk")
    while rows := list(left.values_list("image_id", "space", "vector")[:most]):
        place((image_id, space, unpacked([bytes(kept)])[0]) for image_id, space, kept in rows)
