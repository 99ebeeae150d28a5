"""Photos like one, photos that a text means, and copies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal
from uuid import UUID

from django.http import HttpRequest
from ninja import Query, Router, Schema
from pydantic import Field

from cutline.server.api.auth import needs
from cutline.server.api.images import LibraryIn
from cutline.server.api.schemas import ImageOut, problems
from cutline.server.errors import Invalid
from cutline.server.images import selectors
from cutline.server.images.show import shown
from cutline.server.likeness import search
from cutline.server.likeness.search import Among, By
from cutline.server.people.viewers import Viewer, public_url, viewer_of

router = Router(tags=["images"])

Count = Annotated[int, Field(ge=1, le=200, description="How many at most.")]
Why = Annotated[
    Literal["", "pending", "unsupported", "no_text_tower"],
    Field(
        description="Why photos were not compared. pending: the model has not seen them yet, or they are"
        " being compared; try again in a while. unsupported: the model does not say how photos are alike."
        " no_text_tower: nor what a text means. Empty where they were."
    ),
]


class FoundOut(Schema):
    """A photo that was found."""

    image: ImageOut
    likeness: float | None = Field(
        description="From -1 to 1: how like it is to what was asked; null if it was found by its words alone."
    )


class AnswerOut(Schema):
    """What was found, the best first."""

    items: list[FoundOut]
    reason: Why = ""


class CopiesOut(Schema):
    """Groups of photos that look the same, the newest group first; in each, the oldest photo first."""

    groups: list[list[ImageOut]]
    reason: Why = ""


@router.get(
    "/images/search", auth=needs("images:read"), response={200: AnswerOut, **problems(422)}, by_alias=True
)
def search_images(
    request: HttpRequest, wanted: Query[LibraryIn], by: By = By.HYBRID, limit: Count = 50
) -> Mapping[str, Any]:
    """Your own images that fit a text (`q`), the best first.

    words: those with all of its words, the newest first. meaning: those that show what it says. hybrid: both,
    ranked together; words alone, with the reason, where the model has no text tower.
    """
    viewer = viewer_of(request)
    if not wanted.q.strip():
        raise Invalid("A search needs a text, in q.")
    answer = search.ranked(viewer, wanted.filters(), by=by, count=limit)
    return _answer(answer, viewer, public_url(request))


@router.get("/images/duplicates", auth=needs("images:read"), response={200: CopiesOut})
def list_duplicates(request: HttpRequest, limit: Count = 50) -> Mapping[str, Any]:
    """Your own images that look the same as another one of yours, in groups."""
    viewer = viewer_of(request)
    copies = search.duplicates(viewer, count=limit)
    images = iter(shown([each for group in copies.groups for each in group], viewer, public_url(request)))
    return {
        "groups": [[next(images) for _ in group] for group in copies.groups],
        "reason": copies.reason,
    }


@router.get(
    "/images/{uuid:image_id}/similar",
    auth=needs("images:read"),
    response={200: AnswerOut, **problems(404)},
)
def list_similar(
    request: HttpRequest,
    image_id: UUID,
    among: Among | None = None,
    limit: Count = 12,
    token: str = "",
) -> Mapping[str, Any]:
    """Photos like an image that you may see: among your own, or those of the gallery.

    among: your own if the image is yours, else the gallery's, where left out. token: of the link, where the
    image is only shared.
    """
    viewer = viewer_of(request)
    image = selectors.image_for(viewer, image_id, share_token=token)
    scope = among or (Among.LIBRARY if selectors.is_owner(viewer, image) else Among.GALLERY)
    answer = search.similar(viewer, image, scope=scope, count=limit)
    return _answer(answer, viewer, public_url(request))


def _answer(answer: search.Answer, viewer: Viewer, site: str) -> Mapping[str, Any]:
    images = shown(answer.images, viewer, site)
    return {
        "items": [{"image": image, "likeness": answer.likeness.get(image["id"])} for image in images],
        "reason": answer.reason,
    }
