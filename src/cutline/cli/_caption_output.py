"""`--output FILE`: a file of captions that is appended to, and that a later run resumes."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import time
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from itertools import product
from types import TracebackType
from typing import Any, BinaryIO, TypeAlias

from cutline.atomic_files import open_to_append, output_errors, remove_leftovers, replacement, write_all
from cutline.caption_files import FORMATS, CaptionFormat, CaptionLine, CsvLines, one_line
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
    copy of a photo that is done is done, too, another photo of its name is not, and lines hold hashes.

    taken_from: the folder from which the names of an older version were taken to be; "" where none were.
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
        self.taken_from = ""
        self._earlier: list[CaptionLine] = []  # without their captions
        self._done: dict[str, bool] = {}  # key -> whether it failed
        self._contents = _Contents() if skip_by is SkipBy.CONTENT else None
        self.other_models: set[str] = set()
        self._format = FORMATS[suffix](n)
        if isinstance(self._format, CsvLines):
            hashed = self._contents is not None
            self._format = CsvLines(n, styled=styled, confident=confident, hashed=hashed, based=True)
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
                if self._contents is not None and self._columns(hashed=True) is not self._format:
                    self._rewrite(lambda line: line, self._columns(hashed=True))
            except BaseException:
                self._file.close()
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Note what was learned of earlier photos, sync to disk, and close."""
        with output_errors(self.path):
            if kind is None and self._contents is not None and self._contents.learned:
                self._rewrite(self._with_hash, self._format)
            os.fsync(self._file.fileno())
            self._file.close()

    def failed_before(self, file: str) -> bool | None:
        """Whether a photo that an earlier line is about had failed; None where there is no such line."""
        failed = self._done.get(key(file))
        return failed if self._contents is None else self._contents.find(file, failed)

    def append(self, line: CaptionLine) -> None:
        """Write one photo's line; at most a second later it also survives a power cut."""
        if self._contents is not None:
            sha256, before = self._contents.hashes_of(line.file)
            line = replace(line, sha256=sha256, sha256_before=before)
        line = self._placed(line, line.file)
        with output_errors(self.path):
            write_all(self._file, self._format.encode(line))
            if time.monotonic() - self._synced_at > FSYNC_EVERY_S:
                os.fsync(self._file.fileno())
                self._synced_at = time.monotonic()

    def _placed(self, line: CaptionLine, file: str) -> CaptionLine:
        """A line with the name by which its photo is found from this file."""
        if file == STDIN:
            return line
        name = relative_to(self._folder, file)
        return replace(line, file=name, base="" if os.path.isabs(name) else ".")

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
            headers = (header, header.replace(b'"', b""))  # of an older version
            begins_header = any(each.startswith(begun) for each in headers)
            if not (begins_header if header else self._format.may_begin(begun)):
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
        for hashed, confident, based in product((False, True), repeat=3):
            columns = CsvLines(
                wanted.n, styled=wanted.styled, confident=confident, hashed=hashed, based=based
            )
            if header == columns.header().rstrip(b"\n"):
                self._format = columns
                return
        raise self._not_ours("its columns differ; -n must be what it was, and so must a voice or none")

    def _remember(self, line: CaptionLine) -> None:
        self._earlier.append(replace(line, captions=()))
        if line.model:
            self.other_models.add(line.model)

    def _has_failed(self, line: CaptionLine) -> bool:
        return line.is_failed or (self._wants_unsure and line.is_unsure)

    def _resolve(self, written_at_s: float) -> None:
        """Find the photos of the earlier lines.

        Older versions wrote names as they were typed. Such a file has relative names only, none that says
        from where, none of a photo below the file, and some of photos here that were there before it was last
        written. (Else another photo may have got the name of one that is gone.) Its names are written anew,
        for from another folder they would mean other photos.
        """
        names = [line.file for line in self._earlier if line.file != STDIN]
        is_placed = any(line.base or os.path.isabs(line.file) for line in self._earlier)
        if not is_placed and not any(os.path.exists(resolved_from(self._folder, name)) for name in names):
            here = os.getcwd()
            if any(_was_there(resolved_from(here, name), written_at_s) for name in names):
                self.taken_from = here
                self._earlier = [self._taken_from_here(line) for line in self._earlier]
                self._rewrite(self._taken_from_here, self._columns(based=True))
        for line in self._earlier:
            name, failed = resolved_from(self._folder, line.file), self._has_failed(line)
            self._done[one_line(name)] = failed
            if self._contents is not None:
                self._contents.remember(name, line, failed)
        self._earlier.clear()

    def _taken_from_here(self, line: CaptionLine) -> CaptionLine:
        is_stdin = line.file == STDIN
        return line if is_stdin else self._placed(line, resolved_from(self.taken_from, line.file))

    def _not_ours(self, reason: str) -> OutputError:
        return OutputError(
            f"{self.path} cannot be continued: {reason}.",
            kept="Nothing in it was changed.",
            hint="Give another --output, or move that file away.",
        )

    def _drop_failed(self) -> None:
        """Rewrite the file without its failed photos."""
        self._rewrite(lambda line: None if self._has_failed(line) else line, self._format)
        self._done = {name: False for name, failed in self._done.items() if not failed}
        if self._contents is not None:
            self._contents.forget_failed()

    def _with_hash(self, line: CaptionLine) -> CaptionLine:
        """A line with what was learned of its photo."""
        assert self._contents is not None
        name = one_line(resolved_from(self._folder, line.file))
        return replace(line, sha256=line.sha256 or self._contents.learned.get(name, ""))

    def _columns(self, **more: bool) -> CaptionFormat:
        """The format with more columns, or a header that says more; itself where it has them."""
        now = self._format
        if not isinstance(now, CsvLines) or all(getattr(now, name) for name in more):
            return now
        has = {name: getattr(now, name) for name in ("confident", "hashed", "based")}
        return CsvLines(now.n, styled=now.styled, **(has | more))

    def _rewrite(self, change: Callable[[CaptionLine], CaptionLine | None], becomes: CaptionFormat) -> None:
        """Write the file anew, all or nothing: lines get other names and hashes, or are dropped."""
        with replacement(self.path) as temporary, open(temporary, "wb") as file:
            self._file.seek(0)
            for number, raw in enumerate(io.BufferedReader(_Unclosing(self._file)), 1):
                if number == 1 and self._format.header():
                    file.write(raw if becomes is self._format else becomes.header())
                elif raw.strip():
                    line = self._format.parse(raw)
                    changed = change(line)
                    if changed == line and becomes is self._format:
                        file.write(raw)
                    elif changed is not None:
                        file.write(becomes.amended(raw, changed))
        self._file.close()
        self._file = open_to_append(self.path)
        self._format = becomes


