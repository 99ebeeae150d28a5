"""`cutline data`: check a data set before training on it, and build one."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from tqdm import tqdm

from cutline.errors import OptionError, OutputError
from cutline.terminal import bar_size

if TYPE_CHECKING:
    from cutline.posts.plan import Built
    from cutline.training.examples import DataConfig

# The names stand here too, so that --help need not import the readers; a test compares them.
KINDS = ("auto", "flickr8k", "coco", "karpathy", "folder", "webdataset", "caption-map", "text-beside")
POST_KINDS = ("instagram", "facebook", "mastodon", "bluesky", "flickr", "wordpress", "takeout")

F = TypeVar("F", bound=Callable[..., Any])


def _data_options(function: F) -> F:
    """PATH and the options that say how to read it, shared by every command here."""
    for decorate in reversed(
        (
            click.argument("path"),
            click.option("--kind", type=click.Choice(KINDS), default="auto", help="The layout. [auto]"),
            click.option("--images", metavar="FOLDER", help='The photos\' folder; "none": captions alone.'),
            click.option(
                "--captions", metavar="FILE", help="The captions file, if the layout does not show it."
            ),
            click.option(
                "--split", type=click.Choice(["train", "dev", "test"]), help="Put everything in this split."
            ),
        )
    ):
        function = decorate(function)
    return function


def _config(path: str, kind: Any, images: str | None, captions: str | None, split: str | None) -> DataConfig:
    from cutline.training.examples import DataConfig

    return DataConfig(path=path, kind=kind, images=images, captions=captions, split=split)


@click.group()
def command() -> None:
    """Check data sets, and build them.

    \b
    cutline data check flickr8k/
    cutline data build instagram.zip ours/ --consent 'Ann Lee, 28 November 2026: for our captioner'
    cutline data vocab flickr8k/ --minimum-count 3
    """


@command.command("check")
@_data_options
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON, with every place.")
@click.option("--quick", is_flag=True, help="Check names and captions only; open no photo.")
@click.option(
    "--longest",
    type=click.IntRange(min=1),
    default=40,
    show_default=True,
    help="Report captions of more words than this.",
)
@click.option("--strict", is_flag=True, help="Fail on warnings, too.")
def check_command(as_json: bool, quick: bool, longest: int, strict: bool, **where: Any) -> int:
    """Report what is wrong with a data set. The exit code is 1 when there are errors.

    Missing and unreadable photos, empty, long and garbled captions, photos without captions and captions
    without photos, duplicates within and across splits, and more. PATH is a folder, a captions file, or a
    shard (or a pattern of shards).

    \b
    cutline data check flickr8k/
    cutline data check annotations/captions_val2017.json --images val2017/ --json
    cutline data check 'shards/train-*.tar'
    """
    from cutline.images import DEFAULT_LIMITS
    from cutline.settings import from_environment
    from cutline.training.data_check import CheckOptions, check

    options = CheckOptions(
        open_images=not quick, longest_words=longest, limits=from_environment(DEFAULT_LIMITS)
    )
    with tqdm(desc="photos", unit="", disable=not sys.stderr.isatty(), leave=False, **bar_size()) as bar:

        def progress(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        report = check(_config(**where), options=options, progress=progress)
    click.echo(json.dumps(report.as_json(), ensure_ascii=False, indent=1) if as_json else report.as_text())
    warned = any(finding.severity == "warning" for finding in report.findings)
    return int(bool(report.errors) or (strict and warned))


@command.command("build")
@click.argument("sources", metavar="SOURCE... OUT", nargs=-1, required=True)
@click.option(
    "--kind", type=click.Choice((*KINDS, *POST_KINDS)), default="auto", help="Of all sources. [auto]"
)
@click.option(
    "--consent",
    multiple=True,
    metavar="TEXT",
    help="Whose posts they are, and what they agreed to; once for each export, in their order.",
)
@click.option(
    "--texts",
    type=click.Choice(["alt", "post", "both"]),
    default="alt",
    show_default=True,
    help="Of posts: alternative texts where there are any, what was posted, or both.",
)
@click.option(
    "--albums",
    type=click.Choice(["first", "all"]),
    default="first",
    show_default=True,
    help="Of several photos under one text, which get it.",
)
@click.option(
    "--min-words", type=click.IntRange(min=1), default=3, show_default=True, help="Of posts' texts."
)
@click.option(
    "--max-words",
    type=click.IntRange(min=1),
    default=60,
    show_default=True,
    help="Of posts' texts: of longer ones, whole sentences are kept.",
)
@click.option("--images", metavar="FOLDER", help="Of a data set: the photos' folder.")
@click.option("--captions", metavar="FILE", help="Of a data set: the captions file.")
@click.option("--split", type=click.Choice(["train", "dev", "test"]), help="Put everything in this split.")
@click.option("--dev-share", type=click.FloatRange(0, 1), default=0.05, show_default=True, help="0 to 1.")
@click.option("--test-share", type=click.FloatRange(0, 1), default=0.05, show_default=True, help="0 to 1.")
@click.option("--split-seed", type=int, default=0, show_default=True, help="Assigns photos otherwise.")
@click.option(
    "--max-side",
    type=click.IntRange(min=64),
    metavar="PX",
    help="Scale photos down to this, as JPEG without metadata. [posts: 1024; data sets: as they are]",
)
@click.option(
    "--shard-size",
    type=click.IntRange(1, 1_000_000),
    default=1000,
    show_default=True,
    help="Photos per shard.",
)
def build_command(sources: tuple[str, ...], **typed: Any) -> None:
    """Make webdataset shards of data sets and of people's own posts.

    SOURCE is a data set in any layout, or an export: Instagram's or Facebook's "download your information"
    (JSON), Mastodon's archive, Bluesky's repository with its blobs, Flickr's data, WordPress' export with its
    uploads, Google Takeout; each as a folder, or as the zip archives that it came in. Archives of one
    pattern, or that the export has numbered, are parts of one. Texts in a file of their own come before their
    photos: repo.car blobs/, or export.xml uploads/. Nothing is fetched.

    Texts become captions without mentions, links and hashtags; copies of a photo become one; photos without
    splits are assigned by their content. What is not public, sensitive or somebody else's is left out. OUT
    gets shards/, dataset.json, left_out.json, dvc.yaml, and README.md with the consent.

    \b
    cutline data build instagram.zip ours/ --consent 'Ann Lee, 28 November 2026: for our captioner'
    cutline data build 'takeout-*.zip' ours/ --consent 'Ann Lee, 28 November 2026: for our captioner'
    cutline data build ann.zip bob.zip ours/ --consent 'Ann Lee, ...' --consent 'Bob Roy, ...'
    cutline data build coco/ coco-shards/
    """
    from cutline.images import DEFAULT_LIMITS
    from cutline.posts.building import build
    from cutline.posts.candidates import Cleaning
    from cutline.posts.plan import BuildSettings
    from cutline.settings import from_environment
    from cutline.training.examples import DataConfig

    *given, out = sources
    if not given:
        raise OptionError("There is no SOURCE.", hint="cutline data build SOURCE... OUT")
    settings = BuildSettings(
        kind=typed["kind"],
        consent=typed["consent"],
        cleaning=Cleaning(**{name: typed[name] for name in ("texts", "albums", "min_words", "max_words")}),
        data=DataConfig(
            path="",
            **{
                name: typed[name]
                for name in ("images", "captions", "split", "dev_share", "test_share", "split_seed")
            },
        ),
        max_side_px=typed["max_side"],
        shard_size=typed["shard_size"],
        limits=from_environment(DEFAULT_LIMITS),
    )
    with tqdm(unit="photo", disable=not sys.stderr.isatty(), leave=False, **bar_size()) as bar:

        def progress(what: str, done: int, total: int) -> None:
            bar.set_description(what, refresh=False)
            bar.total = total
            bar.update(done - bar.n)

        built = build(given, Path(out), settings, progress=progress)
    _echo_built(built)


def _echo_built(built: Built) -> None:
    for note in built.sources:
        click.echo(f"{note.path} ({', '.join(note.kinds)}): {note.photos:,} photos with text")
    for split, counts in built.splits.items():
        click.echo(f"{split}: {counts['photos']:,} photos, {counts['captions']:,} captions")
    if built.copies:
        click.echo(f"copies merged: {built.copies:,}")
    for reason, count in built.left_out.items():
        click.echo(f"left out: {reason}: {count:,}")
    click.echo(f"{len(built.shards):,} shards -> {built.folder}")


@command.command("vocab")
@_data_options
@click.option(
    "--minimum-count",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Rarer words are unknown.",
)
@click.option(
    "--tokenizer",
    type=click.Choice(["word", "bpe"]),
    default="word",
    show_default=True,
    help="Whole words, or pieces of them.",
)
@click.option(
    "--size", type=click.IntRange(min=5), default=10_000, show_default=True, help="The most tokens."
)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Write tokenizer.json here.")
def vocab_command(minimum_count: int, tokenizer: Any, size: int, output: Path | None, **where: Any) -> None:
    """Show the vocabulary of the training split, and how minimum counts would shrink it.

    \b
    cutline data vocab flickr8k/
    cutline data vocab flickr8k/ --minimum-count 3 --output tokenizer.json
    """
    from cutline.training.datasets import load_examples
    from cutline.training.text import TextConfig
    from cutline.training.vocabulary import build_tokenizer, count_words, unknown_rate

    text = TextConfig(minimum_count=minimum_count, tokenizer=tokenizer, vocabulary_size=size)
    captions: dict[str, list[str]] = {"train": [], "dev": []}
    for example in load_examples(_config(**where)):
        captions.setdefault(example.split, []).extend(example.captions)
    built = build_tokenizer(captions["train"], text)
    counts = count_words(captions["train"], text)
    click.echo(
        f"training split: {len(captions['train']):,} captions, "
        f"{counts.total():,} words, {len(counts):,} different"
    )
    _echo_thresholds(counts)
    click.echo(f"vocabulary: {built.get_vocab_size():,} tokens ({tokenizer}, minimum count {minimum_count})")
    if captions["dev"]:
        click.echo(f"unknown in the dev split: {unknown_rate(built, captions['dev'], text):.2%}")
    if output:
        try:
            built.save(str(output))
        except Exception as error:  # tokenizers raises nothing narrower
            raise OutputError(f"{output} cannot be written ({error}).") from error
        click.echo(f"wrote {output}")


def _echo_thresholds(counts: Counter[str]) -> None:
    click.echo("minimum count   words kept   of all words written")
    for minimum in (1, 2, 3, 5, 10):
        kept = [count for count in counts.values() if count >= minimum]
        click.echo(f"{minimum:13d}   {len(kept):10,d}   {sum(kept) / counts.total():20.2%}")
