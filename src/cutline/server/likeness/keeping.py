"""Write where photos lie, in the transaction of the captions that came of the same pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from cutline.server.likeness import pgvector
from cutline.server.likeness.models import Embedding
from cutline.vectors import Floats, packed


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Place:
    """Where a photo lies, by which model. vector: None where the model cannot read it."""

    image_id: UUID
    owner_id: UUID
    space: str
    model: str
    vector: Floats | None


def keep(places: Sequence[Place]) -> None:
    """Write where photos lie, whose rows the caller has locked. What is known in the same space stays."""
    Embedding.objects.bulk_create(
        [
            Embedding(
                image_id=each.image_id,
                owner_id=each.owner_id,
                space=each.space,
                model=each.model,
                vector=b"" if each.vector is None else packed(each.vector),
            )
            for each in places
        ],
        ignore_conflicts=True,
    )
    if pgvector.is_there():
        pgvector.place((each.image_id, each.space, each.vector) for each in places if each.vector is not None)
