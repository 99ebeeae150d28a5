"""Requests as Django makes them, but for forms that it would misread: each file of a form is seen.

Django takes a body without Content-Length for empty, and forgets a part whose headers it cannot decode, or
whose file has no name. Names are only shown, so a wrong one is no reason to lose a photo.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from typing import IO, Any
from urllib.parse import quote

from django.core.handlers.asgi import ASGIHandler, ASGIRequest
from django.utils.http import parse_header_parameters

_HEAD_BYTES = 16 * 2**10  # of one part's headers; Django refuses longer ones, too
_CHUNK_BYTES = 64 * 2**10
_UNNAMED = "photo"
_FILES = re.compile(r"(?:image|video|audio)/|application/(?:octet-stream|zip|x-zip)", re.IGNORECASE)


class FormRequest(ASGIRequest):
    """A request whose body is as long as what came, and whose forms lose no file."""

    def __init__(self, scope: Any, body_file: IO[bytes]) -> None:
        super().__init__(scope, body_file)
        size = body_file.seek(0, os.SEEK_END)
        body_file.seek(0)
        if size:
            self.META["CONTENT_LENGTH"] = str(size)

    def parse_file_upload(self, META: Any, post_data: Any) -> Any:  # noqa: N803 (as Django calls it)
        """Read a form. Raises as Django does."""
        boundary = (self.content_params or {}).get("boundary", "")
        if boundary.isascii() and boundary:
            post_data = io.BufferedReader(_Readable(post_data, boundary.encode()), _CHUNK_BYTES)
        return super().parse_file_upload(META, post_data)


class FormHandler(ASGIHandler):
    """Django's handler, with these requests."""

    request_class = FormRequest


class _Readable(io.RawIOBase):
    """A form whose part headers Django understands; the bytes of fields and files pass as they are."""

    def __init__(self, source: IO[bytes], boundary: bytes) -> None:
        self._pieces = _rewritten(source, b"--" + boundary)
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._left = memoryview(piece)
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


def _rewritten(source: IO[bytes], separator: bytes) -> Iterator[bytes]:
    """The form's bytes, in pieces, with each part's headers rewritten."""
    held = b""
    is_head = False
    while chunk := source.read(_CHUNK_BYTES):
        held += chunk
        at = 0
        while True:
            if is_head:
                end = held.find(b"\r\n\r\n", at, at + _HEAD_BYTES)
                # Also what follows it is needed, to see whether the part is empty.
                is_whole = end >= 0 and end + 4 + len(separator) + 2 <= len(held)
                if not is_whole and at + _HEAD_BYTES + len(separator) > len(held):
                    break
                if is_whole:
                    yield _head(held[at:end], is_empty=_ends_at(held, end + 4, separator))
                    at = end
                is_head = False
            start = held.find(separator, at)
            if start < 0:
                yield held[at : max(at, len(held) - len(separator))]
                at = max(at, len(held) - len(separator))
                break
            after = start + len(separator)
            if len(held) < after + 2:
                yield held[at:start]
                at = start
                break
            yield held[at:after]
            at = after
            is_head = held.startswith(b"\r\n", after)
        held = held[at:]
    if is_head and (end := held.find(b"\r\n\r\n")) >= 0:
        yield _head(held[:end], is_empty=_ends_at(held, end + 4, separator))
        held = held[end:]
    yield held


def _ends_at(held: bytes, at: int, separator: bytes) -> bool:
    """Whether a part whose body begins there is empty."""
    return held.startswith((separator, b"\r\n" + separator), at)


def _head(raw: bytes, *, is_empty: bool) -> bytes:
    """The headers of a part, with Content-Disposition as Django reads it."""
    lines = raw.split(b"\r\n")
    kind = next((line for line in lines if line.lower().startswith(b"content-type:")), b"")
    for number, line in enumerate(lines):
        if line.lower().startswith(b"content-disposition:"):
            is_file = bool(_FILES.match(kind.partition(b":")[2].strip().decode("latin-1")))
            lines[number] = _disposition(line, is_file=is_file and not is_empty, is_empty=is_empty)
    return b"\r\n".join(lines)


def _disposition(line: bytes, *, is_file: bool, is_empty: bool) -> bytes:
    words = _words(line)
    if "name" not in words:
        return line
    made = b"Content-Disposition: form-data; " + _word("name", words["name"].strip("'"))
    file_name = words.get("filename")
    if file_name is None and not is_file:
        return made
    if is_empty and not file_name:
        return made + b'; filename=""'  # what browsers send where no file was chosen
    return made + b"; " + _word("filename", _shown(file_name or ""))


def _words(line: bytes) -> dict[str, str]:
    """The parameters of a header, whatever its text is encoded in."""
    text = decoded(line)
    for attempt in (text, re.sub(r";\s*filename\*\d*\*?=[^;]*", "", text)):
        try:
            return {name.lower(): value for name, value in parse_header_parameters(attempt)[1].items()}
        except (ValueError, LookupError):  # an unknown charset in filename*=: the plain name is left
            continue
    return {}


def decoded(raw: bytes) -> str:
    """Text that is UTF-8 where it can be, else Latin-1, as old clients send it."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _shown(file_name: str) -> str:
    """The last part of a path, so that Django has nothing to refuse."""
    last = re.split(r"[/\\]", file_name.strip('"'))[-1]
    kept = "".join(letter for letter in last if letter.isprintable())
    return _UNNAMED if kept.strip(". ") == "" else kept


def _word(name: str, value: str) -> bytes:
    return f"{name}*=UTF-8''{quote(value, safe='')}".encode()
