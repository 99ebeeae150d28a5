"""Requests as Django makes them, but for forms that it would misread: each file of a form is seen.

Django takes a body without Content-Length for empty, and forgets a part whose headers it cannot decode, or
whose file has no name; it refuses a form in which one part's headers are long. Names are only shown, so a
wrong or a long one is no reason to lose a photo: Django gets a short one, and the file its own afterwards.
"""

from __future__ import annotations

import codecs
import html
import io
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, Any
from urllib.parse import quote

from django.core.handlers.asgi import ASGIHandler, ASGIRequest
from django.utils.http import parse_header_parameters

from cutline.server.api.parsing import FILE_FIELDS

_HEAD_BYTES = 16 * 2**10  # of one part's headers; longer ones are left to Django, which refuses them
_LOOK_BYTES = 512  # of a part's content, to see what it is; more than a separator has
_CHUNK_BYTES = 64 * 2**10
_UNNAMED = "photo"
_FILES = re.compile(r"(?:image|video|audio)/|application/(?:octet-stream|zip|x-zip)", re.IGNORECASE)
_TEXT = re.compile(rb"(?:\xef\xbb\xbf)?[\t\r\n\x20-\x7e]*")  # as base64 and URLs are
_FOLD = re.compile(rb"\r?\n[ \t]+")
# Of an encoding that is for text and keeps ASCII nothing here becomes something else.
_ASCII = b'az AZ 09 "=&%-_" \\x41 \\u0041 +AGE-'


class FormRequest(ASGIRequest):
    """A request whose body is as long as what came, and whose forms lose no file."""

    def __init__(self, scope: Any, body_file: IO[bytes]) -> None:
        super().__init__(scope, body_file)
        size = body_file.seek(0, os.SEEK_END)
        body_file.seek(0)
        if size:
            self.META["CONTENT_LENGTH"] = str(size)
        if (encoding := self.encoding) is not None:
            self.encoding = _text_encoding(encoding)

    def parse_file_upload(self, META: Any, post_data: Any) -> Any:  # noqa: N803 (as Django calls it)
        """Read a form. Raises as Django does."""
        kind, semicolon, parameters = META.get("CONTENT_TYPE", "").partition(";")
        head = {**META, "CONTENT_TYPE": f"{kind.strip().lower()}{semicolon}{parameters}"}
        boundary = (self.content_params or {}).get("boundary", "")
        names: dict[str, str] = {}
        if boundary.isascii() and boundary:
            post_data = io.BufferedReader(_Readable(post_data, boundary.encode(), names), _CHUNK_BYTES)
        fields, files = super().parse_file_upload(head, post_data)
        for _, found in files.lists():
            for file in found:
                file.name = names.get(file.name or "", file.name)
        return fields, files


class FormHandler(ASGIHandler):
    """Django's handler, with these requests."""

    request_class = FormRequest


class _Readable(io.RawIOBase):
    """A form whose part headers Django understands; the bytes of fields and files pass as they are."""

    def __init__(self, source: IO[bytes], boundary: bytes, names: dict[str, str]) -> None:
        self._pieces = _rewritten(source, b"--" + boundary, names)
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


def _rewritten(source: IO[bytes], separator: bytes, names: dict[str, str]) -> Iterator[bytes]:
    """The form's bytes, in pieces, with each part's headers rewritten.

    names: gets the name of each file, by the one that Django reads.
    """
    held = b""
    at = 0
    is_head = is_over = False
    while not is_over:
        chunk = source.read(_CHUNK_BYTES)
        is_over = not chunk
        held, at = held[at:] + chunk, 0
        while True:
            if is_head:
                end = held.find(b"\r\n\r\n", at, at + _HEAD_BYTES)
                body = end + 4
                if end >= 0 and (is_over or len(held) >= body + _LOOK_BYTES):
                    yield _head(held[at:end], held[body : body + _LOOK_BYTES], separator, names)
                    at = end
                elif not is_over and (end >= 0 or len(held) < at + _HEAD_BYTES):
                    break  # until more of it is here
                is_head = False
            start = held.find(separator, at)
            if start < 0:
                safe = len(held) if is_over else max(at, len(held) - len(separator))
                yield held[at:safe]
                at = safe
                break
            after = start + len(separator)
            if len(held) < after + 2 and not is_over:
                yield held[at:start]
                at = start
                break
            yield held[at:after]
            at = after
            is_head = held.startswith(b"\r\n", after)


def _head(raw: bytes, content: bytes, separator: bytes, names: dict[str, str]) -> bytes:
    """The headers of a part that Django reads, as it reads them. content: how the part begins."""
    headers: dict[bytes, bytes] = {}
    for line in _FOLD.sub(b" ", raw).split(b"\r\n"):
        headers.setdefault(line.partition(b":")[0].strip().lower(), line)
    words = _words(headers.get(b"content-disposition", b""))
    if "name" not in words:
        return raw
    name, file_name = words["name"].strip("'"), words.get("filename")
    kind = headers.get(b"content-type", b"").partition(b":")[2].partition(b";")[0].strip()
    is_empty = content.startswith((separator, b"\r\n" + separator))
    begins = content.partition(b"\r\n" + separator)[0]
    made = [b"Content-Disposition: form-data; name*=UTF-8''" + quote(name, safe="").encode()]
    if is_empty and not file_name:
        if file_name is not None:
            made[0] += b'; filename=""'  # what browsers send where no file was chosen
    elif file_name is not None or _FILES.match(kind.decode("latin-1")) or _is_bytes(name, begins):
        short = f"f{len(names)}"
        names[short] = _shown(file_name or "")
        made[0] += f"; filename={short}".encode()
    if kind:
        made.append(b"Content-Type: " + kind)
    if encoding := headers.get(b"content-transfer-encoding"):
        made.append(encoding)
    return b"".join(b"\r\n" + line for line in made)


def _is_bytes(name: str, begins: bytes) -> bool:
    """Whether a part without a file's name and type is a file: it belongs to one's field, and is no text."""
    return name in FILE_FIELDS.values() and not _TEXT.fullmatch(begins)


def _text_encoding(name: str) -> str:
    """The encoding of a form by its common name; UTF-8 where it is none of texts like forms."""
    with suppress(LookupError, ValueError):
        if (_ASCII + b"\xff").decode(name, "replace").startswith(_ASCII.decode()):
            return codecs.lookup(name).name
    return "utf-8"


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
    last = re.split(r"[/\\]", html.unescape(file_name.strip('"')))[-1]
    kept = "".join(letter for letter in last if letter.isprintable())
    return _UNNAMED if kept.strip(". ") == "" else kept
