"""What is written to images: uploads, visibility, tags, deletion, reports and decisions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cutline.server.bulk.models import Bulk, BulkItem
from cutline.server.images.models import Image, Moderation, Report, Visibility
from cutline.server.jobs.models import Job, Priority
from cutline.server.people.models import Owner, User


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What became of an upload."""

    image: Image
    job: Job | None  # that captions it; of a picture that was there already: its latest
    is_new: bool


def store_upload(
    owner: Owner,
    data: bytes,
    file_name: str,
    *,
    keep_original: bool = False,
    source_url: str = "",
    priority: Priority = Priority.INTERACTIVE,
    options: Mapping[str, Any] | None = None,
    bulk: Bulk | None = None,
    bulk_item: BulkItem | None = None,
    request_id: str = "",
) -> Stored:
    """Verify a photo, store it, and queue its caption. The same picture again gives the image that is there.

    Call it outside of a transaction (see storage.put).
    Raises ImageError, QuotaExceeded or ServiceUnavailable; then nothing is left behind.
    """
    raise NotImplementedError


def make_renditions(image_id: Any) -> None:
    """Write the thumbnail and the other files that are shown; does nothing where they are there."""
    raise NotImplementedError


def set_visibility(image: Image, visibility: Visibility) -> Image:
    """Show an image to others, or no longer. A public one passes moderation first."""
    raise NotImplementedError


def set_tags(image: Image, names: Sequence[str]) -> list[str]:
    """Replace an image's tags; gives them as they are kept. Raises Invalid."""
    raise NotImplementedError


def delete(images: Iterable[Image]) -> int:
    """Hide images at once; `purge` takes them away after the undo time."""
    raise NotImplementedError


def undelete(image: Image) -> Image:
    """Bring back a deleted image. Raises NotFound where the undo time is over."""
    raise NotImplementedError


def purge() -> int:
    """Take away for good what was deleted or has expired. Gives how many images went."""
    raise NotImplementedError


def report(image: Image, reporter: Owner, reason: Report.Reason, text: str = "") -> Report:
    """Note that somebody objects to an image."""
    raise NotImplementedError


def decide(image: Image, by: User, moderation: Moderation, reason: str = "") -> Image:
    """Let a moderator publish, hold or refuse an image. Raises Forbidden for others."""
    raise NotImplementedError


def reassign(owner_from: Owner, owner_to: Owner) -> None:
    """Give all images of one owner to another, in the caller's transaction; pictures both have become one."""
    raise NotImplementedError
