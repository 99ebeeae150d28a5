"""Photos: uploads (stored by uploads.py), the library (exported by image_export.py), and one image."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from ninja import File, Form, Query, Router, Schema, Status, UploadedFile
from pydantic import Field, model_validator

from cutline.server import security_log
from cutline.server.api import image_export, uploads
from cutline.server.api.auth import needs
from cutline.server.api.conditional import set_version
from cutline.server.api.paging import DEFAULT_LIMIT, Cursor, Limit, page
from cutline.server.api.schemas import ImageOut, Page, SchemaIn, a_file, problems
from cutline.server.api.streams import streamed
from cutline.server.api.uploads import UploadIn, UploadsOut, UrlsIn
from cutline.server.api.wait import PREFER
from cutline.server.config import settings
from cutline.server.errors import Conflict, Invalid, NotFound
from cutline.server.images import deletion, selectors
from cutline.server.images.models import Image, Visibility
from cutline.server.images.show import shown
from cutline.server.images.tags import MOST_TAGS, clean_tag, set_tags
from cutline.server.images.visibility import set_visibility
from cutline.server.people.viewers import public_url, viewer_of
from cutline.server.security_log import Event

router = Router(tags=["images"])

MOST_AT_ONCE = 1000
# Of an image: what comes and goes by itself, so that nobody's edit is refused for it.
_MADE_BY_US = frozenset({"urls", "original_url", "placeholder", "job", "changed_at"})


# -- what is sent ----------------------------------------------------------------------------------------


class LibraryIn(Schema):
    """Filters of a list. Times are of the upload, in ISO 8601."""

    q: str = Field("", max_length=1000, description="Words of captions and tags, or beginnings of words.")
    tag: list[str] = Field(default_factory=list, max_length=10, description="All of these.")
    visibility: Literal["", "private", "unlisted", "public"] = ""
    state: Literal["", "queued", "running", "done", "failed", "cancelled"] = Field(
        "", description="Of the latest caption job."
    )
    since: datetime | None = Field(None, alias="from", description="Uploaded then or later.")
    until: datetime | None = Field(None, alias="to", description="Uploaded before.")

    def filters(self) -> selectors.Filters:
        """As the selectors take them. Raises Invalid."""
        for time in (self.since, self.until):
            if time is not None and time.tzinfo is None:
                raise Invalid("A time needs a time zone.", hint="Write it as 2026-11-21T08:00:00Z.")
        return selectors.Filters(
            text=self.q,
            tags=[clean_tag(tag) for tag in self.tag if tag],
            visibility=self.visibility,
            state=self.state,
            since=self.since,
            until=self.until,
        )


class ImageIn(SchemaIn):
    """What an image's owner may change; what is left out, or null, stays."""

    visibility: Literal["private", "unlisted", "public"] | None = None
    tags: list[Annotated[str, Field(max_length=200)]] | None = Field(None, max_length=MOST_TAGS)


class ActionIn(SchemaIn):
    """The same for many images. What is not yours, or not there, is left out."""

    ids: list[UUID] = Field(min_length=1, max_length=MOST_AT_ONCE)
    action: Literal["delete", "undelete", "set_visibility", "add_tags", "remove_tags"]
    visibility: Literal["private", "unlisted", "public"] | None = None
    tags: list[Annotated[str, Field(max_length=200)]] = Field(default_factory=list, max_length=MOST_TAGS)

    @model_validator(mode="after")
    def _complete(self) -> ActionIn:
        if self.action == "set_visibility" and self.visibility is None:
            raise ValueError("set_visibility needs visibility")
        if self.action in ("add_tags", "remove_tags") and not self.tags:
            raise ValueError(f"{self.action} needs tags")
        return self


# -- what is answered ------------------------------------------------------------------------------------


class ActedOut(Schema):
    """What an action changed."""

    changed: list[UUID]
    failed: list[UUID] = Field(
        description="Images that do not exist, are not yours, or cannot be changed this way."
    )


# -- uploads ---------------------------------------------------------------------------------------------


@router.post(
    "/images",
    auth=needs("images:write"),
    response={200: UploadsOut, 202: UploadsOut, **problems(409, 413, 422, 503)},
    openapi_extra=dict(PREFER),
)
def upload_images(
    request: HttpRequest, files: File[list[UploadedFile]], options: Form[UploadIn]
) -> Status[UploadsOut] | HttpResponse:
    """Store photos and caption them. Of several, unusable ones are reported; the others are stored.

    The answer is an error only where every file failed.
    """
    if len(files) > settings().max_upload_files:
        raise Invalid(f"At most {settings().max_upload_files} files may be uploaded at once.")
    return uploads.store_files(request, files, options)


@router.post(
    "/images/from-url",
    auth=needs("images:write"),
    response={200: UploadsOut, 202: UploadsOut, **problems(409, 413, 422, 503)},
    openapi_extra=dict(PREFER),
)
def upload_from_urls(request: HttpRequest, wanted: UrlsIn) -> Status[UploadsOut] | HttpResponse:
    """Fetch photos, keep and caption them: http and https, from the open internet alone."""
    return uploads.store_from_urls(request, wanted)


