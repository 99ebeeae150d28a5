"""What people do with one photo and its words; in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from playwright.sync_api import Page, expect

from tests.e2e.conftest import CAT, FLOWER, Person
from tests.server.services.process import wait_until
from tests.server.services.service import Service

PEOPLE = {"permissions": ["clipboard-read", "clipboard-write"]}


def clipboard(page: Page) -> str:
    """What was copied last."""
    return str(page.evaluate("navigator.clipboard.readText()"))


def test_a_private_photo_stays_private_until_its_link_is_given(new_person: Callable[..., Person]) -> None:
    person, stranger = new_person(**PEOPLE), new_person()
    path = person.caption(CAT)
    words = person.heading.inner_text()
    stranger.open(path)
    expect(stranger.page.get_by_text("Page not found")).to_be_visible()
    assert stranger.page.locator("main img").count() == 0
    person.page.get_by_label("Anyone with the link").check()
    person.press("Copy link")
    expect(person.page.get_by_text("Link copied.")).to_be_visible()
    link = urlsplit(clipboard(person.page))
    assert link.path.startswith("/shared/")
    stranger.open(link.path)
    expect(stranger.heading).to_have_text(words)
    expect(stranger.page.locator("main img").first).to_have_js_property("complete", True)
    assert stranger.page.locator("main img").first.evaluate("image => image.naturalWidth") > 100
    for name in ("Edit", "Delete photo", "Regenerate"):
        expect(stranger.page.get_by_role("button", name=name)).to_have_count(0)
    person.page.get_by_label("Only you").check()
    expect(person.page.get_by_role("button", name="Copy link")).to_have_count(0)
    stranger.open(link.path)
    expect(stranger.page.get_by_text("Page not found")).to_be_visible()


def test_a_caption_is_edited_brought_back_copied_and_rated(new_person: Callable[..., Person]) -> None:
    person = new_person(**PEOPLE)
    page = person.page
    path = person.caption(FLOWER)
    expect(page.get_by_role("group", name="Words of the caption")).to_be_visible()
    before = person.heading.inner_text()
    person.press("Edit")
    field = page.get_by_label("Caption", exact=True)
    expect(field).to_be_focused()
    field.fill("Words of my own.")
    person.press("Save")
    expect(person.heading).to_have_text("Words of my own.")
    expect(page.get_by_role("button", name="Edit")).to_be_focused()
    person.press("History")
    page.get_by_role("button", name="Restore").first.click()
    expect(person.heading).to_have_text(before)
    for name, expected in (
        ("As text", before),
        ("As alt attribute", f'alt="{before}"'),
        ("As Markdown", f"![{before}](flower.jpg)"),
        ("As HTML", f'<img src="flower.jpg" alt="{before}">'),
    ):
        person.press("Copy")
        page.get_by_role("menuitem", name=name).click()
        expect(page.get_by_role("menuitem", name=name)).to_have_count(0)
        wait_until(lambda copy=expected: clipboard(page) == copy, what=name)
    person.press("Good caption")
    expect(page.get_by_role("button", name="Good caption")).to_have_attribute("aria-pressed", "true")
    page.get_by_label("Add tags").fill("Garden, May")
    person.press("Add")
    person.open(path)
    expect(page.get_by_role("button", name="Good caption")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("button", name="Remove tag garden")).to_be_visible()


def test_a_photo_is_captioned_anew_with_other_options_and_another_candidate_is_picked(person: Person) -> None:
    page = person.page
    person.caption(CAT)
    person.press("Regenerate")
    page.get_by_label("Strategy").click()
    page.get_by_role("option", name="Surprise me").click()
    page.get_by_label("Candidates").fill("2")
    page.get_by_label("Starts with").fill("two dogs")
    person.press("Generate captions")
    expect(page.get_by_role("button", name="Regenerate")).to_be_focused()  # the form is gone
    candidates = page.get_by_role("region", name="Candidate captions").get_by_role("listitem")
    dogs = candidates.filter(has_text="Two dogs")
    expect(dogs).not_to_have_count(0)
    other = candidates.filter(has_text="Use this").first
    words = other.locator("p").first.inner_text()
    other.get_by_role("button", name="Use this").click()
    expect(candidates.filter(has_text="Current")).to_have_count(1)
    expect(candidates.filter(has_text=words).filter(has_text="Current")).to_have_count(1)
    expect(person.heading).to_have_text(words)
    page.reload()
    expect(person.heading).to_have_text(words)


def test_a_deleted_photo_comes_back_by_undo(person: Person) -> None:
    person.caption(CAT)
    person.press("Delete photo")
    person.page.get_by_text("Photo deleted.").wait_for()
    photos = person.main.get_by_role("checkbox")
    expect(photos).to_have_count(0)
    person.press("Undo")
    expect(photos).to_have_count(1)


def test_a_published_photo_is_checked_shown_reported_and_refused(
    new_person: Callable[..., Person], live: Service
) -> None:
    owner, stranger = new_person(), new_person()
    path = owner.caption(FLOWER)
    owner.page.get_by_label("Everyone, in the gallery").check()
    expect(owner.page.get_by_text("This photo is in the gallery.")).to_be_visible()
    stranger.open("/gallery")
    stranger.main.locator(f'a[href="{path}"]').wait_for()
    flag = stranger.main.get_by_role("listitem").filter(has=stranger.page.locator(f'a[href="{path}"]'))
    flag.get_by_role("button", name="Report").click()
    stranger.page.get_by_label("Spam").check()
    stranger.page.get_by_label("Details").fill("It sells flowers.")
    stranger.press("Report")
    expect(stranger.page.get_by_text("A moderator will review this photo.")).to_be_visible()
    expect(stranger.page.get_by_role("dialog")).to_have_count(0)
    image = path.rpartition("/")[2]
    assert live.rows("SELECT reason, text FROM images_report WHERE text = %s", "It sells flowers.")
    live.manage(
        "shell",
        "--no-imports",
        "--command",
        "from cutline.server.images import moderation;"
        "from cutline.server.images.models import Image, Moderation;"
        "from cutline.server.people.models import User;"
        "by, _ = User.objects.get_or_create(email='moderator@example.org', defaults={'role': 'moderator'});"
        f"moderation.decide(Image.objects.get(pk='{image}'), by, Moderation.REJECTED, 'It is spam.')",
    )
    # Told, not asked: the page was open all the time.
    expect(owner.page.get_by_text("This photo was not accepted for the gallery.")).to_be_visible()
    stranger.open("/gallery")
    expect(stranger.main.locator(f'a[href="{path}"]')).to_have_count(0)
