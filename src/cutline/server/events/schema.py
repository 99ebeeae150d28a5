"""Every message that /ws sends, typed: contracts/events.schema.json is made from this."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal, get_args
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class Data(BaseModel):
    """What an event tells."""

    model_config = ConfigDict(extra="forbid")


class ErrorData(BaseModel):
    """Why something failed."""

    code: str
    message: str


LOG_PROB = "Natural logarithm of its probability, summed over tokens; null if unknown."
CONFIDENCE = (
    "The calibrated probability that it is acceptable, from 0 to 1; null where the model does not say."
)


class CandidateData(BaseModel):
    """A caption that a model wrote."""

    id: UUID
    text: str
    log_prob: float | None = Field(description=LOG_PROB)
    confidence: float | None = Field(None, description=CONFIDENCE)


class ImageData(Data):
    """An image: read it from the API."""

    image: UUID


class ImageCreatedData(ImageData):
    """A new image, and the job that captions it."""

    job: UUID


class ImageChangedData(ImageData):
    """An image, with who may see it now."""

    visibility: Literal["private", "unlisted", "public"]
    moderation: Literal["none", "pending", "approved", "held", "rejected"]


class JobData(Data):
    """Where a job stands."""

    job: UUID
    image: UUID | None = None
    kind: Literal["caption", "moderate", "bulk", "fetch", "style"]
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    stage: str = ""
    position: int | None = Field(None, description="How many jobs are ahead of it.")
    error: ErrorData | None = None


class CaptionReadyData(Data):
    """A model's candidates for an image; `caption` is what the image shows now."""

    image: UUID
    job: UUID
    captions: list[CandidateData]
    model: str
    caption: str


class StylesReadyData(Data):
    """Captions in a voice that a job wrote: candidates. What the image shows is as it was."""

    image: UUID
    job: UUID
    captions: list[CandidateData]
    model: str


class WordsData(Data):
    """One caption in a voice as far as it is written. What has a lower run or seq is older."""

    job: UUID
    image: UUID
    run: int = Field(description="Which attempt at the job; a higher one begins all captions anew.")
    seq: int = Field(description="Grows with each message of a run.")
    number: int = Field(description="Which of the captions, from 0.")
    attempt: int = Field(description="From 1; at a higher one the caption is written anew.")
    text: str = Field(description="All of it so far, in place of what was sent before.")
    whole: bool = Field(description="Whether it is finished; without text, it was refused.")
    removed: list[str] = Field(description="What had been sent of it and was taken back, or cut out.")
    reasons: list[str] = Field(description="Why.")


class CaptionChangedData(Data):
    """An image shows another caption."""

    image: UUID
    caption: str
    by: Literal["model", "person"] = Field(description="Who wrote it.")
    model: str = Field(description="name@version; empty where a person wrote it.")
    version: int = Field(description="Its number in the image's history.")


class CountsData(BaseModel):
    """How many items of a bulk stand where."""

    total: int
    waiting: int
    done: int
    failed: int
    cancelled: int


class BulkData(Data):
    """How far a bulk is."""

    bulk: UUID
    state: Literal["queued", "running", "paused", "done", "failed", "cancelled"]
    counts: CountsData
    error: ErrorData | None = None


class ModerationData(Data):
    """What was decided about showing an image in the gallery."""

    image: UUID
    moderation: Literal["none", "pending", "approved", "held", "rejected"]
    published: bool = Field(description="Whether it is in the gallery now.")
    reason: str = Field(description="A moderator's words.")


class HelloData(BaseModel):
    """The beginning of a connection."""

    owner: UUID
    last_event: int = Field(description="The newest event so far: reconnect with ?after= it.")
    heartbeat_s: float


class ResetData(BaseModel):
    """What came after the number that you named is gone, or too much: read images and jobs again."""

    last_event: int


class Event(BaseModel):
    """What happened. Numbers grow, with gaps."""

    id: int
    at: datetime


class ImageCreated(Event):
    """An image was uploaded."""

    type: Literal["image.created"]
    data: ImageCreatedData


class ImageChanged(Event):
    """Visibility, tags, files or another property of an image changed, or its deletion was taken back."""

    type: Literal["image.changed"]
    data: ImageChangedData


class ImageDeleted(Event):
    """An image was deleted."""

    type: Literal["image.deleted"]
    data: ImageData


class JobChanged(Event):
    """A job changed its state or stage."""

    type: Literal["job.changed"]
    data: JobData


class CaptionReady(Event):
    """A captioning job wrote its candidates."""

    type: Literal["caption.ready"]
    data: CaptionReadyData


class StylesReady(Event):
    """A job wrote captions in a voice."""

    type: Literal["styles.ready"]
    data: StylesReadyData


class CaptionChanged(Event):
    """A person picked, edited or restored a caption."""

    type: Literal["caption.changed"]
    data: CaptionChangedData


class BulkProgress(Event):
    """Some of a bulk is done."""

    type: Literal["bulk.progress"]
    data: BulkData


class BulkDone(Event):
    """A bulk has ended."""

    type: Literal["bulk.done"]
    data: BulkData


class ModerationChanged(Event):
    """An image was approved, held or rejected."""

    type: Literal["moderation.changed"]
    data: ModerationData


class Hello(BaseModel):
    """The first message of a connection."""

    type: Literal["hello"]
    data: HelloData


class Reset(BaseModel):
    """Events were lost to this client."""

    type: Literal["reset"]
    data: ResetData


class StylesWords(BaseModel):
    """Words of a caption in a voice while it is written. It is not recorded, and not sent again."""

    type: Literal["styles.words"]
    data: WordsData


class Ping(BaseModel):
    """The heartbeat: nothing happened, and the connection stands. No answer is needed."""

    type: Literal["ping"]


class Pong(BaseModel):
    """The answer to a client's {"type": "ping"}."""

    type: Literal["pong"]


Recorded = (
    ImageCreated
    | ImageChanged
    | ImageDeleted
    | JobChanged
    | CaptionReady
    | StylesReady
    | CaptionChanged
    | BulkProgress
    | BulkDone
    | ModerationChanged
)
Message = Annotated[Hello | Reset | Ping | Pong | StylesWords | Recorded, Field(discriminator="type")]

TYPES: tuple[str, ...] = tuple(
    get_args(kind.model_fields["type"].annotation)[0] for kind in get_args(Recorded)
)
_MESSAGES: TypeAdapter[Any] = TypeAdapter(Message)


def check(message: Mapping[str, Any]) -> None:
    """Raise pydantic.ValidationError where a message is none that clients were promised."""
    _MESSAGES.validate_json(json.dumps(message))


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a message."""
    schema = _MESSAGES.json_schema(mode="validation")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A message of Cutline's websocket",
        **schema,
    }
