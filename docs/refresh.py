"""Bring the README's output, numbers and pictures up to date with the model that ships.

    python docs/refresh.py          (after `make bench`; wants chromium for the pictures)

Nothing in the README that a program measured is typed by hand: it stands between two comments, and comes
from here.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from cutline.captioning.bundle import read_bundle
from cutline.captioning.sources import default_bundle
from cutline.metrics.report import bundle_scores
from generate import replaced, with_demo
from screenshots import screenshot

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
IMAGES = ROOT / "docs" / "images"


def speeds(folder: Path) -> str:
    """Give the tables that the benchmarks wrote; nothing where they did not run, or on a busy machine."""
    results = folder / "results.json"
    if not results.exists() or json.loads(results.read_text("utf-8"))["machine"]["busy"]:
        return ""
    return (folder / "results.md").read_text("utf-8").partition("-->")[2].strip()


def main() -> int:
    """Run the demo, take its picture, and write what it and the benchmarks printed into the README."""
    subprocess.run([sys.executable, ROOT / "examples" / "demo.py"], capture_output=True, check=True)
    text = with_demo(README.read_text("utf-8"))
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
