"""Where captions go: lines on a stream, a file that grows and resumes, text beside photos, metadata in them.

Whatever is killed at whatever moment, what was written stands, and a second run goes on from there.
"""

from __future__ import annotations

import contextlib
import csv
import functools
import hashlib
import importlib.util
import io
import json
import math
import os
import shutil
import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Protocol

from cutline.errors import CutlineError, ImageError, MissingExtra, OptionError, OutputError
from cutline.images import Limits, open_image
from cutline.spreadsheet import as_written, harmless

FSYNC_EVERY_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A caption as it is written down."""

    text: str
    log_prob: float  # natural log; nan where the captioner cannot know


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What became of one photo: captions, best first, or the error."""

    file: str
    model: str
    captions: tuple[Scored, ...] = ()
    error: CutlineError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What an earlier run left about one photo."""

    file: str
    model: str
    failed: bool


# Lines


class Format(Protocol):
    """How photos become lines of a file, and lines become photos again."""

    def header(self) -> bytes:
        """What a new file starts with."""
        ...

    def encode(self, line: Line) -> bytes:
        """One whole line, its end included."""
        ...

    def parse(self, raw: bytes) -> Done:
        """The photo that a line is about. Raises ValueError for a line that is not ours, or not whole."""
        ...

    def may_begin(self, raw: bytes) -> bool:
        """Whether these bytes may be the beginning of one of our lines, cut off."""
        ...


class JsonLines:
    """One JSON object a photo."""

    def header(self) -> bytes:
        """Nothing: every line stands alone."""
        return b""

    def encode(self, line: Line) -> bytes:
        """The line of DESIGN's format."""
        return json_line(line).encode("utf-8") + b"\n"

    def parse(self, raw: bytes) -> Done:
        """Read the file's name and whether it failed."""
        fields = json.loads(raw)
        if not isinstance(fields, dict) or not isinstance(fields.get("file"), str):
            raise ValueError("no object with a file")
        return Done(file=fields["file"], model=str(fields.get("model", "")), failed="error" in fields)

    def may_begin(self, raw: bytes) -> bool:
        """Our lines begin with the file."""
        start = b'{"file": "'
        return raw.startswith(start) or start.startswith(raw)


def json_line(line: Line) -> str:
    """One photo as one JSON object, without a line's end."""
    fields: dict[str, Any] = {"file": line.file}
    if line.error is None:
        fields["model"] = line.model
        fields["captions"] = [
            {"text": caption.text, "log_prob": _json_number(caption.log_prob)} for caption in line.captions
        ]
    else:
        fields["error"] = {"code": line.error.code, "message": str(line.error)}
    # A file name that is not UTF-8 can only be written escaped.
    return json.dumps(fields, ensure_ascii=not _is_utf8(line.file), allow_nan=False)


