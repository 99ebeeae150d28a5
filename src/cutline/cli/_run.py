"""One run over many photos: read ahead on threads, caption in batches, write in order.

At most a few batches are in memory, however many photos there are.
"""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import click
from PIL import Image

from cutline.caption_files import CaptionLine, Failure, ScoredCaption
from cutline.captioning.certainty import sure_ones
from cutline.captioning.streaming import Outcome, caption_ready, model_input, read_ahead
from cutline.cli._caption_output import CaptionFile, key
from cutline.errors import CaptionUnsure, CutlineError, ImageMissing, OutputError
from cutline.images import Limits, open_image, to_pixels
from cutline.photo_search import STDIN, Found
from cutline.sidecars import Sidecars

if TYPE_CHECKING:
    from cutline.captioning.options import DecodingOptions
    from cutline.captioning.protocol import Caption, Captioner
    from cutline.cli._metadata import Metadata
    from cutline.cli._xmp_files import XmpFiles
    from cutline.styles.records import Voicing

# For captioners with unknown preprocessing: enough for any vision model, and small enough to keep many.
PLENTY_PX = 1024


class Progress(Protocol):
    """The part of tqdm's bar that is used."""

    total: float | None

    def update(self, n: float = 1) -> bool | None:
        """Advance by n photos."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What to do with each photo."""

    n: int
    options: DecodingOptions
    limits: Limits
    strict: bool  # refuse what is merely cut short, too
    min_confidence: float | None  # None: whatever the model is sure of
    batch_size: int | None  # None: as suits the captioner
    decorate: Callable[[str], str]
    emit: Callable[[CaptionLine], None]  # writes one photo's line
    report: Callable[[str], None]  # prints to stderr
    voice: Voicing | None = None
    output: CaptionFile | None = None
    sidecars: Sidecars | None = None
    metadata: Metadata | None = None
    xmp_files: XmpFiles | None = None
    attention: Callable[[Found], str] | None = None  # where a photo's picture goes


@dataclass(slots=True, kw_only=True)
class Tally:
    """The counts of a run."""

    captioned: int = 0
    failed: int = 0
    skipped: int = 0
    unsure: int = 0  # the model was less sure than was asked for
    failed_before: int = 0  # of the skipped
    incomplete: int = 0  # captioned, but a sidecar, description or picture could not be written
    kept_sidecars: int = 0  # written by a person, and kept
    kept_descriptions: int = 0
    kept_xmp: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ready:
    """A photo that is read: what the captioner gets, what a picture of attention needs; or the error."""

    found: Found
    photo: Image.Image | None = None
    whole: Image.Image | None = None
    error: CutlineError | None = None


