"""What a function wrote for a photo becomes the candidates of the job that was lent to it."""

from __future__ import annotations

import math
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cutline.server import captioner
from cutline.server.captions.models import Caption
from cutline.server.captions.services import LONGEST_TEXT, save_candidates
from cutline.server.config import MOST_CAPTIONS
from cutline.server.errors import Conflict, Invalid, NotFound, ServiceUnavailable
from cutline.server.images import renditions
from cutline.server.images.models import Rendition, RenditionKind, StoredFile
from cutline.server.jobs import lending
from cutline.server.jobs.context import LeaseLost
from cutline.server.jobs.models import Job, JobKind, JobState
from cutline.texts import is_readable


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class CaptionIn(_Part):
    """One sentence."""

    text: Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT)]
    log_prob: float | None
    confidence: Annotated[float, Field(ge=0, le=1)] | None = None


class ModelIn(_Part):
    """The model that wrote it."""

    name: Annotated[str, Field(pattern=r"^[\w.-]{1,59}$")]
    version: Annotated[str, Field(pattern=r"^[\w.+-]{1,60}$")]
    hash: Annotated[str, Field(pattern=r"^(?:[0-9a-f]{64})?$")]


class AnswerIn(_Part):
    """The captions of one photo, best first. key: of its file in the store."""

    key: Annotated[str, Field(min_length=1, max_length=500)]
    captions: Annotated[list[CaptionIn], Field(min_length=1, max_length=MOST_CAPTIONS)]
    model: ModelIn


def parsed(body: bytes | str) -> AnswerIn:
    """An answer, from its JSON. Raises Invalid."""
    try:
        answer = AnswerIn.model_validate_json(body)
    except ValidationError as error:
        places = sorted({".".join(map(str, each["loc"])) for each in error.errors(include_url=False)})
        raise Invalid("These are no captions of a photo.", hint=f"Wrong: {', '.join(places)[:200]}") from None
    if not all(is_readable(each.text) and each.text.strip() for each in answer.captions):
        raise Invalid("A caption has characters, none of them a control character.")
    return answer


def take(answer: AnswerIn) -> None:
    """Save the captions of a photo that waits for them, and end its job. The same again changes nothing.

    Raises NotFound for what is no photo here, ServiceUnavailable for one that is still being stored, Conflict
    where no job waits: it was never lent, a worker has it by now, or it has ended.
    """
    job = _lent_job(_image_of(answer.key), answer)
    if job is None:
        return
    model = answer.model
    written = captioner.Written(
        captions=[
            captioner.Caption(text=each.text, log_prob=_number(each), confidence=each.confidence)
            for each in answer.captions
        ],
        model=captioner.ModelInfo(name=model.name, version=model.version, bundle_hash=model.hash),
    )
    if job.lease_token is None or job.image_id is None:
        raise _not_waiting()
    try:
        save_candidates(job, job.lease_token, written)
    except LeaseLost as error:
        raise _not_waiting() from error
    renditions.render_later(job.image_id)


def _number(caption: CaptionIn) -> float:
    return math.nan if caption.log_prob is None else caption.log_prob


def _image_of(key: str) -> UUID:
    """The id of the image whose master this is."""
    file = StoredFile.objects.filter(key=key).first()
    if file is not None and file.state == StoredFile.State.PENDING:
        raise ServiceUnavailable("The photo is still being stored.", hint="Try again in a moment.")
    masters = Rendition.objects.filter(file_id=key, kind=RenditionKind.MASTER, image__deleted_at=None)
    image_id = masters.values_list("image_id", flat=True).first()
    if image_id is None:
        raise NotFound("There is no such photo.")
    return image_id


def _lent_job(image_id: UUID, answer: AnswerIn) -> Job | None:
    """The job that waits; None where it has this very answer already. Raises Conflict."""
    jobs = Job.objects.filter(image_id=image_id, kind=JobKind.CAPTION, stage=lending.STAGE)
    job = jobs.filter(state=JobState.RUNNING).first()
    if job is not None:
        return job
    done = jobs.filter(state=JobState.DONE).order_by("-ended_at").first()
    told = [each.text for each in answer.captions]
    if done and told == list(
        Caption.objects.filter(job=done).order_by("rank").values_list("text", flat=True)
    ):
        return None
    raise _not_waiting()


def _not_waiting() -> Conflict:
    return Conflict("No job waits for captions of this photo.")
