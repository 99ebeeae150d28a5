"""`--output FILE`: a file of captions that is appended to, and that a later run resumes."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import time
from dataclasses import replace
from enum import StrEnum
from itertools import product
from types import TracebackType
from typing import Any, BinaryIO

from cutline.atomic_files import open_to_append, output_errors, remove_leftovers, replacement, write_all
from cutline.caption_files import FORMATS, CaptionLine, CsvLines, one_line
from cutline.errors import OptionError, OutputError
from cutline.file_names import relative_to, resolved_from
from cutline.photo_search import STDIN

FSYNC_EVERY_S = 1.0


def plain_lines(line: CaptionLine) -> str:
    """`path<TAB>caption` for each caption, without the last line end; "" for a failed photo.

    Where there are captions in a voice, these stand there.
    """
    texts = [each["text"] for each in line.styled] or [each.text for each in line.captions]
    return "\n".join(f"{one_line(line.file)}\t{text}" for text in texts)


def key(file: str) -> str:
    """The resolved file, by which photos are compared, whatever they are called."""
    return one_line(os.path.realpath(file))


class SkipBy(StrEnum):
    """What makes a photo one that is done."""

    PATH = "path"
    CONTENT = "content"


class CaptionFile:
    """A file of captions that one run at a time appends to, one write per line.

    Opening it reads which photos are done, and removes an incomplete last line of a killed run. Raises
    OutputError, and changes nothing, if the file is of another format.

    styled: how many captions in a voice a photo has. confident: captions have a confidence. wants_unsure: a
    photo of whose caption the model was not sure counts as one that failed. skip_by: with SkipBy.CONTENT a
    copy of a photo that is done is done, too, and lines hold hashes.
    """

    def __init__(
        self,
        path: str,
        *,
        n: int,
        styled: int = 0,
        confident: bool = False,
        retry_failed: bool = False,
        wants_unsure: bool = False,
        skip_by: SkipBy = SkipBy.PATH,
    ) -> None:
        suffix = os.path.splitext(path)[1].lower()
        if suffix not in FORMATS:
            raise OptionError(f"--output {path}: the name must end in {' or '.join(FORMATS)}.")
        self.path = path
        self._folder = os.path.dirname(os.path.realpath(path))  # which relative names are from
        self._is_older = False
        self._earlier: list[tuple[str, bool, str]] = []  # file, whether it failed, SHA-256
        self._done: dict[str, bool] = {}  # key -> whether it failed
        self._contents = _Contents() if skip_by is SkipBy.CONTENT else None
        self.other_models: set[str] = set()
        self._format = FORMATS[suffix](n)
        if isinstance(self._format, CsvLines):
            self._format = CsvLines(n, styled=styled, confident=confident, hashed=self._contents is not None)
        self._retry_failed = retry_failed
        self._wants_unsure = wants_unsure
        self._synced_at = time.monotonic()

    def __enter__(self) -> CaptionFile:
        """Open, lock, read and repair the file."""
        with output_errors(self.path):
            remove_leftovers(os.path.dirname(os.path.realpath(self.path)))
            self._file = open_to_append(self.path)
            try:
                self._read()
                if self._retry_failed and any(self._done.values()):
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

    def failed_before(self, file: str) -> bool | None:
        """Whether a photo that an earlier line is about had failed; None where there is no such line."""
        failed = self._done.get(key(file))
        if failed is None and self._contents is not None:
            failed = self._contents.find(file)
        return failed

    def append(self, line: CaptionLine) -> None:
        """Write one photo's line; at most a second later it also survives a power cut."""
        name = line.file
        if name != STDIN and not self._is_older:
            name = relative_to(self._folder, name)
        sha256 = self._contents.hash_of(line.file) if self._contents is not None else ""
        line = replace(line, file=name, sha256=sha256)
        with output_errors(self.path):
            write_all(self._file, self._format.encode(line))
            if time.monotonic() - self._synced_at > FSYNC_EVERY_S:
                os.fsync(self._file.fileno())
                self._synced_at = time.monotonic()

    def _read(self) -> None:
        """Fill `done` and repair the end of the file. Nothing is changed unless every whole line is valid."""
        self._file.seek(0)
        written_at_s = os.fstat(self._file.fileno()).st_mtime
        header = self._format.header()
        whole = 0  # bytes known to be valid
        number = 0
        for number, raw in enumerate(io.BufferedReader(_Unclosing(self._file)), 1):
            if not raw.endswith(b"\n"):
                break
            if number == 1 and header:
                self._adopt(raw.removeprefix(b"\xef\xbb\xbf").rstrip(b"\r\n"))
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
        self._resolve(written_at_s)

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

    def _adopt(self, header: bytes) -> None:
        """Go on in the file's own columns, which may have hashes and confidences or not."""
        wanted = self._format
        assert isinstance(wanted, CsvLines)
        for hashed, confident in product((False, True), repeat=2):
            columns = CsvLines(wanted.n, styled=wanted.styled, confident=confident, hashed=hashed)
            if header == columns.header().rstrip(b"\n"):
                self._format = columns
                return
        raise self._not_ours("its columns differ; -n must be what it was, and so must a voice or none")

    def _remember(self, line: CaptionLine) -> None:
        self._earlier.append((line.file, self._has_failed(line), line.sha256))
        if line.model:
            self.other_models.add(line.model)

    def _has_failed(self, line: CaptionLine) -> bool:
        return line.is_failed or (self._wants_unsure and line.is_unsure)

    def _resolve(self, written_at_s: float) -> None:
        """Find the photos of the earlier lines.

        Older versions wrote names as they were typed: such a file goes on as it is, from the folder where its
        photos are found. It has relative names only, none of them below the file, and some here that were
        there before it was last written. (Else another photo may have got the name of one that is gone.)
        """
        names = [file for file, _, _ in self._earlier if file != STDIN]
        if not any(
            os.path.isabs(name) or os.path.exists(resolved_from(self._folder, name)) for name in names
        ):
            here = os.getcwd()
            self._is_older = any(_was_there(resolved_from(here, name), written_at_s) for name in names)
            self._folder = here if self._is_older else self._folder
        for file, failed, sha256 in self._earlier:
            name = resolved_from(self._folder, file)
            self._done[one_line(name)] = failed
            if self._contents is not None:
                self._contents.remember(name, sha256, failed)
        self._earlier.clear()

    def _not_ours(self, reason: str) -> OutputError:
        return OutputError(
            f"{self.path} cannot be continued: {reason}.",
            kept="Nothing in it was changed.",
            hint="Give another --output, or move that file away.",
        )

    def _drop_failed(self) -> None:
        """Rewrite the file without its failed photos, all or nothing."""
        with replacement(self.path) as temporary, open(temporary, "wb") as kept:
            self._file.seek(0)
            for number, raw in enumerate(io.BufferedReader(_Unclosing(self._file)), 1):
                is_header = number == 1 and bool(self._format.header())
                if is_header or not raw.strip() or not self._has_failed(self._format.parse(raw)):
                    kept.write(raw)
        self._file.close()
        self._file = open_to_append(self.path)
        self._done = {name: False for name, failed in self._done.items() if not failed}
        if self._contents is not None:
            self._contents.forget_failed()


