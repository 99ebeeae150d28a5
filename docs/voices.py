"""Write docs/voices.md: 60 captions in a voice, unselected, by the model that ships or by another one.

    python docs/voices.py [--restyler URI] [--seed 0] [--evaluation report/styles.md] [--output FILE]

They are held-out rows of recipes/styles/corpus, drawn by the seed: no caption was chosen or left out. With
--evaluation, the tables of `cutline evaluate --styles --output report/` follow.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from cutline import styles
from cutline.evaluation.style_rows import Row, read_corpus
from cutline.evaluation.styles import drawn

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = 60


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
        tags = f", {row.voice.hashtags} hashtags" if row.voice.hashtags else ""
        voice = f"{row.voice.tone}{mark}; {row.voice.audience}, {row.voice.length}{tags}"
        yield f"| {_cell(row.description)} | {voice} | {_cell(styled.text)}{refused} |"


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
    chosen = parser.parse_args(arguments)
    corpus = read_corpus(ROOT / "recipes" / "styles" / "corpus")
    rows = drawn(corpus.held_out, chosen.samples, chosen.seed)
    evaluation = chosen.evaluation.read_text("utf-8") if chosen.evaluation else ""
    text = page(styles.load(chosen.restyler), rows, seed=chosen.seed, evaluation=evaluation)
    chosen.output.write_text(text, encoding="utf-8")
    print(f"written: {chosen.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
