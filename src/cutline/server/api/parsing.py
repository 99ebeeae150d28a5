"""Read JSON bodies, forms and queries, and refuse what no endpoint should have to think about."""

from __future__ import annotations

import json
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
BODY_TYPES = frozenset({"application/json", "multipart/form-data", "application/x-www-form-urlencoded"})


class SafeParser(Parser):
    """JSON without NaN, at most MAX_DEPTH deep; text without NUL and lone surrogates."""

    def parse_body(self, request: HttpRequest) -> Any:
        """The body's JSON, of any type: schemas check it. Raises: Malformed, Invalid, UnsupportedMedia."""
        if not _is_json(getattr(request, "content_type", None) or "application/json"):
            raise UnsupportedMedia("The body must be JSON.", hint="Send Content-Type: application/json.")
        try:
            found = json.loads(request.body, parse_constant=_refuse_constant)
        except RecursionError as error:
            raise Malformed(f"The JSON is nested more than {MAX_DEPTH} levels deep.") from error
        except ValueError as error:  # also bytes that are not UTF-8, and integers of thousands of digits
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
    """Refuse a body of a type that no endpoint reads. Raises: UnsupportedMedia."""
    length = request.headers.get("Content-Length", "")  # empty under WSGI where there is none
    has_body = length not in ("", "0") or "Transfer-Encoding" in request.headers
    kind = request.content_type
    if has_body and kind and kind not in BODY_TYPES and not _is_json(kind):
        raise UnsupportedMedia(
            "This address does not support that content type.",
            hint="Send JSON, or multipart/form-data where there are files.",
        )


def _is_json(kind: str) -> bool:
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
