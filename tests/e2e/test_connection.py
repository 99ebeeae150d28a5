"""What is on its way when the connection goes, comes with it; in a real browser."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.e2e.conftest import CAT, Person


def test_a_page_whose_code_does_not_arrive_says_so_and_begins_again(person: Person) -> None:
    code = "**/assets/*.js"
    person.page.route(
        code, lambda route: route.fallback() if "/index-" in route.request.url else route.abort()
    )
    person.page.goto(f"{person.url}/gallery")
    expect(person.page.get_by_role("alert")).to_contain_text("This could not be loaded")
    person.page.unroute(code)
    person.context.set_offline(True)
    person.context.set_offline(False)
    expect(person.page.locator("#root:not([inert])")).to_be_attached()
    expect(person.page.get_by_role("alert")).to_have_count(0)


def test_a_caption_can_be_edited_where_the_connection_was_lost(person: Person) -> None:
    person.caption(CAT)
    expect(person.page.get_by_role("button", name="Delete")).to_be_visible()
    person.context.set_offline(True)
    person.press("Edit")  # the first thing that is done here: the field's code has not been asked for
    person.context.set_offline(False)
    person.page.get_by_role("textbox", name="Caption").fill("A cat, at last.")
    person.context.set_offline(True)
    person.press("Save")
    expect(person.page.get_by_role("alert")).to_be_visible()
    person.context.set_offline(False)
    person.press("Save")
    expect(person.main.get_by_text("A cat, at last.").first).to_be_visible()
