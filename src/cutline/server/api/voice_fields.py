"""The fields of a voice in requests and answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from ninja import Schema
from pydantic import Field

from cutline.server import styler
from cutline.server.api.schemas import SchemaIn
from cutline.server.people.viewers import Viewer
from cutline.server.voices.models import MAX_NAME
from cutline.server.voices.selectors import named


class VoiceIn(SchemaIn):
    """How a caption should sound. What is left out is the preset's, or a plain voice's."""

    preset: str | None = Field(
        None, max_length=MAX_NAME, description="The name of a voice to begin with (GET /voices)."
    )
    tone: str | None = Field(
        None, max_length=styler.MAX_TONE_CHARS, description='In your words: "dry", "like a haiku".'
    )
    audience: Literal["personal", "promotional", "academic"] | None = Field(
        None, description="Whom it speaks to."
    )
    length: Literal["short", "medium", "long"] | None = None
    hashtags: int | None = Field(None, ge=0, le=styler.MAX_HASHTAGS, description="How many.")
    emoji: bool | None = Field(None, description="Whether it may have some.")
    language: str | None = Field(None, max_length=35, description="A tag of BCP 47.")
    prefix: str | None = Field(
        None, max_length=styler.MAX_FIX_CHARS, description="Stands before it, as it is."
    )
    suffix: str | None = Field(
        None, max_length=styler.MAX_FIX_CHARS, description="Stands after it, before the hashtags."
    )
    avoid: list[Annotated[str, Field(max_length=styler.MAX_FIX_CHARS)]] | None = Field(
        None, max_length=styler.MAX_AVOIDED, description="Words that must not occur."
    )

    def given(self) -> dict[str, Any]:
        """The fields that were sent, of those of a voice."""
        return self.model_dump(include=set(VoiceIn.model_fields), exclude_none=True)

    def voice(self, viewer: Viewer) -> styler.Voice:
        """What they mean. Raises Invalid for an unknown preset, OptionError for what is no voice."""
        values = self.given()
        preset = values.pop("preset", None)
        return styler.voice_of({**(named(viewer, preset) if preset is not None else {}), **values})


class VoiceOut(Schema):
    """A voice, whole."""

    tone: str
    audience: str
    length: str
    hashtags: int
    emoji: bool
    language: str
    prefix: str
    suffix: str
    avoid: list[str]


class StyledTextOut(Schema):
    """A caption in a voice. text: with prefix, suffix and hashtags."""

    text: str
    body: str = Field(description="Without them.")
    hashtags: list[str]
    model: str = Field(description="name@version")
    prompt: str = Field(description="The version of the prompt.")
    log_prob: float | None = Field(description="Natural logarithm of its probability; null if unknown.")
    removed: list[str] = Field(description="What had been written, and was taken away.")
