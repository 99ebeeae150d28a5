"""The page that stands in for the web app, in a real browser; and which paths are pages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import Client, RequestFactory
from django.urls import Resolver404, URLResolver, resolve
from django.urls.resolvers import RegexPattern
from playwright.sync_api import Browser, Page, sync_playwright

from cutline.server import pages
from screenshots import FLAGS, installed_chromium
from tests.server.conftest import EXAMPLES
from tests.server.services.process import wait_until
from tests.server.services.service import Mode, Service

CHROMIUM = installed_chromium()
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium here")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    made = Service(Mode.LAPTOP, tmp_path_factory.mktemp("pages"), settings={"web_app": False})
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(params=[(1280, 800), (360, 740)], ids=["desktop", "phone"])
def page(request: pytest.FixtureRequest, browser: Browser, service: Service) -> Iterator[Page]:
    """The page, newly opened; the browser must have had nothing to complain of."""
    width, height = request.param
    context = browser.new_context(viewport={"width": width, "height": height})
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(service.url)
    yield page
    context.close()
    assert [text for text in complaints if "422" not in text] == []


def wait_for_caption(page: Page) -> str:
    page.wait_for_selector(".photo .caption:not(:empty)")
    return page.inner_text(".photo .caption")


@needs_chromium
def test_a_dropped_photo_gets_its_caption_over_the_websocket(page: Page) -> None:
    page.set_input_files("#files", EXAMPLES / "cat.jpg")
    caption = wait_for_caption(page)
    assert page.inner_text("#status") == f"Caption: {caption}"
    assert page.get_attribute(".photo img", "alt") == caption
    assert page.locator(".others li").count() >= 1
    page.reload()  # what is there already comes from the API
    assert wait_for_caption(page) == caption
    # The page's policy forbids what `wait_for_function` does from its second look on.
    are_shown = "[...document.images].every((image) => image.naturalWidth > 0)"
    wait_until(lambda: page.evaluate(are_shown), what="the pictures")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.click("text=Remove")
    page.wait_for_selector("#empty:visible")
    assert page.locator(".photo").count() == 0


@needs_chromium
def test_what_is_no_photo_is_told_and_the_rest_goes_on(page: Page, tmp_path: Path) -> None:
    (tmp_path / "notes.jpg").write_text("these are words")
    page.set_input_files("#files", [tmp_path / "notes.jpg", EXAMPLES / "coffee.jpg"])
    wait_for_caption(page)
    assert "not an image" in page.inner_text(".photo.failed .state")


@needs_chromium
def test_the_page_can_be_used_by_keyboard(page: Page) -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "files"
    assert page.evaluate("document.querySelector('label[for=files]').innerText")


def test_the_page_has_no_inline_script_or_style(db: None) -> None:
    answer = Client().get("/")
    assert answer.status_code == 200
    if not pages.is_built_in():
        assert "<style" not in answer.content.decode()
        assert "style=" not in answer.content.decode()


@pytest.mark.parametrize(
    ("path", "is_page"),
    [
        ("", True),
        ("gallery", True),
        ("photos/3f0c", True),
        ("account/verify-email/Mg:1vM:x_-Y", True),
        ("apiary", True),
        ("api/v1/nothing", False),
        ("api", False),
        ("files/images/x", False),
        ("admin/", False),
        ("accounts/google/login/callback/", False),
        ("_allauth/browser/v1/config", False),
        ("assets/index-abc.js", False),
        ("favicon.ico", False),
        ("ws", False),
    ],
)
def test_the_web_app_answers_its_own_paths_and_no_others(path: str, is_page: bool) -> None:
    resolver = URLResolver(RegexPattern(r"^/"), pages.routes(built_in=True))
    try:
        resolver.resolve(f"/{path}")
    except Resolver404:
        assert not is_page
    else:
        assert is_page


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A build of the web app whose pages say their names."""
    for name in ("index", "home", "gallery", "library", "photo"):
        (tmp_path / f"{name}.html").write_text(name)
    monkeypatch.setattr(pages, "WEB_APP", tmp_path / "index.html")
    pages._page.cache_clear()
    yield tmp_path
    pages._page.cache_clear()


def painted(path: str) -> str:
    answer = pages.web_app(RequestFactory().get(path))
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/html; charset=utf-8"
    return answer.content.decode()


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/", "home"),
        ("/?from=mail", "home"),
        ("/gallery", "gallery"),
        ("/gallery?q=cat", "gallery"),
        ("/gallery/", "index"),
        ("/library", "library"),
        ("/images/3f0c2b1e-9c1d-4d4c-8d7e-0123456789ab", "photo"),
        ("/images/", "index"),
        ("/images/a/b", "index"),
        ("/images/a%0A", "index"),
        ("/shared/images/a", "index"),
        ("/about", "index"),
        ("/nothing-here", "index"),
    ],
)
def test_each_path_is_painted_as_the_page_that_it_shows(build: Path, path: str, name: str) -> None:
    assert painted(path) == name


def test_a_build_that_lacks_a_painted_page_shows_the_frame_in_its_place(build: Path) -> None:
    (build / "gallery.html").unlink()
    assert painted("/gallery") == "index"
    assert painted("/library") == "library"


def test_the_root_is_a_page_in_any_case() -> None:
    assert resolve("/").url_name == "index"
    assert [route.name for route in pages.routes(built_in=False) if hasattr(route, "name")] == ["index"]
