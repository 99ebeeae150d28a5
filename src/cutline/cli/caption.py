"""`cutline caption`: parses the command line into a job, which _run does."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
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
from cutline.errors import OptionError, OutputError
from cutline.terminal import bar_size, write_line

if TYPE_CHECKING:
    from cutline.caption_files import CaptionLine
    from cutline.captioning.protocol import Captioner
    from cutline.cli._caption_output import CaptionFile
    from cutline.cli._metadata import Metadata
    from cutline.cli._run import Tally
    from cutline.cli._xmp_files import XmpFiles
    from cutline.images import Limits
    from cutline.photo_search import Found, PhotoSearch
    from cutline.styles import Voice
    from cutline.styles.records import Voicing

HELP = """Write a caption for each PHOTO: a file, a folder (with all folders in it), a glob, or - for an
image on standard input.

\b
Examples:
  cutline caption photo.jpg
  cutline caption -n 3 --json photo.jpg
  cutline caption holiday/ 'scans/**/*.tif' --output captions.jsonl
  cutline caption IMG_0001.CR3 DSC_0002.NEF
  cutline caption holiday/ --sidecar --max-chars 125
  cutline caption holiday/ --xmp darktable
  cutline caption photo.jpg --tone quirky --hashtags 3
  find . -name '*.jpg' -print0 | cutline caption --from-file - --null
  curl -s https://example.org/cat.jpg | cutline caption -

In folders, every file with an image's extension is captioned, except hidden ones and the thumbnails of photo
software; videos, drawings and other files like that are counted at the end. A file that you name is tried
whatever its extension. Of a raw photo (DNG, CR2, CR3, NEF, ARW, RAF, ORF, RW2 and others), its preview is
captioned; one without needs the extra "raw". --output continues where an earlier run, finished or killed,
left off, whatever folder you are in and however you name the photos. A photo that fails does not stop the
rest: the exit code is 0 when all went well, 1 when something failed, 2 for wrong usage.

With --tone, --preset or another option of a voice, a language model writes captions in that voice from the
description; --json and --output keep the description beside them, and sidecars and metadata have it alone.

