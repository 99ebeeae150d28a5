"""What the journeys share: the running service of tests/server, and a real browser."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from cutline.server import pages
from screenshots import FLAGS

# The fixtures of the running service.
from tests.server.conftest import (  # noqa: F401
    folder,
    live,
    mailbox,
    mode,
    openid,
    postgresql,
    redis,
    store,
)
from tests.server.services.service import Service

CHROMIUM = shutil.which("chromium")
AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"


@pytest.fixture(scope="module")  # while Playwright is open, its event loop runs in this thread
def browser() -> Iterator[Browser]:
    """Chromium, with the web app to show."""
    if CHROMIUM is None:
        pytest.skip("there is no chromium here")
    if not pages.WEB_APP.exists():
        pytest.skip("the web app is not built: make web")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


class Person:
    """Somebody with a browser of their own. The console must stay clean."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.context, self.url = context, url
        self.page: Page = context.new_page()
        self.page.set_default_timeout(30_000)
        self.complaints: list[str] = []
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _note(self, message: Any) -> None:
        # A refusal that the page shows is also noted by the browser itself; that is no fault of the page.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    def open(self, path: str) -> None:
        """Go to a page of the app, and wait for its heading."""
        self.page.goto(self.url + path)
        self.page.get_by_role("heading", level=1).wait_for(state="attached")

    def upload(self, *files: Path) -> None:
        """Give photos to the first page."""
        self.page.locator("input[type=file]").first.set_input_files(list(files))

    def first_photo(self) -> str:
        """Wait for a caption on the first page; the path of its photo's page."""
        opened = self.page.get_by_role("link", name="Open", exact=True).first
        opened.wait_for(timeout=90_000)
        return str(opened.get_attribute("href"))


@pytest.fixture
def new_person(browser: Browser, live: Service) -> Iterator[Callable[..., Person]]:  # noqa: F811
    """Make people: new_person(), new_person(width=375, color_scheme="dark")."""
    people: list[Person] = []

    def make(*, width: int = 1280, height: int = 800, **words: Any) -> Person:
        context = browser.new_context(viewport={"width": width, "height": height}, locale="en-GB", **words)
        people.append(Person(context, live.url))
        return people[-1]

    yield make
    complaints = [text for person in people for text in person.complaints]
    for person in people:
        person.context.close()
    assert complaints == []


@pytest.fixture
def person(new_person: Callable[..., Person]) -> Person:
    """Somebody who has not been here before."""
    return new_person()
