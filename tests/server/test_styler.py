"""The service's door to language models, against a real HTTP server that fails in every way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from cutline.errors import OptionError
from cutline.server import styler
from cutline.server.errors import CaptionRefused, RestylerUnavailable
from cutline.server.styler import Order, Words, Written
from tests.chat_server import ChatServer, chat_server, in_words, said, streamed

DOG = "A dog runs along the beach."
GOOD = "All paws and no plans: this dog has the whole beach to itself."
OTHER = "Give a dog one beach and it will run the length of it, twice."
QUIRKY = styler.voice_of({"tone": "quirky"})

Configure = Callable[..., object]


@pytest.fixture
def model(configure: Configure) -> Iterator[ChatServer]:
    """The language model of this service."""
    with chat_server() as server:
        configure(restyler=f"openai:{server.url}#writer")
        yield server
        styler.close()


def answer(model: ChatServer, *texts: str) -> None:
    """Let the model say these texts in turn, and the last one for ever."""
    model.answer = lambda count, _request: in_words(texts[min(count, len(texts)) - 1])


def test_words_come_whole_each_time_and_every_caption_at_its_end(model: ChatServer) -> None:
    answer(model, GOOD, OTHER)
    events = list(styler.write(Order(description=DOG, voice=QUIRKY, n=2)))
    first, second = (event for event in events if isinstance(event, Written))
    assert (first.number, first.text, first.model) == (0, GOOD, "writer@remote")
    assert (second.number, second.text, second.removed) == (1, OTHER, ())
    for written in (first, second):
        told = [event.text for event in events if isinstance(event, Words) and event.number == written.number]
        assert len(told) > 5
        assert all(written.text.startswith(text) for text in told)


def test_what_had_been_shown_and_was_taken_back_is_said_with_the_reason(model: ChatServer) -> None:
    answer(model, "Run, dog! A cat waits at the end of the beach.", GOOD)
    *words, last = styler.write(Order(description=DOG, voice=QUIRKY))
    assert isinstance(last, Written)
    assert last.text == GOOD
    assert last.removed == ("Run, dog! A",)
    assert last.reasons == ("it says what the description does not support",)
    anew = [each for each in words if isinstance(each, Words) and each.attempt == 2]
    assert anew[0].text == ""
    assert all(each.removed == last.removed and each.reasons == last.reasons for each in anew)
    assert not any("cat" in each.text for each in words)


def test_what_is_known_already_is_not_written_again(model: ChatServer) -> None:
    answer(model, GOOD, OTHER)
    [written] = styler.write_all(Order(description=DOG, voice=QUIRKY, others=[GOOD]))
    assert written.text == OTHER


def test_a_refusal_is_an_error_that_says_why(model: ChatServer) -> None:
    answer(model, "I'm sorry, but I cannot help with that.")
    with pytest.raises(CaptionRefused, match="the model refused") as refused:
        styler.write_all(Order(description=DOG, voice=QUIRKY))
    assert refused.value.kept == "The plain description stays."


@pytest.mark.parametrize(
    "answers",
    [
        streamed("All paws ", "and ", end=False),
        (200, {"Content-Type": "text/html"}, b"<html>Bad gateway</html>"),
        (200, {"Content-Type": "text/event-stream"}, b"data: {]\n\n"),
        (200, {}, said(None)),
        (401, {}, b'{"error": {"message": "the key sk-secret is wrong"}}'),
    ],
    ids=["breaks off", "a page", "no JSON", "no text", "the key is wrong"],
)
def test_a_failing_model_is_one_clear_error_that_tells_nothing_of_its_place(
    model: ChatServer, answers: tuple[int, dict[str, str], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    model.answer = lambda _count, _request: answers
    with pytest.raises(RestylerUnavailable) as failed:
        styler.write_all(Order(description=DOG, voice=QUIRKY))
    assert "127.0.0.1" not in str(failed.value)
    assert "secret" not in str(failed.value)
    assert model.url in caplog.text
    assert not any(word in caplog.text for word in ("secret", "gateway", "All paws"))


def test_a_model_that_hangs_is_left_in_time(model: ChatServer, configure: Configure) -> None:
    configure(restyler_timeout_s=0.5)
    release = threading.Event()

    def hang(_count: int, _request: object) -> tuple[int, dict[str, str], bytes]:
        release.wait(60)
        return 200, {}, said(GOOD)

    model.answer = hang
    try:
        with pytest.raises(RestylerUnavailable, match="did not finish"):
            styler.write_all(Order(description=DOG, voice=QUIRKY))
    finally:
        release.set()


def test_whoever_is_not_wanted_any_more_stops_while_the_model_hangs(model: ChatServer) -> None:
    release = threading.Event()

    def hang(_count: int, _request: object) -> tuple[int, dict[str, str], bytes]:
        release.wait(60)
        return 200, {}, said(GOOD)

    def check() -> None:
        raise KeyError("not wanted")

    model.answer = hang
    try:
        with pytest.raises(KeyError):
            styler.write_all(Order(description=DOG, voice=QUIRKY), check=check)
    finally:
        release.set()


# -- what there is here ----------------------------------------------------------------------------------


def test_what_there_is_is_known_without_asking(model: ChatServer) -> None:
    here = styler.about()
    assert (here.available, here.model, here.language) == (True, "writer@remote", "")
    assert not model.requests


@pytest.mark.parametrize(
    ("uri", "reason"), [("off", "off"), ("gguf:/nowhere.gguf", "missing"), ("nonsense:x", "missing")]
)
def test_a_service_without_a_language_model_says_why(configure: Configure, uri: str, reason: str) -> None:
    configure(restyler=uri)
    styler.close()
    here = styler.about()
    assert (here.available, here.reason, here.model) == (False, reason, "")
    with pytest.raises(RestylerUnavailable, match="There is no language model here"):
        styler.check_can_write(QUIRKY)
    with pytest.raises(RestylerUnavailable):
        styler.write_all(Order(description=DOG, voice=QUIRKY))


def test_a_voice_is_kept_by_what_makes_it_one() -> None:
    voice = styler.voice_of({"tone": "dry", "hashtags": 2, "avoid": ["cute"], "audience": "academic"})
    record = styler.record_of(voice)
    assert record == {"tone": "dry", "hashtags": 2, "avoid": ["cute"], "audience": "academic"}
    assert styler.voice_of(record) == voice
    assert styler.whole_record(record)["length"] == "medium"
    assert styler.presets()["instagram"]["hashtags"] == 3
    with pytest.raises(OptionError):
        styler.voice_of({"volume": 11})
