"""What a browser says of a page: layout shifts while it fills, frames and memory of a long grid."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page

# Shifts that come without anybody having touched the page, as web vitals count them.
WATCH_SHIFTS = """
window.shifts = [];
new PerformanceObserver((list) => {
  for (const each of list.getEntries()) if (!each.hadRecentInput) window.shifts.push(each.value);
}).observe({ type: 'layout-shift', buffered: true });
"""
WATCH_FRAMES = """
window.frames_ms = [];
{
  let last = performance.now();
  const frame = (now) => { window.frames_ms.push(now - last); last = now; requestAnimationFrame(frame); };
  requestAnimationFrame(frame);
}
"""
PHONE = {"width": 412, "height": 823}
DESKTOP = {"width": 1350, "height": 940}


def visitor_context(browser: Browser, url: str, cookies: Mapping[str, str], viewport: Any) -> BrowserContext:
    """A browser of somebody who has been here before."""
    context = browser.new_context(viewport=viewport, locale="en-GB")
    context.add_cookies([{"name": name, "value": value, "url": url} for name, value in cookies.items()])
    context.add_init_script(WATCH_SHIFTS)
    return context


def shift_of(context: BrowserContext, url: str) -> float:
    """The layout shift of a page until its photos and captions are there."""
    page = context.new_page()
    page.goto(url)
    page.get_by_role("heading", level=1).wait_for(state="attached")
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(500)
    found: list[float] = page.evaluate("window.shifts")
    page.close()
    return round(sum(found), 4)


def shift_of_upload(context: BrowserContext, url: str, photo: Path) -> float:
    """The layout shift of the first page while a photo is sent and its caption arrives."""
    page = context.new_page()
    page.goto(url)
    page.locator("input[type=file]").first.set_input_files(photo)
    page.get_by_role("link", name="Open", exact=True).first.wait_for(timeout=120_000)
    page.wait_for_timeout(500)
    found: list[float] = page.evaluate("window.shifts")
    page.close()
    return round(sum(found), 4)


def scroll_to_end(browser: Browser, context: BrowserContext, url: str) -> dict[str, float]:
    """Scroll a grid to its end, with all that loads on the way, and back up. Frames in ms, memory in MB.

    A grid loads some pages by itself; then its button is pressed for the next one, as people do.
    """
    page = context.new_page()
    page.goto(url)
    page.get_by_role("listitem").first.wait_for()
    empty_mb = _memory(browser, page)
    began = time.monotonic()
    more = page.get_by_role("button", name=re.compile("^Load"))  # or "Loading", then it is disabled
    while True:
        page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
        page.wait_for_timeout(50)
        # In one go: between two questions the last page may have come, and the button have gone.
        if not more.evaluate_all("found => found.map(each => each.disabled || each.click())"):
            break
    page.wait_for_timeout(1000)
    loaded_s = time.monotonic() - began
    photos = int(page.get_by_role("listitem").last.get_attribute("aria-posinset") or 0)
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_timeout(500)
    page.evaluate(WATCH_FRAMES)
    page.mouse.move(300, 500)
    for _ in range(300):
        page.mouse.wheel(0, 900)
        page.wait_for_timeout(16)
    frames: list[float] = page.evaluate("window.frames_ms")
    peak = _memory(browser, page)
    found = {
        "photos": photos,
        "loaded_s": round(loaded_s, 1),
        "frame_median_ms": round(statistics.median(frames), 1),
        "frame_p99_ms": round(statistics.quantiles(frames, n=100)[98], 1),
        "elements": int(page.evaluate("document.querySelectorAll('*').length")),
        "footer_reached": float(_reaches_footer(page)),
        **{name: round(value, 1) for name, value in peak.items()},
        "renderer_before_mb": round(empty_mb["renderer_mb"], 1),
    }
    page.close()
    return found


def _reaches_footer(page: Page) -> bool:
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    page.wait_for_timeout(300)
    return bool(
        page.evaluate(
            "(() => { const box = document.querySelector('footer').getBoundingClientRect();"
            " return box.top < innerHeight && box.bottom > 0; })()"
        )
    )


def _memory(browser: Browser, page: Page) -> dict[str, float]:
    """Of the page's script, after it was tidied up; and of its process, shared pages by their share."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    session.send("HeapProfiler.collectGarbage")
    metrics = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    session.detach()
    machine = browser.new_browser_cdp_session()
    processes = machine.send("SystemInfo.getProcessInfo")["processInfo"]
    machine.detach()
    renderers = [int(each["id"]) for each in processes if each["type"] == "renderer"]
    return {
        "heap_mb": metrics["JSHeapUsedSize"] / 1e6,
        "renderer_mb": max(_process(each, "smaps_rollup", "Pss:") for each in renderers),
        "renderer_rss_mb": max(_process(each, "status", "VmRSS:") for each in renderers),
    }


def _process(number: int, file: str, field: str) -> float:
    lines = Path(f"/proc/{number}/{file}").read_text("utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1e3
