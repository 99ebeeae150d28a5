"""What people make of captions, kept for learning."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol
from uuid import UUID

from django.db.models import Q
from django.utils import timezone

from cutline.server.errors import Invalid
from cutline.server.feedback.models import Feedback, Rating
from cutline.server.people.models import Owner
from cutline.server.people.voices import same_voice
from cutline.server.transactions import retried

NOTED = (Feedback.Kind.IMPRESSION, Feedback.Kind.COPY)
"""What clients report; edits and picks are written where they happen."""

_ONCE_IN = timedelta(days=1)


class Rated(Protocol):
    """A caption, as far as feedback needs to know it: captions.models.Caption stands above."""

    id: UUID
    image_id: UUID
    model: str

    @property
    def is_styled(self) -> bool:
        """Whether it is in a voice."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What somebody did with a caption without changing it.

    hashtags: whether a copy has the caption's hashtags; None where it has none, or nobody knows.
    """

    kind: Feedback.Kind
    caption: Rated
    hashtags: bool | None = None


def note(events: Iterable[Seen], viewer: Owner | None, *, network: str = "") -> int:
    """Log that captions were seen or copied. Returns how many rows were written.

    A caption has at most one row of a kind in a day from each account, and from all people without an account
    in a network; copies with and without hashtags are two kinds.
    network: as rates.network_mark tells it; empty for accounts.

    Raises Invalid for kinds that clients do not report, and for hashtags of what is no copy.
    """
    rows = {
        (each.kind, each.caption.id, each.hashtags): Feedback(
            kind=each.kind,
            image_id=each.caption.image_id,
            caption_id=each.caption.id,
            viewer=viewer,
            network=network,
            model=each.caption.model,
            styled=each.caption.is_styled,
            hashtags=each.hashtags,
        )
        for each in events
    }
    if any(kind not in NOTED for kind, *_ in rows):
        raise Invalid(f"Only {' and '.join(NOTED)} can be reported.")
    if any(kind != Feedback.Kind.COPY and hashtags is not None for kind, _, hashtags in rows):
        raise Invalid("Only a copy is with or without hashtags.")
    return len(_write(rows, Q(network=network) if network else Q(viewer=viewer, viewer__isnull=False)))


@retried
def _write(rows: Mapping[tuple[Feedback.Kind, UUID, bool | None], Feedback], same_voice: Q) -> list[Feedback]:
    captions = {caption_id for _, caption_id, _ in rows}
    lately = Feedback.objects.filter(
        same_voice, caption_id__in=captions, created_at__gt=timezone.now() - _ONCE_IN
    )
    noted = set(lately.values_list("kind", "caption_id", "hashtags"))
    new = [row for key, row in rows.items() if key not in noted]
    for row in new:
        row.pk = None
    return Feedback.objects.bulk_create(new)


@retried
def rate(caption: Rated, viewer: Owner, value: int) -> Rating:
    """Rate a caption, 1 or -1; a second rating of the same voice (people.voices) replaces the first.

    Raises Invalid.
    """
    if value not in (1, -1):
        raise Invalid("A rating is 1 or -1.")
    # Of people without an account a network has one rating: the latest.
    others = Rating.objects.filter(same_voice(viewer, "viewer"), caption_id=caption.id)
    others.exclude(viewer=viewer).delete()
    rating, _ = Rating.objects.update_or_create(
        caption_id=caption.id, viewer=viewer, defaults={"value": value, "changed_at": timezone.now()}
    )
    return rating


@retried
def unrate(caption: Rated, viewer_id: UUID) -> None:
    """Take a rating back. Does nothing where there is none."""
    Rating.objects.filter(caption_id=caption.id, viewer_id=viewer_id).delete()
