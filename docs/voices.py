"""Write docs/voices.md: 60 captions in a voice, unselected, by the model that ships or by another one.

    python docs/voices.py [--restyler URI] [--evaluation report/styles.md] [--output FILE] [--guide]

With --guide, put what `cutline caption` prints for six photos in three voices into docs/guide/restyle.md.

The 60 are held-out rows of recipes/styles/corpus, drawn by the seed: no caption was chosen or left out. With
--evaluation, the tables of `cutline evaluate --styles --output report/` follow.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from cutline import styles
from cutline.evaluation.style_rows import Row, read_corpus
from cutline.evaluation.styles import drawn
from generate import replaced

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = 60
GUIDE = ROOT / "docs" / "guide" / "restyle.md"
PHOTOS = ("astronaut.jpg", "camera.jpg", "cat.jpg", "coffee.jpg", "rocket.jpg", "temple.jpg")
VOICES = (
    ("--tone", "quirky", "--hashtags", "2", "--emoji"),
    ("--tone", "like a haiku"),
    ("--preset", "museum label"),
)


def page(restyler: styles.Restyler, rows: Sequence[Row], *, seed: int, evaluation: str) -> str:
    """The whole page."""
    lines = [
        "# Captions of the model for voices",
        "",
        f"{len(rows)} captions that {restyler.name}@{restyler.version} wrote with seed {seed}. None was"
        " chosen or left out: `python docs/voices.py` writes this page. The descriptions were never trained"
        " on, nor were the tones marked \\*.",
        "",
        *_samples(restyler, rows, seed),
    ]
    if evaluation:
        lines += ["", evaluation.strip().replace("# ", "## ", 1)]
    return "\n".join(lines) + "\n"


def _samples(restyler: styles.Restyler, rows: Sequence[Row], seed: int) -> Iterator[str]:
    trained = read_corpus(ROOT / "recipes" / "styles" / "corpus").trained_tones
    yield "| description | voice | caption |"
    yield "| --- | --- | --- |"
    for row in rows:
        [styled] = restyler.restyle(row.description, row.voice, seed=seed)
        refused = " *(refused)*" if styled.refused else ""
        mark = "" if row.voice.tone in trained else "\\*"
        count = row.voice.hashtags
        tags = f", {count} hashtag{'' if count == 1 else 's'}" if count else ""
        voice = f"{row.voice.tone}{mark}; {row.voice.audience}, {row.voice.length}{tags}"
        yield f"| {_cell(row.description)} | {voice} | {_cell(styled.text)}{refused} |"


def photos_in_voices(restyler: str | None) -> str:
    """What the command prints for the photos in each voice, after what it prints without one."""
    runs = []
    for voice in ((), *VOICES):
        named = ("--restyler", restyler) if restyler and voice else ()
        command = ["caption", "--quiet", *voice, *named, *PHOTOS]
        done = subprocess.run(
            [sys.executable, "-m", "cutline.cli.main", *command],
            cwd=ROOT / "examples",
            stdout=subprocess.PIPE,
            text=True,
            check=False,  # a caption that was refused is shown, too
        )
        runs.append(f"$ cutline {shlex.join(command)}\n{done.stdout}")
    printed = "\n".join(runs)
    return f"## Six photos, three voices\n\nIn the folder `examples`:\n\n```console\n{printed}```\n\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*").replace("<", "&lt;")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page."""
    parser = argparse.ArgumentParser(
        prog="python docs/voices.py", description="Write samples of captions in a voice."
    )
    parser.add_argument(
        "--restyler", metavar="URI", help="another language model, as cutline restyle takes it"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--samples", type=int, default=SAMPLES)
    parser.add_argument("--evaluation", type=Path, help="tables to put below")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "voices.md")
    parser.add_argument("--guide", action="store_true", help="write the photos' captions into the guide")
    chosen = parser.parse_args(arguments)
    corpus = read_corpus(ROOT / "recipes" / "styles" / "corpus")
    rows = drawn(corpus.held_out, chosen.samples, chosen.seed)
    evaluation = chosen.evaluation.read_text("utf-8") if chosen.evaluation else ""
    text = page(styles.load(chosen.restyler), rows, seed=chosen.seed, evaluation=evaluation)
    chosen.output.write_text(text, encoding="utf-8")
    print(f"written: {chosen.output}")
    if chosen.guide:
        shown = photos_in_voices(chosen.restyler)
        GUIDE.write_text(replaced(GUIDE.read_text("utf-8"), "photos", shown), encoding="utf-8")
        print(f"written: {GUIDE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
