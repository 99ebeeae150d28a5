"""Captions in a voice on the spot, in one process, by a language model behind a real HTTP server."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest
from django.apps import apps
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.handlers.asgi import ASGIRequest
from django.test import Client

from cutline.server import rates, styler
from cutline.server.account import keys
from cutline.server.api import event_streams
from cutline.server.api.event_streams import sse, sse_answer
from cutline.server.people.models import Owner
from cutline.server.voices import services as voices
from tests.chat_server import Answer, ChatServer, chat_server, in_words, paused, streamed

pytestmark = pytest.mark.django_db

DOG = "A dog runs along the beach."
GOOD = "All paws and no plans: this dog has the whole beach to itself."
OTHER = "Give a dog one beach and it will run the length of it, twice."
EVENTS = {"Accept": "text/event-stream"}


@pytest.fixture
def model(configure: Callable[..., Any]) -> Iterator[ChatServer]:
    """The language model of this service."""
    rates.forget()
    with chat_server() as server:
        configure(restyler=f"openai:{server.url}#writer", restyler_timeout_s=60)
        server.answer = lambda count, _: in_words((GOOD, OTHER)[(count - 1) % 2])
        yield server
        styler.close()


def restyle(body: dict[str, Any], **headers: str) -> Any:
    return Client().post(
        "/api/v1/restyle", json.dumps(body), content_type="application/json", headers=headers
    )


def events(answer: Any) -> list[tuple[str, Any]]:
    """The events of a stream: name and data."""
    found = b"".join(answer.streaming_content).decode().split("\n\n")[:-1]
    parts = [dict(line.split(": ", 1) for line in each.split("\n")) for each in found]
    return [(part["event"], json.loads(part["data"])) for part in parts]


def rows() -> int:
    """How much is kept of anything."""
    return sum(kind._default_manager.count() for kind in apps.get_models())


def test_a_description_becomes_captions_in_a_voice_and_nothing_is_kept(model: ChatServer) -> None:
    before = rows()
    answer = restyle({"description": DOG, "tone": "quirky", "suffix": "Ours.", "n": 2, "seed": 7})
    assert answer.status_code == 200, answer.content
    told = answer.json()
    assert [each["text"] for each in told["captions"]] == [f"{GOOD} Ours.", f"{OTHER} Ours."]
    assert {each["model"] for each in told["captions"]} == {"writer@remote"}
    assert told["captions"][0]["body"] == GOOD
    assert told["captions"][0]["prompt"]
    assert (told["description"], told["seed"], told["voice"]["tone"]) == (DOG, 7, "quirky")
    assert not answer.cookies
    assert rows() == before


def test_a_repeated_key_keeps_nothing_either(model: ChatServer) -> None:
    restyle({"description": DOG}, **{"Idempotency-Key": "once"})
    assert not apps.get_model("api", "IdempotentAnswer").objects.exists()


def test_words_are_streamed_as_they_are_written(model: ChatServer) -> None:
    answer = restyle({"description": DOG, "tone": "quirky", "n": 2}, **EVENTS)
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/event-stream"
    assert "no-store" in answer["Cache-Control"]
    *words, (last, told) = events(answer)
    assert last == "done"
    assert {name for name, _ in words} == {"words"}
    assert [each["text"] for each in told["captions"]] == [GOOD, OTHER]
    first = [data["text"] for _, data in words if data["number"] == 0]
    assert len(first) > 5
    assert all(GOOD.startswith(text) for text in first)
    assert [data["number"] for _, data in words if data["whole"]] == [0, 1]


def test_a_voice_of_one_s_own_is_named_by_whom_it_belongs_to(model: ChatServer) -> None:
    owner = Owner.objects.create()
    voices.save(owner, "Ours", {"tone": "like our shop"})
    _, secret = keys.create(owner, name="k", scopes=["caption", "images:read"])
    body = {"description": DOG, "preset": "ours"}
    told = restyle(body, Authorization=f"Bearer {secret}").json()
    assert told["voice"]["tone"] == "like our shop"
    assert restyle(body).status_code == 422
    _, blind = keys.create(owner, name="k", scopes=["caption"])
    assert "like our shop" not in restyle(body, Authorization=f"Bearer {blind}").content.decode()
    _, wrong = keys.create(owner, name="k", scopes=["images:write"])
    assert restyle({"description": DOG}, Authorization=f"Bearer {wrong}").status_code == 403


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"description": ""},
        {"description": " "},
        {"description": "x" * 1001},
        {"description": DOG, "n": 6},
        {"description": DOG, "seed": -1},
        {"description": DOG, "mood": "dry"},
        {"description": DOG, "tone": "x" * 5000},
        {"description": DOG, "context": ["x"] * 11},
    ],
    ids=lambda body: json.dumps(body)[:40],
)
def test_what_makes_no_sense_is_refused(model: ChatServer, body: dict[str, Any]) -> None:
    assert restyle(body).status_code == 422
    assert not model.requests


def failing(model: ChatServer) -> dict[str, tuple[Answer, int, str]]:
    """Ways to fail: what the model answers, and what becomes of it."""
    down, refused = (503, "restyler_unavailable"), (422, "caption_refused")
    return {
        "dies in the middle": (streamed("All paws ", "and no ", end=False), *down),
        "answers rubbish": ((200, {}, b"<html>"), *down),
        "says another form": ((200, {}, b'{"choices": 3}'), *down),
        "refuses": ((401, {}, b"{}"), *down),
        "says no": (in_words("I'm sorry, but I cannot help with that."), *refused),
        "invents": (in_words("A cat sleeps on a red sofa in Paris with Anna tonight."), *refused),
        "floods": (streamed(*(["spam "] * 5000)), *refused),
    }


def test_a_model_that_fails_is_a_clear_error(model: ChatServer, subtests: pytest.Subtests) -> None:
    for way, (answer, status, code) in failing(model).items():
        with subtests.test(way):
            model.answer = lambda _count, _request, answer=answer: answer  # type: ignore[misc]
            told = restyle({"description": DOG})
            assert (told.status_code, told.json()["code"]) == (status, code)
            assert "stays" in told.json()["hint"]
            assert "127.0.0.1" not in told.content.decode()
            stream = restyle({"description": DOG}, **EVENTS)
            if stream.streaming:
                name, data = events(stream)[-1]
                assert (name, data["error"]["code"]) == ("failed", code)
            else:
                assert stream.json()["code"] == code


def test_a_silent_model_is_waited_for_with_comments(
    model: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_streams, "HEARTBEAT_S", 0)
    gate = threading.Event()
    model.answer = lambda *_: paused(GOOD, gate, after_words=0)
    try:
        stream = iter(restyle({"description": DOG}, **EVENTS).streaming_content)
        assert next(stream) == b":\n\n"
    finally:
        gate.set()
    assert b"event: done" in b"".join(stream)


def test_no_language_model_is_told_at_once(configure: Callable[..., Any]) -> None:
    rates.forget()
    configure(restyler="off")
    answer = restyle({"description": DOG}, **EVENTS)
    assert (answer.status_code, answer.json()["code"]) == (503, "restyler_unavailable")


def test_asking_is_limited_by_network_and_by_account(
    model: ChatServer, configure: Callable[..., Any]
) -> None:
    configure(rate_styles="2/hour")
    for _ in range(2):
        answer = restyle({"description": DOG})
    assert answer["RateLimit-Policy"] == '"styles";q=2;w=3600'
    assert restyle({"description": DOG}).status_code == 429
    assert restyle({"description": ""}).status_code == 422
    big = restyle({"description": DOG, "tone": "x" * 70_000})
    assert big.status_code in (413, 422)


def test_a_reader_who_leaves_ends_the_writing() -> None:
    left: list[str] = []

    def write() -> Generator[bytes]:
        try:
            yield from (sse("words", {}) for _ in range(9))
        finally:
            left.append("closed")

    async def read() -> None:
        request = ASGIRequest({"type": "http", "method": "GET", "path": "/", "headers": []}, io.BytesIO())
        answer = sse_answer(request, write(), leave=lambda: left.append("left"))
        reading: Any = answer.streaming_content
        assert await anext(reading) == b"event: words\ndata: {}\n\n"
        await reading.aclose()

    asyncio.run(read())
    assert left == ["left", "closed"]


# -- POST /caption ---------------------------------------------------------------------------------------


def caption(photo: bytes, **fields: Any) -> Any:
    image = SimpleUploadedFile("photo.jpg", photo, "image/jpeg")
    return Client().post("/api/v1/caption", {"image": image, **fields})


def test_a_photo_and_a_voice_give_the_description_and_the_caption_in_it(
    model: ChatServer, photo: bytes
) -> None:
    model.answer = lambda _count, request: in_words(
        f"Well: {json.loads(request['messages'][1]['content'])['description']}"
    )
    plain = caption(photo).json()
    assert set(plain) == {"captions", "model"}
    told = caption(photo, tone="dry", prefix="Look.", avoid=["cute", "sweet"]).json()
    assert (told["captions"], told["model"]) == (plain["captions"], plain["model"])
    assert told["voice"]["avoid"] == ["cute", "sweet"]
    [styled] = told["styled"]
    assert styled["text"] == f"Look. Well: {plain['captions'][0]['text']}"
    encoded = base64.b64encode(photo).decode()
    body = json.dumps({"image": encoded, "tone": "dry", "prefix": "Look.", "avoid": ["cute", "sweet"]})
    again = Client().post("/api/v1/caption", body, content_type="application/json").json()
    assert {**again, "seed": 0} == {**told, "seed": 0}


def test_a_prefix_alone_is_no_voice(model: ChatServer, photo: bytes) -> None:
    answer = caption(photo, prefix="a photo of").json()
    assert set(answer) == {"captions", "model"}
    assert answer["captions"][0]["text"].startswith("a photo of")
    assert not model.requests


def test_the_description_is_there_where_the_model_fails(model: ChatServer, photo: bytes) -> None:
    plain = caption(photo).json()["captions"]
    model.answer = lambda *_: streamed("All paws ", end=False)
    told = caption(photo, tone="dry").json()
    assert (told["captions"], told["styled"]) == (plain, [])
    assert told["error"]["code"] == "restyler_unavailable"
    assert caption(photo, tone="dry", audience="aliens").status_code == 422


def test_the_description_is_there_where_there_is_no_model(
    configure: Callable[..., Any], photo: bytes
) -> None:
    configure(restyler="off")
    told = caption(photo, tone="dry").json()
    assert told["captions"]
    assert (told["styled"], told["error"]["code"]) == ([], "restyler_unavailable")