Limits on what a photo may cost are set in the environment (CUTLINE_MAX_PIXELS, CUTLINE_MAX_FILE_BYTES, and
so on) or by the options --max-...; options win."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """The parsed command line."""

    photos: tuple[str, ...]
    exclude: tuple[str, ...]
    from_file: str | None
    null: bool
    model: str | None
    n: int
    as_json: bool
    output: str | None
    retry_failed: bool
    skip_by: str
    sidecar: bool
    write_metadata: bool
    xmp: str | None
    overwrite: bool
    strict: bool
    attention: str | None
    prefix: str
    suffix: str
    max_chars: int | None
    min_confidence: float | None
    batch_size: int | None
    quiet: bool
    decoding: dict[str, Any]
    limits: dict[str, int]
    make_voice: Callable[[], Voice] | None
    restyler: str | None


SHORT_XMP_NAMES = {"darktable": False, "digikam": False, "lightroom": True}  # photo.xmp, not photo.jpg.xmp
OUTPUTS = group(
    click.option(
        "--json", "as_json", is_flag=True, help="Print a JSON object per line instead of path<TAB>caption."
    ),
    click.option(
        "--output", "-o", metavar="FILE", help="Append to FILE (.jsonl or .csv), and skip photos that it has."
    ),
    click.option("--retry-failed", is_flag=True, help="With --output: retry photos that failed before."),
    click.option(
        "--skip-by",
        type=click.Choice(["path", "content"]),
        default="path",
        show_default=True,
        help="With --output: which photos FILE has; content also skips copies, renamed and moved photos.",
    ),
    SIDECAR,
    click.option(
        "--write-metadata", is_flag=True, help="Also write XMP and IPTC descriptions into the photos."
    ),
    click.option(
        "--xmp",
        type=click.Choice(list(SHORT_XMP_NAMES)),
        help="Also write the description into XMP files as this program names them: photo.jpg.xmp (darktable,"
        " digikam) or photo.xmp (lightroom). What else they contain stays.",
    ),
    click.option(
        "--overwrite",
        is_flag=True,
        help="Let --sidecar, --write-metadata and --xmp replace what a person wrote.",
    ),
    STRICT,
    click.option(
        "--attention",
        metavar="PNG",
        help="Also draw the attention of each word; for several photos, name a folder.",
    ),
    TEXTS,
)


@click.command(name="caption", help=HELP)
@click.argument("photos", nargs=-1, metavar="[PHOTO]...")
@EXCLUDE
@click.option("--from-file", metavar="LIST", help="Read paths, one per line, from LIST; - is standard input.")
@click.option("--null", "-0", is_flag=True, help="Paths in LIST end in NUL, as from find -print0.")
@MODEL
@N
@decoding_options(*OPTIONS)
@OUTPUTS
@MIN_CONFIDENCE
@BATCH_SIZE
@VOICE_OPTIONS
@RESTYLER
@LIMITS
@click.option("--quiet", "-q", is_flag=True, help="No summary and no progress bar.")
@click.pass_obj
def command(load: Callable[[str | None], Captioner] | None, /, **typed: Any) -> int:
    import cutline

    arguments = _parse(typed)
    _check(arguments)
    return caption(arguments, load or cutline.load)


def _parse(typed: dict[str, Any]) -> Arguments:
    decoding, limits = given_decoding(typed, OPTIONS), given_limits(typed)
    make_voice = take_voice(typed, prefix=typed["prefix"], suffix=typed["suffix"])
    return Arguments(**typed, decoding=decoding, limits=limits, make_voice=make_voice)


def _check(arguments: Arguments) -> None:
    """Refuse combinations that make no sense, before a model is loaded."""
    from cutline.photo_search import STDIN

    from_stdin = arguments.photos.count(STDIN) + (arguments.from_file == STDIN)
    if not arguments.photos and arguments.from_file is None:
        raise click.UsageError("Which photos? Name files, folders or globs; see cutline caption --help.")
    if from_stdin > 1:
        raise OptionError("Standard input can be read only once.")
    writes_beside = arguments.sidecar or arguments.write_metadata or arguments.xmp
    if STDIN in arguments.photos and writes_beside:
        raise OptionError(
            "--sidecar, --write-metadata and --xmp need a file, but the image comes from standard input."
        )
    if arguments.retry_failed and not arguments.output:
        raise OptionError("--retry-failed needs --output.")
    if arguments.skip_by != "path" and not arguments.output:
        raise OptionError("--skip-by needs --output.")
    if arguments.null and arguments.from_file is None:
        raise OptionError("--null needs --from-file.")
    if arguments.overwrite and not writes_beside:
        raise OptionError("--overwrite needs --sidecar, --write-metadata or --xmp.")
    if arguments.as_json and arguments.output and not arguments.output.lower().endswith(".jsonl"):
        raise OptionError("--json cannot be used with a CSV file.")
    if not (arguments.prefix + arguments.suffix).isprintable():
        raise OptionError("--prefix and --suffix must be one line of text.")
    if arguments.max_chars is not None:
        _decorator(arguments)  # raises OptionError if no room is left for a caption


def _decorator(arguments: Arguments) -> Callable[[str], str]:
    """With a voice, prefix and suffix stand around the captions in that voice instead."""
    from cutline.alt_text import decorator

    prefix, suffix = ("", "") if arguments.make_voice else (arguments.prefix, arguments.suffix)
    return decorator(prefix=prefix, suffix=suffix, max_chars=arguments.max_chars)


def caption(arguments: Arguments, load: Callable[[str | None], Captioner]) -> int:
    """Run the command; return the exit code."""
    from cutline.captioning.certainty import check_says_confidence
    from cutline.cli._caption_output import CaptionFile, SkipBy
    from cutline.cli._run import Job, Run, reporter
    from cutline.photo_search import PhotoSearch, describe_left_out
    from cutline.sidecars import Sidecars

    limits = limits_of(arguments.limits)
    options = decoding_of(arguments.decoding)
    attention = _attention_path(arguments)
    captioner = load(arguments.model)
    model = captioner.about()
    check_says_confidence(model, arguments.min_confidence)
    with contextlib.ExitStack() as stack:
        output = None
        if arguments.output:
            output = stack.enter_context(
                CaptionFile(
                    arguments.output,
                    n=1 if arguments.make_voice else arguments.n,
                    styled=arguments.n if arguments.make_voice else 0,
                    confident=model.acceptable_cider is not None,
                    retry_failed=arguments.retry_failed,
                    wants_unsure=arguments.min_confidence is None,
                    skip_by=SkipBy(arguments.skip_by),
                )
            )
        metadata = _metadata(arguments, limits)
        voicing = _voicing(arguments)
        progress = _progress(arguments, stack)
        job = Job(
            n=1 if voicing else arguments.n,
            options=options,
            limits=limits,
            strict=arguments.strict,
            min_confidence=arguments.min_confidence,
            batch_size=arguments.batch_size,
            decorate=_decorator(arguments),
            voice=voicing,
            emit=output.append if output else _printer(arguments, progress),
            report=reporter(progress),
            output=output,
            sidecars=Sidecars(overwrite=arguments.overwrite) if arguments.sidecar else None,
            metadata=metadata,
            xmp_files=_xmp_files(arguments, limits),
            attention=attention,
        )
        search = PhotoSearch(arguments.exclude)
        tally = Run(captioner, job, progress).over(_photos(arguments, search))
    if not arguments.quiet:
        left_out = describe_left_out(search.left_out)
        _summarise(tally, output, f"{captioner.name}@{captioner.version}", left_out)
    return 1 if tally.failed or tally.failed_before or tally.incomplete else 0


def _xmp_files(arguments: Arguments, limits: Limits) -> XmpFiles | None:
    if arguments.xmp is None:
        return None
    from cutline.cli._xmp_files import XmpFiles

    is_short = SHORT_XMP_NAMES[arguments.xmp]
    return XmpFiles(is_short=is_short, overwrite=arguments.overwrite, limits=limits)


def _metadata(arguments: Arguments, limits: Limits) -> Metadata | None:
    if not arguments.write_metadata:
        return None
    from cutline.cli._metadata import Metadata

    return Metadata(overwrite=arguments.overwrite, limits=limits)


def _voicing(arguments: Arguments) -> Voicing | None:
    if arguments.make_voice is None:
        return None
    from cutline import styles
    from cutline.styles.records import Voicing

    return Voicing(voice=arguments.make_voice(), restyler=styles.load(arguments.restyler), n=arguments.n)


def _photos(arguments: Arguments, search: PhotoSearch | None = None) -> Iterator[Found]:
    from cutline.photo_search import PhotoSearch, read_list

    search = search or PhotoSearch(arguments.exclude)
    found = search.find(arguments.photos)
    if arguments.from_file is not None:
        found = chain(found, search.find_listed(read_list(arguments.from_file, null=arguments.null)))
    if arguments.attention is None:
        return found
    # Leave out the attention pictures that are written into a folder while we list it.
    drawn = Path(os.path.abspath(arguments.attention))
    paths = ((each, Path(os.path.abspath(each.path))) for each in found)
    return (each for each, path in paths if drawn != path and drawn not in path.parents)


def _attention_path(arguments: Arguments) -> Callable[[Found], str] | None:
    """Where a photo's picture of attention goes: one PNG for one photo, else one each in a folder."""
    target = arguments.attention
    if target is None:
        return None
    if not target.lower().endswith(".png") or os.path.isdir(target):
        return _attention_folder(target)
    if arguments.from_file is not None or len(list(islice(_photos(arguments), 2))) > 1:
        raise OptionError(
            f"--attention {target} is one file, but there are several photos.", hint="Name a folder."
        )
    return lambda found: target


