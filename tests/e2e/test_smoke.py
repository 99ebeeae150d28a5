"""One journey on PostgreSQL, Redis and S3, with workers of their own; all others are on a laptop."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import COFFEE, Person
from tests.server.services.mailbox import Mailbox
from tests.server.services.process import wait_until
from tests.server.services.service import Mode

IS_SHOWN = "() => [...document.images].some((each) => each.complete && each.naturalWidth > 0)"


@pytest.mark.parametrize("mode", [Mode.PRODUCTION], indirect=True)
def test_a_photo_is_captioned_kept_at_sign_up_edited_and_found(person: Person, mailbox: Mailbox) -> None:
    page = person.page
    path = person.caption(COFFEE)
    # By a signed address of the store. The policy forbids what `wait_for_function` does at its second look.
    wait_until(lambda: page.evaluate(IS_SHOWN), what="the picture")
    person.sign_up(mailbox, "smoke")
    person.open(path)
    person.press("Edit")
    page.get_by_role("textbox", name="Caption", exact=True).fill("A cup of zebrafish coffee.")
    person.press("Save")
    expect(person.heading).to_have_text("A cup of zebrafish coffee.")
    person.open("/library")
    page.get_by_role("searchbox").fill("zebrafish")
    expect(person.main.get_by_role("checkbox")).to_have_count(1)
