"""`cutline evaluate`: parses the command line; `cutline.evaluation` does the work."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cutline.atomic_files import write_text
from cutline.caption_files import READABLE_SUFFIXES
from cutline.captioning.options import MAX_CAPTIONS, DecodingOptions, Strategy
from cutline.cli._options import SEARCH_NAMES, decoding_options, given_decoding
from cutline.errors import DataError, OutputError
from cutline.terminal import bar_size

if TYPE_CHECKING:
    from cutline.captioning.protocol import Captioner
    from cutline.evaluation.captions import Bar, Written
    from cutline.evaluation.selection import Selection
    from cutline.metrics.report import Evaluation

HELP = """Score the captions of BUNDLE on the photos of DATA: BLEU-1 to 4, ROUGE-L, CIDEr-D, METEOR, how
varied they are, and, with --against, whether the difference to another model is significant.

\b
Examples:
  cutline evaluate default flickr8k/ --split dev --output report/
  cutline evaluate mine.zip coco/ --kind karpathy --split test --against default
  cutline evaluate photos/ --captions captions.jsonl --split test
  cutline evaluate default flickr8k/ --limit 100 --beam-size 5
  cutline evaluate default flickr8k/ -n 3 --diversity 1
  cutline evaluate --styles default recipes/styles/corpus --against gguf:SmolLM2-135M.gguf

BUNDLE is a bundle's folder or zip, openvino:BUNDLE, registry:REGISTRY#VERSION, hf:FOLDER, openai:URL#MODEL,
default for the model that ships, or a file of captions: .jsonl or .csv as `cutline caption --output` writes
it, COCO's results, or any table or JSON that a data set may have. DATA is a data set's folder or file. Leave
BUNDLE out when you give --captions.

--output DIR receives evaluation.json, evaluation.md, evaluation.html (one page with the best, median and
worst photos in it) and captions.jsonl. METEOR and SPICE are Java programs: without Java and pycocoevalcap
they are reported as not computed. A photo that fails counts as an empty caption; the exit code is then 1.

