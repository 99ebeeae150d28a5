"""What a request may say of how captions are written. Follows from captioning's definition of the options."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, create_model

from cutline.server import captioner, styler
from cutline.server.api.schemas import SchemaIn
from cutline.server.api.voice_fields import VoiceIn
from cutline.server.config import MOST_CAPTIONS
from cutline.server.errors import RestylerUnavailable
from cutline.server.people.viewers import Viewer


def decoding_fields(*names: str) -> dict[str, Any]:
    """The fields of these decoding options, as create_model takes them: type, range and help."""
    return {name: _field(captioner.OPTIONS[name]) for name in names}


def _field(option: captioner.Option) -> tuple[Any, Any]:
    # A Literal, so that it stands in a schema by itself: a form's cannot refer to others.
    kind: Any = Literal[*map(str, captioner.Strategy)] if option.kind is captioner.Strategy else option.kind
    bounds: dict[str, Any] = {}
    if option.bounds is not None:
        bounds = {"ge": option.bounds.least, "le": option.bounds.most}
    if option.kind is str:
        bounds = {"max_length": captioner.MAX_PREFIX_CHARS}
    return kind | None, Field(None, description=option.help, **bounds)


if TYPE_CHECKING:
    DecodingIn = SchemaIn
else:
    DecodingIn = create_model("DecodingIn", __base__=SchemaIn, **decoding_fields(*captioner.OPTIONS))


class CaptionOptionsIn(DecodingIn):
    """How a caption is written. What is left out is the model's own choice."""

    n: int | None = Field(None, ge=1, le=MOST_CAPTIONS, description="How many captions.")
    model: str | None = Field(None, max_length=100, description="A model's id (GET /models).")

    def as_kept(self, *, n: int) -> dict[str, Any]:
        """What a job keeps of them. n: how many captions where they do not say.

        Raises OptionError or Invalid for choices that make no sense together.
        """
        kept = self.model_dump(include=set(CaptionOptionsIn.model_fields), exclude_none=True)
        return {**kept, "n": captioner.wanted(kept, n=n).n}


class CaptionPhotoIn(CaptionOptionsIn, VoiceIn):
    """How a photo is captioned on the spot, and in which voice besides: then prefix is the voice's."""

    variants: int = Field(1, ge=1, le=styler.MAX_STYLED, description="How many captions in the voice.")

    def voice_of(self, viewer: Viewer) -> styler.Voice | None:
        """The voice, where one is asked for. Raises Invalid, OptionError."""
        if not self._is_voiced():
            return None
        voice = self.voice(viewer)
        with suppress(RestylerUnavailable):  # the captions are there all the same
            styler.check_can_write(voice)
        return voice

    def as_kept(self, *, n: int) -> dict[str, Any]:
        """As CaptionOptionsIn."""
        plain = self.model_copy(update={"prefix": None}) if self._is_voiced() else self
        return CaptionOptionsIn.as_kept(plain, n=n)

    def _is_voiced(self) -> bool:
        return bool(self.given().keys() - {"prefix", "suffix"})
