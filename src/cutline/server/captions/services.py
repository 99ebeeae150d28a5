"""What is written to captions: candidates, and the history of what an image shows.

Whatever a person chose (picked, wrote, restored) stays until a person chooses otherwise: a model's new
candidates then only join the others. Every change of what is shown is a Version, and an event.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from django.utils import timezone

from cutline.errors import CutlineError
from cutline.server import captioner
from cutline.server.captions.attention import packed
from cutline.server.captions.head_start import head_starts
from cutline.server.captions.models import Attention, Caption, Version
from cutline.server.captions.shadow import shadows
from cutline.server.config import settings
from cutline.server.errors import Invalid, NotFound, QuotaExceeded
from cutline.server.events.services import emit
from cutline.server.feedback.models import Feedback
from cutline.server.images import renditions, words
from cutline.server.images.models import Image
from cutline.server.images.search import text_of
from cutline.server.jobs import services as jobs
from cutline.server.jobs.models import Job
from cutline.server.likeness.keeping import Place, keep
from cutline.server.people.models import Owner
from cutline.server.steering import shares
from cutline.server.steering.trials import note_failure
from cutline.server.transactions import retried
from cutline.texts import is_readable

if TYPE_CHECKING:
    from cutline.server.jobs.context import Context

LONGEST_TEXT = 2000  # letters of a caption that a person writes
MODEL, PERSON = "model", "person"


# -- by machine ------------------------------------------------------------------------------------------


def run(job: Job, context: Context) -> None:
    """Run a caption job. Raises JobStopped, and whatever the photo or the captioner raises."""
    chosen = shares.current()
    in_canary = chosen.has_in_canary(job.owner_id)
    wanted = captioner.wanted(job.options, n=settings().candidates, in_canary=in_canary)
    written = _head_start(job, wanted, context)
    if written is None:
        with captioner.about_to_ask():
            context.stage("reading")
            picture = _source(job)
            context.stage("captioning")
        written = captioner.write(picture, wanted, on_failure=note_failure)
    context.stage("saving")
    save_candidates(job, context.token, written)
    if job.image_id is not None:
        renditions.render_later(job.image_id)
    shadows.consider(job, wanted, written, chosen)


def _head_start(job: Job, wanted: captioner.Wanted, context: Context) -> captioner.Written | None:
    """What was written while the photo was stored; None where nothing was, or it came to nothing."""
    begun = head_starts.take(job.image_id, wanted) if job.image_id else None
    if begun is None:
        return None
    context.stage("captioning")
    try:
        return begun.result()
    except CutlineError:  # it may be of the moment: try as if there had been no head start
        return None


def _source(job: Job) -> bytes:
    """The file of the job's photo. Raises NotFound where it is gone."""
    if job.image_id is None:
        raise NotFound("The job has no image.")
    return renditions.read_master(job.image_id)


def save_candidates(job: Job, token: UUID, written: captioner.Written) -> list[Caption]:
    """Write what a model wrote and end the job, in one transaction; show the best where nobody chose another.

    Raises LeaseLost where the job is not this worker's any more: then nothing was written.
    """
    image_id = job.image_id
    if image_id is None:
        raise NotFound("The job has no image.")
    now = timezone.now()
    rows = [
        Caption(
            image_id=image_id,
            job=job,
            rank=rank,
            text=each.text,
            log_prob=each.log_prob if math.isfinite(each.log_prob) else None,
            confidence=each.confidence,
            model=written.model.label,
            model_hash=written.model.bundle_hash,
            options=job.options,
            created_at=now,
        )
        for rank, each in enumerate(written.captions)
    ]
    looks = [_attention(row, each) for row, each in zip(rows, written.captions, strict=True)]
    vector = written.captions[0].embedding if written.captions else None
    _save(job, token, image_id, written.model, rows, [look for look in looks if look], vector)
    return rows