With --styles, BUNDLE is what writes captions in a voice: default, gguf:FILE or openai:URL#MODEL, as for
`cutline restyle`; DATA is a corpus like recipes/styles/corpus. The held-out rows are written and judged: is
the tone recognised (by a classifier that learned from the other rows), is what is said supported by the
description, are length and hashtags kept, do captions begin alike. Models that follow instructions are shown
five rows. --output receives styles.json and styles.md."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """The parsed command line."""

    bundle: str
    data: str
    captions: str | None
    against: str | None
    split: str
    kind: str
    images: str | None
    limit: int | None
    n: int
    output: str | None
    as_json: bool
    tokenizer: str
    java: bool
    samples: int
    seed: int
    examples: int
    decoding: dict[str, Any]


@click.command(name="evaluate", help=HELP)
@click.argument("bundle")
@click.argument("data", required=False)
@click.option("--split", default="dev", show_default=True, help="train, dev (or val) or test.")
@click.option(
    "--kind", default="auto", show_default=True, help="The data set's layout, if it is not recognised."
)
@click.option("--images", metavar="FOLDER", help="The folder of photos; none for captions alone.")
@click.option("--captions", metavar="FILE", help="Score the captions in this file, and run no model.")
@click.option("--against", metavar="OTHER", help="Compare with this bundle, or file of captions.")
@click.option("--limit", type=click.IntRange(1), help="Use only the first N photos of the split.")
@click.option(
    "-n",
    "n",
    type=click.IntRange(1, MAX_CAPTIONS),
    default=1,
    show_default=True,
    help="Captions per photo: the first is scored, and how much they differ from each other is reported.",
)
@click.option("--output", "-o", metavar="DIR", help="Write the report into this folder.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole report as JSON.")
@click.option(
    "--tokenizer",
    type=click.Choice(["python", "java"]),
    default="python",
    show_default=True,
    help="What splits captions into words: our PTB rules, or the Stanford program.",
)
@click.option("--java/--no-java", default=True, help="Run METEOR and SPICE where they are installed.")
@click.option(
    "--samples", type=click.IntRange(100), default=5000, show_default=True, help="Bootstrap resamples."
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed of the bootstrap.")
@click.option(
    "--examples",
    type=click.IntRange(0, 100),
    default=6,
    show_default=True,
    help="Best, median and worst photos on the page.",
)
@click.option("--styles", is_flag=True, help="Judge captions in a voice, on the rows of a corpus.")
@click.option(
    "--openings",
    type=click.IntRange(0),
    default=10,
    show_default=True,
    help="With --styles: the tones of which 50 captions each are written, to see how many begin alike.",
)
@click.option(
    "--strategy",
    type=click.Choice([str(Strategy.BEAM), str(Strategy.GREEDY)]),
    help="How words are chosen. Not by sampling: a score must come out the same again.",
)
@decoding_options(*SEARCH_NAMES)
@click.pass_obj
def command(load: Callable[[str | None], Captioner] | None, /, **typed: Any) -> int:
    """Score a model on a data set."""
    if typed.pop("styles"):
        from cutline.cli._evaluate_styles import evaluate_styles

        return evaluate_styles(typed)
    typed.pop("openings")
    import cutline

    return run(_parse(typed), load or cutline.load)


def _parse(typed: dict[str, Any]) -> Arguments:
    decoding = given_decoding(typed, ("strategy", *SEARCH_NAMES))
    if typed["data"] is None:
        if typed["captions"] is None:
            raise click.UsageError(
                "Which data set? Usage: cutline evaluate BUNDLE DATA; see cutline evaluate --help."
            )
        typed["data"], typed["bundle"] = typed["bundle"], typed["captions"]
    elif typed["captions"] is not None:
        typed["bundle"] = typed["captions"]
    if typed["captions"] is not None and not typed["captions"].lower().endswith(READABLE_SUFFIXES):
        raise click.UsageError(f"--captions takes a file that ends in {', '.join(READABLE_SUFFIXES)}.")
    return Arguments(**typed, decoding=decoding)


def run(arguments: Arguments, load: Callable[[str | None], Captioner]) -> int:
    """Run the command; return the exit code."""
    from cutline.evaluation import scores
    from cutline.evaluation.captions import captions_of
    from cutline.evaluation.selection import select
    from cutline.metrics.judgement import TokenizerChoice
    from cutline.training.datasets import DataConfig

    options = DecodingOptions(**arguments.decoding)
    folder = made_folder(arguments.output)
    config = DataConfig(path=arguments.data, kind=arguments.kind, images=arguments.images)  # type: ignore[arg-type]
    selection = select(config, arguments.split, arguments.limit)
    with contextlib.ExitStack() as stack:
        bar = progress_bars(stack)
        written = captions_of(arguments.bundle, selection, options, load, bar, n=arguments.n)
        other = None
        if arguments.against is not None:
            other = captions_of(arguments.against, selection, options, load, bar, n=arguments.n)
    evaluation = scores.evaluate(
        selection,
        written,
        other,
        tokenizer=TokenizerChoice(arguments.tokenizer),
        use_java=arguments.java,
        samples=arguments.samples,
        seed=arguments.seed,
    )
    if folder is not None:
        _write(folder, evaluation, selection, written, arguments.examples)
    _print_report(evaluation, folder, as_json=arguments.as_json)
    return 1 if written.failures or (other is not None and other.failures) else 0


def made_folder(output: str | None) -> Path | None:
    """Create the folder now, so that it cannot fail after hours of captioning."""
    if output is None:
        return None
    folder = Path(output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"The folder {output} cannot be created ({error.strerror}).") from error
    return folder


def progress_bars(stack: contextlib.ExitStack, unit: str = "photo") -> Bar:
    """Progress bars on a terminal, None elsewhere."""

    def bar(title: str, total: int) -> Any:
        if not sys.stderr.isatty():
            return None
        from tqdm import tqdm

        made: Any = tqdm(desc=title, total=total, unit=unit, delay=1.0, leave=False, **bar_size())
        return stack.enter_context(made)

    return bar


def _write(
    folder: Path, evaluation: Evaluation, selection: Selection, written: Written, examples: int
) -> None:
    from cutline.evaluation.selection import photo_finder
    from cutline.metrics.page import to_html
    from cutline.metrics.report import to_json, to_markdown

    texts = {
        "evaluation.json": to_json(evaluation),
        "evaluation.md": to_markdown(evaluation),
        "evaluation.html": to_html(evaluation, photo_finder(selection), examples=examples),
        "captions.jsonl": _caption_lines(written),
    }
    write_files(folder, texts)


def write_files(folder: Path, texts: Mapping[str, str]) -> None:
    """Write texts by the names of their files. Raises OutputError.

    Names of photos that are no text stand there as escapes, which JSON has for them, too.
    """
    for name, text in texts.items():
        write_text(str(folder / name), text, errors="backslashreplace")


def _caption_lines(written: Written) -> str:
    """The captions as `cutline caption --output` writes them, for --captions and --against later."""
    from cutline.caption_files import CaptionLine, Failure, ScoredCaption, json_line

    lines = [
        CaptionLine(
            file=key,
            model=written.name,
            captions=tuple(
                ScoredCaption(text=each, log_prob=None) for each in written.candidates.get(key, [text])
            ),
        )
        for key, text in written.captions.items()
    ]
    lines += [
        CaptionLine(file=key, failure=Failure.of(DataError(reason)))
        for key, reason in written.failures.items()
    ]
    return "".join(f"{json_line(line)}\n" for line in lines)


def _print_report(evaluation: Evaluation, folder: Path | None, *, as_json: bool) -> None:
    from cutline.metrics.report import provenance, summary_lines, to_json

    for warning in evaluation.warnings:
        click.echo(f"cutline: {warning}", err=True)
    if as_json:
        click.echo(to_json(evaluation), nl=False)
    else:
        for what, which in provenance(evaluation):
            click.echo(f"{what}: {which}")
        click.echo()
        for line in summary_lines(evaluation):
            click.echo(line)
    if folder is not None:
        click.echo(f"cutline: report in {folder / 'evaluation.html'}", err=True)
