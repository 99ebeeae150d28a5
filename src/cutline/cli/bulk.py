"""`cutline bulk`: captions for a large source, in shards, by one process or by Ray."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from typing import TYPE_CHECKING, Any

import click

from cutline.captioning.options import OPTIONS
from cutline.cli._caption_options import (
    BATCH_SIZE,
    EXCLUDE,
    LIMITS,
    MIN_CONFIDENCE,
    MODEL,
    RESTYLER,
    SIDECAR,
    STRICT,
    TEXTS,
    N,
    decoding_of,
    given_limits,
    limits_of,
)
from cutline.cli._options import decoding_options, given_decoding, group
from cutline.cli._voice import VOICE_OPTIONS, take_voice
from cutline.errors import OptionError

if TYPE_CHECKING:
    from cutline.bulk.batch import Settings
    from cutline.bulk.listing import Listing
    from cutline.bulk.progress import Progress
    from cutline.bulk.run import Engine
    from cutline.bulk.sink import Sink

HELP = """Write captions for all photos of SOURCE into the folder SINK, in shards.

\b
Examples:
  cutline bulk photos/ captions/
  cutline bulk 'scans/**/*.tif' captions/ --format csv
  cutline bulk catalogue.csv captions/ --column image_url --format parquet
  cutline bulk 'train-{0000..0099}.tar' captioned/ --format webdataset
  cutline bulk s3://bucket/photos s3://bucket/captions --tag
  cutline bulk photos/ captions/ --dry-run
  cutline bulk photos/ captions/ --on ray

SOURCE is a folder, a glob, a list of paths (.txt), a table with a column of paths, URLs or images (.csv,
.tsv, .jsonl, .parquet), webdataset shards (.tar), or a Hugging Face data set's folder; here, or at s3://,
gs:// or az:// (extras s3, gcs and azure). SINK is a folder, here or there.

Killed at any moment, the same command continues with the photos that it began with: each is in the output
once. Another source or option is refused. A photo that cannot be captioned, or that crashes the process, is
a row with its error; --retry-failed tries it again. The exit code is 0 when all went well, 1 when something
failed, 2 for wrong usage.