# -- the library -----------------------------------------------------------------------------------------


@router.get(
    "/images", auth=needs("images:read"), response={200: Page[ImageOut], **problems(422)}, by_alias=True
)
def list_images(
    request: HttpRequest,
    wanted: Query[LibraryIn],
    cursor: Cursor = "",
    limit: Limit = DEFAULT_LIMIT,
    order: Literal["newest", "oldest"] = "newest",
) -> dict[str, object]:
    """Your own images, by the time of their upload."""
    viewer = viewer_of(request)
    sign = "-" if order == "newest" else ""
    found = page(
        selectors.library(viewer, wanted.filters()),
        cursor=cursor,
        limit=limit,
        order=(f"{sign}created_at", f"{sign}id"),
    )
    return {"items": shown(found.rows, viewer, public_url(request)), "next": found.next}


@router.post("/images/actions", auth=needs("images:write"), response={200: ActedOut, **problems(422)})
def act_on_images(request: HttpRequest, wanted: ActionIn) -> ActedOut:
    """Do the same to many images of yours."""
    viewer = viewer_of(request)
    images = selectors.own_images(viewer, set(wanted.ids), deleted=wanted.action == "undelete")
    changed = [image.pk for image in images if _acted(image, wanted)]
    if wanted.action == "delete":
        deletion.delete(images)
    return ActedOut(changed=changed, failed=[each for each in wanted.ids if each not in set(changed)])


def _acted(image: Image, wanted: ActionIn) -> bool:
    """Do one of the actions to one image; whether it could be done. Deleting is done for all at once."""
    names = [clean_tag(tag) for tag in wanted.tags]
    try:
        match wanted.action:
            case "undelete":
                deletion.undelete(image)
            case "set_visibility":
                set_visibility(image, Visibility(str(wanted.visibility)))
            case "add_tags":
                set_tags(image, [*image.tags.values_list("name", flat=True), *names])
            case "remove_tags":
                had = image.tags.values_list("name", flat=True)
                set_tags(image, [name for name in had if name not in names])
            case "delete":
                pass
    except (Conflict, Invalid, NotFound):
        return False
    return True


@router.get(
    "/images/export",
    auth=needs("images:read"),
    response={200: None, **problems(422)},
    openapi_extra=a_file("text/csv", "application/json", "application/jsonl", "application/zip"),
)
def export_images(
    request: HttpRequest,
    wanted: Query[LibraryIn],
    format: Literal["csv", "json", "jsonl", "zip"] = "jsonl",
) -> StreamingHttpResponse:
    """Your images with their captions as a file; zip: with the photos too."""
    viewer = viewer_of(request)
    security_log.write(Event.DATA_EXPORTED, what=f"images as {format}")
    chunks, content_type = image_export.export(viewer, wanted.filters(), format)
    return streamed(request, chunks, content_type=content_type, file_name=f"cutline-captions.{format}")


# -- one image -------------------------------------------------------------------------------------------


@router.get("/images/{uuid:image_id}", auth=needs("images:read"), response={200: ImageOut, **problems(404)})
def get_image(request: HttpRequest, image_id: UUID, token: str = "") -> Mapping[str, Any]:
    """An image that you may see: your own, or one of the gallery.

    token: of the link, where the image is only shared.
    """
    viewer = viewer_of(request)
    [image] = shown([selectors.image_for(viewer, image_id, share_token=token)], viewer, public_url(request))
    set_version(request, [value for name, value in image.items() if name not in _MADE_BY_US])
    return image


@router.patch(
    "/images/{uuid:image_id}",
    auth=needs("images:write"),
    response={200: ImageOut, **problems(404, 409, 422)},
)
def change_image(request: HttpRequest, image_id: UUID, wanted: ImageIn) -> Mapping[str, Any]:
    """Change who may see your image, or its tags. A public image passes moderation before others see it."""
    viewer = viewer_of(request)
    image = selectors.own_image(viewer, image_id)
    if wanted.tags is not None:
        set_tags(image, wanted.tags)
    if wanted.visibility is not None:
        set_visibility(image, Visibility(wanted.visibility))
    return shown([selectors.own_image(viewer, image_id)], viewer, public_url(request))[0]


@router.delete("/images/{uuid:image_id}", auth=needs("images:write"), response={204: None, **problems(404)})
def delete_image(request: HttpRequest, image_id: UUID) -> Status[None]:
    """Delete your image. It is hidden at once, and can be restored for some minutes."""
    deletion.delete([selectors.own_image(viewer_of(request), image_id)])
    return Status(204, None)


@router.post(
    "/images/{uuid:image_id}/undelete",
    auth=needs("images:write"),
    response={200: ImageOut, **problems(404)},
)
def undelete_image(request: HttpRequest, image_id: UUID) -> Mapping[str, Any]:
    """Restore an image that you have just deleted."""
    viewer = viewer_of(request)
    image = deletion.undelete(selectors.own_deleted_image(viewer, image_id))
    return shown([image], viewer, public_url(request))[0]
