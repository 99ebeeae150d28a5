"""Bring the README's output, numbers and pictures up to date with the model that ships.

    python docs/refresh.py          (after `make bench`; wants chromium for the pictures)

Nothing in the README that a program measured is typed by hand: it stands between two comments, and comes
from here.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from cutline.captioning.bundle import read_bundle
from cutline.captioning.sources import default_bundle
from cutline.metrics.report import bundle_scores
from screenshots import screenshot

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
IMAGES = ROOT / "docs" / "images"


def replaced(text: str, name: str, body: str) -> str:
    """Put ``body`` between the comments of ``name``. Raises LookupError where there are none."""
    pattern = rf"(<!-- {name}: [^>]*-->\n).*?(<!-- {name}: end -->)"
    changed, count = re.subn(pattern, lambda found: f"{found[1]}{body}{found[2]}", text, flags=re.DOTALL)
    if count != 1:
        raise LookupError(f"The README has {count} places for {name}.")
    return changed


def speeds(folder: Path) -> str:
    """Give the tables that the benchmarks wrote; nothing where they did not run, or on a busy machine."""
    results = folder / "results.json"
    if not results.exists() or json.loads(results.read_text("utf-8"))["machine"]["busy"]:
        return ""
    return (folder / "results.md").read_text("utf-8").partition("-->")[2].strip()


def main() -> int:
    """Run the demo, take its picture, and write what it and the benchmarks printed into the README."""
    demo = subprocess.run(
        [sys.executable, ROOT / "examples" / "demo.py"], capture_output=True, text=True, check=True
    )
    captions = demo.stdout.partition("\n\n")[0].expandtabs(16)
    text = replaced(README.read_text("utf-8"), "demo", f"\n```text\n{captions}\n```\n\n")
    metrics = read_bundle(default_bundle()).manifest.metrics
    if "sources" in metrics:
        text = replaced(text, "scores", f"\n{bundle_scores(metrics)}\n\n")
    if measured := speeds(ROOT / "benchmarks"):
        text = replaced(text, "bench", f"\n{measured}\n\n")
    else:
        print("The README's speeds stay as they are: run `make bench` on an idle machine first.")
    README.write_text(text, encoding="utf-8")
    pictures()
    return 0


def pictures() -> None:
    """Take a picture of the demo page, and draw where the model looked in one photo."""
    IMAGES.mkdir(exist_ok=True)
    screenshot(ROOT / "demo" / "index.html", IMAGES / "demo.jpg", width=1280, dark=False)
    with tempfile.TemporaryDirectory() as folder:
        drawn = Path(folder) / "attention.png"
        arguments = ["caption", "--quiet", "--attention", str(drawn), str(ROOT / "examples" / "camera.jpg")]
        subprocess.run([sys.executable, "-m", "cutline.cli.main", *arguments], check=True)
        with Image.open(drawn) as picture:
            picture.convert("RGB").save(IMAGES / "attention.jpg", quality=85)


if __name__ == "__main__":
    sys.exit(main())