The options of captions are those of cutline caption."""

FORMATS = ("jsonl", "csv", "parquet", "webdataset")
RUNNING = group(
    click.option(
        "--format",
        "format_",
        type=click.Choice(FORMATS),
        default="jsonl",
        show_default=True,
        help="Of the shards; webdataset has the photos, too.",
    ),
    click.option("--column", metavar="NAME", help="The column of a table with the photos."),
    click.option(
        "--shard-size",
        type=click.IntRange(1, 1_000_000),
        default=1000,
        show_default=True,
        help="Photos per shard.",
    ),
    click.option(
        "--on",
        "engine",
        default="here",
        show_default=True,
        metavar="ENGINE",
        help="ray (RAY_ADDRESS's cluster, or this machine's cores), or a cluster's address. Experimental.",
    ),
    click.option("--retry-failed", is_flag=True, help="Also caption again what has failed in earlier runs."),
    click.option(
        "--photo-timeout",
        type=click.FloatRange(min=0),
        default=300,
        show_default=True,
        metavar="SECONDS",
        help="How long one photo may take; then it is a row with an error. 0: as long as it takes.",
    ),
    click.option("--dry-run", is_flag=True, help="Say how many, how long and how large; write nothing."),
    click.option("--tag", is_flag=True, help="Also tag each photo in an object store with its caption."),
    click.option("--overwrite", is_flag=True, help="Let --sidecar replace what a person wrote."),
)


@click.command(name="bulk", help=HELP)
@click.argument("source")
@click.argument("sink")
@RUNNING
@EXCLUDE
@MODEL
@N
@decoding_options(*OPTIONS)
@SIDECAR
@STRICT
@TEXTS
@MIN_CONFIDENCE
@BATCH_SIZE
@VOICE_OPTIONS
@RESTYLER
@LIMITS
@click.option("--quiet", "-q", is_flag=True, help="No progress and no summary.")
def command(source: str, sink: str, **typed: Any) -> int:
    if typed["overwrite"] and not typed["sidecar"]:
        raise OptionError("--overwrite needs --sidecar.")
    settings = _settings(typed)
    from cutline.bulk.formats import check_installed
    from cutline.bulk.listing import Listing
    from cutline.bulk.sources import rows_of
    from cutline.photo_search import PhotoSearch, describe_left_out

    check_installed(typed["format_"])
    search = PhotoSearch(typed["exclude"])
    rows = rows_of(source, column=typed["column"], sink=sink, search=search)
    with Listing(rows, typed["shard_size"]) as listing:
        code = _run(source, sink, listing, settings, typed)
    if not typed["quiet"] and (left_out := describe_left_out(search.left_out)):
        _say(f"  not captioned: {left_out}")
    return code


def _settings(typed: dict[str, Any]) -> Settings:
    decoding = decoding_of(given_decoding(typed, OPTIONS))
    limits = limits_of(given_limits(typed))
    make_voice = take_voice(typed, prefix=typed["prefix"], suffix=typed["suffix"])
    from cutline.bulk.batch import Settings

    return Settings(
        model=typed["model"],
        n=typed["n"],
        decoding=decoding,
        voice=make_voice() if make_voice else None,
        restyler=typed["restyler"] if make_voice else None,
        prefix=typed["prefix"],
        suffix=typed["suffix"],
        max_chars=typed["max_chars"],
        min_confidence=typed["min_confidence"],
        limits=limits,
        strict=typed["strict"],
        batch_size=typed["batch_size"],
        keep_bytes=typed["format_"] == "webdataset",
        photo_timeout_s=typed["photo_timeout"] or None,
    )


def _run(source: str, place: str, listing: Listing, settings: Settings, typed: dict[str, Any]) -> int:
    from cutline.bulk.besides import Besides
    from cutline.bulk.progress import Progress
    from cutline.bulk.run import InProcess, estimate, plan_of, run
    from cutline.bulk.sink import Sink

    besides = Besides(sidecar=typed["sidecar"], tag=typed["tag"], overwrite=typed["overwrite"])
    with ExitStack() as stack:
        engine = stack.enter_context(_engine(typed, settings))
        is_confident = engine.about.acceptable_cider is not None
        sink = Sink(
            place,
            format_=typed["format_"],
            record=settings.record() | {"confident": is_confident},
            besides=besides,
        )
        plan = plan_of(source, listing, settings, engine.about, format_=typed["format_"])
        plan |= {name: typed[name] for name in ("column", "exclude", "sidecar", "tag") if typed[name]}
        if typed["dry_run"]:
            assert isinstance(engine, InProcess)
            listing = stack.enter_context(sink.begin(plan, listing, dry_run=True))
            for line in estimate(engine, listing, sink):
                click.echo(line)
            return 0
        stack.enter_context(sink)
        found, listing = listing, stack.enter_context(sink.begin(plan, listing))
        if found is not listing and not typed["quiet"]:
            _say(
                f"the source had {listing.photos:,} photos when this run began, and has {found.photos:,} now:"
                " it goes on with those. Name a new SINK for what is new."
            )
        before = sum(shard.photos for shard in sink.done.values())
        if typed["retry_failed"]:
            before -= sum(len(shard.again) for shard in sink.done.values())
        progress = Progress(listing.photos, before, quiet=typed["quiet"], say=_say)
        stack.callback(progress.close)
        run(engine, listing, sink, progress, retry_failed=typed["retry_failed"])
    if not typed["quiet"]:
        _summarise(sink, progress, before, besides.kept)
    return 1 if any(shard.failed or shard.incomplete for shard in sink.done.values()) else 0


def _engine(typed: dict[str, Any], settings: Settings) -> AbstractContextManager[Engine]:
    from cutline.bulk.run import InProcess

    if typed["engine"] == "here" or typed["dry_run"]:
        return InProcess(settings)
    from cutline.bulk.on_ray import OnRay

    return OnRay(settings, typed["engine"])


def _say(text: str) -> None:
    click.echo(f"cutline: {text}", err=True)


def _summarise(sink: Sink, progress: Progress, before: int, kept: int) -> None:
    from cutline.bulk.progress import by_code, duration, totals

    all_ = totals(sink.done.values())
    _say(f"{all_.captioned:,} of {all_.photos:,} photos have captions -> {sink.place}")
    now = all_.photos - before
    if now:
        _say(f"  {now:,} in this run, in {duration(progress.seconds)}: {progress.rate:,.1f} photos/s")
    if before:
        _say(f"  {before:,} were done before")
    if all_.unsure:
        _say(f"  skipped, for the model is not sure: {all_.unsure:,} (--min-confidence)")
    if all_.failed:
        _say(f"  failed: {by_code(all_.failed)}")
    if all_.incomplete:
        _say(f"  captioned, but not all outputs could be written: {all_.incomplete:,}")
    if kept:
        _say(f"  kept, written by a person: {kept:,} (--overwrite)")
