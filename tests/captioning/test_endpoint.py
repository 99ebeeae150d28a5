"""Against a real HTTP server on this machine that speaks the chat completions protocol."""

from __future__ import annotations

import base64
import io
import json
import math
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import cutline
from cutline.captioning.endpoint import EndpointCaptioner
from cutline.captioning.options import DecodingOptions, Strategy
from cutline.chat import KEY_FILE_VARIABLE, KEY_VARIABLES, ChatEndpoint, Patience, delta
from cutline.errors import CaptionerUnavailable, ConfigError, OptionError, UnreadableImage
from tests.chat_server import Answer, ChatServer, chat_server, said
from tests.server.services.process import ANSWERS_S

QUICK = Patience(timeout_s=60, tries=3, first_wait_s=0.01, max_wait_s=0.05)


@pytest.fixture
def server() -> Iterator[ChatServer]:
    with chat_server() as running:
        yield running


RED = Image.new("RGB", (3000, 1500), "red")


def captioner(server: ChatServer, **settings: Any) -> EndpointCaptioner:
    return EndpointCaptioner(server.url, "sees-all", **{"patience": QUICK} | settings)


def test_the_photo_goes_out_small_and_the_sentence_comes_back(
    server: ChatServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUTLINE_OPENAI_API_KEY", "sesame")
    monkeypatch.setenv("OPENAI_API_KEY", "another")
    loaded = cutline.load(f"openai:{server.url}#sees-all")
    assert isinstance(loaded, cutline.Captioner)
    [[caption]] = loaded.caption(RED)
    assert caption.text == "A red wall."
    assert caption.words == ("A", "red", "wall.")
    assert math.isnan(caption.log_prob)
    (request,) = server.requests
    assert (request["path"], request["model"]) == ("/v1/chat/completions", "sees-all")
    assert server.headers[0]["Authorization"] == "Bearer sesame"
    text, picture = request["messages"][0]["content"]
    assert "photo" in text["text"]
    kind, _, data = picture["image_url"]["url"].partition(",")
    assert kind == "data:image/jpeg;base64"
    sent = Image.open(io.BytesIO(base64.b64decode(data)))
    assert sent.size == (1024, 512)
    assert sent.getpixel((9, 9))[0] > 250


def test_without_a_key_none_is_sent(server: ChatServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUTLINE_OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    cutline.load(f"openai:{server.url}#m").caption(RED)
    assert "Authorization" not in server.headers[0]


def test_many_photos_keep_their_order(server: ChatServer) -> None:
    def name_colour(_count: int, request: dict[str, Any]) -> Answer:
        data = request["messages"][0]["content"][1]["image_url"]["url"].partition(",")[2]
        shade = Image.open(io.BytesIO(base64.b64decode(data))).getpixel((0, 0))[0]
        time.sleep(0.05 if shade < 60 else 0)
        return 200, {}, said(str(round(shade / 50)))

    server.answer = name_colour
    photos = [Image.new("RGB", (9, 9), (50 * i, 0, 0)) for i in range(5)]
    assert [each[0].text for each in captioner(server).caption(photos)] == ["0", "1", "2", "3", "4"]


def test_a_server_that_gives_one_answer_at_a_time_is_asked_again(server: ChatServer) -> None:
    server.answer = lambda count, _request: (200, {}, said(f"sentence {count}"))
    (captions,) = captioner(server).caption(RED, n=3, options=DecodingOptions(seed=40))
    assert [each.text for each in captions] == ["sentence 1", "sentence 2", "sentence 3"]
    assert [each["seed"] for each in server.requests] == [40, 41, 42]


def test_options_are_passed_on_or_refused(server: ChatServer) -> None:
    options = DecodingOptions(strategy=Strategy.SAMPLE, temperature=0.5, top_p=0.9, seed=3, max_length=30)
    captioner(server).caption(RED, options=options)
    request = server.requests[0]
    assert {name: request[name] for name in ("temperature", "top_p", "seed", "max_tokens")} == {
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 3,
        "max_tokens": 30,
    }
    for refused in (DecodingOptions(prefix="A"), DecodingOptions(strategy=Strategy.BEAM, beam_size=2)):
        with pytest.raises(OptionError, match="does not support"):
            captioner(server).caption(RED, options=refused)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_passing_failure_is_tried_again(server: ChatServer, status: int) -> None:
    server.answer = lambda count, _request: (
        (200, {}, said("At last.")) if count == 3 else (status, {"Retry-After": "0"}, b"{}")
    )
    assert captioner(server).caption(RED)[0][0].text == "At last."
    assert len(server.requests) == 3


def test_whoever_asks_to_wait_is_not_asked_before(server: ChatServer) -> None:
    past = "Wed, 21 Oct 2015 07:28:00 GMT"  # as a date, which has come
    server.answer = lambda count, _request: (
        (200, {}, said("At last.")) if count == 3 else (503, {"Retry-After": ("0", past)[count - 1]}, b"{}")
    )
    slow = Patience(timeout_s=60, tries=3, first_wait_s=9000, max_wait_s=9000)
    assert captioner(server, patience=slow).caption(RED)[0][0].text == "At last."
    server.requests.clear()
    server.answer = lambda _count, _request: (429, {"Retry-After": "3600"}, b"{}")
    with pytest.raises(CaptionerUnavailable, match="asks to wait 3,600 s"):
        captioner(server).caption(RED)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "uri", ["openai:http://me:secret@localhost/v1#m", "openai:http://localhost/v1?key=secret#m"]
)
def test_a_key_does_not_stand_in_a_uri(uri: str) -> None:
    with pytest.raises(CaptionerUnavailable, match="CUTLINE_OPENAI_API_KEY") as refused:
        cutline.load(uri)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("kind", ["application/json", "text/event-stream"])
def test_an_answer_that_drips_without_end_is_given_up(server: ChatServer, kind: str) -> None:
    def drips() -> Iterator[bytes]:
        while True:
            yield b" "

    server.answer = lambda _count, _request: (200, {"Content-Type": kind}, drips())
    endpoint = ChatEndpoint(base_url=server.url, model="m", patience=Patience(deadline_s=0))
    with pytest.raises(CaptionerUnavailable, match="still answering after 0 s"):
        list(endpoint.stream({}))


def test_a_lasting_failure_ends_with_the_servers_reason(server: ChatServer) -> None:
    server.answer = lambda _count, _request: (503, {}, b'{"error": {"message": "model is loading"}}')
    with pytest.raises(CaptionerUnavailable, match=r"in 3 tries: HTTP 503: model is loading"):
        captioner(server).caption(RED)


@pytest.mark.parametrize(
    ("status", "reason"),
    [(401, "API key"), (404, "no such address or model"), (400, "HTTP 400"), (302, "302")],
)
def test_a_refusal_is_final_and_says_why(server: ChatServer, status: int, reason: str) -> None:
    server.answer = lambda _count, _request: (status, {"Location": server.url}, b"not json")
    with pytest.raises(CaptionerUnavailable, match=reason):
        captioner(server, api_key="secret-key").caption(RED)
    assert len(server.requests) == 1


def test_no_error_tells_the_key(server: ChatServer) -> None:
    server.answer = lambda _count, _request: (401, {}, b"{}")
    with pytest.raises(CaptionerUnavailable) as caught:
        captioner(server, api_key="secret-key").caption(RED)
    assert "secret-key" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"<html>", "other than JSON"),
        (b"[]", "another form"),
        (b'{"choices": []}', "empty caption"),
        (said("  "), "empty caption"),
        (said(None), "another form"),
        (b" " * (4 * 2**20 + 1), "more than"),
    ],
)
def test_an_answer_without_a_sentence_is_an_error(server: ChatServer, body: bytes, reason: str) -> None:
    server.answer = lambda _count, _request: (200, {}, body)
    with pytest.raises(CaptionerUnavailable, match=reason):
        captioner(server).caption(RED)


