"""Everything by keyboard, and the focus never lost: no call of a mouse stands in this file."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import FileChooser, expect

from tests.e2e.conftest import CAT, FLOWER, Person
from tests.server.services.process import wait_until
from tests.server.services.service import Service

# The name that is said of what has the focus: its label, the words of its labels, or its own words.
FOCUSED = """() => {
    const focused = document.activeElement;
    if (!focused || focused === document.body) return '';
    const labels = [...(focused.labels ?? [])].map((each) => each.innerText).join(' ');
    const name = focused.getAttribute('aria-label') || labels || focused.innerText || focused.id;
    return (name || focused.tagName).trim();
}"""


class Keyboard:
    """Somebody's ten fingers."""

    def __init__(self, person: Person) -> None:
        self.person, self.page = person, person.page

    def press(self, *keys: str) -> None:
        """Press these, one after the other."""
        for key in keys:
            self.page.keyboard.press(key)

    def focused(self) -> str:
        """What has the focus, by its name; "" where nothing has."""
        return str(self.page.evaluate(FOCUSED))

    def is_at(self, name: str) -> None:
        """Expect the focus at what is called so, now or in a moment."""
        try:
            wait_until(lambda: bool(re.match(name, self.focused())), what=f"focus at {name!r}")
        except TimeoutError as error:
            raise AssertionError(f"{error}, but {self.focused()!r}") from None

    def to(self, name: str, *, key: str = "Tab", limit: int = 90) -> None:
        """Press Tab until what is called so has the focus. After the page's end comes its beginning."""
        seen = []
        for _ in range(limit):
            self.press(key)
            seen.append(self.focused())
            if re.match(name, seen[-1]):
                return
        raise AssertionError(f"{name!r} is not among {seen}")


@pytest.fixture
def keyboard(new_person: Callable[..., Person]) -> Keyboard:
    """Somebody new, whose clipboard can be read."""
    return Keyboard(new_person(permissions=["clipboard-read", "clipboard-write"]))


def test_a_photo_s_whole_life_by_keyboard(keyboard: Keyboard) -> None:
    page, person = keyboard.page, keyboard.person
    choosers: list[FileChooser] = []
    page.on("filechooser", lambda chooser: choosers.append(chooser))
    person.open("/")
    keyboard.press("Tab")
    keyboard.is_at("Skip to content")
    keyboard.press("Enter")
    keyboard.is_at("content|Words for your photos")
    keyboard.to("Choose photos")
    keyboard.press("Enter")
    while not choosers:
        page.wait_for_timeout(20)
    choosers[0].set_files(CAT)
    page.get_by_role("link", name="Open", exact=True).wait_for()
    keyboard.to("Open$")
    keyboard.press("Enter")
    page.get_by_role("group", name="Words of the caption").wait_for()
    words = person.heading.inner_text()
    keyboard.is_at(re.escape(words) + "|Photo")  # a new page begins at its heading

    first, second, *_, last = words.split()
    keyboard.to(re.escape(first) + "$")
    keyboard.press("ArrowRight")
    keyboard.is_at(re.escape(second) + "$")
    keyboard.press("End")
    keyboard.is_at(re.escape(last) + "$")
    keyboard.press("Escape")
    keyboard.is_at(re.escape(last) + "$")
    keyboard.press("Home")
    keyboard.is_at(re.escape(first) + "$")

    keyboard.to("Copy")
    keyboard.press("Enter")
    keyboard.is_at("As text")
    keyboard.press("Escape")
    keyboard.is_at("Copy")
    keyboard.press("Enter")
    keyboard.is_at("As text")
    keyboard.press("ArrowDown", "Enter")
    keyboard.is_at("Copy")
    copied = f'alt="{words}"'
    wait_until(lambda: page.evaluate("navigator.clipboard.readText()") == copied, what="the copy")

    keyboard.to("Edit")
    keyboard.press("Enter")
    keyboard.is_at("Caption")
    keyboard.press("Escape")  # never mind
    keyboard.is_at("Edit")
    keyboard.press("Enter")
    keyboard.is_at("Caption")
    keyboard.press("ControlOrMeta+a")
    page.keyboard.type("Words of my own.")
    keyboard.to("Save")
    keyboard.press("Enter")
    expect(person.heading).to_have_text("Words of my own.")
    keyboard.is_at("Edit")

    keyboard.to("History")
    keyboard.press("Enter")
    page.get_by_role("button", name="Restore").wait_for()
    keyboard.to("Restore")
    keyboard.press("Enter")
    expect(person.heading).to_have_text(words)
    keyboard.is_at("Restore")  # the edited words can be had again; what was pressed is gone

    keyboard.to("Good caption", key="Shift+Tab")
    keyboard.press("Space")
    keyboard.is_at("Good caption")
    expect(page.get_by_role("button", name="Good caption")).to_have_attribute("aria-pressed", "true")
    keyboard.is_at("Good caption")

    keyboard.to("Regenerate")
    keyboard.press("Enter")
    page.get_by_label("Strategy").wait_for()
    keyboard.to("Generate captions")
    keyboard.press("Enter")
    keyboard.is_at("Regenerate")

    keyboard.to("Only you")
    keyboard.press("ArrowDown")
    keyboard.is_at("Anyone with the link")
    page.get_by_role("button", name="Copy link").wait_for()
    keyboard.is_at("Anyone with the link")
    keyboard.press("ArrowUp")
    keyboard.is_at("Only you")
    expect(page.get_by_role("button", name="Copy link")).to_have_count(0)

    keyboard.to("Add tags")
    page.keyboard.type("pet, home")
    keyboard.press("Enter")
    page.get_by_role("button", name="Remove tag home").wait_for()
    keyboard.is_at("Add tags")
    keyboard.to("Remove tag home", key="Shift+Tab")
    keyboard.press("Enter")
    keyboard.is_at("Remove tag pet")
    keyboard.press("Enter")
    keyboard.is_at("Add")

    keyboard.to("Delete photo")
    keyboard.press("Enter")
    keyboard.is_at("Your photos")
    page.get_by_role("button", name="Undo").wait_for()
    keyboard.to("Undo")
    keyboard.press("Enter")
    expect(person.main.get_by_role("checkbox")).to_have_count(1)
    assert keyboard.focused()