class Run:
    """Captions photos with one captioner into the outputs of one job; `tally` counts them."""

    def __init__(self, captioner: Captioner, job: Job, progress: Progress | None = None) -> None:
        self.tally = Tally()
        self._captioner = captioner
        self._job = job
        self._progress = progress
        self._model = f"{captioner.name}@{captioner.version}"
        self._input = model_input(captioner)

    def over(self, photos: Iterator[Found]) -> Tally:
        """Caption all photos, each once. A photo that fails is reported and skipped.

        Raises errors that would fail every further photo, with what was kept until then.
        """
        try:
            with closing(read_ahead(self._fresh(photos), self._read)) as ready:
                for each, outcome in caption_ready(
                    self._captioner,
                    ready,
                    n=self._job.n,
                    options=self._job.options,
                    batch_size=self._job.batch_size,
                ):
                    self._answer(each, outcome)
                    self._count(1)
        except CutlineError as error:
            if self.tally.captioned and not error.kept:
                output = self._job.output
                where = f" in {output.path}; the same command continues from there" if output else ""
                error.kept = f"{self.tally.captioned:,} captions were written{where}."
            raise
        return self.tally

    def _answer(self, ready: _Ready, outcome: Outcome) -> None:
        if isinstance(outcome, CutlineError):
            self._write_failure(ready.found, outcome)
            self.tally.failed += 1
            return
        try:
            captions = sure_ones(outcome, self._job.min_confidence)
        except CaptionUnsure as error:
            self._write_failure(ready.found, error)
            self.tally.unsure += 1
            return
        self._write(ready, captions)

    def _count(self, photos: int) -> None:
        if self._progress is not None:
            self._progress.update(photos)

    # Reading

    def _fresh(self, photos: Iterator[Found]) -> Iterator[Found]:
        """The photos that neither this run nor an earlier one has seen."""
        output = self._job.output
        seen: set[str] = set()
        for found in photos:
            if found.path == STDIN:
                yield found
                continue
            name = key(found.path)
            is_new = name not in seen
            seen.add(name)
            failed = output.failed_before(found.path) if is_new and output is not None else None
            if is_new and failed is None:
                yield found
                continue
            self.tally.skipped += is_new
            self.tally.failed_before += bool(failed)
            self._count(1)

    def _read(self, found: Found) -> _Ready:
        if found.error is not None:
            return _Ready(found=found, error=found.error)
        limits = self._job.limits
        try:
            source = _standard_input(limits) if found.path == STDIN else found.path
            whole = open_image(
                source,
                limits=limits,
                enough_px=self._input.enough_px if self._input else PLENTY_PX,
                strict=self._job.strict,
            )
        except CutlineError as error:
            return _Ready(found=found, error=error)
        photo = Image.fromarray(to_pixels(whole, self._input)) if self._input else whole
        return _Ready(found=found, photo=photo, whole=whole if self._job.attention else None)

    # Writing

    def _write(self, ready: _Ready, captions: Sequence[Caption]) -> None:
        """Write the line last: even after a kill, a photo that has its line is completely done."""
        file = ready.found.path
        scored = tuple(
            ScoredCaption(
                text=self._job.decorate(each.text), log_prob=each.log_prob, confidence=each.confidence
            )
            for each in captions
        )
        line = CaptionLine(file=file, model=self._model, captions=scored)
        problems: list[CutlineError] = []
        if self._job.voice is not None:
            from cutline.styles.records import in_voice

            line, refusals = in_voice(line, self._job.voice)
            problems += refusals
        problems += self._problems(ready, captions, [each.text for each in scored])
        self._job.emit(line)
        self.tally.captioned += 1
        self.tally.incomplete += bool(problems)
        for problem in problems:
            self._job.report(message_for(file, problem))

    def _problems(
        self, ready: _Ready, captions: Sequence[Caption], texts: Sequence[str]
    ) -> Iterator[OutputError]:
        """Write everything besides the line; yields an error for each thing that could not be written."""
        steps: list[Callable[[], None]] = []
        if self._job.sidecars is not None:
            steps.append(partial(self._write_sidecar, self._job.sidecars, ready.found.path, texts))
        if self._job.metadata is not None and texts:
            steps.append(partial(self._write_metadata, self._job.metadata, ready.found.path, texts[0]))
        if self._job.xmp_files is not None and texts:
            steps.append(partial(self._write_xmp, self._job.xmp_files, ready.found.path, texts[0]))
        if self._job.attention is not None and ready.whole is not None and captions:
            path = self._job.attention(ready.found)
            steps.append(partial(self._write_attention, path, ready.whole, captions[0]))
        for step in steps:
            try:
                step()
            except OutputError as error:
                yield error

    def _write_sidecar(self, sidecars: Sidecars, file: str, texts: Sequence[str]) -> None:
        self.tally.kept_sidecars += sidecars.write(file, texts) is None

    def _write_metadata(self, metadata: Metadata, file: str, text: str) -> None:
        self.tally.kept_descriptions += not metadata.write(file, text)

    def _write_xmp(self, xmp_files: XmpFiles, file: str, text: str) -> None:
        self.tally.kept_xmp += not xmp_files.write(file, text)

    def _write_attention(self, path: str, whole: Image.Image, best: Caption) -> None:
        from cutline.cli._attention import attention_picture

        picture = attention_picture(whole, best.text, best.words, best.attention, self._input)
        try:
            picture.save(path, "PNG")
        except OSError as error:
            raise OutputError(f"{path} cannot be written ({error.strerror or error}).") from error

    def _write_failure(self, found: Found, error: CutlineError) -> None:
        self._job.emit(CaptionLine(file=found.path, failure=Failure.of(error)))
        self._job.report(message_for(found.path, error))


def _standard_input(limits: Limits) -> bytes:
    try:
        return sys.stdin.buffer.read(limits.max_file_bytes + 1)
    except OSError as error:
        raise ImageMissing(f"Standard input cannot be read ({error.strerror}).") from error


def message_for(file: str, error: CutlineError) -> str:
    """An error as one line for a person, with the photo's name in front unless the message has it."""
    text = str(error)
    return text if file in text else f"{file}: {text}"


def reporter(progress: Any) -> Callable[[str], None]:
    """A function that prints lines to stderr, above the progress bar if there is one."""

    def report(text: str) -> None:
        with progress.external_write_mode() if progress is not None else contextlib.nullcontext():
            click.echo(f"cutline: {text.encode('utf-8', 'backslashreplace').decode()}", err=True)

    return report


def count_in_background(photos: Iterator[Found], progress: Progress) -> None:
    """Count the photos on a thread, for the progress bar: listing names is far quicker than captioning."""

    def count() -> None:
        progress.total = sum(1 for _ in photos)

    threading.Thread(target=count, name="cutline-count", daemon=True).start()
