"""What people do in the web app, in a real browser, against the real service in each mode."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import AXE, Person
from tests.server.conftest import EXAMPLES
from tests.server.services.mailbox import Mailbox, link_in

CAT, COFFEE, FLOWER = (EXAMPLES / f"{name}.jpg" for name in ("cat", "coffee", "flower"))
PASSWORD = "correct horse 9 staple"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def sign_up(person: Person, mailbox: Mailbox, email: str) -> None:
    """Sign up, and follow the link of the mail."""
    page = person.page
    person.open("/account/sign-up")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("New password").fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Sign up").click()
    expect(page.get_by_text("Look into your mail")).to_be_visible()
    person.open(urlsplit(link_in(mailbox.wait_for(email), "verify-email")).path)
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_role("link", name="Account", exact=True)).to_be_visible()


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
    person.page.get_by_role("button", name="Remove").click()
    expect(person.page.get_by_text("not an image")).to_have_count(0)


def test_signing_up_keeps_what_was_made_before(person: Person, mailbox: Mailbox) -> None:
    person.open("/")
    person.upload(COFFEE)
    path = person.first_photo()
    sign_up(person, mailbox, f"claim-{urlsplit(person.url).port}@example.org")
    person.open("/")
    assert person.first_photo() == path


def test_a_private_photo_stays_private(person: Person, new_person: Callable[..., Person]) -> None:
    person.open("/")
    person.upload(CAT)
    path = person.first_photo()
    stranger = new_person()
    stranger.open(path)
    expect(stranger.page.get_by_text("There is nothing here.")).to_be_visible()
    assert stranger.page.locator("main img").count() == 0
    person.open(path)
    person.page.get_by_text("What the model proposed").wait_for()
    person.page.get_by_label("Whoever has the link").check()
    expect(person.page.get_by_role("button", name="link")).to_be_visible()
    person.page.get_by_label("Only you").check()
    expect(person.page.get_by_role("button", name="link")).to_have_count(0)


def test_a_caption_is_edited_and_brought_back(person: Person) -> None:
    page = person.page
    person.open("/")
    person.upload(FLOWER)
    person.open(person.first_photo())
    heading = page.get_by_role("heading", level=1)
    expect(page.get_by_role("group", name="Words of the caption")).to_be_visible()
    before = heading.inner_text()
    page.get_by_role("button", name="Edit").click()
    field = page.get_by_label("Caption", exact=True)
    expect(field).to_be_focused()
    field.fill("Words of my own.")
    page.get_by_role("button", name="Save").click()
    expect(heading).to_have_text("Words of my own.")
    expect(page.get_by_role("button", name="Edit")).to_be_focused()  # the focus is not lost
    page.get_by_role("button", name="History").click()
    page.get_by_role("button", name="Bring back").first.click()
    expect(heading).to_have_text(before)


def test_a_deleted_photo_comes_back_by_undo(person: Person) -> None:
    person.open("/")
    person.upload(CAT)
    person.open(person.first_photo())
    person.page.get_by_role("button", name="Delete the photo").click()
    person.page.get_by_text("The photo was deleted.").wait_for()
    photos = person.page.get_by_role("main").get_by_role("checkbox")
    expect(photos).to_have_count(0)
    person.page.get_by_role("button", name="Undo").click()
    expect(photos).to_have_count(1)


def test_the_library_is_searched_as_one_types(person: Person) -> None:
    page = person.page
    person.open("/")
    person.upload(CAT, COFFEE)
    expect(page.get_by_role("link", name="Open", exact=True)).to_have_count(2, timeout=90_000)
    person.open("/library")
    photos = page.get_by_role("main").get_by_role("checkbox")
    expect(photos).to_have_count(2)
    page.get_by_role("searchbox").fill("cat")
    expect(photos).to_have_count(1)
    assert "q=cat" in page.url
    page.get_by_role("searchbox").fill("zebrafish")
    expect(photos).to_have_count(0)


def test_an_archive_is_captioned(person: Person, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "trip.zip", "w") as archive:
        archive.write(CAT, "cat.jpg")
        archive.write(COFFEE, "coffee.jpg")
        archive.writestr("notes.jpg", "these are words")
    person.open("/bulk")
    person.upload(tmp_path / "trip.zip")
    person.page.wait_for_url("**/bulk/*")
    expect(person.page.get_by_role("link", name="CSV")).to_be_visible(timeout=90_000)
    expect(person.page.get_by_role("link", name="cat.jpg")).to_be_visible()
    with person.page.expect_download() as download:
        person.page.get_by_role("link", name="CSV").click()
    assert "cat.jpg" in Path(download.value.path()).read_text(encoding="utf-8-sig")


def test_a_forgotten_password_is_set_anew_by_mail(person: Person, mailbox: Mailbox) -> None:
    page, email = person.page, f"reset-{urlsplit(person.url).port}@example.org"
    sign_up(person, mailbox, email)
    person.context.clear_cookies()
    person.open("/account/password/reset")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_role("button", name="Send the link").click()
    expect(page.get_by_text("Look into your mail")).to_be_visible()
    person.open(urlsplit(link_in(mailbox.wait_for(email, count=2), "password/reset")).path)
    page.get_by_label("New password").fill("another fine 7 password")
    page.get_by_role("main").get_by_role("button").click()
    page.wait_for_url(lambda url: "reset" not in url)
    if page.url.endswith("sign-in"):
        page.get_by_label("E-mail address").fill(email)
        page.get_by_label("Password").fill("another fine 7 password")
        page.get_by_role("main").get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("link", name="Account", exact=True)).to_be_visible()


def test_a_photo_given_while_offline_is_sent_later(person: Person) -> None:
    person.open("/")
    person.context.set_offline(True)
    expect(person.page.get_by_text("You are offline.")).to_be_visible()
    person.upload(CAT)
    expect(person.page.get_by_text("cat.jpg").first).to_be_visible()
    person.context.set_offline(False)
    assert person.first_photo()


PAGES = (
    "/",
    "/library",
    "/gallery",
    "/bulk",
    "/account",
    "/account/sign-in",
    "/account/sign-up",
    "/account/password/reset",
    "/about",
    "/about/model",
    "/about/api",
    "/about/terms",
    "/about/privacy",
    "/about/accessibility",
    "/dashboard",
    "/nothing-here",
)


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (375, "dark")], ids=["desktop", "phone"])
def test_axe_finds_nothing_on_any_page(new_person: Callable[..., Person], width: int, scheme: str) -> None:
    if not AXE.exists():
        pytest.skip("axe-core is not installed: npm ci in web/")
    # As high as the pages are: a phone's bar at the bottom would cover what one can scroll into view.
    person = new_person(width=width, height=4000, color_scheme=scheme, bypass_csp=True)
    person.open("/")
    person.upload(CAT)
    found = {}
    for path in (*PAGES, person.first_photo()):
        person.open(path)
        person.page.wait_for_load_state("networkidle")
        person.page.evaluate(f"{AXE.read_text(encoding='utf-8')};0")
        words = json.dumps({"runOnly": TAGS, "resultTypes": ["violations"]})
        for finding in person.page.evaluate(f"axe.run(document, {words})")["violations"]:
            found[f"{path}: {finding['id']}"] = [node["html"][:200] for node in finding["nodes"]]
        if person.page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found[f"{path}: wider than the window"] = []
    assert found == {}
