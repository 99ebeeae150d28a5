"""The service's one door to language models: captions in a voice. One model, loaded when first asked for.

order = styler.Order(description="A dog runs along the beach.", voice=styler.voice_of({"tone": "dry"}), n=2)
for event in styler.write(order):  # Words as they come, and each caption when it is whole
    ...

A language model may hang, break off or write without end, so it writes in a thread of its own, and whoever
asks hears of it in bounded time.
"""

from __future__ import annotations

import logging
import math
import queue
import re
import secrets
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from typing import Any

from cutline.chat import Patience
from cutline.errors import BundleDamaged, CaptionerUnavailable, CutlineError, OptionError
from cutline.server import decoding
from cutline.server.config import NO_RESTYLER, settings
from cutline.server.errors import CaptionRefused, RestylerUnavailable, ServiceUnavailable
from cutline.server.observability.metrics import STYLED, STYLED_S
from cutline.server.shares import FairBudget
from cutline.server.transactions import lend_connection
from cutline.styles import sources
from cutline.styles.guard import GRAVE, Fault
from cutline.styles.restyling import MAX_DESCRIPTION_CHARS
from cutline.styles.support import is_english
from cutline.styles.voice import (
    MAX_AVOIDED,
    MAX_FIX_CHARS,
    MAX_HASHTAGS,
    MAX_TONE_CHARS,
    Audience,
    Length,
    Voice,
    voice_from,
)
from cutline.styles.voice import presets as _presets
from cutline.styles.writing import Piece, Restyler, Styled

__all__ = [
    "AUDIENCES",
    "LENGTHS",
    "MAX_AVOIDED",
    "MAX_DESCRIPTION_CHARS",
    "MAX_FIX_CHARS",
    "MAX_HASHTAGS",
    "MAX_SEED",
    "MAX_STYLED",
    "MAX_TONE_CHARS",
    "About",
    "Order",
    "Voice",
    "Words",
    "Written",
    "about",
    "as_told",
    "check_can_write",
    "fresh_seed",
    "presets",
    "record_of",
    "voice_of",
    "whole_record",
    "write",
    "write_all",
]

AUDIENCES = tuple(map(str, Audience))
LENGTHS = tuple(map(str, Length))
MAX_STYLED = 5  # captions that may be asked for at once
MAX_SEED = 2**31 - 1
OFF, MISSING, DAMAGED = "off", "missing", "damaged"

log = logging.getLogger(__name__)

_TICK_S = 0.25  # how often who waits for words may look whether they are still wanted
_SHORTEST_TIMEOUT_S = 1.0
_SAME_START = 20  # letters by which a text that was mended is known again


# -- voices ----------------------------------------------------------------------------------------------


def voice_of(values: Mapping[str, Any]) -> Voice:
    """A voice from its fields; what is left out is a plain voice's. Raises OptionError."""
    return voice_from(values)


def record_of(voice: Voice) -> dict[str, Any]:
    """A voice as it is kept: what differs from a plain one, and always its tone."""
    plain = _fields(Voice())
    return {name: value for name, value in _fields(voice).items() if name == "tone" or value != plain[name]}


def whole_record(record: Mapping[str, Any]) -> dict[str, Any]:
    """All fields of a voice that was kept."""
    return {**_fields(Voice()), **record}


@lru_cache(maxsize=1)
def presets() -> Mapping[str, Mapping[str, Any]]:
    """The voices that are there for everybody, by name, as they are kept."""
    return {name: record_of(voice) for name, voice in _presets().items()}


def _fields(voice: Voice) -> dict[str, Any]:
    values = asdict(voice)
    return values | {
        "audience": str(voice.audience),
        "length": str(voice.length),
        "avoid": list(voice.avoid),
    }