def _attention(row: Caption, written: captioner.Caption) -> Attention | None:
    weights = written.attention
    if weights is None or not len(weights):
        return None
    _, height, width = weights.shape
    return Attention(caption=row, words=list(written.words), rows=height, columns=width, maps=packed(weights))


@retried
def _save(
    job: Job,
    token: UUID,
    image_id: UUID,
    model: captioner.ModelInfo,
    rows: Sequence[Caption],
    looks: Sequence[Attention],
    vector: captioner.Vector | None,
) -> None:
    jobs.mark_done(job, token, model_hash=model.bundle_hash)
    image = Image.objects.select_for_update().get(pk=image_id)
    Caption.objects.bulk_create(rows)
    Attention.objects.bulk_create(looks)
    if vector is not None and model.bundle_hash:
        keep(
            [
                Place(
                    image_id=image_id,
                    owner_id=image.owner_id,
                    space=model.bundle_hash,
                    model=model.label,
                    vector=vector,
                )
            ]
        )
    last = _last_version(image) if image.caption_by else None
    is_model_s = last is None or (last.action == Version.Action.GENERATED and not _is_full(last))
    if rows and is_model_s:
        best = rows[0]
        _show(
            image,
            last,
            Version(
                text=best.text, by=MODEL, action=Version.Action.GENERATED, model=best.model, caption=best
            ),
        )
    jobs.tell_done(
        job,
        image.owner_id,
        "caption.ready",
        {
            "image": str(image.pk),
            "job": str(job.pk),
            "captions": [row.told() for row in rows],
            "model": model.label,
            "caption": image.caption,
        },
    )


# -- by people -------------------------------------------------------------------------------------------


@retried
def pick(image: Image, caption: Caption, by: Owner) -> Version:
    """Show a candidate. Raises NotFound for a candidate of another image, QuotaExceeded."""
    image, last = _locked(image)
    if caption.image_id != image.pk:
        raise NotFound("This image has no such caption.")
    if last and last.action == Version.Action.PICKED and last.caption_id == caption.pk:
        return last
    _check_versions(last)
    _log(Feedback.Kind.PICK, image, caption, by, after=caption.text, styled=caption.is_styled)
    version = Version(
        text=caption.text,
        by=MODEL,
        action=Version.Action.PICKED,
        styled=caption.is_styled,
        model=caption.model,
        caption=caption,
        actor=by,
    )
    return _changed(image, last, version)


@retried
def edit(
    image: Image, text: str, by: Owner, *, caption: Caption | None = None, styled: bool | None = None
) -> Version:
    """Show a person's own text; of white space, single blanks are left.

    Raises Invalid for one too long, QuotaExceeded where the image has as many versions as it may have. An
    empty text is refused too: a photo without any words helps nobody who cannot see it.
    caption: the candidate that it grew out of; what the image shows, if left out. styled: whether it is in a
    voice; as what it grew out of, if left out.
    """
    text = " ".join(text.split())
    if not text or len(text) > LONGEST_TEXT or not is_readable(text):
        raise Invalid(f"A caption has 1 to {LONGEST_TEXT} characters, none of them a control character.")
    image, last = _locked(image)
    if caption is not None and caption.image_id != image.pk:
        raise NotFound("This image has no such caption.")
    origin = caption or (last.caption if last else None)
    if last is None:
        styled = False  # there is no plain text that could stay beside it
    elif styled is None:
        styled = caption.is_styled if caption else last.styled
    if last and last.by == PERSON and last.text == text and last.styled == styled:
        return last
    _check_versions(last)
    _log(Feedback.Kind.EDIT, image, _improved(image, origin, styled), by, after=text, styled=styled)
    version = Version(
        text=text,
        by=PERSON,
        action=Version.Action.EDITED,
        styled=styled,
        caption=origin,
        actor=by,
    )
    return _changed(image, last, version)


