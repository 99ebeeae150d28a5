"""Captions in a voice, whatever the language model does meanwhile; in a real browser."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from itertools import cycle

import pytest
from playwright.sync_api import Locator, expect

from tests.chat_server import Answer, ChatServer, in_words, paused, said, streamed
from tests.e2e.conftest import CAT, Person
from tests.server.services.process import wait_until
from tests.server.services.service import Mode, Service

DOG = "A dog runs along the beach."
TEXTS = (
    "All paws and no plans: this dog has the whole beach to itself. #BeachDog",
    "Give a dog one beach and it will run the length of it, twice. #BeachDog",
    "A dog, a beach, and nobody in a hurry to turn back yet. #BeachDog",
)
BEGUN = "All paws"


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What a language model waits for that stalls; open at the end, so that nobody is left waiting."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def model(writer: ChatServer) -> Iterator[ChatServer]:
    """A language model that writes well, unless a test wants it otherwise."""
    texts, before = cycle(TEXTS), writer.answer
    writer.answer = lambda _count, _request: in_words(next(texts))
    yield writer
    writer.answer = before


@pytest.fixture
def person(new_person: Callable[..., Person]) -> Person:
    """Somebody with a photo of a dog, as they say, and the voices open."""
    person = new_person(permissions=["clipboard-read", "clipboard-write"])
    person.caption(CAT)
    person.press("Edit")
    person.page.get_by_role("textbox", name="Caption", exact=True).fill(DOG)
    person.press("Save")
    expect(person.heading).to_have_text(DOG)
    person.press("Voice")
    person.page.get_by_label("Hashtags").fill("1")
    return person


def captions(person: Person) -> Locator:
    """What is written, or was."""
    return person.main.get_by_role("region", name="Captions in this voice").get_by_role("listitem")


def always(answer: Callable[[], Answer]) -> Callable[[int, object], Answer]:
    """Answer all requests so."""
    return lambda _count, _request: answer()


def stalls(gate: threading.Event) -> Callable[[int, object], Answer]:
    """Let the first words come, and the others when the gate opens; then the other texts."""
    texts = cycle(TEXTS)

    def answer(_count: int, _request: object) -> Answer:
        text = next(texts)
        return paused(text, gate, after_words=4) if text == TEXTS[0] else in_words(text)

    return answer


def test_a_tone_is_chosen_words_arrive_one_caption_is_taken_and_copied(
    person: Person, model: ChatServer, gate: threading.Event
) -> None:
    page = person.page
    model.answer = stalls(gate)
    page.get_by_role("radio", name="quirky").press("ArrowRight")
    expect(page.get_by_label("Tone, in your own words")).to_have_value("dry")
    page.get_by_role("button", name="Write three captions").press("Enter")
    first, second, _ = (captions(person).nth(number) for number in range(3))
    expect(first).to_contain_text("All")
    expect(page.get_by_role("button", name="Stop")).to_be_focused()
    expect(captions(person).get_by_role("button")).to_have_count(0)  # nothing is whole yet
    gate.set()
    expect(first).to_contain_text(TEXTS[0])
    second.get_by_role("button", name="Copy", exact=True).press("Enter")
    expect(second).to_contain_text("Copied.")
    wait_until(lambda: page.evaluate("navigator.clipboard.readText()") == TEXTS[1], what="the copy")
    second.get_by_role("button", name="Use as caption").press("Enter")
    expect(person.heading).to_have_text(TEXTS[1])
    expect(page.locator("main img").first).to_have_attribute("alt", DOG)  # never in a voice
    expect(second.get_by_role("button", name="Undo")).to_be_focused()
    page.reload()
    expect(person.heading).to_have_text(TEXTS[1])
    person.press("Voice")
    expect(page.get_by_role("radio", name="dry")).to_be_checked()  # as last time
    second.get_by_role("button", name="Undo").press("Enter")
    expect(person.heading).to_have_text(DOG)


def test_whatever_a_language_model_does_the_page_says_so_and_keeps_the_caption(
    person: Person, model: ChatServer, gate: threading.Event
) -> None:
    page, alert = person.page, person.main.get_by_role("alert")
    for what, answer, expected in (
        ("it breaks off", lambda: streamed("All ", "paws ", end=False), "did not answer, or broke off"),
        ("it talks rubbish", lambda: (200, {}, b"<html>"), "did not answer, or broke off"),
        ("it says no", lambda: (200, {}, said("I'm sorry, but I can't help with that.")), "could be used"),
        ("it floods", lambda: streamed(*["dog and beach "] * 3000), "could be used"),
    ):
        model.answer = always(answer)
        person.press("Write three captions")
        expect(alert, what).to_contain_text(expected)
        expect(captions(person), what).to_have_count(0)
    model.answer = stalls(gate)
    person.press("Write three captions")
    expect(page.get_by_text("The language model is slow to answer.")).to_be_visible()
    person.press("Stop")
    expect(person.main.get_by_text("What was not finished is not kept.").first).to_be_visible()
    expect(captions(person)).to_have_count(0)
    expect(person.heading).to_have_text(DOG)


def test_whole_captions_come_once_though_whoever_writes_them_is_killed(
    person: Person, model: ChatServer, gate: threading.Event, live: Service
) -> None:
    victims = live.workers if live.mode is Mode.PRODUCTION else [live.web]
    model.answer = stalls(gate)
    person.press("Write three captions")
    expect(captions(person).first).to_contain_text("All")
    for process in victims:
        process.kill()
    texts = cycle(TEXTS)
    model.answer = lambda _count, _request: in_words(next(texts))
    gate.set()
    for process in victims:
        if process is live.web:
            live.start_web()
        else:
            process.start()
    for number, text in enumerate(TEXTS):
        expect(captions(person).nth(number)).to_contain_text(text)
        expect(person.main.get_by_role("listitem").filter(has_text=text)).to_have_count(1)
    expect(captions(person).get_by_role("button", name="Use as caption")).to_have_count(3)
    # The browser notes each try to reach a server that is away; that is no fault of the page.
    person.complaints[:] = [text for text in person.complaints if "WebSocket connection" not in text]
