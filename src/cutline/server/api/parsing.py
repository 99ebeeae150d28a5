"""Read JSON bodies, forms and queries, and refuse what no endpoint should have to think about."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from django.http import HttpRequest
from django.utils.datastructures import MultiValueDict
from ninja.parser import Parser

from cutline.server.errors import Invalid, Malformed, UnsupportedMedia
from cutline.server.people import keys
from cutline.server.people.viewers import viewer_of

MAX_DEPTH = 32
FILE_FIELDS: Mapping[str, str] = {  # of a form, by the address that takes it
    "/api/v1/caption": "image",
    "/api/v1/images": "files",
    "/api/v1/bulk": "archive",
}
_FORM, _FIELDS = "multipart/form-data", "application/x-www-form-urlencoded"
BODY_TYPES = frozenset({"application/json", _FORM, _FIELDS})
# Codings of bodies; what else stands in Content-Encoding, as utf-8 or binary, changes nothing.
_COMPRESSIONS = frozenset(
    {"aes128gcm", "br", "bzip2", "compress", "dcb", "dcz", "deflate", "gzip", "lz4", "lzma", "snappy"}
    | {"x-bzip2", "x-compress", "x-deflate", "x-gzip", "x-lzma", "x-xz", "xz", "zlib", "zstd"}
)
_LOOK_BYTES = 512  # of a body, to see what it is
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1f]")


class SafeParser(Parser):
    """JSON without NaN, at most MAX_DEPTH deep; text without NUL and lone surrogates."""

    def parse_body(self, request: HttpRequest) -> Any:
        """The body's JSON, of any type: schemas check it. Raises: Malformed, Invalid, UnsupportedMedia."""
        kind = getattr(request, "content_type", None) or "application/json"
        if kind == _FIELDS:
            check_urlencoded(request)
        if not is_json(kind):
            raise UnsupportedMedia("The body must be JSON.", hint="Send Content-Type: application/json.")
        body = request.body
        try:
            found = json.loads(body, parse_constant=_refuse_constant)
        except RecursionError as error:
            raise Malformed(f"The JSON is nested more than {MAX_DEPTH} levels deep.") from error
        except ValueError as error:  # also bytes that are not UTF-8, and integers of thousands of digits
            if is_binary(body):
                raise not_json(request.path) from error
            raise Malformed("The body is not JSON.", hint=str(error)) from error
        check_json(found)
        return found

    def parse_querydict(
        self, data: MultiValueDict[str, Any], list_fields: list[str], request: HttpRequest
    ) -> dict[str, Any]:
        """Return the fields of a query or form. Raises: Invalid, Unauthenticated."""
        if data is not request.GET:
            check_fields(request, data)
        for name, values in data.lists():
            for text in (name, *values):
                if isinstance(text, str):
                    check_text(text)
        return super().parse_querydict(data, list_fields, request)


def check_fields(request: HttpRequest, fields: MultiValueDict[str, Any]) -> None:
    """Refuse a form that has an API key among its fields, instead of in a header. Raises: Unauthenticated."""
    if viewer_of(request).key_id is None:
        keys.check_fields((name, str(value)) for name, values in fields.lists() for value in values)


def check_json(found: Any) -> None:
    """Refuse JSON that is nested too deep, or has text that cannot be kept. Raises: Invalid, Malformed."""
    level = [found]
    for _ in range(MAX_DEPTH + 1):
        if not level:
            return
        level = [below for value in level for below in _below(value)]
    raise Malformed(f"The JSON is nested more than {MAX_DEPTH} levels deep.")


def _below(value: Any) -> Iterator[Any]:
    match value:
        case str():
            check_text(value)
        case list():
            yield from value
        case dict():
            yield from value
            yield from value.values()


def check_text(text: str) -> None:
    """Refuse text that a database or UTF-8 cannot keep. Raises: Invalid."""
    if "\0" in text:
        raise Invalid("Text may not contain the NUL character.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Invalid("Text may not contain unpaired surrogates.") from error


def check_body_type(request: HttpRequest) -> None:
    """Refuse a body of a type that no endpoint reads. Raises: UnsupportedMedia, Malformed."""
    length = request.headers.get("Content-Length", "")  # empty under WSGI where there is none
    if length in ("", "0") and "Transfer-Encoding" not in request.headers:
        return
    kind = request.content_type or ""
    check_type(kind, request.headers.get("Content-Encoding", ""), path=request.path)
    if kind == _FORM and not (request.content_params or {}).get("boundary"):
        raise Malformed(
            "The form names no boundary between its parts.",
            hint="Let your HTTP client set Content-Type: it knows the boundary.",
        )
    # Only what is read: curl -d '{}' is no fault where no body is. That of a photo is looked at later.
    if kind == _FIELDS and FILE_FIELDS.get(request.path, "image") != "image":
        check_urlencoded(request)


def check_type(kind: str, encoding: str, *, path: str) -> None:
    """Refuse a type of body that no endpoint reads, or one that is compressed. Raises: UnsupportedMedia."""
    if is_compressed(encoding):
        raise UnsupportedMedia(
            f"The body is compressed (Content-Encoding: {encoding[:50]}), which is not read here.",
            hint="Send it as it is, without Content-Encoding.",
        )
    if kind and kind not in BODY_TYPES and not is_json(kind):
        field = "" if kind.startswith("text/") else FILE_FIELDS.get(path, "")
        raise UnsupportedMedia("This address does not support that content type.", hint=how_to_send(field))


def check_urlencoded(request: HttpRequest) -> None:
    """Refuse JSON, or a file, that goes by the type which curl gives to whatever it sends.

    Raises: UnsupportedMedia.
    """
    start = request.body[:_LOOK_BYTES]
    if start.lstrip()[:1] in (b"{", b"["):
        raise UnsupportedMedia(
            "The body is JSON, but its Content-Type is that of a form.",
            hint="Send it with Content-Type: application/json (curl -H 'Content-Type: application/json').",
        )
    if is_binary(start):
        raise UnsupportedMedia(
            "The body is a file, but its Content-Type is that of a form without files.",
            hint=how_to_send(FILE_FIELDS.get(request.path, "")),
        )


def how_to_send(field: str) -> str:
    """What to do with a file. field: of the form that takes it; "" where none does."""
    if not field:
        return "Send JSON (Content-Type: application/json), or multipart/form-data where there are files."
    file = "photos.zip" if field == FILE_FIELDS["/api/v1/bulk"] else "photo.jpg"
    return f"Send {field} as a file of a form (multipart/form-data): curl -F {field}=@{file}."


def not_json(path: str) -> UnsupportedMedia:
    """The error for a file that came to an address in place of JSON."""
    return UnsupportedMedia("The body is a file, not JSON.", hint=how_to_send(FILE_FIELDS.get(path, "")))


def is_binary(begins: bytes) -> bool:
    """Whether what begins so is no text."""
    return _BINARY.search(begins[:_LOOK_BYTES]) is not None


def is_json(kind: str) -> bool:
    """Whether a body of this type is read as JSON."""
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def is_compressed(encoding: str) -> bool:
    """Whether a body is so, by its Content-Encoding."""
    return any(each.strip().lower() in _COMPRESSIONS for each in encoding.split(","))


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