def test_a_server_that_hangs_is_given_up(server: ChatServer) -> None:
    release = threading.Event()

    def hang(_count: int, _request: dict[str, Any]) -> Answer:
        release.wait(ANSWERS_S)
        return 200, {"Connection": "close"}, b"{}"

    server.answer = hang
    hasty = Patience(timeout_s=0.1, tries=2, first_wait_s=0.01)
    try:
        with pytest.raises(CaptionerUnavailable, match=r"in 2 tries: .*timed out"):
            captioner(server, patience=hasty).caption(RED)
    finally:
        release.set()


def test_nobody_there_is_said_so() -> None:
    nobody = EndpointCaptioner("http://127.0.0.1:9/v1", "m", patience=QUICK)
    with pytest.raises(CaptionerUnavailable, match=r"did not answer in 3 tries: .*refused"):
        nobody.caption(RED)


@pytest.mark.parametrize("place", ["", "http://host", "host#m", "file:///etc/passwd#m", "http://#m"])
def test_a_place_that_names_no_endpoint_is_refused(place: str) -> None:
    with pytest.raises(CaptionerUnavailable, match="does not name an endpoint"):
        cutline.load(f"openai:{place}")


def test_a_photo_that_cannot_be_read_is_not_sent(server: ChatServer) -> None:
    with pytest.raises(UnreadableImage):
        captioner(server).caption([b"junk"])
    assert server.requests == []


