"""Bulks with a voice, by a language model behind a real HTTP server."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import ANY

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from cutline.caption_files import csv_format
from cutline.server import styler
from cutline.server.bulk import outcomes, selectors, services, sidecars, styling
from cutline.server.bulk.models import Bulk, BulkItem
from cutline.server.bulk.sidecars import sidecar_files
from cutline.server.images.deletion import delete
from cutline.server.images.models import Image
from cutline.server.jobs import services as jobs
from cutline.server.jobs.models import Job, JobKind
from cutline.server.people.models import Owner, User
from cutline.server.voices.models import LastVoice
from tests.chat_server import ChatServer, chat_server, in_words, streamed
from tests.server.bulk import zips

pytestmark = pytest.mark.django_db(transaction=True)

Work = Callable[..., list[str]]
MakePhoto = Callable[..., bytes]
VOICE = {"tone": "dry", "hashtags": 0, "suffix": "Ours."}


@pytest.fixture
def model(configure: Callable[..., Any]) -> Iterator[ChatServer]:
    """The language model of this service: it says "Well:" and the description."""
    with chat_server() as server:
        configure(restyler=f"openai:{server.url}#writer", restyler_timeout_s=60)
        server.answer = lambda _count, request: in_words(
            f"Well: {json.loads(request['messages'][1]['content'])['description']}"
        )
        yield server
        styler.close()


@pytest.fixture
def owner() -> Owner:
    user = User.objects.create_user("ada@example.org", "a long enough password")
    return Owner.objects.get_or_create(user=user)[0]


def zipped(owner: Owner, *members: tuple[str, bytes], variants: int = 1) -> Bulk:
    options = styling.options_of(styler.voice_of(VOICE), variants=variants)
    return services.create_from_archive(
        owner, io.BytesIO(zips.packed(members)), "holiday.zip", options={"n": 1, **options}
    )


def lines(bulk: Bulk) -> list[dict[str, Any]]:
    return [json.loads(line) for line in b"".join(selectors.result_lines(bulk, "jsonl")).splitlines()]


def states(bulk: Bulk) -> list[tuple[str, str]]:
    return list(BulkItem.objects.filter(bulk=bulk).order_by("number").values_list("state", "style_code"))


@pytest.mark.both_databases
def test_a_bulk_with_a_voice_has_the_styled_text_beside_the_description(
    owner: Owner, work: Work, make_photo: MakePhoto, model: ChatServer
) -> None:
    picture = make_photo(1)
    bulk = zipped(owner, ("1.jpg", picture), ("no.txt", b"no photo"), ("again.jpg", picture))
    assert work() == ["bulk", "caption", "style"]
    bulk.refresh_from_db()
    assert (bulk.state, states(bulk)) == ("done", [("done", ""), ("failed", ""), ("done", "")])
    first, failed, again = lines(bulk)
    description = first["captions"][0]["text"]
    assert first["voice"] == {"tone": "dry", "suffix": "Ours."}
    assert first["styled"] == [
        {
            "text": f"Well: {description} Ours.",
            **{"hashtags": [], "model": "writer@remote", "prompt": ANY, "log_prob": None, "unsupported": []},
            "description": description,
        }
    ]
    assert again == {**first, "file": "again.jpg"}
    assert set(failed) == {"file", "error"}
    assert Image.objects.get().caption == description
    header, row, *_ = csv.reader(io.StringIO(b"".join(selectors.result_lines(bulk, "csv")).decode()))
    told = dict(zip(header, row, strict=True))
    assert (told["caption"], told["styled"]) == (description, f"Well: {description} Ours.")
    assert (told["styled_model"], told["styled_error"]) == ("writer@remote", "")
    parsed = csv_format(header)
    assert parsed is not None
    assert parsed.parse_cells(row).captions[0].text == description


def test_text_files_lie_beside_the_photos(
    owner: Owner, work: Work, make_photo: MakePhoto, model: ChatServer
) -> None:
    names = ("a/beach.jpg", "a/Beach.png", "a/beach.styled.jpg")
    bulk = zipped(owner, *((name, make_photo(number)) for number, name in enumerate(names)), ("no.txt", b"x"))
    work()
    told = [line for line in lines(bulk) if "captions" in line]
    with zipfile.ZipFile(io.BytesIO(b"".join(sidecar_files(bulk)))) as archive:
        assert archive.testzip() is None
        files = {name: archive.read(name).decode() for name in archive.namelist()}
    stems = ("a/beach", "a/Beach.png", "a/beach.styled.jpg")
    assert files == {
        **{f"{stem}.txt": f"{line['captions'][0]['text']}\n" for stem, line in zip(stems, told, strict=True)},
        **{
            f"{stem}.styled.txt": f"{line['styled'][0]['text']}\n"
            for stem, line in zip(stems, told, strict=True)
        },
    }


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("https://example.org/photos/a%20b.jpg?size=9", "a b.jpg"),
        ("https://example.org/", ""),
        ("https://example.org/..%2f..%2fetc", "etc"),
        ("../../etc/passwd", "etc/passwd"),
        ("a\u202ebc.jpg", ""),
    ],
)
def test_no_name_leads_out_of_the_folder(file: str, name: str) -> None:
    assert sidecars._path_of(file) == name


def test_a_model_that_fails_leaves_the_description_and_can_be_asked_again(
    owner: Owner, work: Work, make_photo: MakePhoto, model: ChatServer, configure: Callable[..., Any]
) -> None:
    good, model.answer = model.answer, lambda *_: streamed("Well ", end=False)
    configure(max_attempts=1)
    bulk = zipped(owner, ("1.jpg", make_photo(1)))
    work()
    bulk.refresh_from_db()
    assert (bulk.state, states(bulk)) == ("done", [("done", "restyler_unavailable")])
    [line] = lines(bulk)
    assert line["captions"]
    assert (line["styled"], line["styled_error"]["code"]) == ([], "restyler_unavailable")
    model.answer = good
    jobs.retry(Job.objects.get(kind=JobKind.STYLE))
    work()
    assert states(bulk) == [("done", "")]
    assert lines(bulk)[0]["styled"][0]["text"].endswith("Ours.")


def test_photos_that_are_captioned_already_are_only_written_of_in_the_voice(
    owner: Owner, work: Work, make_photo: MakePhoto, model: ChatServer
) -> None:
    picture = make_photo(1)
    services.create_from_archive(owner, io.BytesIO(zips.packed([("a.jpg", picture)])), "a.zip", options={})
    work()
    bulk = zipped(owner, ("b.jpg", picture))
    assert work() == ["bulk", "style"]
    assert lines(bulk)[0]["styled"]


def test_what_a_killed_process_did_not_ask_for_the_sweep_asks_for(
    owner: Owner, work: Work, make_photo: MakePhoto, model: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(styling, "ask_later", lambda _: None)
        bulk = zipped(owner, ("1.jpg", make_photo(1)))
        assert work() == ["bulk", "caption"]
    assert states(bulk) == [("waiting", "")]
    outcomes.sweep()
    outcomes.sweep()
    assert work() == ["style"]
    bulk.refresh_from_db()
    assert (bulk.state, states(bulk)) == ("done", [("done", "")])


def test_a_bulk_that_is_cancelled_while_words_are_written_keeps_the_descriptions(
    owner: Owner, work: Work, make_photo: MakePhoto, model: ChatServer
) -> None:
    bulk = zipped(owner, ("1.jpg", make_photo(1)))
    assert work(2) == ["bulk", "caption"]
    services.cancel(bulk)
    assert work() == []
    assert states(bulk) == [("done", "cancelled")]
    assert lines(bulk)[0]["captions"]


def test_a_photo_that_is_deleted_meanwhile_ends_its_item(
    owner: Owner, work: Work, make_photo: MakePhoto, model: ChatServer
) -> None:
    bulk = zipped(owner, ("1.jpg", make_photo(1)))
    work(2)
    delete(Image.objects.all())
    work()
    outcomes.sweep()
    bulk.refresh_from_db()
    assert bulk.state == "done"
    assert lines(bulk)[0]["error"]["code"] == "not_found"


def test_over_http(work: Work, make_photo: MakePhoto, model: ChatServer) -> None:
    browser = Client()
    archive = SimpleUploadedFile("a.zip", zips.packed([("1.jpg", make_photo(1))]), "application/zip")
    fields = {
        "archive": archive,
        "preset": "alt-text",
        "tone": "dry",
        "avoid": ["cute", "sweet"],
        "variants": 2,
    }
    answer = browser.post("/api/v1/bulk", fields)
    assert answer.status_code == 202, answer.content
    bulk = answer.json()
    assert (bulk["voice"]["tone"], bulk["voice"]["avoid"]) == ("dry", ["cute", "sweet"])
    assert LastVoice.objects.get().voice == {"tone": "dry", "avoid": ["cute", "sweet"]}
    work()
    [item] = browser.get(f"/api/v1/bulk/{bulk['id']}/items").json()["items"]
    assert item["styled"]
    assert (item["state"], item["styled_error"]) == ("done", None)
    assert item["caption"] in item["styled"][0]
    body = json.dumps({"urls": ["https://example.org/a.jpg"], "tone": "x" * 201})
    assert browser.post("/api/v1/bulk", body, content_type="application/json").status_code == 422
    plain = browser.post(
        "/api/v1/bulk", json.dumps({"urls": ["https://example.org/a.jpg"]}), "application/json"
    )
    assert plain.json()["voice"] is None


def test_without_a_language_model_no_voice_is_accepted(configure: Callable[..., Any]) -> None:
    configure(restyler="off")
    body = json.dumps({"urls": ["https://example.org/a.jpg"], "tone": "dry"})
    answer = Client().post("/api/v1/bulk", body, content_type="application/json")
    assert (answer.status_code, answer.json()["code"]) == (503, "restyler_unavailable")
    assert not Bulk.objects.exists()