def _attention_folder(folder: str) -> Callable[[Found], str]:
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise OutputError(f"The folder {folder} cannot be created ({error.strerror}).") from error
    names: dict[str, int] = {}

    def path(found: Found) -> str:
        name = os.path.splitext(os.path.basename(found.path))[0] or "photo"
        names[name] = names.get(name, 0) + 1
        number = f"-{names[name]}" if names[name] > 1 else ""
        return os.path.join(folder, f"{name}{number}.png")

    return path


def _progress(arguments: Arguments, stack: contextlib.ExitStack) -> Any:
    """A bar on a terminal, for runs that take longer than a second; None elsewhere."""
    if arguments.quiet or not sys.stderr.isatty():
        return None
    from tqdm import tqdm

    from cutline.cli._run import count_in_background

    bar = stack.enter_context(tqdm(unit="photo", delay=1.0, smoothing=0.1, leave=False, **bar_size()))
    bar.total = None
    if arguments.from_file is None:
        count_in_background(_photos(arguments), bar)
    return bar


def _printer(arguments: Arguments, progress: Any) -> Callable[[CaptionLine], None]:
    from cutline.caption_files import json_line
    from cutline.cli._caption_output import plain_lines

    to_text = json_line if arguments.as_json else plain_lines

    def emit(line: CaptionLine) -> None:
        text = to_text(line)
        if not text:
            return
        with progress.external_write_mode() if progress is not None else contextlib.nullcontext():
            write_line(text)

    return emit


