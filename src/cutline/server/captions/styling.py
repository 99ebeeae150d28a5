"""Captions in a voice: asked for, written by a job while their words are told, and kept as candidates.

What an image shows stays as it is, until a person uses one of them. The plain text is never replaced.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.utils import timezone

from cutline.alt_text import shorten
from cutline.server import styler
from cutline.server.captions.live_words import LiveWords
from cutline.server.captions.models import Caption, Version
from cutline.server.errors import Conflict, NotFound
from cutline.server.events.services import emit
from cutline.server.images.models import Image
from cutline.server.jobs import services as jobs
from cutline.server.jobs.models import Job, JobKind, Priority
from cutline.server.people.models import Owner
from cutline.server.styler import Order, Words, Written
from cutline.server.transactions import retried

if TYPE_CHECKING:
    from cutline.server.jobs.context import Context

DEFAULT_N = 3
_MOST_CONTEXT = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How a caption in a voice came to be: what `Caption.style` holds.

    voice: as styler.record_of. description: the plain text that it was written from: version, by and text.
    like: the candidate that it was to resemble. removed: what the guard took away.
    """

    voice: Mapping[str, Any]
    description: Mapping[str, Any]
    seed: int
    body: str
    hashtags: Sequence[str]
    prompt: str
    removed: Sequence[str]
    like: str | None = None

    def as_kept(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "voice": dict(self.voice),
            "description": dict(self.description),
            "seed": self.seed,
            "body": self.body,
            "hashtags": list(self.hashtags),
            "prompt": self.prompt,
            "removed": list(self.removed),
            "like": self.like,
        }


def request(
    image: Image,
    owner: Owner,
    *,
    voice: Mapping[str, Any],
    n: int = DEFAULT_N,
    seed: int | None = None,
    like: Caption | None = None,
    priority: Priority = Priority.INTERACTIVE,
    bulk_id: UUID | None = None,
    request_id: str = "",
) -> Job:
    """Queue a job that writes n captions of an image in a voice, from the plain text that it has now.

    voice: as styler.record_of. like: a styled candidate of this image, to be resembled and not repeated.
    Raises Conflict where the image has no caption yet, RestylerUnavailable, OptionError.
    """
    styler.check_can_write(styler.voice_of(voice))
    described = _plain_version(image)
    liked = (like.style or {}) if like else {}
    options = {
        "voice": dict(voice),
        "n": n,
        "seed": styler.fresh_seed() if seed is None else seed,
        "description": {
            "version": described.number,
            "by": described.by,
            "text": shorten(described.text, styler.MAX_DESCRIPTION_CHARS),
        },
        "context": _context(image, described, like),
        "like": str(like.pk) if like else None,
        "not_again": [liked["body"]] if "body" in liked else [],
    }
    return jobs.create_job(
        owner=owner,
        image_id=image.pk,
        kind=JobKind.STYLE,
        priority=priority,
        options=options,
        bulk_id=bulk_id,
        request_id=request_id,
    )


def _plain_version(image: Image) -> Version:
    """The plain text of an image, as a version. Raises Conflict where there is none yet."""
    version = Version.objects.filter(image=image, styled=False).order_by("-number").first()
    if version is None:
        raise Conflict("This image has no caption yet.", hint="Wait for its caption, then ask again.")
    return version


def _context(image: Image, described: Version, like: Caption | None) -> list[str]:
    """What else supports a caption: the other candidates, unless a person's words say more than they do."""
    found = [like.text] if like else []
    if described.by == "model":
        plain = Caption.objects.filter(image=image, style__isnull=True).exclude(text=described.text)
        texts = plain.order_by("-created_at", "rank").values_list("text", flat=True)
        found += list(dict.fromkeys(texts[:_MOST_CONTEXT]))
    return found[:_MOST_CONTEXT]


def run(job: Job, context: Context) -> None:
    """Run such a job. Raises JobStopped, RestylerUnavailable, CaptionRefused, NotFound."""
    context.stage("writing")
    if not Image.objects.filter(pk=_image_id(job), deleted_at=None).exists():
        raise NotFound("This image no longer exists.")
    written: list[Written] = []
    with LiveWords(job) as live:
        for event in styler.write(_order(job), check=context.check):
            match event:
                case Words():
                    live.tell(event)
                case Written():
                    live.tell_whole(event)
                    written.append(event)
        context.stage("saving")
        _save(job, context.token, styler.usable(written))


def _image_id(job: Job) -> UUID:
    if job.image_id is None:
        raise NotFound("The job has no image.")
    return job.image_id


def _order(job: Job) -> Order:
    options = job.options
    return Order(
        description=options["description"]["text"],
        voice=styler.voice_of(options["voice"]),
        n=options["n"],
        seed=options["seed"],
        context=options["context"],
        others=options["not_again"],
    )


@retried
def _save(job: Job, token: UUID, written: Sequence[Written]) -> None:
    """Write candidates and end the job, in one transaction. Raises LeaseLost, NotFound."""
    jobs.finish(job, token)
    image = Image.objects.select_for_update().filter(pk=_image_id(job), deleted_at=None).first()
    if image is None:
        raise NotFound("This image no longer exists.")
    now = timezone.now()
    rows = [_candidate(job, image, rank, each, now) for rank, each in enumerate(written)]
    Caption.objects.bulk_create(rows)
    emit(
        image.owner_id,
        "styles.ready",
        {
            "image": str(image.pk),
            "job": str(job.pk),
            "captions": [row.told() for row in rows],
            "model": rows[0].model,
        },
    )


def _candidate(job: Job, image: Image, rank: int, written: Written, now: datetime) -> Caption:
    style = Style(
        voice=job.options["voice"],
        description=job.options["description"],
        seed=job.options["seed"],
        body=written.body,
        hashtags=written.hashtags,
        prompt=written.prompt,
        removed=written.removed,
        like=job.options["like"],
    )
    return Caption(
        image=image,
        job=job,
        rank=rank,
        text=written.text,
        log_prob=written.log_prob,
        model=written.model[:120],
        style=style.as_kept(),
        created_at=now,
    )
