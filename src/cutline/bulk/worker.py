"""Captions in a process of its own: what crashes it costs one photo, which is found and reported.

Photos come from anybody, and decoders and runtimes are native code: a file may crash them, or take more
memory than there is. So the captioner is a child. Where it dies, a new one gets the photos that it had not
answered one at a time, until one of them kills it again: twice, alone, and that photo is a row with an error.
A child that gives no answer for too long is ended, and then it is the same.
"""

from __future__ import annotations

import math
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Any, BinaryIO, cast

from cutline.bulk.batch import BatchCaptioner, Done, Settings
from cutline.bulk.rows import Row
from cutline.caption_files import CaptionLine, Failure
from cutline.captioning.protocol import ModelInfo
from cutline.errors import CaptionerUnavailable, CutlineError, ImageCrashed, ImageError, ImageTimedOut
from cutline.terminal import name_the_command_in_warnings

_ATTEMPTS = 2
_TIMES_IN_A_STREAM = 4  # as long may a photo take among others: it may wait for its batch
_FATAL = (ImageCrashed.code, ImageTimedOut.code)
_ALONE, _STREAM, _END = "alone", "stream", "end"


class _Died(Exception):
    """The child is gone, with the reason."""


class _TooSlow(_Died):
    """The child was ended, for it gave no answer in time."""


class _Alarm:
    """Calls ``ring`` once an answer is waited for longer than is allowed. Use ``waiting`` around the wait."""

    def __init__(self, ring: Callable[[], None], *, tick_s: float) -> None:
        self._ring = ring
        self._tick_s = tick_s
        self._until = math.inf
        self._is_over = threading.Event()
        self.has_rung = False
        threading.Thread(target=self._watch, name="cutline-alarm", daemon=True).start()

    @contextmanager
    def waiting(self, seconds: float) -> Iterator[None]:
        """Ring if this takes longer."""
        self._until = time.monotonic() + seconds
        try:
            yield
        finally:
            self._until = math.inf

    def end(self) -> None:
        """Ring no more."""
        self._is_over.set()

    def _watch(self) -> None:
        while not self._is_over.wait(self._tick_s):
            if time.monotonic() > self._until:
                self.has_rung = True
                self._ring()
                return


class _Child:
    """The process, and pickles to and from it."""

    def __init__(self, settings: Settings) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "cutline.bulk.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._in = cast(BinaryIO, self._process.stdin)
        self._out = cast(BinaryIO, self._process.stdout)
        self._limit_s = settings.photo_timeout_s
        self._alarm: _Alarm | None = None
        if self._limit_s is not None:
            self._alarm = _Alarm(self._process.kill, tick_s=max(0.05, min(1.0, self._limit_s / 4)))
        self.send(settings)

    def send(self, message: object) -> None:
        """Raises _Died."""
        try:
            pickle.dump(message, self._in)
            self._in.flush()
        except (OSError, ValueError) as error:
            raise _Died(self._reason()) from error

    def receive(self, *, times: int = 0) -> Any:
        """Raises _Died, or the CutlineError that the child met.

        times: how often the limit of a photo this may take; 0 waits, for a model that is loaded.
        """
        try:
            with self._in_time(times):
                message = pickle.load(self._out)
        except (OSError, EOFError, ValueError, pickle.UnpicklingError) as error:
            if self._alarm is not None and self._alarm.has_rung:
                self._process.wait()
                raise _TooSlow(f"longer than {self._limit_s:g} s") from error
            raise _Died(self._reason()) from error
        if isinstance(message, CutlineError):
            raise message
        return message

    def _in_time(self, times: int) -> AbstractContextManager[None]:
        if self._alarm is None or self._limit_s is None or not times:
            return nullcontext()
        return self._alarm.waiting(times * self._limit_s)

    def end(self) -> None:
        """End it, whatever it does."""
        if self._alarm is not None:
            self._alarm.end()
        self._process.kill()
        self._process.wait()
        with suppress(OSError):
            self._in.close()
        self._out.close()

    def _reason(self) -> str:
        code = self._process.wait()
        if code >= 0:
            return f"exit code {code}"
        with suppress(ValueError):
            return signal.Signals(-code).name
        return f"signal {-code}"