# -- what there is here ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """The language model of this service. reason: why there is none: off, missing or damaged.

    model: name@version. prompt: the version of its prompt. language: the one that it writes; empty for any.
    """

    available: bool
    reason: str = ""
    model: str = ""
    prompt: str = ""
    language: str = ""


def about() -> About:
    """What there is here. Loads no model, and asks no endpoint."""
    uri = settings().restyler
    if uri == NO_RESTYLER:
        return About(available=False, reason=OFF)
    try:
        found = sources.about(uri)
    except BundleDamaged:
        return About(available=False, reason=DAMAGED)
    except CutlineError:
        return About(available=False, reason=MISSING)
    return About(
        available=True,
        model=f"{found.name}@{found.version}",
        prompt=found.prompt,
        language=found.language,
    )


def check_can_write(voice: Voice) -> None:
    """Raise RestylerUnavailable where there is no language model here, OptionError for another language."""
    here = about()
    if not here.available:
        raise _nothing_here()
    if here.language and is_english(here.language) and not is_english(voice.language):
        raise OptionError("The language model of this service writes English.")


def fresh_seed() -> int:
    """A seed that nobody has asked for."""
    return secrets.randbelow(MAX_SEED)


def _nothing_here() -> RestylerUnavailable:
    return RestylerUnavailable(
        "There is no language model here.", hint="The plain description stays. The operator can add one."
    )


# -- writing ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is asked for: n captions of a description in a voice.

    context: further sentences about the photo that support what is said. others: captions that are not to be
    written again.
    """

    description: str
    voice: Voice
    n: int = 1
    seed: int = 0
    context: Sequence[str] = ()
    others: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A caption as far as it is written. text: all of it so far.

    number: which of the captions, from 0. attempt: from 1; at a higher one it is written anew. removed: what
    had been shown of it and was taken back. reasons: why, as people are told.
    """

    number: int
    attempt: int
    text: str
    removed: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A caption that is whole. Where the guard refused it, it has no text, and reasons.

    text: all of it, with prefix, suffix and hashtags. model: name@version. prompt: the prompt's version.
    removed: what had been shown of it and was taken back, and what the guard took away from it.
    """

    number: int
    attempt: int
    text: str
    body: str
    hashtags: tuple[str, ...]
    model: str
    prompt: str
    log_prob: float | None
    removed: tuple[str, ...]
    reasons: tuple[str, ...]

    @property
    def is_refused(self) -> bool:
        """Whether nothing came of it."""
        return not self.text


def as_told(event: Words | Written) -> dict[str, Any]:
    """What people are told of a caption as far as it is written, or whole."""
    return {
        "number": event.number,
        "attempt": event.attempt,
        "text": event.text,
        "whole": isinstance(event, Written),
        "removed": list(event.removed),
        "reasons": list(event.reasons),
    }


def write(
    order: Order, *, check: Callable[[], None] = lambda: None, beat_s: float = math.inf
) -> Generator[Words | Written | None]:
    """Write captions: the words of each as they come, then itself; None wherever beat_s pass without words.

    check: called now and then, also while the model is silent; what it raises ends the writing. Writes on
    behalf of `decoding.on_behalf_of`. Raises RestylerUnavailable in bounded time, OptionError.
    """
    began = beat = time.monotonic()
    deadline = began + settings().restyler_timeout_s
    desk = _Desk(order)
    told = _Told()
    lend_connection()  # others need it while the model writes
    with closing(desk):
        while (event := desk.next_event(deadline)) is not _END:
            check()
            if event is None and time.monotonic() - beat < beat_s:
                continue
            beat = time.monotonic()
            if isinstance(event, Piece):
                yield told.piece(event)
            elif isinstance(event, Styled):
                written = told.styled(event)
                STYLED.labels("refused" if written.is_refused else "written").inc()
                yield written
            else:
                yield None
    STYLED_S.observe(time.monotonic() - began)


def write_all(order: Order, *, check: Callable[[], None] = lambda: None) -> list[Written]:
    """Write captions and give those that were not refused. Raises as `write`, and CaptionRefused."""
    return usable([event for event in write(order, check=check) if isinstance(event, Written)])


def usable(written: Sequence[Written]) -> list[Written]:
    """Those that were not refused. Raises CaptionRefused where all were."""
    good = [each for each in written if not each.is_refused]
    if not good:
        reasons = dict.fromkeys(reason for each in written for reason in each.reasons)
        raise CaptionRefused(
            f"Nothing that the language model wrote could be used: {', '.join(reasons)}.",
            kept="The plain description stays.",
            hint="Try again, or choose another tone.",
        )
    return good


def close() -> None:
    """Forget the model."""
    _SHELF.close()


