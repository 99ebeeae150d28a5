"""What people make of captions, kept for learning."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol
from uuid import UUID

from django.utils import timezone

from cutline.server.errors import Invalid
from cutline.server.feedback.models import Feedback, Rating
from cutline.server.people.models import Owner
from cutline.server.transactions import retried

NOTED = (Feedback.Kind.IMPRESSION, Feedback.Kind.COPY)
"""What clients report; edits and picks are written where they happen."""


class Rated(Protocol):
    """A caption, as far as feedback needs to know it: captions.models.Caption stands above."""

    id: UUID
    image_id: UUID
    model: str


def note(events: Iterable[tuple[Feedback.Kind, Rated]], viewer: Owner | None) -> int:
    """Log that captions were seen or copied. Returns how many rows were written.

    Raises Invalid for kinds that clients do not report.
    """
    rows = [
        Feedback(
            kind=kind,
            image_id=caption.image_id,
            caption_id=caption.id,
            viewer=viewer,
            model=caption.model,
        )
        for kind, caption in events
    ]
    if any(row.kind not in NOTED for row in rows):
        raise Invalid(f"Only {' and '.join(NOTED)} can be reported.")
    return len(_write(rows))


@retried
def _write(rows: Sequence[Feedback]) -> list[Feedback]:
    for row in rows:
        row.pk = None
    return Feedback.objects.bulk_create(rows)


@retried
def rate(caption: Rated, viewer: Owner, value: int) -> Rating:
    """Rate a caption, 1 or -1; a viewer's second rating of it replaces the first. Raises Invalid."""
    if value not in (1, -1):
        raise Invalid("A rating is 1 or -1.")
    rating, _ = Rating.objects.update_or_create(
        caption_id=caption.id, viewer=viewer, defaults={"value": value, "changed_at": timezone.now()}
    )
    return rating


@retried
def unrate(caption: Rated, viewer_id: UUID) -> None:
    """Take a rating back. Does nothing where there is none."""
    Rating.objects.filter(caption_id=caption.id, viewer_id=viewer_id).delete()
