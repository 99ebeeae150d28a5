"""`cutline evaluate --styles`: judge captions in a voice."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import click

from cutline.cli.evaluate import made_folder, progress_bars, write_files


def evaluate_styles(typed: dict[str, Any]) -> int:
    """Run it from the command line's values; return the exit code."""
    if typed["data"] is None or typed["captions"] is not None:
        raise click.UsageError(
            "Usage: cutline evaluate --styles RESTYLER CORPUS; see cutline evaluate --help."
        )
    from cutline.evaluation import style_report
    from cutline.evaluation.captions import DEFAULT
    from cutline.evaluation.style_rows import read_corpus
    from cutline.evaluation.styles import evaluate_styles
    from cutline.styles.sources import load_writer

    folder = made_folder(typed["output"])
    corpus = read_corpus(Path(typed["data"]))
    places = [place for place in (typed["bundle"], typed["against"]) if place is not None]
    writers = [load_writer(None if place == DEFAULT else place) for place in places]
    with contextlib.ExitStack() as stack:
        evaluation = evaluate_styles(
            corpus,
            writers,
            limit=typed["limit"],
            tones=typed["openings"],
            seed=typed["seed"],
            bar=progress_bars(stack, unit="caption"),
        )
    as_json = style_report.to_json(evaluation)
    if folder is not None:
        write_files(folder, {"styles.json": as_json, "styles.md": style_report.to_markdown(evaluation)})
        click.echo(f"cutline: report in {folder / 'styles.md'}", err=True)
    click.echo(as_json if typed["as_json"] else style_report.summary(evaluation), nl=not typed["as_json"])
    return 0
