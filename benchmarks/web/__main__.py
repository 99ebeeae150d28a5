"""python -m benchmarks.web [--rounds 3] [--photos 10000] [--output benchmarks]

Starts the service with the web app that is built in, opens it in Chromium, measures, prints, and writes
web.json and web.md. The exit code is 1 where a must is missed. Wants chromium, and npm for Lighthouse.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from benchmarks import machine
from benchmarks.service.measures import fill
from benchmarks.web import browser as pages
from benchmarks.web import lighthouse, report
from cutline.server.pages import WEB_APP
from tests.server.services.client import Visitor
from tests.server.services.service import Mode, Service

HERE = Path(__file__).resolve().parent
EXAMPLES = sorted((HERE.parents[1] / "examples").glob("*.jpg"))
PLENTY = {"max_images_anonymous": 1_000_000, "log_level": "WARNING"}
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]


def publish(visitor: Visitor) -> list[str]:
    """Captioned photos in the gallery; their ids. Raises TimeoutError where they do not come."""
    items = [
        item
        for photo in EXAMPLES
        for item in visitor.post(
            "/images", files=[("files", (photo.name, photo.read_bytes()))], headers={"Prefer": "wait=60"}
        )
        .raise_for_status()
        .json()["items"]
    ]
    ids = [str(item["id"]) for item in items]
    change = {"ids": ids, "action": "set_visibility", "visibility": "public"}
    visitor.post("/images/actions", json=change).raise_for_status()
    end = time.monotonic() + 120
    while len(visitor.get("/gallery").json()["items"]) < len(ids):
        if time.monotonic() > end:
            raise TimeoutError("the gallery does not fill")
        time.sleep(0.5)
    return ids


def measure(service: Service, browser: Browser, chromium: str, chosen: argparse.Namespace) -> dict[str, Any]:
    """Measure everything."""
    results: dict[str, Any] = {
        "machine": machine.facts(),
        "chromium": f"Chromium {browser.version}",
        "lighthouse": {},
        "layout_shift": {},
        "grid": {},
    }
    visitor = service.visitor()
    ids = publish(visitor)
    paths = {"home": "/", "gallery": "/gallery", "photo": f"/images/{ids[0]}"}
    for form in ("mobile", "desktop"):
        results["lighthouse"][form] = {}
        for name, path in paths.items():
            _say(f"Lighthouse, {name}, {form}")
            results["lighthouse"][form][name] = lighthouse.score(
                service.url + path, form, chromium=chromium, rounds=chosen.rounds
            )
    for form, viewport in (("mobile", pages.PHONE), ("desktop", pages.DESKTOP)):
        _say(f"layout shifts, {form}")
        context = pages.visitor_context(browser, service.url, dict(visitor.cookies), viewport)
        results["layout_shift"][form] = {
            name: pages.shift_of(context, service.url + path)
            for name, path in {**paths, "library": "/library"}.items()
        }
        context.close()
        newcomer = pages.visitor_context(browser, service.url, {}, viewport)
        results["layout_shift"][form]["a photo and its caption"] = pages.shift_of_upload(
            newcomer, service.url, EXAMPLES[0]
        )
        results["first_page_script_kb"] = _script_kb(newcomer.new_page(), service.url)
        newcomer.close()
    _say(f"a library of {chosen.photos:,} photos")
    _fill(service, visitor, ids[0], chosen.photos - len(ids))
    for name in ("library", "gallery"):
        context = pages.visitor_context(browser, service.url, dict(visitor.cookies), pages.DESKTOP)
        results["grid"][name] = pages.scroll_to_end(browser, context, f"{service.url}/{name}")
        context.close()
    visitor.close()
    return results


def _script_kb(page: Any, url: str) -> float:
    """All script that the first page loads, as gzip makes it."""
    import gzip

    found: dict[str, int] = {}
    page.on(
        "response",
        lambda answer: (
            found.update({answer.url: len(gzip.compress(answer.body()))})
            if answer.request.resource_type == "script"
            else None
        ),
    )
    page.goto(url)
    page.wait_for_load_state("networkidle")
    page.close()
    return round(sum(found.values()) / 1000, 1)


def _fill(service: Service, visitor: Visitor, image: str, count: int) -> None:
    """So many photos more, every fifth in the gallery, with thumbnails of the ones that are there."""
    [[owner]] = service.rows("SELECT owner_id FROM images_image WHERE id = %s", image.replace("-", ""))
    fill(service, str(owner), count)
    store = service.data / "files"
    thumbnails = {path.suffix: path for path in sorted(store.rglob("*-thumbnail.*"))}
    for [key] in service.rows("SELECT key FROM images_storedfile WHERE key LIKE %s", "%-thumbnail.%"):
        path = store / key
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            os.link(thumbnails.get(path.suffix) or thumbnails[".jpg"], path)


def _say(what: str) -> None:
    print(f"measuring {what} ...", file=sys.stderr, flush=True)


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.web", description="Measure the web app.")
    parser.add_argument("--rounds", type=int, default=3, help="of Lighthouse, of which the median counts")
    parser.add_argument("--photos", type=int, default=10_000, help="in the long grid")
    parser.add_argument("--output", type=Path, default=HERE.parent, help="a folder for the results")
    chosen = parser.parse_args()
    chromium = shutil.which("chromium")
    if chromium is None or not WEB_APP.exists():
        parser.error("this wants chromium (apt-get install chromium), and the web app built in: make web-app")
    with tempfile.TemporaryDirectory(prefix="cutline-bench-", ignore_cleanup_errors=True) as name:
        service = Service(Mode.LAPTOP, Path(name), settings=PLENTY)
        service.start()
        try:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
                results = measure(service, browser, chromium, chosen)
                browser.close()
        finally:
            service.stop()
    found = report.musts(results)
    results["musts"] = [asdict(must) | {"met": must.met} for must in found]
    (chosen.output / "web.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    (chosen.output / "web.md").write_text(report.table(results), encoding="utf-8")
    print(report.table(results))
    return 0 if all(must.met for must in found) else 1


if __name__ == "__main__":
    sys.exit(main())
