"""What everybody may see, and links to what is shared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal
from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router, Schema, Status
from pydantic import Field

from cutline.server.api.auth import anyone, needs
from cutline.server.api.paging import DEFAULT_LIMIT, Cursor, Limit, page
from cutline.server.api.schemas import ImageOut, Page, SchemaIn, problems
from cutline.server.images import moderation, selectors
from cutline.server.images.models import Report
from cutline.server.images.show import shown
from cutline.server.images.tags import clean_tag
from cutline.server.people.viewers import ensure_owner, public_url, viewer_of

router = Router(tags=["gallery"])


class GalleryIn(Schema):
    """Filters of the gallery."""

    q: str = Field("", max_length=1000, description="Words of captions and tags, or beginnings of words.")
    tag: list[Annotated[str, Field(max_length=200)]] = Field(
        default_factory=list, max_length=10, description="All of these."
    )


class ReportIn(SchemaIn):
    """Why an image should not be there."""

    reason: Literal["sexual", "violent", "hateful", "privacy", "copyright", "spam", "other"]
    text: str = Field("", max_length=2000)


class ReportOut(Schema):
    """A report was noted."""

    image: UUID
    reason: str


@router.get("/gallery", auth=anyone, response={200: Page[ImageOut], **problems(422)})
def list_gallery(
    request: HttpRequest, wanted: Query[GalleryIn], cursor: Cursor = "", limit: Limit = DEFAULT_LIMIT
) -> dict[str, object]:
    """Images that their owners published, newest first."""
    viewer = viewer_of(request)
    filters = selectors.Filters(text=wanted.q, tags=[clean_tag(tag) for tag in wanted.tag if tag])
    found = page(selectors.gallery(filters), cursor=cursor, limit=limit, order=("-published_at", "-id"))
    return {"items": shown(found.rows, viewer, public_url(request)), "next": found.next}


@router.get("/shared/{str:token}", auth=anyone, response={200: ImageOut, **problems(404)})
def get_shared_image(request: HttpRequest, token: str) -> Mapping[str, Any]:
    """The image that a link leads to."""
    return shown([selectors.shared_image(token)], viewer_of(request), public_url(request))[0]


@router.post(
    "/images/{uuid:image_id}/report",
    auth=needs("images:write"),
    response={201: ReportOut, **problems(404, 422)},
)
def report_image(
    request: HttpRequest, image_id: UUID, wanted: ReportIn, token: str = ""
) -> Status[ReportOut]:
    """Report an image to the moderators. A second report replaces your first.

    token: of the link, where the image is only shared.
    """
    image = selectors.image_for(viewer_of(request), image_id, share_token=token)
    moderation.report(image, ensure_owner(request), Report.Reason(wanted.reason), wanted.text)
    return Status(201, ReportOut(image=image.pk, reason=wanted.reason))
