"""A photo as text, in JSON or in a field of a form, becomes the file that a form would have brought."""

from __future__ import annotations

import base64
import binascii
import functools
import re
from collections.abc import Callable, Collection
from contextlib import AbstractContextManager, nullcontext
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

from django.core.files.uploadedfile import TemporaryUploadedFile
from django.http import HttpRequest, QueryDict
from django.http.response import HttpResponseBase
from django.utils.datastructures import MultiValueDict
from ninja import Schema

from cutline.errors import ImageTooLarge
from cutline.server import decoding
from cutline.server.api import limits
from cutline.server.api.parsing import SafeParser, check_urlencoded
from cutline.server.api.problems import problem_of
from cutline.server.config import settings
from cutline.server.errors import Invalid
from cutline.server.people.viewers import viewer_of
from cutline.server.shares import FairBudget, Payer
from cutline.server.transactions import lend_connection

Operation = Callable[..., HttpResponseBase]

MOST_BYTES = 16 * 2**20  # a photo as text is held in memory several times over
FIELD = "image"
LISTS = frozenset({"avoid"})  # fields that a form may have several times
_FORMS = ("multipart/form-data", "application/x-www-form-urlencoded")
_SPACES = (" ", "\t", "\r", "\n")
_TO_BASE64 = bytes.maketrans(b"-_", b"+/")  # from base64url
# Where the text of a data: URL begins; a comma may stand before, in a file's name. + was a space.
_IN_BASE64 = re.compile(r";[\s+]*base64[\s+]*,", re.IGNORECASE)
_LONGEST_HEAD = 2000  # characters of a data: URL before its text
_HOW = 'Write {"image": "data:image/jpeg;base64,..."}, or send the photo as a file of a form.'
_TIMES_IN_MEMORY = 3  # a text while it is decoded
_LONG_BYTES = 2**20
# Decoding a long text holds the interpreter: of several at once, everybody else would wait for all of them.
_LONG_ONES = FairBudget(
    "decoding of photos as text", total=lambda: 1, at_once=lambda: 1, before_waiting=lend_connection
)


def most_bytes() -> int:
    """How many bytes a photo may have that comes as text."""
    return min(MOST_BYTES, settings().max_upload_bytes)


