"""What people make of captions: ratings, impressions and copies."""

from __future__ import annotations

from typing import Literal
from uuid import UUID

from django.http import HttpRequest
from ninja import Router, Schema, Status
from pydantic import Field

from cutline.server.api.auth import needs
from cutline.server.api.schemas import SchemaIn, problems
from cutline.server.captions import selectors
from cutline.server.feedback import services
from cutline.server.feedback.models import Feedback
from cutline.server.people.models import Owner
from cutline.server.people.viewers import ensure_owner, viewer_of
from cutline.server.rates import network_mark

router = Router(tags=["feedback"])


class RatingIn(SchemaIn):
    """A thumb up or down."""

    value: Literal[1, -1]


class RatingOut(Schema):
    """Your rating of a caption."""

    caption: UUID
    value: Literal[1, -1]


class SeenIn(SchemaIn):
    """A caption that somebody saw, or copied."""

    kind: Literal["impression", "copy"]
    caption: UUID
    hashtags: bool | None = Field(
        None, description="Of a copy of a caption in a voice: whether with its hashtags."
    )


class FeedbackIn(SchemaIn):
    """What happened since the last time."""

    events: list[SeenIn] = Field(max_length=500)


class NotedOut(Schema):
    """How many events were recorded; repeats of today, and captions that you cannot see, are not."""

    noted: int


@router.put(
    "/captions/{uuid:caption_id}/rating",
    auth=needs("images:write"),
    response={200: RatingOut, **problems(404)},
)
def rate_caption(
    request: HttpRequest, caption_id: UUID, rating: RatingIn, token: str = ""
) -> dict[str, object]:
    """Rate a caption that you can see. Your second rating replaces the first."""
    caption = selectors.caption_for(viewer_of(request), caption_id, share_token=token)
    rated = services.rate(caption, ensure_owner(request), rating.value)
    return {"caption": caption.pk, "value": rated.value}


@router.delete(
    "/captions/{uuid:caption_id}/rating",
    auth=needs("images:write"),
    response={204: None, **problems(404)},
)
def unrate_caption(request: HttpRequest, caption_id: UUID, token: str = "") -> Status[None]:
    """Remove your rating."""
    viewer = viewer_of(request)
    caption = selectors.caption_for(viewer, caption_id, share_token=token)
    if viewer.owner_id is not None:
        services.unrate(caption, viewer.owner_id)
    return Status(204, None)


@router.post("/feedback", auth=needs("images:write"), response={200: NotedOut})
def note_feedback(request: HttpRequest, feedback: FeedbackIn) -> dict[str, int]:
    """Say which captions were seen or copied. It helps to learn which ones are good."""
    viewer = viewer_of(request)
    visible = {
        caption.pk: caption
        for caption in selectors.captions_for(viewer, [event.caption for event in feedback.events])
    }
    # Whoever only looks around is nobody yet: an impression makes no owner.
    owner = Owner.objects.filter(pk=viewer.owner_id).first() if viewer.owner_id else None
    events = [
        services.Seen(kind=Feedback.Kind(event.kind), caption=visible[event.caption], hashtags=event.hashtags)
        for event in feedback.events
        if event.caption in visible
    ]
    network = network_mark(viewer.address) if viewer.user_id is None else ""
    return {"noted": services.note(events, owner, network=network)}
