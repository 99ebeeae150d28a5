"""A photo goes in and its caption arrives, whatever happens meanwhile; in a real browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Locator, expect

from tests.e2e.conftest import CAT, COFFEE, FLOWER, Person
from tests.server.services.mailbox import Mailbox
from tests.server.services.process import wait_until
from tests.server.services.receiver import Receiver
from tests.server.services.service import Mode, Service


def test_a_photo_is_captioned_without_an_account(person: Person) -> None:
    person.open("/")
    person.upload(CAT)
    path = person.first_photo()
    person.page.reload()  # nothing is lost
    assert person.first_photo() == path
    person.open(path)
    word = person.page.get_by_role("group", name="Words of the caption").get_by_role("button").nth(1)
    word.focus()
    expect(word).to_have_attribute("aria-pressed", "true")
    word.press("ArrowRight")  # the words are one stop of the tab key, the arrows go on
    assert person.page.evaluate("document.activeElement.innerText") != word.inner_text()


def test_all_photos_of_a_newcomer_are_theirs(person: Person) -> None:
    # At once, and before anything has told the browser who it is.
    person.page.goto(f"{person.url}/", wait_until="commit")
    person.upload(CAT, COFFEE, FLOWER)
    opened = person.page.get_by_role("link", name="Open", exact=True)
    expect(opened).to_have_count(3)
    person.page.reload()
    expect(opened).to_have_count(3)


def test_a_photo_is_fetched_from_its_address(person: Person, receiver: Receiver) -> None:
    address = receiver.offer("/flower.jpg", FLOWER.read_bytes())
    person.open("/")
    person.press("From the web")
    field = person.page.get_by_label("Photo URLs")
    field.fill("flower.jpg")
    person.press("Caption photos")
    expect(person.page.get_by_text("must start with http")).to_be_visible()
    field.fill(address)
    person.press("Caption photos")
    assert person.first_photo()


def test_a_file_that_is_no_photo_is_refused_once(person: Person, tmp_path: Path) -> None:
    (tmp_path / "notes.jpg").write_text("these are words")
    sent: list[str] = []
    person.page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    person.open("/")
    person.upload(tmp_path / "notes.jpg")
    expect(person.page.get_by_text("not an image")).to_be_visible()
    person.page.reload()
    expect(person.page.get_by_text("not an image")).to_be_visible()  # kept, with its reason
    assert len([url for url in sent if url.endswith("/api/v1/images")]) == 1
    person.press("Remove")
    expect(person.page.get_by_text("not an image")).to_have_count(0)


def test_a_photo_given_while_offline_is_sent_later(person: Person) -> None:
    person.open("/")
    person.context.set_offline(True)
    expect(person.page.get_by_text("You are offline.")).to_be_visible()
    person.upload(CAT)
    expect(person.page.get_by_text("cat.jpg").first).to_be_visible()
    person.context.set_offline(False)
    expect(person.page.get_by_text("You are offline.")).to_have_count(0)
    assert person.first_photo()


def test_a_caption_arrives_though_whoever_writes_it_is_killed(
    person: Person, live: Service, tmp_path: Path, make_photo: Callable[..., bytes]
) -> None:
    page, photo = person.page, tmp_path / "photo.jpg"
    victims = live.workers if live.mode is Mode.PRODUCTION else [live.web]
    person.open("/")
    page.evaluate("window.isTheSamePage = true")
    for number in range(1, 6):  # on a quick machine, a caption may be there before they are dead
        photo.write_bytes(make_photo(7000 + number, side_px=1200))
        with page.expect_response(lambda answer: answer.status == 202):
            person.upload(photo)
        for process in victims:
            process.kill()
        undone = live.rows("SELECT 1 FROM jobs_job WHERE state IN ('queued', 'running')")
        for process in victims:
            if process is live.web:
                live.start_web()
            else:
                process.start()
        captioned = page.get_by_role("link", name="Open", exact=True)
        expect(captioned).to_have_count(number)
        if undone:
            break
    assert undone
    assert page.evaluate("window.isTheSamePage")
    # The browser notes each try to reach a server that is away; that is no fault of the page.
    person.complaints[:] = [text for text in person.complaints if "WebSocket connection" not in text]


def test_a_page_opened_without_a_connection_says_so_and_comes_with_it(person: Person) -> None:
    person.open("/")
    person.context.set_offline(True)
    person.page.get_by_role("link", name="How it works").click()
    expect(person.main.get_by_role("alert")).to_have_text(re.compile("No connection"))
    person.page.get_by_role("link", name="Caption", exact=True).click()  # what is there still is
    expect(person.heading).to_have_text("Words for your photos")
    person.page.get_by_role("link", name="How it works").click()
    expect(person.main.get_by_role("alert")).to_be_visible()
    person.context.set_offline(False)
    expect(person.heading).to_have_text("How it works")
    # The browser notes each try to reach a server that is away, React what was caught: no faults.
    expected = ("WebSocket connection", "dynamically imported module")
    person.complaints[:] = [text for text in person.complaints if not any(each in text for each in expected)]


def test_signing_up_keeps_what_was_made_before(person: Person, mailbox: Mailbox) -> None:
    person.open("/")
    person.upload(COFFEE)
    path = person.first_photo()
    person.sign_up(mailbox, "claim")
    person.open("/")
    assert person.first_photo() == path
    person.sign_out()
    person.open("/library")
    expect(person.page.get_by_role("link", name="Caption", exact=True).first).to_be_visible()
    expect(person.main.get_by_role("checkbox")).to_have_count(0)


def test_the_library_is_searched_as_one_types(person: Person) -> None:
    page = person.page
    person.open("/")
    person.upload(CAT, COFFEE)
    expect(page.get_by_role("link", name="Open", exact=True)).to_have_count(2)
    person.open(person.first_photo())
    person.press("Edit")
    page.get_by_role("textbox", name="Caption", exact=True).fill("A zebra on a sill.")
    person.press("Save")
    expect(person.heading).to_have_text("A zebra on a sill.")
    person.open("/library")
    photos = person.main.get_by_role("checkbox")
    expect(photos).to_have_count(2)
    page.get_by_role("searchbox").fill("zebra")
    expect(photos).to_have_count(1)
    assert "q=zebra" in page.url
    page.get_by_role("searchbox").fill("zebrafish")
    expect(photos).to_have_count(0)


def test_another_language_stays(person: Person) -> None:
    page = person.page
    person.open("/")
    person.press("Language")
    page.get_by_role("menuitemradio", name="Deutsch").click()
    expect(page.locator("html")).to_have_attribute("lang", "de")
    expect(page.get_by_role("link", name="Sammlung").first).to_be_visible()
    person.open("/gallery")  # anew
    expect(page.locator("html")).to_have_attribute("lang", "de")
    expect(person.heading).to_have_text("Galerie")


def is_in(language: str, place: Locator) -> None:
    """Wait until a place's words are marked as of a language: whose words they are is told a moment later."""

    def found() -> bool:
        return str(place.evaluate("node => node.closest('[lang]').lang")) == language

    wait_until(found, what=f"words in {language}")


def test_a_caption_says_its_own_language_until_a_person_words_it(person: Person) -> None:
    page = person.page
    path = person.caption(COFFEE)
    person.press("Language")
    page.get_by_role("menuitemradio", name="Deutsch").click()
    expect(page.locator("html")).to_have_attribute("lang", "de")
    picture = page.get_by_role("main").get_by_role("img").first
    for place in (
        person.heading,
        page.get_by_role("region", name="Beschreibung").locator("p").first,
        picture,
    ):
        is_in("en", place)
    person.open("/library")
    is_in("en", picture)
    person.open(path)
    person.press("Bearbeiten")
    page.get_by_role("textbox", name="Beschreibung").fill("Eine Tasse Kaffee.")
    person.press("Speichern")
    expect(person.heading).to_have_text("Eine Tasse Kaffee.")
    is_in("de", person.heading)