def body_bytes() -> int:
    """How long a body with such a photo may be, without its other fields."""
    return -(-most_bytes() // 3) * 4


def takes_text(options: type[Schema]) -> dict[str, Any]:
    """What an operation adds to its documentation. options: its other fields."""
    photo = {"type": "string", "title": "Image", "description": "Base64, or a data: URL of it."}
    fields = {FIELD: photo, **options.model_json_schema()["properties"]}
    body = {"type": "object", "properties": fields, "required": [FIELD], "additionalProperties": False}
    return {"requestBody": {"content": {"application/json": {"schema": body}}}}


def photo_as_text(options: type[Schema]) -> Callable[[Operation], Operation]:
    """Wrap an operation that takes the file `image` and options in a form: JSON with both will do, too."""

    def wrap(run: Operation) -> Operation:
        @functools.wraps(run)
        def answer(request: HttpRequest, *words: Any, **named: Any) -> HttpResponseBase:
            try:
                _unpack(request, options.model_fields)
            except Exception as error:
                return problem_of(request, error)
            return run(request, *words, **named)

        return answer

    return wrap


def _unpack(request: HttpRequest, known: Collection[str]) -> None:
    size_bytes = int(request.META.get("CONTENT_LENGTH") or 0)
    payer = limits.payer_of(viewer_of(request))
    with (
        decoding.on_behalf_of(payer),
        decoding.room_for_file(_TIMES_IN_MEMORY * size_bytes),  # on that payer's behalf
        _turn(size_bytes, payer),
    ):
        if request.content_type in _FORMS:
            if request.content_type == _FORMS[1]:
                check_urlencoded(request)
            if FIELD in request.FILES or FIELD not in request.POST:
                return
            fields = request.POST.copy()
            text = fields.pop(FIELD)[-1]
            photo: object = _with_plus(text) if request.content_type == _FORMS[1] else text
        else:
            fields, photo = _fields_of_json(request, known)
        file = _file_of(decoded_photo(photo))
    made: Any = request
    made._post, made._files = fields, MultiValueDict({FIELD: [file]})


def _with_plus(text: str) -> str:
    """Base64 as it was before it became a field whose + nobody had written as %2B: each is a space now."""
    return text if "+" in text else text.lstrip().rstrip("\t\r\n").replace(" ", "+")


def _turn(size_bytes: int, payer: Payer) -> AbstractContextManager[None]:
    return _LONG_ONES.taken(1, payer) if size_bytes > _LONG_BYTES else nullcontext()


def _fields_of_json(request: HttpRequest, known: Collection[str]) -> tuple[QueryDict, object]:
    """The fields as a form has them, and the photo's text."""
    found = SafeParser().parse_body(request)
    if not isinstance(found, dict) or FIELD not in found:
        raise Invalid("The photo is missing: the JSON has no image.", hint=_HOW)
    photo = found.pop(FIELD)
    fields = QueryDict(mutable=True)
    for name, value in found.items():
        if name not in known:
            raise Invalid(f"There is no field {name[:100]}.", hint=f"There are image, {', '.join(known)}.")
        values = value if isinstance(value, list) and name in LISTS else [value]
        if any(isinstance(each, (list, dict)) for each in values):
            raise Invalid(f"{name} must be text, a number, true or false.")
        if texts := [_as_text(each) for each in values if each is not None]:
            fields.setlist(name, texts)
    return fields, photo


def _as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def decoded_photo(text: object) -> bytes:
    """The bytes of a photo in base64, or in a data: URL, which may be percent-encoded instead.

    Raises Invalid where it is neither, ImageTooLarge.
    """
    if not isinstance(text, str):
        raise Invalid("image must be text: a photo in base64.", hint=_HOW)
    most = most_bytes()
    if len(text) // 4 * 3 > 2 * most:  # line ends count until they are taken out, but not without bound
        raise _too_large(most)
    text = text.strip().removeprefix("\ufeff").lstrip()
    scheme = text[:10].partition(":")[0].lower()
    if scheme in ("http", "https"):
        raise Invalid("image is a URL, not a photo.", hint="POST /api/v1/images/from-url fetches photos.")
    if scheme == "data":
        if found := _IN_BASE64.search(text, 0, _LONGEST_HEAD):
            text = text[found.end() :]
            text = unquote(text) if "%" in text else text
        else:
            return _percent_decoded(text, most)
    try:
        if len(text) - sum(map(text.count, _SPACES)) - 2 > -(-most // 3) * 4:
            raise _too_large(most)  # before it is copied
        packed = text.encode("ascii").translate(_TO_BASE64, delete=b" \t\r\n").rstrip(b"=")
        if len(packed) * 3 // 4 > most:
            raise _too_large(most)
        data = base64.b64decode(packed + b"=" * (-len(packed) % 4), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise Invalid("image is not base64.", hint=_HOW) from error
    if not data:
        raise Invalid("image is empty.", hint=_HOW)
    return data


def _percent_decoded(url: str, most: int) -> bytes:
    _, comma, text = url.partition(",")
    if not comma or not text.isascii():
        raise Invalid("The data: URL in image is not base64.", hint=_HOW)
    data = unquote_to_bytes(text)
    if len(data) > most:
        raise _too_large(most)
    if not data:
        raise Invalid("image is empty.", hint=_HOW)
    return data


def _too_large(most: int) -> ImageTooLarge:
    return ImageTooLarge(
        f"As text a photo may have at most {most:,} bytes.", hint="Send it as a file of a form."
    )


def _file_of(data: bytes) -> TemporaryUploadedFile:
    file = TemporaryUploadedFile(FIELD, "application/octet-stream", len(data), None)
    file.write(data)
    file.seek(0)
    return file
