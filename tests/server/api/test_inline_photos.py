"""A photo as base64: what is taken, what is refused, and that each refusal says what to do."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_from_bytes, quote_plus
from uuid import uuid4

import pytest
from django.http import QueryDict
from django.test import Client

from cutline.errors import CutlineError, ImageTooLarge
from cutline.server.api import inline_photos
from cutline.server.api.body_limits import limit_of
from cutline.server.api.inline_photos import _with_plus, decoded_photo
from cutline.server.api.parsing import FILE_FIELDS
from cutline.server.errors import Invalid

CAPTION = "/api/v1/caption"
DATA = bytes(range(256)) * 3 + b"\xfb\xff"
PLAIN = base64.b64encode(DATA).decode()


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.rstrip("="),
        base64.urlsafe_b64encode(DATA).decode(),
        base64.encodebytes(DATA).decode(),
        f"  {PLAIN}\n",
        f"data:image/jpeg;base64,{PLAIN}",
        f"DATA:image/png;charset=utf-8;BASE64,{PLAIN}",
        f"data:image/jpeg; base64, {PLAIN}",
        f"data:image/jpeg ;base64 ,{PLAIN}",
        f"data:image/jpeg;name=a,b.jpg;base64,{PLAIN}",
        f"data:image/jpeg,{quote_from_bytes(DATA)}",
        f"\ufeff{PLAIN}",
        f"\ufeff data:image/jpeg;base64,{PLAIN}",
        f"data:;base64,{PLAIN.replace('+', '%2B').replace('/', '%2F').replace('=', '%3D')}",
    ],
    ids=lambda text: text[:24],
)
def test_base64_and_data_urls_are_read(text: str) -> None:
    assert decoded_photo(text) == DATA


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "must be text"),
        (7, "must be text"),
        (["a"], "must be text"),
        ("", "is empty"),
        ("data:image/jpeg;base64,", "is empty"),
        ("data:image/jpeg,", "is empty"),
        ("data:image/jpeg,\ud800\xff", "not base64"),
        ("data:image/jpeg;base64", "not base64"),
        ("data:image/jpeg", "not base64"),
        ("photo.jpg", "not base64"),
        ("Käse", "not base64"),
        ("a", "not base64"),
        ("ab=c", "not base64"),
        ("https://example.org/a.jpg", "is a URL"),
    ],
    ids=repr,
)
def test_what_is_no_base64_is_refused_with_a_hint(text: object, says: str) -> None:
    with pytest.raises(Invalid, match=says) as caught:
        decoded_photo(text)
    assert caught.value.hint


def test_a_photo_as_text_has_a_bound_of_its_own(configure: Callable[..., object]) -> None:
    configure(max_upload_bytes=600)
    assert decoded_photo(base64.b64encode(b"a" * 600).decode()) == b"a" * 600
    with pytest.raises(ImageTooLarge, match="600 bytes") as caught:
        decoded_photo(base64.b64encode(b"a" * 601).decode())
    assert "form" in caught.value.hint
    with pytest.raises(ImageTooLarge):
        decoded_photo(" " * 100_000)
    assert limit_of(CAPTION, "application/json").bytes == 800 + 2**20
    configure(max_upload_bytes=2**30)
    assert limit_of(CAPTION, "application/json").bytes < 23 * 2**20


def send(body: object, **headers: str) -> Any:
    text = body if isinstance(body, str) else json.dumps(body)
    return Client().post(CAPTION, text, "application/json", headers=headers)


@pytest.mark.django_db
def test_json_with_a_photo_and_options_is_captioned(photo: bytes) -> None:
    text = base64.b64encode(photo).decode()
    plain, url = (
        send({"image": text}),
        send({"image": f"data:image/jpeg;base64,{text}", "n": 2, "beam_size": 4, "model": None}),
    )
    form = Client().post(CAPTION, {"image": text, "n": "2"})
    assert [each.status_code for each in (plain, url, form)] == [200, 200, 200], url.content
    assert [len(each.json()["captions"]) for each in (plain, url, form)] == [1, 2, 2]


@pytest.mark.django_db
def test_a_field_whose_plus_signs_nobody_encoded_is_read(photo: bytes) -> None:
    """As curl -d "image=$(base64 photo.jpg)" sends it, with or without line ends."""
    plain, lines = base64.b64encode(photo).decode(), base64.encodebytes(photo).decode()
    assert "+" in plain
    for text in (plain, lines, f"data:image/jpeg;base64,{plain}", f"data:image/jpeg; base64,{plain}"):
        for sent in (text, quote(text), quote_plus(text)):
            assert decoded_photo(_with_plus(QueryDict(f"image={sent}")["image"])) == photo
    answer = Client().post(CAPTION, f"image={plain}&n=1", "application/x-www-form-urlencoded")
    assert answer.status_code == 200, answer.content


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({}, 422, "missing"),
        ([], 422, "missing"),
        ("null", 422, "missing"),
        ({"image": "photo.jpg"}, 422, "not base64"),
        ({"image": base64.b64encode(b"no photo").decode()}, 422, "image"),
        ({"image": PLAIN, "n": [1]}, 422, "n must be"),
        ({"image": PLAIN, "n": 99}, 422, "invalid"),
        ({"image": PLAIN, "nn": 1}, 422, "no field nn"),
        ("[" * 3000, 400, "JSON"),
        ('{"image": [' + "[]," * 3000 + "0]}", 422, "must be text"),
        ("{", 400, "JSON"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_json_without_a_photo_says_what_to_send(body: object, status: int, says: str) -> None:
    answer = send(body)
    found = answer.json()
    assert (answer.status_code, says in found["detail"]) == (status, True), found


@pytest.mark.django_db
def test_long_texts_are_decoded_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []

    def decode(text: object) -> bytes:
        held.append(len(inline_photos._LONG_ONES._held))
        raise Invalid("seen")

    monkeypatch.setattr(inline_photos, "decoded_photo", decode)
    for chars in (100, 2 * 2**20):
        body = json.dumps({"image": "A" * chars})
        assert Client().post(CAPTION, body, content_type="application/json").status_code == 422
    assert held == [0, 1]
    assert not inline_photos._LONG_ONES._held


@pytest.mark.django_db
def test_json_where_only_a_form_will_do_says_so() -> None:
    answer = Client().post("/api/v1/images", {"files": [PLAIN]}, "application/json")
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid")
    assert "curl -F files=@photo.jpg" in answer.json()["hint"]


def test_the_contract_names_both_ways() -> None:
    from cutline.server.api.app import api

    content = api.get_openapi_schema()["paths"]["/api/v1/caption"]["post"]["requestBody"]["content"]
    assert set(content) == {"multipart/form-data", "application/json"}
    fields = content["application/json"]["schema"]
    assert fields["required"] == ["image"]
    assert {"image", "n", "prefix"} <= fields["properties"].keys()


def test_no_refusal_is_outside_the_tree() -> None:
    for text in ("data:,%FF;base64,\ud800", "é" * 9, "data:;base64,%%%", "=" * 50):
        with pytest.raises(CutlineError):
            decoded_photo(text)
    assert inline_photos.MOST_BYTES <= 16 * 2**20


JPEG = (
    b"\xff\xd8\xff\xe0\0\x10JFIF\0" + b"[{:,&=" * 900
)  # with more levels and fields than JSON or a form may have
URLENCODED = "application/x-www-form-urlencoded"


@pytest.mark.django_db
@pytest.mark.parametrize(("path", "field"), FILE_FIELDS.items())
@pytest.mark.parametrize("kind", ["image/jpeg", "application/octet-stream", URLENCODED, ""])
def test_a_bare_file_is_told_how_to_send_it(path: str, field: str, kind: str) -> None:
    answer = Client().generic("POST", path, JPEG, content_type=kind)
    # Where no JSON is read, a body without a type is no body: what it lacks is a form.
    assert answer.status_code == (422 if (kind, field) == ("", "files") else 415), answer.content
    assert f"curl -F {field}=@" in answer.json()["hint"]


@pytest.mark.django_db
@pytest.mark.parametrize("path", FILE_FIELDS)
def test_a_body_whose_headers_are_wrong_is_told_which(path: str) -> None:
    def told(body: bytes, kind: str, **headers: str) -> tuple[int, str]:
        answer = Client().generic("POST", path, body, content_type=kind, headers=headers)
        return answer.status_code, " ".join(answer.json()[name] for name in ("detail", "hint"))

    body = b' {"image": "aGk="}'
    status, text = told(body, URLENCODED)
    assert (status, "-H 'Content-Type: application/json'" in text) == (415, True), text
    for encoding in ("gzip", "BR", "deflate, gzip"):
        status, text = told(body, "application/json", **{"Content-Encoding": encoding})
        assert (status, encoding in text) == (415, True), text
    for encoding in ("identity", "utf-8", "UTF8", "binary", "8bit", "none"):
        assert told(body, "application/json", **{"Content-Encoding": encoding})[0] == 422, encoding
    assert "boundary" in told(b"--x\r\n\r\n--x--", "multipart/form-data")[1]
    form = b'--x\nContent-Disposition: form-data; name="n"\n\n1\n--x--\n'
    status, text = told(form.replace(b"1", b"1" * 4000), "multipart/form-data; boundary=x")
    assert (status, "CR LF" in text) == (400, True), text


@pytest.mark.django_db
@pytest.mark.parametrize("body", ["{}", "[]", "\0", "x=1"])
def test_a_body_that_nothing_reads_may_be_anything(body: str) -> None:
    path = f"/api/v1/jobs/{uuid4()}/cancel"
    assert Client().generic("POST", path, body, content_type=URLENCODED).status_code == 404


@pytest.mark.django_db
def test_json_of_the_type_that_curl_gives_is_told_its_header_everywhere() -> None:
    path = f"/api/v1/images/{uuid4()}/captions"
    answer = Client().generic("POST", path, '{"n": 1}', content_type=URLENCODED)
    assert (answer.status_code, "-H 'Content-Type: application/json'" in answer.json()["hint"]) == (415, True)
