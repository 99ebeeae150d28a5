"""WCAG 2.2 AA as far as a program can see it, on every page."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import CAT, Person

AXE = Path(__file__).parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
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
