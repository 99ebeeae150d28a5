"""Captions in a voice from text: nothing of it is kept."""

from __future__ import annotations

import logging
import threading
from collections.abc import Generator, Iterable, Sequence
from itertools import chain
from typing import Annotated, Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from ninja import Router, Schema
from pydantic import Field

from cutline.errors import CutlineError, OptionError
from cutline.server import decoding, styler
from cutline.server.api import event_streams, idempotency, limits
from cutline.server.api.auth import needs
from cutline.server.api.event_streams import HEARTBEAT, sse, sse_answer, wants_events
from cutline.server.api.schemas import problems
from cutline.server.api.voice_fields import StyledTextOut, VoiceIn, VoiceOut
from cutline.server.errors import CaptionRefused, InternalError, ServiceUnavailable
from cutline.server.people.viewers import Viewer, viewer_of
from cutline.server.styler import Order, Words, Written

MAX_CONTEXT = 10

log = logging.getLogger(__name__)

Description = Annotated[str, Field(min_length=1, max_length=styler.MAX_DESCRIPTION_CHARS)]

router = Router(tags=["styles"])


class RestyleIn(VoiceIn):
    """A description, and the voice to write it in."""

    description: Description
    context: list[Description] = Field(
        default_factory=list,
        max_length=MAX_CONTEXT,
        description="Further sentences about the photo: what they say may be said.",
    )
    n: int = Field(1, ge=1, le=styler.MAX_STYLED, description="How many captions.")
    seed: int | None = Field(
        None, ge=0, le=styler.MAX_SEED, description="The same seed gives the same captions; else a new one."
    )

    def order(self, viewer: Viewer) -> Order:
        """What is asked of the language model. Raises Invalid, OptionError, RestylerUnavailable."""
        voice = self.voice(viewer)
        styler.check_can_write(voice)
        return Order(
            description=self.description,
            voice=voice,
            n=self.n,
            seed=styler.fresh_seed() if self.seed is None else self.seed,
            context=self.context,
        )


class RestyledOut(Schema):
    """Captions in a voice that are not kept."""

    description: str
    voice: VoiceOut
    seed: int
    captions: list[StyledTextOut]


class _Left(Exception):
    """Nobody reads the answer any more."""


@router.post(
    "/restyle",
    auth=needs("caption"),
    response={200: RestyledOut, **problems(422, 503)},
    openapi_extra=event_streams.documented(),
)
def restyle_text(request: HttpRequest, wanted: RestyleIn) -> Any:
    """Write captions in a voice from a description, and keep nothing.

    With `Accept: text/event-stream` the words come as they are written: events `words`, then `done` with this
    answer, or `failed`.
    """
    idempotency.keep_nothing(request)
    viewer = viewer_of(request)
    order = wanted.order(viewer)
    limits.count_styles(request)
    with decoding.on_behalf_of(limits.payer_of(viewer)):
        if wants_events(request):
            return _streamed(request, order)
        return _answer(order, styler.write_all(order))


def _answer(order: Order, written: Iterable[Written]) -> dict[str, object]:
    return {
        "description": order.description,
        "voice": styler.whole_record(styler.record_of(order.voice)),
        "seed": order.seed,
        "captions": list(written),
    }


def in_voice(
    description: str, voice: styler.Voice, *, n: int, context: Sequence[str] = ()
) -> dict[str, object]:
    """What an answer with a description says of captions in a voice; where there are none, why."""
    order = Order(description=description, voice=voice, n=n, seed=styler.fresh_seed(), context=context)
    told: dict[str, object] = {
        "voice": styler.whole_record(styler.record_of(voice)),
        "seed": order.seed,
    }
    try:
        return told | {"styled": styler.write_all(order)}
    except (OptionError, CaptionRefused, ServiceUnavailable) as error:
        return told | {"styled": [], "error": {"code": error.code, "message": str(error)}}


def _streamed(request: HttpRequest, order: Order) -> HttpResponseBase:
    left = threading.Event()

    def check() -> None:
        if left.is_set():
            raise _Left

    events = styler.write(order, check=check, beat_s=event_streams.HEARTBEAT_S)
    # What fails soon, and before the first word, is an answer with the status of its error.
    first = next(events)
    return sse_answer(request, _events(order, first, events), leave=left.set)


def _events(
    order: Order, first: Words | Written | None, rest: Generator[Words | Written | None]
) -> Generator[bytes]:
    written: list[Written] = []
    try:
        for event in chain([first], rest):
            if isinstance(event, Written):
                written.append(event)
            yield HEARTBEAT if event is None else sse("words", styler.as_told(event))
        answer = RestyledOut.model_validate(_answer(order, styler.usable(written)), from_attributes=True)
        yield sse("done", answer.model_dump(mode="json"))
    except CutlineError as error:
        yield sse("failed", {"error": {"code": error.code, "message": str(error)}})
    except _Left:
        return
    except Exception as error:  # whatever it is, the client must hear that there is no more
        log.error("Unexpected %s", type(error).__name__, exc_info=error)
        yield sse("failed", {"error": {"code": InternalError.code, "message": "Internal error."}})
    finally:
        rest.close()
