"""What lies near: photos like one, photos that a text means, and copies.

Every answer goes through a selector.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from enum import StrEnum
from operator import itemgetter
from uuid import UUID

import numpy as np
from django.db.models import Count, FloatField, Max, QuerySet
from django.db.models.expressions import RawSQL

from cutline.errors import CutlineError
from cutline.server import captioner
from cutline.server.images import selectors
from cutline.server.images.models import Image
from cutline.server.images.selectors import Filters
from cutline.server.likeness import comparing, pgvector
from cutline.server.likeness.gallery import gallery
from cutline.server.likeness.gallery import rows as gallery_rows
from cutline.server.likeness.models import Embedding
from cutline.server.likeness.shelves import Shelf, Stamp, shelves
from cutline.server.people.viewers import Viewer
from cutline.vectors import Floats, fused, unpacked

_SLACK = 20  # more than wanted, for what a selector leaves out
_LOOKED_AT = 200  # of each ranking
_MOST_IN_DATABASE = 20_000  # of more vectors, memory is several times as quick


class Among(StrEnum):
    """Among which photos is searched."""

    LIBRARY = "library"
    GALLERY = "gallery"


class By(StrEnum):
    """What a text is compared with."""

    HYBRID = "hybrid"
    WORDS = "words"
    MEANING = "meaning"


class Reason(StrEnum):
    """Why vectors cannot be compared, or not yet."""

    PENDING = "pending"  # the model has not looked at most photos yet, or nobody at copies
    UNSUPPORTED = "unsupported"  # the model does not say how photos are alike
    NO_TEXT_TOWER = "no_text_tower"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The photos that were found, the best first, and how like each is to what was asked, where known.

    reason: why nothing could be compared; empty where it could.
    """

    images: Sequence[Image] = ()
    likeness: Mapping[UUID, float] = field(default_factory=dict)
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """Groups of photos that look the same, the newest group first; reason: as of an Answer."""

    groups: Sequence[Sequence[Image]] = ()
    reason: str = ""


def similar(viewer: Viewer, image: Image, *, scope: Among, count: int) -> Answer:
    """Photos like one that the viewer may see, among their own or those of the gallery."""
    place = _Place.of(viewer, scope)
    known = Embedding.objects.filter(image=image, space=place.space).exclude(vector=b"").first()
    if known is None:
        return Answer(reason=_why_not(place))
    images = place.images(Filters())
    near = dict(place.nearest(unpacked([bytes(known.vector)])[0], count + 1, images))
    near.pop(image.pk, None)
    return Answer(images=_in_order(images, list(near)[:count]), likeness=near)


def ranked(viewer: Viewer, filters: Filters, *, by: By, count: int) -> Answer:
    """The viewer's own photos that fit a text (filters.text), by its words, by what it means, or by both."""
    rankings: list[list[UUID]] = []
    likeness: dict[UUID, float] = {}
    reason = ""
    most = max(_LOOKED_AT, count)
    whatever_they_say = selectors.library(viewer, replace(filters, text=""))
    if by is not By.WORDS:
        place = _Place.of(viewer, Among.LIBRARY)
        meant, reason = _meaning(place, filters.text)
        if meant is not None:
            likeness = dict(place.nearest(meant, most, whatever_they_say))
            rankings.append(list(likeness))
    if by is not By.MEANING:
        with_words = selectors.library(viewer, filters).order_by("-created_at", "-pk")
        rankings.append(list(with_words.values_list("pk", flat=True)[:most]))
    best = fused(rankings)[:count]
    return Answer(images=_in_order(whatever_they_say, best), likeness=likeness, reason=reason)


def _in_order(images: QuerySet[Image], ids: Sequence[UUID]) -> list[Image]:
    """These of the images, in this order."""
    there = images.in_bulk(list(ids))
    return [there[pk] for pk in ids if pk in there]