def _was_there(path: str, at_s: float) -> bool:
    try:
        return os.stat(path).st_ctime <= at_s
    except OSError:
        return False


class _Contents:
    """Which contents are done. Photos whose line has no hash are hashed where one of their size turns up."""

    def __init__(self) -> None:
        self._by_hash: dict[str, bool] = {}  # SHA-256 -> whether it failed
        self._by_size: dict[int, list[tuple[str, bool]]] = {}  # photos that are not hashed yet
        self._hashes: dict[str, str] = {}  # of photos that are asked for, until they are written

    def remember(self, file: str, sha256: str, failed: bool) -> None:
        """Note a photo of an earlier line."""
        if sha256:
            self._by_hash[sha256] = failed
            return
        with contextlib.suppress(OSError):
            self._by_size.setdefault(os.path.getsize(file), []).append((file, failed))

    def find(self, file: str) -> bool | None:
        """Whether the photo with this one's content had failed; None where there is none."""
        try:
            size = os.path.getsize(file)
        except OSError:
            return None
        for earlier, failed in self._by_size.pop(size, ()):
            if earlier_hash := _file_hash(earlier):
                self._by_hash[earlier_hash] = failed
        sha256 = _file_hash(file)
        if not sha256 or sha256 in self._by_hash:
            return self._by_hash.get(sha256)
        self._by_hash[sha256] = False  # for further copies in this run
        self._hashes[file] = sha256
        return None

    def hash_of(self, file: str) -> str:
        """The hash of a photo that is written now."""
        return self._hashes.pop(file, "") or _file_hash(file)

    def forget_failed(self) -> None:
        """As if the photos that failed had never been tried."""
        self._by_hash = {name: False for name, failed in self._by_hash.items() if not failed}
        for size, photos in self._by_size.items():
            self._by_size[size] = [photo for photo in photos if not photo[1]]


def _file_hash(file: str) -> str:
    """The SHA-256 of a file's bytes; "" if it cannot be read, which captioning it will report."""
    try:
        with open(file, "rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError:
        return ""


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