def test_menus_lists_and_dialogs_by_keyboard(keyboard: Keyboard, live: Service) -> None:
    page, person = keyboard.page, keyboard.person
    with live.visitor() as other:  # what there is to report
        (item,) = other.upload(FLOWER.read_bytes())
        wait_until(lambda: bool(other.image(item["id"])["caption"]), what="a caption")
        other.patch(f"/images/{item['id']}", json={"visibility": "public"}).raise_for_status()
        wait_until(lambda: other.image(item["id"])["moderation"] == "approved", what="its publication")
    person.open("/")
    keyboard.to("Language")
    keyboard.press("Enter")
    keyboard.is_at("English")
    keyboard.press("ArrowDown", "Enter")
    keyboard.is_at("Sprache")  # what opened the menu
    keyboard.press("Enter")
    keyboard.is_at("Deutsch")
    keyboard.press("ArrowUp", "Enter")
    keyboard.is_at("Language")

    keyboard.to("Gallery")
    keyboard.press("Enter")
    keyboard.is_at("Gallery")
    page.get_by_role("button", name="Report").first.wait_for()
    keyboard.to("Report")
    name = keyboard.focused()
    keyboard.press("Enter")
    page.get_by_role("dialog").wait_for()
    for _ in range(12):  # round and round, never out of it
        keyboard.press("Tab")
        assert page.evaluate("document.querySelector('[role=dialog]').contains(document.activeElement)")
    keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    keyboard.is_at(re.escape(name))
    keyboard.press("Enter")
    page.get_by_role("dialog").wait_for()
    keyboard.to("Something else")
    keyboard.press("ArrowUp")
    keyboard.is_at("Spam")
    keyboard.to("Report$")
    keyboard.press("Enter")
    expect(page.get_by_text("A moderator will review this photo.")).to_be_visible()
    keyboard.is_at(re.escape(name))

    keyboard.to("Library", key="Shift+Tab")
    keyboard.press("Enter")
    keyboard.is_at("Your photos")
    keyboard.to("Search captions and tags")
    page.keyboard.type("zebrafish")
    page.get_by_role("button", name="Clear").or_(page.get_by_text("No results")).first.wait_for()
    keyboard.is_at("Search captions and tags")
