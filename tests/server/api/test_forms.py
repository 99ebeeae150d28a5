"""No file of a form is lost, whatever its name is written in and however it is sent."""

from __future__ import annotations

import io
import random
from typing import Any

import pytest
from django.core.handlers.asgi import ASGIRequest

from cutline.server.api.forms import FormRequest

PHOTO = b"\xff\xd8 a photo \r\n--no boundary\r\n\r\n"
JPEG = b"Content-Type: image/jpeg\r\n"
KIND = b"multipart/form-data; boundary=XyZ"


class Trickle(io.BytesIO):
    """A body that comes in pieces of any size."""

    def __init__(self, data: bytes, seed: int) -> None:
        super().__init__(data)
        self._random = random.Random(seed)

    def read(self, size: int | None = -1) -> bytes:
        return super().read(self._random.choice([1, 2, 3, 7, 50, 1000, 65536]))


def form_with(disposition: bytes, data: bytes = PHOTO, kind: bytes = JPEG) -> bytes:
    return (
        b"--XyZ\r\nContent-Disposition: " + disposition + b"\r\n" + kind + b"\r\n" + data + b"\r\n"
        b'--XyZ\r\nContent-Disposition: form-data; name="n"\r\n\r\n3\r\n--XyZ--\r\n'
    )


def request(body: bytes | Trickle, *headers: tuple[bytes, bytes], kind: bytes = KIND) -> ASGIRequest:
    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"content-type", kind), *headers]}
    return FormRequest(scope, body if isinstance(body, Trickle) else io.BytesIO(body))


def files_of(found: Any) -> dict[str, list[tuple[str, bytes]]]:
    return {name: [(file.name, file.read()) for file in found.FILES.getlist(name)] for name in found.FILES}


NAMES: dict[bytes, str] = {
    b'filename="a.jpg"': "a.jpg",
    b"filename=a.jpg": "a.jpg",
    b"filename=a b.jpg": "a b.jpg",
    'filename="Käse.jpg"'.encode("latin-1"): "Käse.jpg",
    'filename="Käse.jpg"'.encode(): "Käse.jpg",
    'filename="写真.jpg"'.encode(): "写真.jpg",
    b'filename="\xff\xfe.jpg"': "\xff\xfe.jpg",
    b"filename*=UTF-8''K%C3%A4se.jpg": "Käse.jpg",
    b"filename=\"x.jpg\"; filename*=iso-8859-1'de'K%E4se.jpg": "Käse.jpg",
    b"filename=\"x.jpg\"; filename*=klingon''K%E4se.jpg": "x.jpg",
    b"filename*=klingon''K%E4se.jpg": "photo",
    b"filename*=UTF-8''": "photo",
    b'filename*0="lo"; filename*1="ng.jpg"': "long.jpg",
    b'filename=""': "photo",
    b'filename=" "': "photo",
    b'filename="/"': "photo",
    b'filename=".."': "photo",
    b'filename="C:\\temp\\a.jpg"': "a.jpg",
    b'filename="../../etc/a.jpg"': "a.jpg",
    b'filename="a"b".jpg"': 'a"b".jpg',
    b'filename="a\\"b;c.jpg"': 'a"b;c.jpg',
    b'filename="open.jpg': "open.jpg",
    b'filename="a\x00\x07b.jpg"': "ab.jpg",
    b'FileName="A.jpg"': "A.jpg",
    b"": "photo",
    b'filename="&#46;"': "photo",
    b'filename="f1"': "f1",
    b'filename="&#20889;.jpg"': "写.jpg",
    b'\r\n\tfilename="a.jpg"': "a.jpg",
    b"\r\n filename*0=lo;\r\n  filename*1=ng.jpg": "long.jpg",
    b'filename="' + "写".encode() * 110 + b'.jpg"': "写" * 110 + ".jpg",
    b'filename="' + b"x" * 5000 + b'.jpg"': "x" * 251 + ".jpg",
}


@pytest.mark.parametrize(("words", "shown"), NAMES.items())
def test_a_file_arrives_whatever_its_name_looks_like(words: bytes, shown: str) -> None:
    found = request(form_with(b'form-data; name="image"; ' + words))
    assert files_of(found) == {"image": [(shown, PHOTO)]}
    assert found.POST.dict() == {"n": "3"}


@pytest.mark.parametrize(
    "start",
    [
        b"form-data; name=image",
        b"form-data; name='image'",
        b"attachment;name=image",
        b'form-data;\r\n\tname="image"',
        b'form-data;\r\n\tname="image"; size=9' + b";x=y" * 500,
    ],
)
def test_a_field_s_name_may_be_quoted_in_any_way(start: bytes) -> None:
    assert files_of(request(form_with(start + b'; filename="a.jpg"'))) == {"image": [("a.jpg", PHOTO)]}


def test_a_field_where_no_file_was_chosen_is_no_file() -> None:
    found = request(
        form_with(b'form-data; name="image"; filename=""', b"", b"Content-Type: application/octet-stream\r\n")
    )
    assert files_of(found) == {}