@dataclass(slots=True)
class _Told:
    """What was told of the caption that is being written."""

    number: int = 0
    attempt: int = 1
    shown: str = ""
    removed: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    def piece(self, piece: Piece) -> Words:
        if piece.attempt != self.attempt:
            self._take_back()
            self.attempt = piece.attempt
        self._note(piece.faults)
        self.shown += piece.text
        return Words(
            number=self.number,
            attempt=self.attempt,
            text=self.shown.strip(),
            removed=tuple(self.removed),
            reasons=tuple(self.reasons),
        )

    def styled(self, styled: Styled) -> Written:
        said = " ".join((styled.body, *styled.hashtags))
        shown = self.shown.strip()
        is_mended = bool(styled.removed) and said[:_SAME_START] == shown[:_SAME_START]
        if styled.refused or not (said.startswith(shown) or is_mended):
            self._take_back()
        self._note(styled.refused)
        written = Written(
            number=self.number,
            attempt=self.attempt,
            text="" if styled.refused else styled.text,
            body="" if styled.refused else styled.body,
            hashtags=styled.hashtags,
            model=styled.model,
            prompt=styled.prompt,
            log_prob=styled.log_prob,
            removed=(*self.removed, *styled.removed),
            reasons=tuple(self.reasons),
        )
        self.number, self.attempt, self.shown = self.number + 1, 1, ""
        self.removed, self.reasons = [], []
        return written

    def _take_back(self) -> None:
        if shown := self.shown.strip():
            self.removed.append(shown)
        self.shown = ""

    def _note(self, faults: Sequence[Fault]) -> None:
        grave = [fault for fault in faults if fault in GRAVE]  # a text that ends there is short, too
        self.reasons += [str(each) for each in grave or faults if str(each) not in self.reasons]


class _End:
    pass


_END = _End()


class _Desk:
    """One order at a language model, in a thread of its own: it may be left while the model still hangs."""

    def __init__(self, order: Order) -> None:
        self._order = order
        payer = decoding.payer()
        self._payer = replace(payer, patience_s=min(payer.patience_s, settings().restyler_timeout_s))
        self._left = threading.Event()
        self._events: queue.SimpleQueue[Piece | Styled | Exception | _End] = queue.SimpleQueue()
        threading.Thread(target=self._write, name="cutline-styler", daemon=True).start()

    def close(self) -> None:
        """Leave: the thread ends with the next word."""
        self._left.set()

    def next_event(self, deadline: float) -> Piece | Styled | _End | None:
        """The next one; None where there is none yet. Raises what the model raised, RestylerUnavailable."""
        try:
            event = self._events.get(timeout=_TICK_S)
        except queue.Empty:
            event = None
        if isinstance(event, Exception):
            raise event
        if event is not _END and time.monotonic() > deadline:
            raise RestylerUnavailable(
                f"The language model did not finish in {settings().restyler_timeout_s:.0f} s.",
                hint="The plain description stays. Try again.",
            )
        return event

    def _write(self) -> None:
        try:
            with _BUDGET.taken(1, self._payer):
                for event in self._stream():
                    self._events.put(event)
                    if self._left.is_set():
                        return
            self._events.put(_END)
        except Exception as error:  # whatever it is, who asked must hear of it
            self._events.put(_explained(error))

    def _stream(self) -> Iterator[Piece | Styled]:
        if self._left.is_set():
            return
        order = self._order
        with closing(
            _SHELF.get().stream(
                order.description,
                order.voice,
                n=order.n,
                seed=order.seed,
                context=order.context,
                others=order.others,
            )
        ) as events:
            yield from events


def _explained(error: Exception) -> Exception:
    """What an owner may read of it: nothing of where the model runs, or what it answered."""
    match error:
        case OptionError() | ServiceUnavailable():
            return error
        case CaptionerUnavailable():
            log.warning("The language model failed: %s", _without_answers(str(error)))
            return RestylerUnavailable(
                "The language model did not answer, or broke off.",
                hint="The plain description stays. Try again.",
            )
        case CutlineError():
            log.error("The language model cannot be used: %s", error)
            return _nothing_here()
        case _:
            return error


def _without_answers(message: str) -> str:
    """A message as far as it says nothing that the model said: that may be somebody's own."""
    status = re.search(r"HTTP \d{3}", message)
    return message.partition(": ")[0] + (f" ({status[0]})" if status else "")


class _Shelf:
    """The language model of this process, loaded once, however many ask for it first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ready: Restyler | None = None

    def get(self) -> Restyler:
        with self._lock:
            if self._ready is None:
                self._ready = self._load()
            return self._ready

    def close(self) -> None:
        with self._lock:
            self._ready = None

    @staticmethod
    def _load() -> Restyler:
        if settings().restyler == NO_RESTYLER:
            raise _nothing_here()
        timeout_s = settings().restyler_timeout_s
        silence_s = max(_SHORTEST_TIMEOUT_S, timeout_s / 3)
        return sources.load(
            settings().restyler, patience=Patience(timeout_s=silence_s, tries=2, deadline_s=timeout_s)
        )


_SHELF = _Shelf()
_BUDGET = FairBudget(
    "writing in voices",
    total=lambda: settings().restyler_at_once,
    at_once=lambda: settings().restyler_at_once,
)
