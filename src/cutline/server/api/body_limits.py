"""Limits of request bodies, by address. admission.py enforces them before Django reads a body whole."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from django.utils.http import parse_header_parameters

from cutline.errors import SMALLER_PHOTO
from cutline.server.api import inline_photos
from cutline.server.api.parsing import FILE_FIELDS, MAX_DEPTH, how_to_send, is_json
from cutline.server.config import settings
from cutline.server.errors import Malformed, RequestTooLarge

PLAIN_BYTES = 2**20
LIST_BYTES = 32 * 2**20  # a list of 100,000 URLs
FORM_BYTES = 2**20  # what the other fields of a form with files may take
TEXT_BYTES, TEXT_NODES = 64 * 2**10, 500  # a description, and a voice
MAX_FIELDS = 1000  # of a form, beside its files
MAX_NODES = 20_000  # values and names in JSON that is no list of URLs
_FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")
_LESS = "Send less, or in parts."
_FORM_PATHS = ("/admin/", "/accounts/")


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyLimit:
    """What a request's body may be: so many bytes, and values in its JSON; None where it is no JSON."""

    bytes: int
    nodes: int | None
    hint: str = _LESS


def limit_of(path: str, content_type: str, *, method: str = "POST", anonymous: bool = False) -> BodyLimit:
    """What the body of a request to this address may be. anonymous: whoever sends it has no account."""
    kind = content_type.partition(";")[0].strip().lower()
    limit = _limit_of(path, kind, method=method, anonymous=anonymous)
    # A file that was sent as it is has no values: its type is refused, or it is no JSON.
    is_bare_file = path in FILE_FIELDS and bool(kind) and not is_json(kind)
    return replace(limit, nodes=None) if is_bare_file else limit


def _limit_of(path: str, kind: str, *, method: str, anonymous: bool) -> BodyLimit:
    chosen = settings()
    if method == "POST" and kind == _FORMS[0]:
        one_photo = chosen.max_upload_bytes
        most = {
            "/api/v1/bulk": chosen.max_bulk_bytes,
            "/api/v1/images": one_photo * chosen.max_upload_files,
            "/api/v1/caption": one_photo,
        }.get(path)
        if most is not None:
            if anonymous:
                most = min(most, max(chosen.max_body_bytes_anonymous, one_photo))
            hint = SMALLER_PHOTO if path == "/api/v1/caption" else _LESS
            return BodyLimit(bytes=most + FORM_BYTES, nodes=None, hint=hint)
    if method == "POST" and path == "/api/v1/bulk" and not anonymous:
        return BodyLimit(bytes=LIST_BYTES, nodes=chosen.max_bulk_items + MAX_NODES)
    if method == "POST" and path == "/api/v1/caption":
        return BodyLimit(bytes=inline_photos.body_bytes() + FORM_BYTES, nodes=MAX_NODES)
    if path == "/api/v1/restyle":
        return BodyLimit(bytes=TEXT_BYTES, nodes=TEXT_NODES)
    if path.startswith(_FORM_PATHS) and kind in _FORMS:
        return BodyLimit(bytes=PLAIN_BYTES, nodes=None)
    return BodyLimit(bytes=PLAIN_BYTES, nodes=MAX_NODES)


def too_large(limit: BodyLimit, *, path: str = "", kind: str = "") -> RequestTooLarge:
    """The error for a body with more bytes than it may have. path, kind: where it comes, of which type."""
    is_bare_file = path in FILE_FIELDS and not is_json(kind) and kind != _FORMS[0]
    return RequestTooLarge(
        f"The body may have at most {limit.bytes:,} bytes here.",
        hint=how_to_send(FILE_FIELDS[path]) if is_bare_file else limit.hint,
    )


class PartCount:
    """Counts the parts of a form as it comes, so that no parser meets one of very many.

    boundary: as the form's type names it.
    """

    def __init__(self, boundary: str, most_parts: int) -> None:
        self._mark = b"--" + boundary.encode("latin-1")
        self._most_parts = most_parts
        self._parts = 0
        self._end = b""  # of the last chunk: a mark may be cut in two

    def feed(self, chunk: bytes) -> None:
        """Count on. Raises RequestTooLarge."""
        seen = self._end + chunk
        self._parts += seen.count(self._mark)
        self._end = seen[max(0, len(seen) - len(self._mark) + 1) :]
        if self._parts > self._most_parts + 1:  # the last mark ends the form
            raise RequestTooLarge(
                f"The form may have at most {self._most_parts:,} parts.", hint="Send it in several."
            )


def part_count_of(content_type: str) -> PartCount | None:
    """What counts the parts of a body of this type; None where it is no form with parts."""
    kind, parameters = parse_header_parameters(content_type)
    boundary = parameters.get("boundary", "") if kind == _FORMS[0] else ""
    if not boundary or not boundary.isascii():
        return None
    return PartCount(boundary, MAX_FIELDS + settings().max_upload_files)


# Possessive: what follows a string is never searched for another place where it could end.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
_REST_OF_STRING = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
_BEFORE_VALUES = (b"[", b"{", b",", b":")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


class JsonCount:
    """Counts values and levels in JSON as it comes, whatever it is sent as, so that no parser meets a bomb.

    A value has one of [ { , : before it. Nothing is checked but that: the parser does the rest.
    """

    def __init__(self, most_nodes: int) -> None:
        self._most_nodes = most_nodes
        self._nodes = 0
        self._depth = 0
        self._in_string = False
        self._is_escaped = False

    def feed(self, chunk: bytes) -> None:
        """Count on. Raises RequestTooLarge for too many values, Malformed for too many levels."""
        plain = self._without_strings(chunk)
        self._nodes += sum(map(plain.count, _BEFORE_VALUES))
        if self._nodes > self._most_nodes:
            raise RequestTooLarge(
                f"The JSON may have at most {self._most_nodes:,} values here.", hint="Send it in parts."
            )
        for bracket in plain.translate(None, _NO_BRACKETS):
            self._depth += 1 if bracket in b"[{" else -1
            if self._depth > MAX_DEPTH + 1:
                raise Malformed(f"The JSON is nested more than {MAX_DEPTH} levels deep.")

    def _without_strings(self, chunk: bytes) -> bytes:
        if self._in_string:
            chunk = self._after_string(chunk)
        plain = _STRING.sub(b"", chunk)
        start = plain.find(b'"')
        if start < 0:
            return plain
        self._in_string = True
        self._after_string(plain[start + 1 :])
        return plain[:start]

    def _after_string(self, chunk: bytes) -> bytes:
        """What follows the string that we are in; notes where it goes on in the next chunk."""
        if self._is_escaped and chunk:
            chunk, self._is_escaped = chunk[1:], False
        if b"\\" not in chunk:  # many times as fast, and so are most long strings
            end = chunk.find(b'"')
            self._in_string = end < 0
            return b"" if end < 0 else chunk[end + 1 :]
        found = _REST_OF_STRING.match(chunk)
        end = found.end() if found else 0
        if chunk[end : end + 1] == b'"':
            self._in_string = False
            return chunk[end + 1 :]
        self._is_escaped = self._is_escaped or end < len(chunk)  # a backslash was the last
        return b""