class Isolated:
    """A BatchCaptioner in a process of its own. Use it in a ``with``. For one thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._child: _Child | None = None
        self._about: ModelInfo | None = None

    def __enter__(self) -> Isolated:
        """Start the process, which says which model it has. Raises what making the model raises."""
        self._started()
        return self

    def __exit__(self, *raised: object) -> None:
        """End the process."""
        self._end()

    @property
    def about(self) -> ModelInfo:
        """The model."""
        assert self._about is not None
        return self._about

    def over(self, rows: Iterable[Row]) -> Generator[tuple[Row, Done], None, None]:
        """As BatchCaptioner.over, with the rows; a photo that crashes the process is a line with an error."""
        waiting: deque[Row] = deque()  # what the child has been given, and has not answered
        rest = iter(rows)
        while True:
            try:
                yield from self._stream(waiting, rest)
                return
            except _Died:
                self._end()
                yield from self._one_by_one(waiting)

    def _stream(self, waiting: deque[Row], rest: Iterator[Row]) -> Iterator[tuple[Row, Done]]:
        child = self._started()
        child.send(_STREAM)
        failures: list[BaseException] = []

        def feed() -> None:
            try:
                for row in list(waiting):
                    child.send(row)
                for row in rest:
                    waiting.append(row)
                    child.send(row)
                child.send(_END)
            except _Died:
                pass  # whoever receives learns of it, too
            except BaseException as error:  # of the source; the child is ended, so that nobody waits for more
                failures.append(error)
                child.end()

        feeder = threading.Thread(target=feed, name="cutline-feed", daemon=True)
        feeder.start()
        try:
            while (done := child.receive(times=_TIMES_IN_A_STREAM)) != _END:
                yield waiting.popleft(), done
        except _Died:
            feeder.join()
            if failures:
                raise failures[0] from None
            raise
        finally:
            if feeder.is_alive() and sys.exc_info()[0] is not None:
                self._end()
                feeder.join()

    def _one_by_one(self, waiting: deque[Row]) -> Iterator[tuple[Row, Done]]:
        """Caption what the dead child had, until the photo is found that kills it."""
        while waiting:
            row = waiting[0]
            done = self._alone(row)
            yield waiting.popleft(), done
            if done.line.failure is not None and done.line.failure.code in _FATAL:
                return

    def _alone(self, row: Row) -> Done:
        reason = ""
        for _ in range(_ATTEMPTS):
            child = self._started()
            try:
                child.send(_ALONE)
                child.send(row)
                return cast(Done, child.receive(times=1))
            except _TooSlow as error:
                self._end()
                return _failed(row, ImageTimedOut(f"{row.file} took {error}."))
            except _Died as error:
                reason = str(error)
                self._end()
        return _failed(row, ImageCrashed(f"{row.file} crashed the process that captions ({reason})."))

    def _started(self) -> _Child:
        if self._child is None:
            child = _Child(self._settings)
            try:
                self._about = child.receive()
            except _Died as error:
                child.end()
                raise CaptionerUnavailable(
                    f"The process that captions ended at its start ({error})."
                ) from error
            except CutlineError:
                child.end()
                raise
            self._child = child
        return self._child

    def _end(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None


def _failed(row: Row, error: ImageError) -> Done:
    return Done(line=CaptionLine(file=row.file, failure=Failure.of(error)))


def _serve(rows: BinaryIO, answers: BinaryIO) -> None:
    """What the child does, until nobody asks any more."""

    def answer(message: object) -> None:
        pickle.dump(message, answers)
        answers.flush()

    def asked() -> Iterator[Row]:
        while (row := pickle.load(rows)) != _END:
            yield row

    try:
        captions = BatchCaptioner(pickle.load(rows))
        answer(captions.about)
        while True:
            if pickle.load(rows) == _ALONE:
                answer(next(iter(captions.over([pickle.load(rows)]))))
            else:
                for done in captions.over(asked()):
                    answer(done)
                answer(_END)
    except CutlineError as error:
        answer(error)


def main() -> None:
    """The child: pickles come on standard input and go to standard output, which nobody else may write to."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    name_the_command_in_warnings()
    with suppress(EOFError, BrokenPipeError), os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)
        _serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