@pytest.mark.parametrize(
    "answer",
    [
        "A red wall.",
        '"A red wall."',
        "\u201cA red wall.\u201d",
        "<think>It is red. A wall?</think>\n\nA red wall.",
        "<think>\nred\n</think>A red wall.",
        "```\nA red wall.\n```",
        "```text\nA red wall.\n```",
        "Here is a caption: A red wall.",
        "Here is a caption for the photo:\n\nA red wall.",
        'Sure! Here\'s a caption:\n"A red wall."',
        "Caption: A red wall.",
        "**A red wall.**",
        "1. A red wall.\n2. A wall, red.\n3. Red.",
        "A red wall.\n\nLet me know if you need another one!",
        "A red\nwall.",
    ],
)
def test_what_models_say_around_a_sentence_is_left_out(server: ChatServer, answer: str) -> None:
    server.answer = lambda *_: (200, {}, said(answer))
    [[caption]] = captioner(server).caption([RED])
    assert caption.text == "A red wall."


@pytest.mark.parametrize(
    "answer",
    [
        "I'm sorry, but I can't help with that.",
        "As an AI language model, I do not see photos.",
        "I cannot describe people in photos.",
        "I am unable to view images.",
    ],
)
def test_a_refusal_is_an_error_and_not_a_caption(server: ChatServer, answer: str) -> None:
    server.answer = lambda *_: (200, {}, said(answer))
    with pytest.raises(CaptionerUnavailable, match="did not describe the photo"):
        captioner(server).caption([RED])


@pytest.mark.parametrize("text", ["I am waiting for a bus.", "A sign that says I can help you."])
def test_a_sentence_in_the_first_person_is_no_refusal(server: ChatServer, text: str) -> None:
    server.answer = lambda *_: (200, {}, said(text))
    [[caption]] = captioner(server).caption([RED])
    assert caption.text == text


PARTS = [
    {"type": "thinking", "thinking": [{"type": "text", "text": "Red?"}]},
    {"type": "text", "text": "A red wall."},
]


def message(finish_reason: str = "stop", **said: Any) -> bytes:
    """The body of a whole answer, with what else a server says of it."""
    return json.dumps({"choices": [{"message": said, "finish_reason": finish_reason}]}).encode()


@pytest.mark.parametrize(
    "body",
    [
        message(content="A red wall.", refusal=None, reasoning="Red?"),
        message(content=PARTS),
        message(content=["A red ", "wall."]),
        message(content="Let me think.\n</think>\n\nA red wall."),
        message(content='```json\n{"caption": "A red wall."}\n```'),
    ],
)
def test_an_answer_is_read_in_each_form_that_servers_send(server: ChatServer, body: bytes) -> None:
    server.answer = lambda *_: (200, {}, body)
    [[caption]] = captioner(server).caption([RED])
    assert caption.text == "A red wall."


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (message(content=None, refusal="I'd rather not."), "refused: I'd rather not"),
        (message(content=[{"type": "refusal", "refusal": "Not this."}]), "refused: Not this"),
        (message(content="", refusal="Not this."), "refused: Not this"),
        (message("content_filter", content="A"), "content filter"),
        (message(content=None, reasoning_content="Red?"), "empty caption"),
        (message("length", content=None), "empty caption"),
        (message(content=7), "another form"),
        (message(content=[7]), "another form"),
        (message(content="I don't see an image."), "did not describe the photo"),
        (message(content="Lo siento, no puedo ayudar con eso."), "did not describe the photo"),
    ],
)
def test_an_answer_that_a_server_marks_as_none_is_an_error(
    server: ChatServer, body: bytes, reason: str
) -> None:
    server.answer = lambda *_: (200, {}, body)
    with pytest.raises(CaptionerUnavailable, match=reason):
        captioner(server).caption([RED])


@pytest.mark.parametrize(
    ("said_now", "piece"),
    [
        ({"content": "A"}, "A"),
        ({"content": PARTS}, "A red wall."),
        ({"content": None, "reasoning_content": "Red?"}, ""),
        ({"content": None, "refusal": "I can't"}, "I can't"),
    ],
)
def test_a_piece_of_a_streamed_answer_comes_in_the_same_forms(said_now: dict[str, Any], piece: str) -> None:
    assert delta({"choices": [{"delta": said_now}]}, "http://host") == (piece, False)


def test_a_key_may_come_from_a_file(
    server: ChatServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in KEY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "key").write_text("secret\n")
    monkeypatch.setenv(KEY_FILE_VARIABLE, str(tmp_path / "key"))
    cutline.load(f"openai:{server.url}#sees-all").caption(RED)
    assert server.headers[0]["Authorization"] == "Bearer secret"
    monkeypatch.setenv(KEY_FILE_VARIABLE, str(tmp_path / "absent"))
    with pytest.raises(ConfigError, match="cannot be read"):
        cutline.load(f"openai:{server.url}#sees-all")
