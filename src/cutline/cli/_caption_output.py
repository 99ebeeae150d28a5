"""`--output FILE`: a file of captions that is appended to, and that a later run resumes."""

from __future__ import annotations

import io
import os
import time
from types import TracebackType
from typing import Any, BinaryIO

from cutline.caption_files import FORMATS, CaptionLine, one_line
from cutline.cli._files import output_errors, remove_leftovers, replacement, sync_folder, try_lock, write_all
from cutline.errors import OptionError, OutputError

FSYNC_EVERY_S = 1.0


def plain_lines(line: CaptionLine) -> str:
    """`path<TAB>caption` for each caption, without the last line end; "" for a failed photo."""
    return "\n".join(f"{one_line(line.file)}\t{caption.text}" for caption in line.captions)


def key(file: str) -> str:
    """The absolute path, by which photos are compared. Links are not resolved: each name is a photo."""
    return os.path.abspath(one_line(file))


class CaptionFile:
    """A file of captions that one run at a time appends to, one write per line.

    Opening it reads which photos are done (`done`: key -> whether it failed) and removes an incomplete last
    line of a killed run. Raises OutputError, and changes nothing, if the file is of another format.
    """

    def __init__(self, path: str, *, n: int, retry_failed: bool = False) -> None:
        suffix = os.path.splitext(path)[1].lower()
        if suffix not in FORMATS:
            raise OptionError(f"--output {path}: the name must end in {' or '.join(FORMATS)}.")
        self.path = path
        self.done: dict[str, bool] = {}
        self.other_models: set[str] = set()
        self._format = FORMATS[suffix](n)
        self._retry_failed = retry_failed
        self._synced_at = time.monotonic()

    def __enter__(self) -> CaptionFile:
        """Open, lock, read and repair the file."""
        with output_errors(self.path):
            remove_leftovers(os.path.dirname(os.path.realpath(self.path)))
            self._file = self._open_locked()
            try:
                self._read()
                if self._retry_failed and any(self.done.values()):
                    self._drop_failed()
            except BaseException:
                self._file.close()
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Sync to disk, and close."""
        with output_errors(self.path):
            os.fsync(self._file.fileno())
            self._file.close()

    def append(self, line: CaptionLine) -> None:
        """Write one photo's line; at most a second later it also survives a power cut."""
        with output_errors(self.path):
            write_all(self._file, self._format.encode(line))
            if time.monotonic() - self._synced_at > FSYNC_EVERY_S:
                os.fsync(self._file.fileno())
                self._synced_at = time.monotonic()

    def _open_locked(self) -> BinaryIO:
        is_new = not os.path.lexists(self.path)
        file = open(self.path, "a+b", buffering=0)  # noqa: SIM115 - closed by __exit__
        if not try_lock(file):
            file.close()
            raise OutputError(f"Another run is writing to {self.path}.", hint="Wait for it, or stop it.")
        if is_new:
            sync_folder(os.path.dirname(self.path))
        return file

    def _read(self) -> None:
        """Fill `done` and repair the end of the file. Nothing is changed unless every whole line is valid."""
        self._file.seek(0)
        header = self._format.header()
        whole = 0  # bytes known to be valid
        number = 0
        for number, raw in enumerate(io.BufferedReader(_Unclosing(self._file)), 1):
            if not raw.endswith(b"\n"):
                break
            if number == 1 and header:
                if raw.removeprefix(b"\xef\xbb\xbf").rstrip(b"\r\n") != header.rstrip(b"\n"):
                    raise self._not_ours("its columns differ; -n must be what it was")
            elif raw.strip():
                try:
                    self._remember(self._format.parse(raw))
                except ValueError as error:
                    raise self._not_ours(f"its line {number} is not a line of captions") from error
            whole += len(raw)
        else:
            raw = b""
        if raw:
            whole += self._repair(raw, header if number == 1 else b"", whole)
        if whole == 0 and header:
            write_all(self._file, header)

    def _repair(self, tail: bytes, header: bytes, whole: int) -> int:
        """Complete a last line that lacks only its line end, else cut it off; return its new length."""
        try:
            if header:
                raise ValueError("a header without an end is torn")
            line = self._format.parse(tail)
            if line.failure:  # the message may be cut short: do that photo again
                raise ValueError("an error's end is unknown")
        except ValueError:
            begun = tail.rstrip(b"\0")  # a power cut may leave zeros
            if not (header.startswith(begun) if header else self._format.may_begin(begun)):
                raise self._not_ours("its last line is not a line of captions") from None
            self._file.truncate(whole)
            return 0
        self._remember(line)
        write_all(self._file, b"\n")
        return len(tail) + 1

    def _remember(self, line: CaptionLine) -> None:
        self.done[key(line.file)] = line.failure is not None
        if line.model:
            self.other_models.add(line.model)

    def _not_ours(self, reason: str) -> OutputError:
        return OutputError(
            f"{self.path} cannot be continued: {reason}.",
            kept="Nothing in it was changed.",
            hint="Give another --output, or move that file away.",
        )

    def _drop_failed(self) -> None:
        """Rewrite the file without its failed photos, all or nothing."""
        with replacement(os.path.realpath(self.path)) as temporary, open(temporary, "wb") as kept:
            self._file.seek(0)
            for number, raw in enumerate(io.BufferedReader(_Unclosing(self._file)), 1):
                is_header = number == 1 and bool(self._format.header())
                if is_header or not raw.strip() or not self._format.parse(raw).failure:
                    kept.write(raw)
        self._file.close()
        self._file = self._open_locked()
        self.done = {name: False for name, failed in self.done.items() if not failed}


class _Unclosing(io.RawIOBase):
    """A file for a BufferedReader that must not close it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def readable(self) -> bool:
        """A buffered reader asks before it reads."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read into the buffer; the number of bytes."""
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