def _json_number(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None


def _is_utf8(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def plain_lines(line: Line) -> str:
    """`path<TAB>caption`, a line each, without the last line's end. A failed photo has none."""
    return "\n".join(f"{one_line(line.file)}\t{caption.text}" for caption in line.captions)


def one_line(name: str) -> str:
    """A file name without the control characters that would break a line or a column."""
    return "".join(ascii(char)[1:-1] if char < " " or char == "\x7f" else char for char in name)


class Csv:
    """One row a photo; further captions are further columns."""

    def __init__(self, n: int) -> None:
        more = [f"{column}_{rank}" for rank in range(2, n + 1) for column in ("caption", "log_prob")]
        self._columns = ["file", "model", "caption", "log_prob", *more, "error_code", "error_message"]
        self._n = n

    def header(self) -> bytes:
        """The columns' names."""
        return self._row(self._columns)

    def encode(self, line: Line) -> bytes:
        """One row, never more than one line."""
        cells: list[str] = []
        for caption in line.captions[: self._n]:
            log_prob = _json_number(caption.log_prob)
            cells += [harmless(caption.text), "" if log_prob is None else str(log_prob)]
        cells += [""] * (2 * self._n - len(cells))
        cells += [line.error.code, harmless(str(line.error))] if line.error else ["", ""]
        # A control character in front is spelt out, and no formula any more.
        return self._row([harmless(one_line(line.file)), "" if line.error else harmless(line.model), *cells])

    def parse(self, raw: bytes) -> Done:
        """Read a row back."""
        cells = next(csv.reader([raw.decode("utf-8", "surrogateescape")], strict=True), [])
        if len(cells) != len(self._columns):
            raise ValueError(f"{len(cells)} columns, not {len(self._columns)}")
        return Done(file=as_written(cells[0]), model=as_written(cells[1]), failed=bool(cells[-2]))

    def may_begin(self, raw: bytes) -> bool:
        """Any text may begin a row; what cannot is a file without our header, and that is seen earlier."""
        return True

    def _row(self, cells: Sequence[str]) -> bytes:
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="\n").writerow([one_line(cell) for cell in cells])
        return buffer.getvalue().encode("utf-8", "surrogateescape")


FORMATS: Mapping[str, Callable[[int], Format]] = {".jsonl": lambda n: JsonLines(), ".csv": Csv}


# The file that grows


def key(file: str) -> str:
    """What makes two spellings of one photo's path the same. Links are not followed: a name is a photo."""
    return os.path.abspath(one_line(file))


class CaptionFile:
    """A file of captions that one run at a time appends to, each photo's line in one write.

    Opening it reads which photos are done (`done`: key -> whether it failed) and cuts off a line that a
    killed run left torn. Raises OutputError for a file that is not ours, which is then left untouched.
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
        """Open, lock, read and mend the file."""
        with _output_errors(self.path):
            _sweep(os.path.dirname(os.path.realpath(self.path)))
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
        """Make everything durable and let go of the file."""
        with _output_errors(self.path):
            os.fsync(self._file.fileno())
            self._file.close()

    def append(self, line: Line) -> None:
        """Write one photo's line; at most a second later it also survives a power cut."""
        with _output_errors(self.path):
            _write_all(self._file, self._format.encode(line))
            if time.monotonic() - self._synced_at > FSYNC_EVERY_S:
                os.fsync(self._file.fileno())
                self._synced_at = time.monotonic()

    def _open_locked(self) -> BinaryIO:
        is_new = not os.path.lexists(self.path)
        file = open(self.path, "a+b", buffering=0)  # noqa: SIM115 - closed by __exit__
        if not _lock(file):
            file.close()
            raise OutputError(f"Another run is writing to {self.path}.", hint="Wait for it, or stop it.")
        if is_new:
            _sync_folder(os.path.dirname(self.path))
        return file

    def _read(self) -> None:
        """Fill `done`; put the end of the file right. Nothing is changed before every whole line was ours."""
        self._file.seek(0)
        header = self._format.header()
        whole = 0  # bytes that are known to be good
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
                except (ValueError, csv.Error) as error:
                    raise self._not_ours(f"its line {number} is not a line of captions") from error
            whole += len(raw)
        else:
            raw = b""
        if raw:
            whole += self._mend(raw, header if number == 1 else b"", whole)
        if whole == 0 and header:
            _write_all(self._file, header)

    def _mend(self, tail: bytes, header: bytes, whole: int) -> int:
        """Deal with a last line that has no end: finish it if it is all there, else cut it off."""
        try:
            if header:
                raise ValueError("a header without an end is torn")
            done = self._format.parse(tail)
            if done.failed:  # the message may be cut short: do that photo again
                raise ValueError("an error's end is unknown")
        except (ValueError, csv.Error):
            begun = tail.rstrip(b"\0")  # a power cut may leave zeros
            if not (header.startswith(begun) if header else self._format.may_begin(begun)):
                raise self._not_ours("its last line is not a line of captions") from None
            self._file.truncate(whole)
            return 0
        self._remember(done)
        _write_all(self._file, b"\n")
        return len(tail) + 1

    def _remember(self, done: Done) -> None:
        self.done[key(done.file)] = done.failed
        if done.model:
            self.other_models.add(done.model)

    def _not_ours(self, reason: str) -> OutputError:
        return OutputError(
            f"{self.path} cannot be continued: {reason}.",
            kept="Nothing in it was changed.",
            hint="Give another --output, or move that file away.",
        )

    def _drop_failed(self) -> None:
        """Rewrite the file without its failed photos, all or nothing."""
        with _replacement(os.path.realpath(self.path)) as temporary, open(temporary, "wb") as kept:
            self._file.seek(0)
            for number, raw in enumerate(io.BufferedReader(_Unclosing(self._file)), 1):
                is_header = number == 1 and bool(self._format.header())
                if is_header or not raw.strip() or not self._format.parse(raw).failed:
                    kept.write(raw)
        self._file.close()
        self._file = self._open_locked()
        self.done = {name: False for name, failed in self.done.items() if not failed}


class _Unclosing(io.RawIOBase):
    """Reads of a file that a buffer on top of it shall not close."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer."""
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def _write_all(file: BinaryIO, data: bytes) -> None:
    while data:
        data = data[file.write(data) :]


def _lock(file: BinaryIO) -> bool:
    """Whether the file is now ours alone. Where the system has no such locks, it is taken to be."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a network file system without locks
        return True
    return True


# Replacing files


@contextlib.contextmanager
def _output_errors(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path} cannot be written ({error.strerror or error}).") from error


_TEMPORARY = ".cutline-tmp-"
_SURELY_LOCKED_S = 2.0


@contextlib.contextmanager
def _replacement(path: str, *, keep_times: bool = False) -> Iterator[str]:
    """A temporary file that takes the place of `path` if all goes well, and vanishes otherwise."""
    folder = os.path.dirname(path)
    handle, temporary = tempfile.mkstemp(
        prefix=_TEMPORARY, suffix=os.path.splitext(path)[1], dir=folder or "."
    )
    with open(handle, "rb") as file:
        _lock(file)  # until we end, or are killed: see _sweep
        try:
            yield temporary
            if os.path.exists(path):
                _copy_standing(path, temporary, times=keep_times)
            else:
                os.chmod(temporary, 0o666 & ~_umask())
            os.fsync(file.fileno())
            os.replace(temporary, path)
            _sync_folder(folder)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise


@functools.cache
def _sweep(folder: str) -> None:
    """Once a run, remove what killed runs left in a folder: temporary files that nobody has locked."""
    if importlib.util.find_spec("fcntl") is None:
        return
    with contextlib.suppress(OSError), os.scandir(folder or ".") as entries:
        for entry in entries:
            if entry.name.startswith(_TEMPORARY) and time.time() - entry.stat().st_mtime > _SURELY_LOCKED_S:
                with open(entry.path, "rb") as file:
                    if _lock(file):
                        os.unlink(entry.path)


def _copy_standing(source: str, target: str, *, times: bool) -> None:
    """Mode, extended attributes, where we may the owner, and where wanted the times."""
    status = os.stat(source)
    shutil.copystat(source, target)
    if not times:
        os.utime(target)
    if hasattr(os, "chown"):
        with contextlib.suppress(PermissionError):
            os.chown(target, status.st_uid, status.st_gid)


def _umask() -> int:
    current = os.umask(0o077)
    os.umask(current)
    return current


def _sync_folder(folder: str) -> None:
    """Make a new name durable. Some systems cannot open folders, and need no such thing."""
    with contextlib.suppress(PermissionError, IsADirectoryError):
        handle = os.open(folder or ".", os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


# Text beside photos


class Sidecars:
    """photo.jpg's captions in photo.txt, never over a text that somebody else wrote.

    A hidden file in the folder (LEDGER) holds the hash of each text that we wrote: a text with another hash
    is a person's. The ledger is written first, so that a kill in between leaves nothing unaccounted for.
    """

    LEDGER = ".cutline-sidecars.jsonl"
    _FOLDERS_IN_MEMORY = 16

    def __init__(self, *, overwrite: bool) -> None:
        self._overwrite = overwrite
        self._folders: OrderedDict[str, dict[str, dict[str, str]]] = OrderedDict()

    def write(self, photo: str, texts: Sequence[str]) -> str | None:
        """Write the captions, a line each; give the sidecar's path, or None if a person's text stayed."""
        folder, name = os.path.split(photo)
        data = "".join(f"{text}\n" for text in texts).encode("utf-8")
        digest = hashlib.sha256(data).hexdigest()
        _sweep(folder)
        with _output_errors(os.path.join(folder, os.path.splitext(name)[0] + ".txt")):
            ours = self._ours(folder)
            sidecar = self._name_for(folder, name, ours)
            path = os.path.join(folder, sidecar)
            if not self._overwrite and os.path.lexists(path):
                existing = _digest_of(path)
                if existing == digest and existing in ours.get(sidecar, {}):
                    return path
                if existing not in ours.get(sidecar, {}):
                    return None
            self._enter(folder, sidecar, digest, name)
            with _replacement(path) as temporary:
                Path(temporary).write_bytes(data)
            return path

    def _name_for(self, folder: str, photo: str, ours: Mapping[str, Mapping[str, str]]) -> str:
        """photo.txt; photo.png.txt where photo.txt is already another photo's, or is the photo itself."""
        short = os.path.splitext(photo)[0] + ".txt"
        owners = set(ours.get(short, {}).values()) - {photo}
        taken = any(os.path.lexists(os.path.join(folder, owner)) for owner in owners)
        return f"{photo}.txt" if short == photo or taken else short

    def _ours(self, folder: str) -> dict[str, dict[str, str]]:
        """sidecar -> {hash of a text that we wrote there: the photo}."""
        if folder not in self._folders:
            entries: dict[str, dict[str, str]] = {}
            for entry in _ledger_entries(os.path.join(folder, self.LEDGER)):
                entries.setdefault(entry["sidecar"], {})[entry["sha256"]] = entry["photo"]
            self._folders[folder] = entries
            if len(self._folders) > self._FOLDERS_IN_MEMORY:
                self._folders.popitem(last=False)
        self._folders.move_to_end(folder)
        return self._folders[folder]

    def _enter(self, folder: str, sidecar: str, digest: str, photo: str) -> None:
        if self._ours(folder).get(sidecar, {}).get(digest) == photo:
            return
        entry = json.dumps({"sidecar": sidecar, "photo": photo, "sha256": digest}).encode()
        with open(os.path.join(folder, self.LEDGER), "ab", buffering=0) as file:
            # The leading line end shields the entry from one that an earlier kill left torn.
            _write_all(file, b"\n" + entry + b"\n" if file.tell() else entry + b"\n")
        self._ours(folder).setdefault(sidecar, {})[digest] = photo


def _ledger_entries(path: str) -> Iterator[dict[str, str]]:
    try:
        with open(path, "rb") as file:
            for raw in file:
                try:
                    entry = json.loads(raw)
                except ValueError:  # empty or torn: then its text was never written
                    continue
                if isinstance(entry, dict) and {"sidecar", "photo", "sha256"} <= entry.keys():
                    yield entry
    except FileNotFoundError:
        return


def _digest_of(path: str) -> str | None:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:  # a dangling link, a folder, not readable: nothing that we wrote
        return None


# Captions inside photos


_XMP = "Xmp.dc.description"
_XMP_WRITER = "Xmp.photoshop.CaptionWriter"
_IPTC = "Iptc.Application2.Caption"
_IPTC_CHARSET = "Iptc.Envelope.CharacterSet"
_UTF8 = "\x1b%G"
_IPTC_MAX_BYTES = 2000
_WRITER = "Cutline"


class Metadata:
    """Captions as the description inside a photo: XMP dc:description and, where the format has it, IPTC.

    The photo is never written to: a copy is changed, read back, and put in its place. A description that a
    person wrote stays; we know our own by the field "description writer", which holds the text's hash.
    """

    def __init__(self, *, overwrite: bool, limits: Limits) -> None:
        try:
            pyexiv2: Any = importlib.import_module("pyexiv2")
        except ModuleNotFoundError as error:
            raise MissingExtra(
                "--write-metadata needs pyexiv2, which is not installed.",
                hint="pip install 'cutline[metadata]'",
            ) from error
        self._pyexiv2 = pyexiv2
        pyexiv2.set_log_level(4)  # it would print to stderr on its own
        self._overwrite = overwrite
        self._limits = limits

    def write(self, photo: str, text: str) -> bool:
        """Put the text into the photo; False if a person's description stayed. Raises OutputError."""
        path = os.path.realpath(photo)  # a link stays a link
        _sweep(os.path.dirname(path))
        with _output_errors(photo):
            before = os.stat(path)
            changed = self._changed(photo, Path(path).read_bytes(), text)
            if changed is None:
                return False
            with _replacement(path, keep_times=True) as temporary:
                Path(temporary).write_bytes(changed)
                now = os.stat(path)
                if (now.st_mtime_ns, now.st_size) != (before.st_mtime_ns, before.st_size):
                    raise self._refusal(photo, "somebody else has just changed it")
        return True

    def _changed(self, photo: str, data: bytes, text: str) -> bytes | None:
        """The photo's bytes with the description in them; None if a person's stands there."""
        try:
            with self._pyexiv2.ImageData(data) as image:
                if not self._overwrite and self._is_a_persons(image):
                    return None
                access = image.get_access_mode()
                if "write" not in (access["xmp"] or ""):
                    raise RuntimeError(f"{image.get_mime_type()} takes no XMP")
                image.modify_xmp({_XMP: {'lang="x-default"': text}, _XMP_WRITER: _writer(text)})
                if "write" in (access["iptc"] or ""):
                    image.modify_iptc({_IPTC_CHARSET: _UTF8, _IPTC: _utf8_cut(text, _IPTC_MAX_BYTES)})
                changed: bytes = image.get_bytes()
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            raise self._refusal(photo, str(error)) from error
        try:
            self._verify(photo, data, changed, text)
        except ImageError as error:
            raise self._refusal(photo, f"the copy does not open: {error.message}") from error
        return changed

    def _is_a_persons(self, image: Any) -> bool:
        xmp, iptc = image.read_xmp(), image.read_iptc()
        described = [text for text in (_description(xmp.get(_XMP)), iptc.get(_IPTC, "")) if text.strip()]
        return any(xmp.get(_XMP_WRITER, "") != _writer(text) for text in described)

    def _verify(self, photo: str, before: bytes, after: bytes, text: str) -> None:
        """The copy must say what we wrote and show what the original shows."""
        with self._pyexiv2.ImageData(after) as image:
            if _description(image.read_xmp().get(_XMP)) != text:
                raise self._refusal(photo, "the description did not read back")
        was, becomes = (open_image(data, limits=self._limits) for data in (before, after))
        if was.tobytes() != becomes.tobytes():
            raise self._refusal(photo, "the picture would change")

    def _refusal(self, photo: str, reason: str) -> OutputError:
        return OutputError(
            f"{photo}: no description could be written into it ({reason}).",
            kept="The photo is as it was.",
            hint="JPEG, PNG, WebP and TIFF take one; for others use --sidecar.",
        )


def _writer(text: str) -> str:
    return f"{_WRITER} {hashlib.sha256(text.encode()).hexdigest()[:12]}"


def _description(value: object) -> str:
    """dc:description as plain text: it is a table of languages, or text in sloppy files."""
    if isinstance(value, dict):
        return str(value.get('lang="x-default"') or next(iter(value.values()), ""))
    return str(value or "")


def _utf8_cut(text: str, most: int) -> str:
    return text.encode("utf-8")[:most].decode("utf-8", "ignore")