def test_a_text_field_is_no_file() -> None:
    found = request(form_with(b'form-data; name="note"', "Käse\r\n".encode(), b""))
    assert (files_of(found), found.POST["note"]) == ({}, "Käse\r\n")


ZIP = b"PK\x03\x04 and names"
TYPES = [b"", b"Content-Type: text/plain\r\n", b"Content-Type: multipart/x-zip\r\n"]


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("name", [b"image", b"files", b"archive"])
@pytest.mark.parametrize("data", [PHOTO, ZIP, b"GIF89a\x01", b"\x89PNG\r\n\x1a\n"], ids=repr)
def test_bytes_in_the_field_of_a_file_are_a_file(name: bytes, kind: bytes, data: bytes) -> None:
    found = request(form_with(b"form-data; name=" + name, data, kind))
    assert files_of(found) == {name.decode(): [("photo", data)]}


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize(
    "text",
    ["aGVsbG8=\r\n", "\ufeffaGVsbG8=", "data:image/jpeg,%FF%D8", "http://example.org/", "", "é"],
)
def test_text_stays_text_also_where_a_photo_may_stand(text: str, kind: bytes) -> None:
    name = "prefix" if text == "é" else "image"
    found = request(form_with(b"form-data; name=" + name.encode(), text.encode(), kind))
    assert (files_of(found), found.POST[name]) == ({}, text)


def test_a_short_part_is_not_judged_by_what_follows_it() -> None:
    form = form_with(b'form-data; name="image"', b"aGk=", b"")
    found = request(form[: form.index(b"--XyZ", 1)] + form_with(b'form-data; name="files"; filename="a"'))
    assert (found.POST["image"], files_of(found)) == ("aGk=", {"files": [("a", PHOTO)]})


def test_a_part_s_type_may_be_long_or_in_any_encoding() -> None:
    kind = (
        b'Content-Type: image/jpeg;\r\n\tname="' + b"\xe9" * 2000 + b'"\r\nX-Note: ' + b"y" * 2000 + b"\r\n"
    )
    found = request(form_with(b'form-data; name="image"; filename="a.jpg"', PHOTO, kind))
    assert files_of(found) == {"image": [("a.jpg", PHOTO)]}


@pytest.mark.parametrize(
    "kind",
    [
        b"Multipart/Form-Data; Boundary=XyZ",
        b"MULTIPART/FORM-DATA;boundary=XyZ",
        *(
            b"multipart/form-data; boundary=XyZ; charset=" + name
            for name in b"base64 utf-16 utf-7 rot13 unicode_escape idna nothing utf8 latin1 cp037".split()
        ),
    ],
)
def test_a_form_is_read_whatever_its_type_says_of_its_text(kind: bytes) -> None:
    found = request(form_with(b'form-data; name="image"; filename="a.jpg"'), kind=kind)
    assert files_of(found) == {"image": [("a.jpg", PHOTO)]}
    assert found.POST.dict() == {"n": "3"}


def test_text_comes_in_the_encoding_that_the_form_names() -> None:
    body = form_with(b'form-data; name="note"', b"K\xe4se", b"")
    assert request(body, kind=KIND + b"; charset=latin-1").POST["note"] == "Käse"


@pytest.mark.parametrize(
    "headers", [[], [(b"transfer-encoding", b"chunked")], [(b"content-length", b"0")]], ids=str
)
def test_a_form_without_its_length_is_read(headers: list[tuple[bytes, bytes]]) -> None:
    found = request(form_with(b'form-data; name="image"; filename="a.jpg"'), *headers)
    assert files_of(found) == {"image": [("a.jpg", PHOTO)]}


def test_a_request_without_a_body_has_no_length() -> None:
    assert "CONTENT_LENGTH" not in request(b"").META


@pytest.mark.parametrize("seed", range(40))
def test_only_headers_change_in_whatever_pieces_a_form_comes(seed: int) -> None:
    rng = random.Random(seed)
    sizes = [rng.choice([0, 1, 5, 60, 70_000]) for _ in range(rng.randrange(5))]
    parts = {
        f"f{number}": bytes(rng.choices(b"\r\n-XyZab", k=size)).replace(b"--XyZ", b"q")
        for number, size in enumerate(sizes)
    }
    body = b"".join(
        b'--XyZ\r\nContent-Disposition: form-data; name="'
        + name.encode()
        + b'"; filename="x"\r\n\r\n'
        + part
        + b"\r\n"
        for name, part in parts.items()
    )
    body = b"A preamble\r\n" + body + b"--XyZ--\r\nand what follows"
    found = request(Trickle(body, seed))
    assert files_of(found) == {name: [("x", part)] for name, part in parts.items()}


@pytest.mark.parametrize(
    "body", [b"", b"--XyZ", b"--XyZ\r\n", b"--XyZ\r\nContent-Disposition: form-data", b"nothing", b"--XyZ--"]
)
def test_a_broken_form_has_no_files(body: bytes) -> None:
    assert files_of(request(body)) == {}
