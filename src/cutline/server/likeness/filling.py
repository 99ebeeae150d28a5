"""Photos that the model in use has not placed: after a promotion, or an update of Cutline, all of them.

A worker does so in the background, a little at a time, while nobody waits for captions; photos that are
captioned meanwhile come by themselves (keeping.py). Until most of an owner's photos are placed anew, search
uses the places that the model before gave them. When all are, those are forgotten after a day.
"""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from uuid import UUID

from django.core.cache import cache
from django.db.models import Exists, Max, OuterRef, QuerySet
from django.utils import timezone

from cutline.errors import CutlineError, ImageError
from cutline.server import captioner
from cutline.server.celery_app import enqueue
from cutline.server.errors import NotFound
from cutline.server.images import renditions
from cutline.server.images.models import Image
from cutline.server.likeness import pgvector
from cutline.server.likeness.keeping import Place, keep
from cutline.server.likeness.models import Embedding
from cutline.server.transactions import retried

logger = logging.getLogger(__name__)

FILL = "cutline.likeness.fill"

_TURN_S = 1.0  # a task's; then mails and the like have theirs
_REST_S = 1.0  # where captions are asked for
_AT_ONCE = 8
_OLD = timedelta(days=1)  # a model that was put back finds what it knew
_TURN = "cutline.likeness.turn"
_LAST = "cutline.likeness.last"  # of the photos that were looked at, by space
_DONE, _DONE_S = "cutline.likeness.done", 600  # after everything was placed, nobody looks for so long


def sweep() -> None:
    """Let a worker look for photos that are not placed: it knows the model."""
    enqueue(FILL)


def fill() -> int:
    """Place some photos, and come again for the rest; forget old places where nothing is left. How many."""
    if not Image.objects.filter(deleted_at=None).exists() or not captioner.can_embed():
        return 0
    model = captioner.about()
    if cache.get(_DONE) == model.bundle_hash or not cache.add(_TURN, 1, timeout=60):
        return 0
    try:
        placed = _fill(model)
    finally:
        cache.delete(_TURN)
    if placed is None:
        _forget_old(model.bundle_hash)
        if pgvector.is_there():
            pgvector.place_those_left()
        cache.set(_DONE, model.bundle_hash, timeout=_DONE_S)
        return 0
    enqueue(FILL, after_s=0 if captioner.is_idle() else _REST_S)
    return placed


def _fill(model: captioner.ModelInfo) -> int | None:
    """Place photos for a turn; None where none is left."""
    end, placed = time.monotonic() + _TURN_S, 0
    key = f"{_LAST}:{model.bundle_hash}"
    last: UUID | None = cache.get(key)
    while time.monotonic() < end:
        some = list(_left(model.bundle_hash, last).values_list("pk", flat=True)[:_AT_ONCE])
        if not some and last is not None:  # whether any has come meanwhile, before that
            last = None
            cache.delete(key)
            continue
        if not some:
            return placed or None
        places = [(image_id, _place(image_id)) for image_id in some]
        if any(seen is not None and seen.model != model for _, seen in places):
            return placed  # another model took over: it begins anew
        _keep({image_id: seen.vector if seen else None for image_id, seen in places}, model)
        placed += len(places)
        last = some[-1]
        cache.set(key, last, timeout=_DONE_S)
        if not captioner.is_idle():
            break
    return placed


def _left(space: str, last: UUID | None) -> QuerySet[Image]:
    """After the last that was looked at, in the order of an index: each is looked at once in a pass."""
    placed = Embedding.objects.filter(image=OuterRef("pk"), space=space)
    left = Image.objects.filter(~Exists(placed), deleted_at=None).order_by("pk")
    return left.filter(pk__gt=last) if last else left


def _place(image_id: UUID) -> captioner.Seen | None:
    """Where a photo lies; None where it cannot be read. Raises ServiceUnavailable."""
    try:
        return captioner.embed(renditions.read_master(image_id))
    except (NotFound, ImageError) as error:
        logger.info("A photo could not be placed.", extra={"image": str(image_id), "error": error.code})
    except CutlineError:
        raise
    except Exception:  # whatever a runtime raises over a graph: the next photo may succeed
        logger.exception("The model failed on a photo.", extra={"image": str(image_id)})
    return None


@retried
def _keep(vectors: dict[UUID, captioner.Vector | None], model: captioner.ModelInfo) -> None:
    there = Image.objects.select_for_update().filter(pk__in=vectors).order_by("pk")
    keep(
        [
            Place(
                image_id=pk,
                owner_id=owner_id,
                space=model.bundle_hash,
                model=model.label,
                vector=vectors[pk],
            )
            for pk, owner_id in there.values_list("pk", "owner_id")
        ]
    )


def _forget_old(space: str) -> None:
    """Forget the places of other models whose photos have all been in this space for a while."""
    for other in Embedding.objects.exclude(space=space).values_list("space", flat=True).distinct():
        old = Embedding.objects.filter(space=other)
        anew = Embedding.objects.filter(space=space, image__in=old.values("image"))
        # None where all of its photos are in the bin: these are not placed anew.
        last = anew.aggregate(last=Max("created_at"))["last"] or old.aggregate(last=Max("created_at"))["last"]
        if last is None or last > timezone.now() - _OLD:
            continue
        while some := list(old.values_list("pk", flat=True)[: _AT_ONCE * 100]):
            Embedding.objects.filter(pk__in=some).delete()