def duplicates(viewer: Viewer, *, count: int) -> Copies:
    """Groups of the viewer's own photos that look the same."""
    place = _Place.of(viewer, Among.LIBRARY)
    if not place.space or viewer.owner_id is None:
        return Copies(reason=_why_not(place))
    groups = comparing.copies_of(viewer.owner_id, place.shelf())
    if groups is None:
        return Copies(reason=Reason.PENDING)
    there = place.images(Filters()).in_bulk([image_id for group in groups for image_id in group])
    kept = [[there[each] for each in group if each in there] for group in groups]
    kept = [sorted(group, key=lambda image: image.created_at) for group in kept if len(group) > 1]
    kept.sort(key=lambda group: group[-1].created_at, reverse=True)
    return Copies(groups=kept[:count])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where is searched: the photos of a scope, in the space that most of them are in."""

    viewer: Viewer
    scope: Among
    space: str
    is_only: bool  # no other space has photos here
    numbers: tuple[int, ...] = ()  # of the gallery's embeddings in that space

    @classmethod
    def of(cls, viewer: Viewer, scope: Among) -> _Place:
        """The space of the model in use; until it has placed as many photos as another one, of that."""
        if scope is Among.GALLERY:
            numbers = gallery.numbers()
            space = _chosen([(space, len(own), own[-1]) for space, own in numbers.items()])
            own = numbers.get(space, ())
            return cls(viewer=viewer, scope=scope, space=space, is_only=len(numbers) < 2, numbers=own)
        rows = _rows(viewer)
        ends = [rows.order_by(order).values_list("space", flat=True).first() for order in ("space", "-space")]
        if ends[0] == ends[1]:  # nearly always; counting each space takes longer than comparing
            return cls(viewer=viewer, scope=scope, space=ends[0] or "", is_only=True)
        spaces = rows.values("space").annotate(number=Count("pk"), last=Max("pk"))
        known = list(spaces.values_list("space", "number", "last"))
        return cls(viewer=viewer, scope=scope, space=_chosen(known), is_only=False)

    def images(self, filters: Filters) -> QuerySet[Image]:
        """The photos that may be found."""
        if self.scope is Among.GALLERY:
            return selectors.gallery(filters)
        return selectors.library(self.viewer, filters)

    def _is_large(self) -> bool:
        if self.scope is Among.GALLERY:
            return len(self.numbers) > _MOST_IN_DATABASE
        rows = _rows(self.viewer).filter(space=self.space)
        return rows[: _MOST_IN_DATABASE + 1].count() > _MOST_IN_DATABASE

    def shelf(self) -> Shelf:
        """The vectors of this place, in memory."""
        if self.scope is Among.GALLERY:
            last = self.numbers[-1] if self.numbers else 0
            stamp = Stamp(space=self.space, number=len(self.numbers), last=last, numbers=self.numbers)
            return shelves.of(None, stamp, Embedding.objects.filter(space=self.space))
        every = _rows(self.viewer)
        rows = every.filter(space=self.space)
        number = (every if self.is_only else rows).count()  # of all, a shorter index counts
        last = rows.order_by("-pk").values_list("pk", flat=True).first() or 0
        return shelves.of(self.viewer.owner_id, Stamp(space=self.space, number=number, last=last), rows)

    def nearest(self, query: Floats, count: int, images: QuerySet[Image]) -> list[tuple[UUID, float]]:
        """Those of these images that lie nearest to a vector."""
        if pgvector.is_there() and not self._is_large():
            rows = gallery_rows() if self.scope is Among.GALLERY else _rows(self.viewer)
            return _in_database(rows.filter(space=self.space), query, count, images)
        return _on_shelf(self.shelf(), query, count, images)


def _chosen(known: Sequence[tuple[str, int, int]]) -> str:
    """Of spaces, with how many rows each has and the newest of them, the one to compare in; "" of none.

    Of those with the most rows, that of the model in use; else the oldest: the newer may be of a model that
    was taken back.
    """
    if len(known) < 2:
        return known[0][0] if known else ""
    most = max(number for _, number, _ in known)
    fullest = [space for space, number, last in sorted(known, key=itemgetter(2)) if number == most]
    with suppress(CutlineError):  # the model cannot be loaded: search goes on without it
        if (used := captioner.about().bundle_hash) in fullest:
            return used
    return fullest[0]


def _rows(viewer: Viewer) -> QuerySet[Embedding]:
    if viewer.owner_id is None:
        return Embedding.objects.none()
    return Embedding.objects.filter(owner_id=viewer.owner_id)


def _in_database(
    rows: QuerySet[Embedding], query: Floats, count: int, images: QuerySet[Image]
) -> list[tuple[UUID, float]]:
    distance = RawSQL("near <=> %s::halfvec", [pgvector.literal(query)], output_field=FloatField())
    near = rows.filter(image__in=images).annotate(distance=distance).filter(distance__isnull=False)
    found = near.order_by("distance", "pk").values_list("image_id", "distance")[:count]
    return [(image_id, 1 - float(value)) for image_id, value in found]


def _on_shelf(shelf: Shelf, query: Floats, count: int, images: QuerySet[Image]) -> list[tuple[UUID, float]]:
    """Take a few more than wanted, and then many more, until enough of them are among the images."""
    most = count + _SLACK
    while True:
        near = shelf.nearest(query, most)
        there = {
            pk
            for start in range(0, len(near), 500)
            for pk in images.filter(pk__in=[pk for pk, _ in near[start : start + 500]]).values_list(
                "pk", flat=True
            )
        }
        if len(there) >= count or len(near) < most:
            return [(pk, value) for pk, value in near if pk in there][:count]
        most *= 10


def _meaning(place: _Place, text: str) -> tuple[Floats | None, str]:
    """Where photos lie that a text means; else None, and why."""
    try:
        meant = captioner.embed_text(text)
    except CutlineError:
        return None, Reason.NO_TEXT_TOWER
    if meant.model.bundle_hash != place.space:
        return None, Reason.PENDING
    return (meant.vector, "") if np.any(meant.vector) else (None, "")


def _why_not(place: _Place) -> str:
    return Reason.PENDING if place.space or captioner.can_embed() else Reason.UNSUPPORTED
