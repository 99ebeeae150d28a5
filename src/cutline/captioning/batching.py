"""Concurrent callers share forward passes."""

from __future__ import annotations

import atexit
import queue
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

from PIL import Image

from cutline.captioning.options import DecodingOptions
from cutline.captioning.protocol import Caption, Captioner, ModelInfo, as_list
from cutline.errors import CaptionerUnavailable, CutlineError
from cutline.images import Source, open_image

if TYPE_CHECKING:
    from cutline.captioning.protocol import Sources


@runtime_checkable
class Preparing(Protocol):
    """A captioner that can do the reading and scaling of an image beforehand."""

    def prepare(self, image: Source) -> Image.Image:
        """Read an image and make it small. Raises ImageError."""
        ...


class CaptionerClosed(CaptionerUnavailable):
    """It was closed before this could be asked. Whoever replaced it has another one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    image: Image.Image
    n: int
    options: DecodingOptions | None
    done: Future[list[Caption]]

    @property
    def kind(self) -> Hashable:
        """What jobs must have in common to share a batch."""
        return self.n, self.options


class MicroBatcher:
    """A captioner in front of a captioner: what threads ask for at the same time runs as one batch.

    A batch starts when it has ``max_batch`` images, or ``max_wait_ms`` after its first one came. Where
    ``expects`` says how many callers are about to ask, it does not wait while there are none, and none that
    is still reading its image: so a lone caller waits for nobody. Images are read in the callers' threads;
    one that cannot be read, or that fails, fails its own caller alone.
    Close it, or use it in a ``with``: what was asked before is still answered, what comes after is refused
    (CaptionerClosed).
    """

    def __init__(
        self,
        captioner: Captioner,
        *,
        max_batch: int = 8,
        max_wait_ms: float = 5.0,
        expects: Callable[[], int] | None = None,
    ) -> None:
        if max_batch < 1 or max_wait_ms < 0:
            raise ValueError("max_batch must be 1 or more, and max_wait_ms 0 or more")
        self._captioner = captioner
        self._prepare = captioner.prepare if isinstance(captioner, Preparing) else open_image
        self._max_batch = max_batch
        self._max_wait_s = max_wait_ms / 1000
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._gate = threading.Lock()  # no job may slip in behind the closing mark
        self._is_closed = False
        self._expects = expects
        self._reading = 0  # callers that are reading their images
        self._thread = threading.Thread(target=self._work, name="cutline-batcher", daemon=True)
        self._thread.start()
        # A thread that is inside a model when Python ends takes the whole process down with a signal.
        atexit.register(self.close)

    @property
    def name(self) -> str:
        """The model's name."""
        return self._captioner.name

    @property
    def version(self) -> str:
        """The model's version."""
        return self._captioner.version

    def about(self) -> ModelInfo:
        """The model whose captions this gives."""
        return self._captioner.about()

    def caption(
        self, images: Sources, *, n: int = 1, options: DecodingOptions | None = None
    ) -> list[list[Caption]]:
        """As Captioner; waits for the batch. Raises what went wrong with these images, and no others'."""
        with self._gate:
            self._reading += 1
        jobs: list[_Job] = []
        try:
            prepared = [self._prepare(image) for image in as_list(images)]
            jobs = [_Job(image=image, n=n, options=options, done=Future()) for image in prepared]
        finally:
            with self._gate:  # no batch may start between the two
                self._reading -= 1
                is_refused = self._is_closed
                for job in () if is_refused else jobs:
                    self._jobs.put(job)
        if is_refused:
            raise CaptionerClosed("This captioner is closed.")
        return [job.done.result() for job in jobs]

    def close(self) -> None:
        """Answer what was asked, then stop. May be called twice."""
        with self._gate:
            if not self._is_closed:
                self._is_closed = True
                self._jobs.put(None)
        self._thread.join()
        atexit.unregister(self.close)

    def __enter__(self) -> Self:
        """The batcher itself; leaving the block closes it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """As close()."""
        self.close()

    def _work(self) -> None:
        left: list[_Job] = []  # taken from the queue, but of another kind than the batch that ran
        is_ending = False
        while left or not is_ending:
            if not is_ending:
                is_ending = self._gather(left)
            if not left:
                continue
            kind = left[0].kind
            batch = [job for job in left if job.kind == kind][: self._max_batch]
            chosen = {id(job) for job in batch}
            left = [job for job in left if id(job) not in chosen]
            self._run(batch)

    def _gather(self, jobs: list[_Job]) -> bool:
        """Add jobs until there are enough or the first has waited enough. Says whether the mark came."""
        if not jobs:
            first = self._jobs.get()
            if first is None:
                return True
            jobs.append(first)
            deadline = time.monotonic() + self._max_wait_s
        else:
            deadline = 0.0  # these have waited already
        while len(jobs) < self._max_batch:
            wait_s = max(deadline - time.monotonic(), 0.0) if self._is_waiting_worthwhile() else 0.0
            try:
                job = self._jobs.get(block=wait_s > 0, timeout=wait_s or None)
            except queue.Empty:
                return False
            if job is None:
                return True
            jobs.append(job)
        return False

    def _is_waiting_worthwhile(self) -> bool:
        return self._expects is None or self._reading > 0 or self._expects() > 0

    def _run(self, batch: Sequence[_Job]) -> None:
        try:
            answers = self._ask(batch)
        except Exception as error:  # whatever it is belongs to the callers, and this thread must live on
            self._run_apart(batch, error)
            return
        for job, captions in zip(batch, answers, strict=True):
            job.done.set_result(captions)

    def _run_apart(self, batch: Sequence[_Job], error: Exception) -> None:
        """Find whose failure it was."""
        if len(batch) == 1:
            batch[0].done.set_exception(error)
            return
        for job in batch:
            self._run([job])

    def _ask(self, batch: Sequence[_Job]) -> list[list[Caption]]:
        answers = self._captioner.caption(
            [job.image for job in batch], n=batch[0].n, options=batch[0].options
        )
        if len(answers) != len(batch):
            raise CutlineError(f"{self.name} gave {len(answers)} answers for {len(batch)} images.")
        return answers