def _was_there(path: str, at_s: float) -> bool:
    try:
        status = os.stat(path)
        return min(status.st_mtime, status.st_ctime) <= at_s  # a copy keeps the one alone
    except OSError:
        return False


class _Contents:
    """Which contents are done. Photos whose line has no hash are hashed where one of their size turns up.

    learned: their hashes, by key.
    """

    def __init__(self) -> None:
        self.learned: dict[str, str] = {}
        self._by_hash: dict[str, bool] = {}  # SHA-256 -> whether it failed
        self._by_size: dict[int, list[tuple[str, bool]]] = {}  # photos that are not hashed yet
        self._hashed: set[str] = set()  # keys of photos whose line has a hash
        self._begun: dict[str, tuple[str, _Stamp]] = {}  # of photos asked for, until they are written

    def remember(self, file: str, line: CaptionLine, failed: bool) -> None:
        """Note a photo of an earlier line."""
        if line.sha256:
            self._hashed.add(one_line(file))
            self._by_hash |= dict.fromkeys(filter(None, (line.sha256, line.sha256_before)), failed)
            return
        with contextlib.suppress(OSError):
            self._by_size.setdefault(os.path.getsize(file), []).append((file, failed))

    def find(self, file: str, failed_by_path: bool | None) -> bool | None:
        """Whether the photo with this one's content had failed; None where there is none.

        failed_by_path: the same by the photo's path. It counts where no content is known of that line.
        """
        stamp = _stamp(file)
        sha256 = _file_hash(file)
        if stamp is None or not sha256:
            return failed_by_path
        name = os.path.realpath(file)
        for earlier, failed in self._by_size.pop(stamp[0], ()):
            if earlier_hash := sha256 if earlier == name else _file_hash(earlier):
                self.learned[one_line(earlier)] = earlier_hash
                self._by_hash[earlier_hash] = failed
        if sha256 in self._by_hash:
            return self._by_hash[sha256]
        if failed_by_path is not None and one_line(name) not in self._hashed:
            return failed_by_path
        self._by_hash[sha256] = False  # for further copies in this run
        self._begun[file] = sha256, stamp
        return None

    def hashes_of(self, file: str) -> tuple[str, str]:
        """Of a photo that is written now: its hash, and the one it had before a description was written."""
        before, stamp = self._begun.pop(file, ("", None))
        if before and stamp == _stamp(file):
            return before, ""
        now = _file_hash(file)
        self._by_hash.setdefault(now, False)
        return now, before if now != before else ""

    def forget_failed(self) -> None:
        """As if the photos that failed had never been tried."""
        self._by_hash = {name: False for name, failed in self._by_hash.items() if not failed}
        for size, photos in self._by_size.items():
            self._by_size[size] = [photo for photo in photos if not photo[1]]


_Stamp: TypeAlias = tuple[int, int, int]


def _stamp(file: str) -> _Stamp | None:
    """What changes when a file is replaced: size, number and time; None if there is none."""
    try:
        status = os.stat(file)
    except OSError:
        return None
    return status.st_size, status.st_ino, status.st_mtime_ns


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
