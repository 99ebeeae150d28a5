"""The batch function: rows in, one line of captions for each out. Every engine calls it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from PIL import Image

import cutline
from cutline.alt_text import decorator
from cutline.bulk.places import read_photo
from cutline.bulk.rows import Bytes, Row
from cutline.bulk.sources import named
from cutline.caption_files import CaptionLine, Failure, ScoredCaption
from cutline.captioning.certainty import check_says_confidence, sure_ones
from cutline.captioning.options import DecodingOptions
from cutline.captioning.protocol import Caption, Captioner
from cutline.captioning.runtime import at_most_threads
from cutline.captioning.streaming import Streaming, caption_ready, model_input, read_ahead
from cutline.errors import CaptionUnsure, CutlineError
from cutline.images import DEFAULT_LIMITS, Limits, open_image, to_pixels

if TYPE_CHECKING:
    from cutline.styles import Voice
    from cutline.styles.records import Voicing

TOGETHER = 32  # decoded at once: a fifth quicker for each than 16, for twice the memory
READERS = 8  # most of them wait for a disk or for a server
ENOUGH_PX = 1024  # for captioners that scale photos themselves: enough for any, and small enough to keep many


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What is done with each photo, the same in every process that does it.

    model and restyler are URIs as `cutline caption` takes them. A voice has prefix and suffix, too; these
    here are for captions without one. min_confidence: photos of whose captions it is less sure get an error
    instead. batch_size None: what is quickest. threads: the most that a bundle uses. keep_bytes: answers
    carry the photo's bytes. photo_timeout_s: how long one photo may take in a process of its own; None waits.
    """

    model: str | None = None
    n: int = 1
    decoding: DecodingOptions = field(default_factory=DecodingOptions)
    voice: Voice | None = None
    restyler: str | None = None
    prefix: str = ""
    suffix: str = ""
    max_chars: int | None = None
    min_confidence: float | None = None
    limits: Limits = DEFAULT_LIMITS
    strict: bool = False
    batch_size: int | None = None
    threads: int | None = None
    keep_bytes: bool = False
    photo_timeout_s: float | None = None

    def record(self) -> dict[str, Any]:
        """What decides what the captions are, as JSON has it: what differs from the defaults."""
        plain = asdict(Settings())
        mine = asdict(self)
        return {
            each.name: mine[each.name]
            for each in fields(self)
            if each.name not in ("batch_size", "keep_bytes", "photo_timeout_s", "threads")
            and mine[each.name] != plain[each.name]
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A photo's line; notes: what could not be done besides. data: its bytes, where they were asked for."""

    line: CaptionLine
    notes: tuple[str, ...] = ()
    data: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ready:
    row: Row
    photo: Image.Image | None = None
    error: CutlineError | None = None
    data: bytes | None = None


class BatchCaptioner:
    """Captions rows as settings say. Makes its models at once, in the process that it is made in."""

    def __init__(
        self, settings: Settings, *, load_captioner: Callable[[str | None], Captioner] = cutline.load
    ) -> None:
        self._settings = settings
        self._decorate = decorator(
            prefix="" if settings.voice else settings.prefix,
            suffix="" if settings.voice else settings.suffix,
            max_chars=settings.max_chars,
        )
        with at_most_threads(settings.threads):
            self._captioner = load_captioner(settings.model)
        self._input = model_input(self._captioner)
        can_have_more = isinstance(self._captioner, Streaming) and not settings.keep_bytes
        self._together = TOGETHER if can_have_more else None
        self._voicing: Voicing | None = None
        if settings.voice is not None:
            from cutline.styles import load
            from cutline.styles.records import Voicing

            self._voicing = Voicing(voice=settings.voice, restyler=load(settings.restyler), n=settings.n)
        self.about = self._captioner.about()
        check_says_confidence(self.about, settings.min_confidence)

    def over(self, rows: Iterable[Row]) -> Iterator[Done]:
        """Caption any number of rows in order, a few batches at a time; a bad photo's line has its error.

        Raises errors that would fail every photo.
        """
        settings = self._settings
        with closing(read_ahead(iter(rows), self._read, readers=READERS)) as photos:
            for ready, outcome in caption_ready(
                self._captioner,
                photos,
                n=1 if self._voicing else settings.n,
                options=settings.decoding,
                batch_size=settings.batch_size or self._together,
            ):
                if isinstance(outcome, CutlineError):
                    line = CaptionLine(file=ready.row.file, failure=Failure.of(outcome))
                    yield Done(line=line, data=ready.data)
                else:
                    yield self._sure(ready, outcome)

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, list[Any]]:
        """Columns in, columns out: for Ray, Spark, Dask and plain Python.

        batch["image"]: paths, URLs, or photos in memory. Gives "caption", "captions" (all of them),
        "log_prob", "confidence", "styled" (those in the voice) and, for photos without, "error_code" and
        "error_message".
        """
        lines = [done.line for done in self.over(map(_row, batch["image"]))]
        return {
            "caption": [line.captions[0].text if line.captions else None for line in lines],
            "captions": [[each.text for each in line.captions] for line in lines],
            "log_prob": [line.captions[0].log_prob if line.captions else None for line in lines],
            "confidence": [line.captions[0].confidence if line.captions else None for line in lines],
            "styled": [[str(each["text"]) for each in line.styled] for line in lines],
            "error_code": [line.failure.code if line.failure else None for line in lines],
            "error_message": [line.failure.message if line.failure else None for line in lines],
        }

    def _read(self, row: Row) -> _Ready:
        data = None
        try:
            source = row.place.source(self._settings.limits)
            if self._settings.keep_bytes and not isinstance(source, Image.Image):
                source = data = self._bytes(source)
            whole = open_image(
                source,
                limits=self._settings.limits,
                enough_px=self._input.enough_px if self._input else ENOUGH_PX,
                strict=self._settings.strict,
            )
        except CutlineError as error:
            return _Ready(row=row, error=error, data=data)
        photo = Image.fromarray(to_pixels(whole, self._input)) if self._input else whole
        return _Ready(row=row, photo=photo, data=data)

    def _bytes(self, source: str | os.PathLike[str] | bytes) -> bytes:
        if isinstance(source, bytes):
            return source
        return read_photo(os.fspath(source), self._settings.limits)

    def _sure(self, ready: _Ready, captions: Sequence[Caption]) -> Done:
        try:
            return self._done(ready, sure_ones(captions, self._settings.min_confidence))
        except CaptionUnsure as error:
            return Done(line=CaptionLine(file=ready.row.file, failure=Failure.of(error)), data=ready.data)

    def _done(self, ready: _Ready, captions: Sequence[Caption]) -> Done:
        scored = tuple(
            ScoredCaption(text=self._decorate(each.text), log_prob=each.log_prob, confidence=each.confidence)
            for each in captions
        )
        line = CaptionLine(file=ready.row.file, model=self.about.label, captions=scored)
        notes: tuple[str, ...] = ()
        if self._voicing is not None:
            from cutline.styles.records import in_voice

            line, refusals = in_voice(line, self._voicing)
            if refusals:
                line = replace(line, styled_failure=Failure.of(refusals[0]))
                notes = tuple(map(str, refusals))
        return Done(line=line, notes=notes, data=ready.data)


def _row(image: Any) -> Row:
    if isinstance(image, str):
        return named(image)
    if isinstance(image, Mapping):  # as Hugging Face's data sets have them
        image = image.get("bytes") or image.get("path")
    if isinstance(image, bytearray | memoryview):
        image = bytes(image)
    return Row(file="", place=Bytes(data=image))