@retried
def restore(image: Image, number: int, by: Owner) -> Version:
    """Show an earlier version's text again, as a new version. Raises NotFound, QuotaExceeded."""
    image, last = _locked(image)
    earlier = Version.objects.filter(image=image, number=number).first()
    if earlier is None or last is None:
        raise NotFound("This image has no such version.")
    if earlier.pk == last.pk:
        return last
    _check_versions(last)
    version = Version(
        text=earlier.text,
        by=earlier.by,
        action=Version.Action.RESTORED,
        styled=earlier.styled,
        model=earlier.model,
        caption_id=earlier.caption_id,
        actor=by,
        restored_from=number,
    )
    return _changed(image, last, version)


def check_candidates(image: Image) -> None:
    """Raise QuotaExceeded where models have written as many candidates of an image as they may.

    Not counted: those that are being written.
    """
    if Caption.objects.filter(image=image).count() >= settings().max_captions:
        raise QuotaExceeded(
            f"The image has {settings().max_captions:,} candidates; that is the limit.",
            hint="Pick one of them.",
        )


def _check_versions(last: Version | None) -> None:
    if last is not None and _is_full(last):
        raise QuotaExceeded(
            f"The image's caption has {last.number:,} versions; that is the limit.",
            hint="What it shows stays as it is.",
        )


# -- both ------------------------------------------------------------------------------------------------


def _locked(image: Image) -> tuple[Image, Version | None]:
    """The image's row, locked until the transaction ends, and its last version. Raises NotFound."""
    fresh = Image.objects.select_for_update().filter(pk=image.pk, deleted_at=None).first()
    if fresh is None:
        raise NotFound("This image no longer exists.")
    return fresh, _last_version(fresh)


def _last_version(image: Image) -> Version | None:
    return Version.objects.filter(image=image).order_by("-number").first()


def _is_full(last: Version) -> bool:
    return last.number >= settings().max_captions


def _show(image: Image, last: Version | None, version: Version) -> None:
    """Make this what the locked image shows."""
    before = None if words.is_model_s(version) else words.words_of(image)
    version.image = image
    version.number = last.number + 1 if last else 1
    version.pk = None  # a transaction that runs again makes a new row
    version.save(force_insert=True)
    plain = image.description or image.caption
    image.description = plain if version.styled else ""
    image.caption, image.caption_by, image.caption_model = version.text, version.by, version.model
    tags = image.tags.values_list("name", flat=True)
    image.search_text = text_of(version.text, tags, description=image.description)
    image.changed_at = version.created_at
    if before is None:
        words.show_model_words(image)
    else:
        words.queue_for_review(image, before)
    image.save(
        update_fields=[
            "caption",
            "caption_by",
            "caption_model",
            "description",
            "search_text",
            *words.FIELDS,
            "changed_at",
        ]
    )


def _changed(image: Image, last: Version | None, version: Version) -> Version:
    _show(image, last, version)
    emit(
        image.owner_id,
        "caption.changed",
        {
            "image": str(image.pk),
            "caption": image.caption,
            "by": image.caption_by,
            "model": image.caption_model,
            "version": version.number,
        },
    )
    return version


def _improved(image: Image, origin: Caption | None, styled: bool) -> Caption | None:
    """What an edit says something about: a candidate in a voice, or a plain one, as the person's words are.

    Words in a voice say nothing against a plain description that they grew out of, nor the other way round.
    """
    if origin is None or origin.is_styled == styled:
        return origin
    if styled:
        return None
    plain = Version.objects.filter(image=image, styled=False).select_related("caption").order_by("number")
    described = plain.last()
    return described.caption if described else None


def _log(
    kind: Feedback.Kind, image: Image, caption: Caption | None, by: Owner, *, after: str, styled: bool
) -> None:
    Feedback.objects.create(
        kind=kind,
        image=image,
        caption=caption,
        viewer=by,
        before=image.caption if styled else image.description or image.caption,
        after=after,
        model=caption.model if caption else "",
        styled=styled,
    )