def _summarise(tally: Tally, output: CaptionFile | None, model: str, left_out: str) -> None:
    """Print the counts to stderr, and notes that somebody may act on; nothing for one good photo."""
    parts = [f"{tally.captioned:,} captioned"]
    parts += [f"{tally.skipped:,} skipped (done before)"] if tally.skipped else []
    parts += [f"{tally.unsure:,} skipped (not sure)"] if tally.unsure else []
    parts += [f"{tally.failed:,} failed"] if tally.failed else []
    notes = list(_notes(tally, output, model, left_out))
    if len(parts) > 1 or notes or tally.captioned > 1 or output is not None:
        click.echo(f"cutline: {', '.join(parts)}{f' -> {output.path}' if output else ''}", err=True)
    for note in notes:
        click.echo(f"  {note}", err=True)


def _notes(tally: Tally, output: CaptionFile | None, model: str, left_out: str) -> Sequence[str]:
    others = sorted(output.other_models - {model}) if output is not None and tally.skipped else []
    taken_from = output.taken_from if output is not None else ""
    notes = [
        (tally.failed_before, f"{tally.failed_before:,} of the skipped had failed (--retry-failed)"),
        (tally.incomplete, f"{tally.incomplete:,} captioned, but not all outputs could be written"),
        (
            tally.kept_sidecars,
            f"kept, written by a person: {_counted(tally.kept_sidecars, 'text')} (--overwrite)",
        ),
        (
            tally.kept_descriptions,
            f"kept, written by a person: {_counted(tally.kept_descriptions, 'description')} (--overwrite)",
        ),
        (
            tally.kept_xmp,
            f"no XMP file written, for a person described: {_counted(tally.kept_xmp, 'photo')} (--overwrite)",
        ),
        (len(others), f"earlier lines are by {', '.join(others)}"),
        (
            len(taken_from),
            f"its earlier names, of an older version, were taken as those of photos in {taken_from},"
            " and are now written as from its own folder",
        ),
        (len(left_out), f"not captioned: {left_out}"),
    ]
    return [note for count, note in notes if count]


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
