"""What the journeys share: a running service, somebody's web server, and people with real browsers."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect, sync_playwright

from cutline.server import pages
from screenshots import FLAGS, installed_chromium
from tests.chat_server import ChatServer, chat_server

# The servers that the service stands on.
from tests.server.conftest import (  # noqa: F401
    EXAMPLES,
    folder,
    mailbox,
    make_photo,
    openid,
    postgresql,
    receiver,
    redis,
    serve,
    store,
)
from tests.server.services.mailbox import Mailbox, link_in
from tests.server.services.process import ANSWERS_S
from tests.server.services.service import Mode, Service

CHROMIUM = installed_chromium()
CAT, COFFEE, FLOWER = (EXAMPLES / f"{name}.jpg" for name in ("cat", "coffee", "flower"))
PASSWORD = "correct horse 9 staple"
# A dead worker's job goes to another soon, so that nobody waits for it here as long as people would.
SETTINGS = {"lease_s": 5, "sweep_s": 1, "retry_base_s": 0.2}

PATIENCE_MS = 1000 * ANSWERS_S  # machines are busy at times; what never comes still fails
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="session", params=[Mode.LAPTOP])
def mode(request: pytest.FixtureRequest) -> Mode:
    """Pages do the same whatever the service stands on: test_smoke.py alone asks for the other mode."""
    return Mode(request.param)


@pytest.fixture(scope="session")
def writer() -> Iterator[ChatServer]:
    """The language model of the service, which says what a test wants it to."""
    with chat_server() as server:
        yield server


@pytest.fixture(scope="session")
def live(
    mode: Mode,
    writer: ChatServer,
    folder: Path,  # noqa: F811
    serve: Callable[..., contextlib.AbstractContextManager[Service]],  # noqa: F811
) -> Iterator[Service]:
    """The service, running."""
    place = folder / f"journeys-{mode}"
    settings = SETTINGS | {
        "restyler": f"openai:{writer.url}#writer",
        "model": f"registry:{place / 'models'}",  # the one that ships, until a test promotes another
        "model_poll_s": 0.5,
        "registry_cache": place / "cache",
    }
    with serve(place, **settings) as service:
        yield service


@pytest.fixture(scope="package")  # while Playwright is open, its event loop runs in this thread
def browser() -> Iterator[Browser]:
    """Chromium, with the web app to show."""
    if CHROMIUM is None:
        pytest.skip("there is no chromium here")
    if not pages.WEB_APP.exists():
        pytest.skip("the web app is not built: make web-app")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


class Person:
    """Somebody with a browser of their own. The console must stay clean."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.context, self.url = context, url
        self.page: Page = context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.complaints: list[str] = []
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _note(self, message: Any) -> None:
        # A refusal that the page shows is also noted by the browser itself; that is no fault of the page.
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    @property
    def main(self) -> Locator:
        """What is not header, footer or navigation."""
        return self.page.get_by_role("main")

    @property
    def heading(self) -> Locator:
        """The page's one heading of the first level."""
        return self.page.get_by_role("heading", level=1)

    def open(self, path: str) -> None:
        """Go to a page of the app, and wait for its heading."""
        self.page.goto(self.url + path)
        self.heading.wait_for(state="attached")

    def press(self, name: str, *, within: Page | Locator | None = None) -> None:
        """Press a button by its whole name."""
        (within or self.page).get_by_role("button", name=name, exact=True).click()

    def remove(self, name: str, *, within: Locator) -> None:
        """Press a button of that name, think better of it, press it again and say yes."""
        question = self.page.get_by_role("dialog")
        for answer in ("Cancel", name):
            self.press(name, within=within)
            self.press(answer, within=question)
            expect(question).to_have_count(0)

    def upload(self, *files: Path) -> None:
        """Give photos to the first page."""
        self.page.locator("input[type=file]").first.set_input_files(list(files))

    def first_photo(self) -> str:
        """Wait for a caption on the first page; the path of its photo's page."""
        opened = self.page.get_by_role("link", name="Open", exact=True).first
        opened.wait_for()
        return str(opened.get_attribute("href"))

    def caption(self, photo: Path) -> str:
        """Upload a photo on the first page, wait for its caption, go to its page; that page's path."""
        self.open("/")
        self.upload(photo)
        path = self.first_photo()
        self.open(path)
        self.page.get_by_text("Candidate captions").wait_for()
        return path

    def email(self, name: str) -> str:
        """An address that nobody else has: there is one mailbox for all services."""
        return f"{name}-{urlsplit(self.url).port}@example.org"

    def sign_up(self, mailbox: Mailbox, name: str) -> str:  # noqa: F811
        """Sign up, and follow the link of the mail; the address."""
        email = self.email(name)
        self.open("/account/sign-up")
        self.page.get_by_label("E-mail address").fill(email)
        self.page.get_by_label("New password").fill(PASSWORD)
        self.press("Sign up", within=self.main)
        expect(self.page.get_by_text("Check your e-mail")).to_be_visible()
        self.open(urlsplit(link_in(mailbox.wait_for(email), "verify-email")).path)
        self.press("Confirm")
        self.is_signed_in()
        return email

    def enter_password(self, email: str, password: str = PASSWORD) -> None:
        """Give address and password on the page for it."""
        if not self.page.url.endswith("/account/sign-in"):
            self.open("/account/sign-in")
        self.page.get_by_label("E-mail address").fill(email)
        self.page.get_by_label("Password").fill(password)
        self.press("Sign in", within=self.main)

    def is_signed_in(self) -> None:
        """Expect that the header leads to the account."""
        expect(self.page.get_by_role("banner").get_by_role("link", name="Account")).to_be_visible()

    def sign_out(self) -> None:
        """Sign out on the account's page."""
        self.open("/account")
        self.page.get_by_role("button", name="Sign out", exact=True).first.click()
        expect(self.page.get_by_role("banner").get_by_role("link", name="Sign in")).to_be_visible()


@pytest.fixture
def new_person(browser: Browser, live: Service) -> Iterator[Callable[..., Person]]:
    """Make people: new_person(), new_person(width=375, color_scheme="dark", url="http://localhost:8000")."""
    people: list[Person] = []

    def make(*, width: int = 1280, height: int = 800, url: str = "", **words: Any) -> Person:
        context = browser.new_context(
            **({"viewport": {"width": width, "height": height}, "locale": "en-GB"} | words)
        )
        stack.callback(context.close)
        people.append(Person(context, url or live.url))
        return people[-1]

    with contextlib.ExitStack() as stack:
        yield make
    assert [text for person in people for text in person.complaints] == []


@pytest.fixture
def person(new_person: Callable[..., Person]) -> Person:
    """Somebody who has not been here before."""
    return new_person()
