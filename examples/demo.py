"""Caption photos, print the captions, and write a page that shows them: what `make demo` runs.

    python examples/demo.py [PHOTO ...] [--output demo/index.html] [--model BUNDLE]

The page needs nothing beside itself: the photos are inside it, and each one's alternative text is its
caption.
"""

from __future__ import annotations

import argparse
import base64
import html
import re
import sys
import time
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from string import Template

import cutline
from cutline.images import open_image

HERE = Path(__file__).resolve().parent
SHOWN_WIDTH_PX = 640
CAPTIONS_EACH = 3

FIGURE = Template("""<figure>
<img src="$source" alt="$best">
<figcaption>
<p class="caption">$best</p>
<details><summary>It also considered</summary><ul>
$others
</ul></details>$credit
</figcaption>
</figure>""")


def credits(table: Path) -> dict[str, str]:
    """Give {file name: credit as HTML} from the table in LICENCES.md."""
    rows = (line.strip("| \n").split(" | ") for line in table.read_text("utf-8").splitlines())
    return {
        row[0].strip("`"): f"Photo: {_linked(row[2])}, {_linked(row[3])}" for row in rows if len(row) == 5
    }


def _linked(markdown: str) -> str:
    return re.sub(r"\[(.+?)\]\((.+?)\)", r'<a href="\2">\1</a>', html.escape(markdown))


def figure(photo: Path, captions: Sequence[cutline.Caption], credit: str = "") -> str:
    """One photo with its captions, as HTML."""
    picture = open_image(photo)
    picture.thumbnail((SHOWN_WIDTH_PX, SHOWN_WIDTH_PX * 2))
    jpeg = BytesIO()
    picture.save(jpeg, "JPEG", quality=85)
    return FIGURE.substitute(
        source="data:image/jpeg;base64," + base64.b64encode(jpeg.getvalue()).decode("ascii"),
        best=html.escape(captions[0].text),
        others="\n".join(f"<li>{html.escape(caption.text)}</li>" for caption in captions[1:]),
        credit=f'\n<p class="credit">{credit}</p>' if credit else "",
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Caption, print, write the page."""
    parser = argparse.ArgumentParser(description="Caption photos and write a page that shows them.")
    parser.add_argument("photos", nargs="*", type=Path, default=sorted(HERE.glob("*.jpg")))
    parser.add_argument("--output", type=Path, default=HERE.parent / "demo" / "index.html")
    parser.add_argument("--model", help="a bundle; the one that ships unless given")
    chosen = parser.parse_args(arguments)

    started = time.perf_counter()
    captioner = cutline.load(chosen.model)
    results = captioner.caption(chosen.photos, n=CAPTIONS_EACH)
    seconds = time.perf_counter() - started

    known = credits(HERE / "LICENCES.md")
    figures = []
    for photo, captions in zip(chosen.photos, results, strict=True):
        print(f"{photo.name}\t{captions[0].text}")
        figures.append(figure(photo, captions, known.get(photo.name, "") if photo.parent == HERE else ""))
    model = f"{captioner.name}@{captioner.version}"
    page = Template((HERE / "page.html").read_text("utf-8")).substitute(
        count=len(figures),
        model=html.escape(model),
        seconds=f"{seconds:.1f}",
        figures="\n".join(figures),
    )
    chosen.output.parent.mkdir(parents=True, exist_ok=True)
    chosen.output.write_text(page, encoding="utf-8")
    print(f"\n{len(figures)} photos captioned by {model} in {seconds:.1f} s.")
    print(f"The page: {chosen.output}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except cutline.CutlineError as error:
        sys.exit(f"demo: {error}")
