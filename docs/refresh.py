"""Bring the README's output, numbers and pictures up to date with the model that ships.

    python docs/refresh.py          (after `make bench`; wants chromium for the pictures)

Nothing in the README that a program measured is typed by hand: it stands between two comments, and comes
from here.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from screenshot import screenshot

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"


def replaced(text: str, name: str, body: str) -> str:
    """Put ``body`` between the comments of ``name``. Raises LookupError where there are none."""
    pattern = rf"(<!-- {name}: [^>]*-->\n).*?(<!-- {name}: end -->)"
    changed, count = re.subn(pattern, lambda found: f"{found[1]}{body}{found[2]}", text, flags=re.DOTALL)
    if count != 1:
        raise LookupError(f"The README has {count} places for {name}.")
    return changed


def main() -> int:
    """Run the demo, take its picture, and write what it and the benchmarks printed into the README."""
    demo = subprocess.run(
        [sys.executable, ROOT / "examples" / "demo.py"], capture_output=True, text=True, check=True
    )
    captions = demo.stdout.partition("\n\n")[0].expandtabs(16)
    text = replaced(README.read_text("utf-8"), "demo", f"\n```text\n{captions}\n```\n\n")
    results = ROOT / "benchmarks" / "results.md"
    if results.exists():
        text = replaced(text, "bench", f"\n{results.read_text('utf-8').partition('-->')[2].strip()}\n\n")
    README.write_text(text, encoding="utf-8")
    page = ROOT / "demo" / "index.html"
    screenshot(page, ROOT / "docs" / "images" / "demo.png", width=1280, dark=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
