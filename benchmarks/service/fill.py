"""python -m benchmarks.service.fill OWNER COUNT: give an owner so many captioned images, without files.

Runs with a service's own environment. Every fifth image is in the gallery.
"""

from __future__ import annotations

import random
import sys
from datetime import timedelta
from uuid import UUID, uuid4

import django

WORDS = [
    *("black", "blue", "brown", "green", "large", "old", "red", "small", "two", "white", "young"),
    *("bicycle", "bird", "camera", "cat", "child", "dog", "horse", "man", "table", "woman"),
    *("in", "jumps", "near", "on", "plays", "runs", "sits", "stands"),
    *("beach", "field", "grass", "snow", "street", "water"),
]
TAGS = ("holiday", "work", "family", "garden", "night")
CHUNK = 1000


def main() -> None:
    """Fill the database that the environment names."""
    django.setup()
    owner, count = UUID(sys.argv[1]), int(sys.argv[2])
    for start in range(0, count, CHUNK):
        _fill(owner, start, min(CHUNK, count - start))
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


def _fill(owner: UUID, start: int, count: int) -> None:
    """Of each 2,000 photos, one has a rare tag, of one the caption failed, and one is shared by a link.

    The captions of those from 80,000 on, which are the oldest, were cancelled.
    """
    from django.db import transaction
    from django.utils import timezone

    from cutline.server.images.models import (
        Image,
        Moderation,
        Rendition,
        RenditionKind,
        StoredFile,
        Tag,
    )
    from cutline.server.images.search import text_of
    from cutline.server.jobs.models import Job

    dice = random.Random(start)
    now = timezone.now()
    images, tags, files, renditions, jobs = [], [], [], [], []
    for number in range(start, start + count):
        at = now - timedelta(seconds=number)
        public = number % 5 == 0
        caption = " ".join(dice.choices(WORDS, k=10)) + f" number{number}"
        tag = dice.choice(TAGS)
        image = Image(
            owner_id=owner,
            content_hash=f"{uuid4().hex}{number:032x}",
            width_px=640,
            height_px=480,
            caption=caption,
            caption_by="model",
            caption_model="benchmark@1",
            search_text=text_of(caption, [tag]),
            visibility=_visibility(number),
            moderation=Moderation.APPROVED if public else Moderation.NONE,
            published_at=at if public else None,
            created_at=at,
            rendered_at=at,
        )
        images.append(image)
        tags.append(Tag(image=image, name=tag))
        if number % 2000 == 7:
            tags.append(Tag(image=image, name="rare"))
        state = _state(number)
        jobs.append(Job(owner_id=owner, image=image, state=state, created_at=at, ended_at=at))
        for kind, format in (
            (RenditionKind.MASTER, "jpeg"),
            (RenditionKind.LARGE, "webp"),
            (RenditionKind.THUMBNAIL, "webp"),
            (RenditionKind.THUMBNAIL, "jpeg"),
        ):
            file = StoredFile(
                key=f"images/{image.id}/{uuid4().hex[:16]}-{kind}.{format}", state=StoredFile.State.LIVE
            )
            files.append(file)
            renditions.append(
                Rendition(image=image, kind=kind, format=format, width_px=640, height_px=480, file=file)
            )
    with transaction.atomic():
        Image.objects.bulk_create(images)
        Tag.objects.bulk_create(tags)
        Job.objects.bulk_create(jobs)
        StoredFile.objects.bulk_create(files)
        Rendition.objects.bulk_create(renditions)


def _visibility(number: int) -> str:
    from cutline.server.images.models import Visibility

    if number % 2000 == 9:
        return Visibility.UNLISTED
    return Visibility.PUBLIC if number % 5 == 0 else Visibility.PRIVATE


def _state(number: int) -> str:
    from cutline.server.jobs.models import JobState

    if number >= 80_000:
        return JobState.CANCELLED
    return JobState.FAILED if number % 2000 == 8 else JobState.DONE


if __name__ == "__main__":
    main()
