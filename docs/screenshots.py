"""Take the README's picture of the demo page: run after `make demo`.

    python docs/screenshots.py [PAGE] [--output docs/images/demo.jpg] [--dark] [--width 1280]

Wants Debian's chromium (`make setup` installs it where it can).
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)


def screenshot(page: Path, output: Path, *, width: int, dark: bool) -> None:
    """Photograph a whole page as a browser shows it. Raises SystemExit where there is no Chromium."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("There is no chromium here: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        tab = browser.new_page(
            viewport={"width": width, "height": 800}, color_scheme="dark" if dark else "light"
        )
        tab.goto(page.resolve().as_uri())
        tab.screenshot(path=output, full_page=True, quality=85 if output.suffix == ".jpg" else None)
        browser.close()


def main() -> int:
    """Read the arguments and take the picture."""
    parser = argparse.ArgumentParser(description="Take a picture of a page.")
    parser.add_argument("page", nargs="?", type=Path, default=HERE.parent / "demo" / "index.html")
    parser.add_argument("--output", type=Path, default=HERE / "images" / "demo.jpg")
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--dark", action="store_true")
    chosen = parser.parse_args()
    screenshot(chosen.page, chosen.output, width=chosen.width, dark=chosen.dark)
    print(chosen.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
