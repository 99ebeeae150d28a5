"""WCAG 2.2 AA as far as a program can see it: every page, in its states, large and light, small and dark."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Route, expect

from tests.chat_server import ChatServer, in_words
from tests.e2e.conftest import CAT, FLOWER, Person
from tests.server.services.mailbox import Mailbox
from tests.server.services.process import wait_until
from tests.server.services.receiver import Receiver
from tests.server.services.service import Service

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
LARGE, SMALL = {"width": 1280, "height": 800}, {"width": 320, "height": 740}
LOOKS = ((LARGE, "light"), (SMALL, "dark"))
# Photos are what the pages are about: none is mere decoration, which axe would let pass.
SILENT = "[...document.images].filter((each) => !each.alt.trim()).map((each) => each.outerHTML.slice(0, 300))"
# Links of the footer stand apart, which is enough for axe: here each is large enough by itself.
SMALL_TARGETS = """[...document.querySelectorAll('nav a')]
    .filter((each) => each.checkVisibility({ visibilityProperty: true }))
    .filter((each) => Math.min(each.offsetWidth, each.offsetHeight) < 24)
    .map((each) => each.outerHTML.slice(0, 300))"""
# Colours and menus have arrived: the new look is drawn, and what moves towards it has come to its end.
SETTLED = """(async () => {
    for (const _ of [1, 2]) await new Promise((drawn) => requestAnimationFrame(drawn));
    const ends = (each) => each.effect.getComputedTiming().endTime < Infinity;
    const moving = document.getAnimations().filter(ends);
    await Promise.allSettled(moving.map((each) => each.finished));
})()"""
# What axe finds is long; names and places are enough.
VIOLATIONS = """axe.run(document, %s).then((found) =>
    found.violations.map(({ id, nodes }) => [id, nodes.map((node) => node.html.slice(0, 300))]))"""

pytestmark = pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed: npm ci in web/")


class Auditor:
    """Looks at what somebody sees."""

    def __init__(self, person: Person) -> None:
        self.person, self.page = person, person.page
        self.found: dict[str, list[str]] = {}

    def visit(self, path: str) -> None:
        """Open a page, wait until it has what it shows, and look."""
        self.page.set_viewport_size({"width": 1280, "height": 800})
        self.person.open(path)
        self.page.wait_for_load_state("networkidle")
        self.look(path)

    def look(self, what: str) -> None:
        """Look at the page as it is now, in both looks."""
        for size, scheme in LOOKS:
            self.page.set_viewport_size({"width": size["width"], "height": size["height"]})
            self.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            self.page.evaluate("window.axe || 0") or self.page.evaluate(
                f"{AXE.read_text(encoding='utf-8')};0"
            )
            self.page.evaluate(SETTLED)
            words = json.dumps({"runOnly": TAGS, "resultTypes": ["violations"]})
            where = f"{what} ({size['width']}, {scheme})"
            for name, nodes in self.page.evaluate(VIOLATIONS % words):
                self.found[f"{where}: {name}"] = nodes
            if silent := self.page.evaluate(SILENT):
                self.found[f"{where}: a picture without words"] = silent
            if small := self.page.evaluate(SMALL_TARGETS):
                self.found[f"{where}: hard to hit"] = small
            if self.page.evaluate("document.documentElement.scrollWidth > innerWidth"):
                self.found[f"{where}: wider than the window"] = []
        self.page.set_viewport_size({"width": 1280, "height": 800})


@pytest.fixture
def auditor(new_person: Callable[..., Person]) -> Auditor:
    """Somebody whose pages are looked at, without motion that could be in between."""
    return Auditor(new_person(bypass_csp=True, reduced_motion="reduce"))


def test_axe_finds_nothing_on_the_pages_of_strangers(auditor: Auditor) -> None:
    for path in (
        "/",
        "/library",
        "/library/copies",
        "/gallery",
        "/bulk",
        "/account",
        "/account/sign-in",
        "/account/sign-up",
        "/account/code",
        "/account/password/reset",
        "/account/password/reset/some-key",
        "/account/verify-email/some-key",
        "/account/provider/callback?error=denied",
        "/about",
        "/about/model",
        "/about/api",
        "/about/terms",
        "/about/privacy",
        "/about/accessibility",
        "/dashboard",
        "/nothing-here",
        "/images/00000000-0000-4000-8000-000000000000",
        "/shared/nothing",
    ):
        auditor.visit(path)
    assert auditor.found == {}


def test_axe_finds_nothing_on_a_photo_in_any_state(
    auditor: Auditor, tmp_path: Path, writer: ChatServer
) -> None:
    person, page = auditor.person, auditor.page
    # One caption in a voice is kept, the others are refused.
    written = itertools.chain(
        ["All paws and no plans: this dog runs. #BeachDog"], itertools.repeat("A cat. #Cats")
    )
    writer.answer = lambda _count, _request: in_words(next(written))
    (tmp_path / "notes.jpg").write_text("these are words")
    person.open("/")
    person.press("From the web")
    person.press("Caption photos")
    auditor.look("an address that is wrong")
    person.upload(tmp_path / "notes.jpg", CAT)
    path = person.first_photo()
    expect(page.get_by_text("not an image")).to_be_visible()
    auditor.look("one photo captioned, one refused")
    person.press("Voice")
    page.get_by_role("dialog").get_by_role("button", name="Write three captions").wait_for()
    auditor.look("the dialog of voices")
    page.keyboard.press("Escape")
    person.press("Language")
    page.get_by_role("menu").wait_for()
    auditor.look("a menu of the header")
    page.keyboard.press("Escape")
    person.context.set_offline(True)
    page.get_by_text("You are offline.").wait_for()
    auditor.look("offline")
    person.context.set_offline(False)
    auditor.visit(path)
    page.get_by_role("group", name="Words of the caption").get_by_role("button").first.focus()
    auditor.look("a word is looked at")
    for name in ("Regenerate", "History"):
        person.press(name)
        page.wait_for_load_state("networkidle")
        auditor.look(name)
    person.press("Copy")
    page.get_by_role("menu").wait_for()
    auditor.look("the menu of copies")
    page.keyboard.press("Escape")
    person.press("Edit")
    page.get_by_role("textbox", name="Caption", exact=True).fill("A dog runs along the beach.")
    auditor.look("the caption is edited")
    person.press("Save")
    person.press("Voice")
    page.get_by_label("Hashtags").fill("1")
    person.press("Write three captions")
    captions = page.get_by_role("region", name="Captions in this voice").get_by_role("listitem")
    captions.get_by_role("button", name="Use as caption").wait_for()
    expect(captions.filter(has_text="Not shown:")).not_to_have_count(0)
    page.get_by_text("More choices").click()
    captions.get_by_role("button", name="Edit").click()
    auditor.look("captions in a voice")
    captions.get_by_role("button", name="Cancel").click()
    page.get_by_label("Everyone, in the gallery").check()
    page.get_by_label("Add tags").fill("cat")
    person.press("Add")
    page.get_by_role("button", name="Remove tag cat").wait_for()
    page.get_by_text("This photo is in the gallery.").wait_for()
    auditor.look("a published photo")
    auditor.visit("/library")
    person.main.get_by_role("checkbox").first.check()
    auditor.look("a photo is ticked")
    person.press("Export")
    page.get_by_role("menu").wait_for()
    auditor.look("the menu of exports")
    page.keyboard.press("Escape")
    auditor.visit("/library?q=zebrafish")
    person.open(path)
    person.press("Delete photo")
    page.get_by_role("button", name="Undo").wait_for()
    auditor.look("a note with undo")
    person.press("Undo")
    expect(person.main.get_by_role("checkbox")).to_have_count(1)
    assert auditor.found == {}


def test_axe_finds_nothing_in_lists_that_load_fail_and_are_reported(auditor: Auditor, live: Service) -> None:
    person, page = auditor.person, auditor.page
    with live.visitor() as other:
        (item,) = other.upload(FLOWER.read_bytes())
        other.patch(f"/images/{item['id']}", json={"visibility": "public"}).raise_for_status()
        wait_until(lambda: other.image(item["id"])["moderation"] == "approved", what="its publication")
    held: list[Route] = []
    is_cut = False
    page.route("**/api/v1/gallery*", lambda route: route.abort() if is_cut else held.append(route))
    person.open("/gallery")
    page.get_by_role("status", name="Loading").wait_for()
    auditor.look("the gallery loads")
    is_cut = True
    for route in held:
        route.abort()
    page.get_by_role("alert").wait_for()
    auditor.look("the gallery cannot be loaded")
    page.unroute("**/api/v1/gallery*")
    person.press("Try again")
    report = person.main.get_by_role("button", name="Report").first
    report.wait_for()
    auditor.look("the gallery")
    report.click()
    page.get_by_role("dialog").wait_for()
    auditor.look("the dialog of reports")
    page.keyboard.press("Escape")
    auditor.visit(f"/images/{item['id']}")  # somebody else's
    assert auditor.found == {}


def test_axe_finds_nothing_in_bulk(auditor: Auditor, tmp_path: Path) -> None:
    (tmp_path / "trip").mkdir()
    (tmp_path / "trip" / "cat.jpg").write_bytes(CAT.read_bytes())
    (tmp_path / "trip" / "notes.jpg").write_text("these are words")
    person, page = auditor.person, auditor.page
    person.open("/bulk")
    page.locator("input[webkitdirectory]").set_input_files(tmp_path / "trip")
    page.get_by_role("link", name="CSV").wait_for()
    auditor.look("a bulk that is done")
    auditor.visit("/bulk")
    assert auditor.found == {}


def test_axe_finds_nothing_in_the_account_and_the_dashboard(
    auditor: Auditor, live: Service, mailbox: Mailbox, receiver: Receiver
) -> None:
    person, page = auditor.person, auditor.page
    email = person.sign_up(mailbox, "audited")
    auditor.visit("/account")
    person.press("Change password")
    page.get_by_label("New password").fill("short")
    person.press("Save password")
    person.press("Set up")
    page.get_by_label("Secret").wait_for()
    page.get_by_role("region", name="API keys").get_by_label("What is it for?").fill("a key")
    person.press("Create key")
    page.get_by_text("This is your key.").wait_for()
    hooks = page.get_by_role("region", name="Webhooks")
    hooks.get_by_label("URL").fill(f"{receiver.url}/audited")
    person.press("Add", within=hooks)
    person.press("Send test")
    person.press("Deliveries")
    hooks.get_by_role("button", name="Resend").first.wait_for()
    auditor.look("the account, with all of it open")
    person.press("Remove", within=hooks)
    page.get_by_role("dialog").wait_for()
    auditor.look("the question before something is removed")
    page.keyboard.press("Escape")
    person.press("Delete account")
    page.get_by_role("dialog").wait_for()
    auditor.look("the dialog of deletion")
    page.keyboard.press("Escape")
    live.manage(
        "shell",
        "--no-imports",
        "--command",
        "from cutline.server.people.models import User;"
        f"User.objects.filter(email='{email}').update(role='admin')",
    )
    auditor.visit("/dashboard")
    assert auditor.found == {}
