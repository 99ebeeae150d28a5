"""`cutline search`: the photos of a folder that show what a text says, or look like a photo."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from cutline.cli._caption_options import EXCLUDE, LIMITS, MODEL, given_limits, limits_of
from cutline.errors import CutlineError, OptionError
from cutline.terminal import bar_size, write_line

if TYPE_CHECKING:
    from cutline.captioning.protocol import Captioner
    from cutline.images import Limits
    from cutline.photo_index.index import Hit, PhotoIndex
    from cutline.photo_index.updating import Tally
    from cutline.vectors import Floats

HELP = """Find photos in FOLDER (and all folders in it) that show what TEXT says, or that look like a photo.

\b
Examples:
  cutline search holiday/ "dog on a beach"
  cutline search holiday/ --like holiday/IMG_0042.jpg
  cutline search holiday/ "red car" --like car.jpg --json
  cutline search holiday/ --duplicates

Prints the best photos first, one per line: path<TAB>caption. The first search captions the folder's photos
and keeps what it learned in FOLDER/.cutline-search; each later one looks only at photos that are new or have
changed, and forgets those that are gone. A search that is stopped or killed goes on where it was.

TEXT is searched in the captions, whatever the order of its words. Where the model has a text tower, photos
are also found by what TEXT means; without one, by captions that mean the same, if the extra "meaning" is
installed. --like and --duplicates compare what the model's encoder sees.

The exit code is 0 when all went well, 1 when photos could not be read, 2 for wrong usage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """The parsed command line."""

    folder: str
    text: str
    like: str | None
    duplicates: bool
    n: int
    as_json: bool
    index: str | None
    update: bool
    exclude: tuple[str, ...]
    model: str | None
    quiet: bool


@click.command(name="search", help=HELP)
@click.argument("folder", type=click.Path(exists=True, file_okay=False))
@click.argument("text", default="", metavar="[TEXT]")
@click.option("--like", metavar="PHOTO", help="Find photos like this one; it need not be in FOLDER.")
@click.option("--duplicates", is_flag=True, help="Print groups of photos that look the same.")
@click.option("-n", "n", type=click.IntRange(1), default=20, show_default=True, help="Photos, or groups.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object per line.")
@click.option("--index", metavar="FILE", help="Where the index is kept; by default in FOLDER.")
@click.option(
    "--update/--no-update",
    default=True,
    show_default=True,
    help="Look at the folder first, or search the index as it is.",
)
@EXCLUDE
@MODEL
@LIMITS
@click.option("--quiet", "-q", is_flag=True, help="No summary, no notes and no progress bar.")
@click.pass_obj
def command(load: Callable[[str | None], Captioner] | None, /, **typed: Any) -> int:
    import cutline

    limits = limits_of(given_limits(typed))
    arguments = Arguments(**typed)
    if arguments.duplicates == bool(arguments.text.strip() or arguments.like):
        raise click.UsageError("Search for what? Give TEXT or --like PHOTO, or else --duplicates.")
    return search(arguments, limits, load or cutline.load)


def search(arguments: Arguments, limits: Limits, load: Callable[[str | None], Captioner]) -> int:
    """Run the command; return the exit code."""
    from cutline.photo_index.index import FILE_NAME, PhotoIndex

    path = arguments.index or os.path.join(arguments.folder, FILE_NAME)
    if not arguments.update and not os.path.exists(path):
        raise OptionError(f"There is no index at {path}.", hint="Search without --no-update first.")
    captioner = load(arguments.model)
    with PhotoIndex(path) as index:
        if arguments.update:
            failed = _update(arguments, index, captioner, limits)
        else:
            failed = 0
            _check_model(arguments, index, captioner)
        if arguments.duplicates:
            _print_groups(arguments, _duplicates(arguments, index, captioner))
        else:
            _print_hits(arguments, _hits(arguments, index, captioner))
    return 1 if failed else 0


def _check_model(arguments: Arguments, index: PhotoIndex, captioner: Captioner) -> None:
    """Whether an index that stays as it is was made by the model: of another, words alone can be searched."""
    from cutline.photo_index.updating import space_of

    spaces = {stamp.space for stamp in index.stamps().values()}
    if not spaces or space_of(captioner) in spaces:
        return
    if arguments.duplicates or arguments.like:
        raise OptionError(f"{index.path} was made by another model.", hint="Search without --no-update.")
    if not arguments.quiet:
        click.echo("Searched the words of captions alone: another model made the index.", err=True)


# -- the index follows the folder ------------------------------------------------------------------------


def _update(arguments: Arguments, index: PhotoIndex, captioner: Captioner, limits: Limits) -> int:
    """Bring the index up to date; return how many photos or folders could not be read."""
    from cutline.cli._run import message_for, reporter
    from cutline.photo_index.updating import changes, space_of, update
    from cutline.photo_search import PhotoSearch, describe_left_out

    finder = PhotoSearch(arguments.exclude)
    change = changes(index, arguments.folder, finder, space_of(captioner))
    with contextlib.ExitStack() as stack:
        progress = _progress(arguments, stack, len(change.fresh))
        write = reporter(progress)

        def report(path: str, error: CutlineError) -> None:
            write(message_for(path, error))

        for path, error in change.problems:
            report(path, error)
        tally = update(
            index,
            arguments.folder,
            change,
            captioner,
            limits=limits,
            report=report,
            advance=progress.update if progress is not None else lambda photos: None,
        )
    if not arguments.quiet:
        _summarise(index, tally, describe_left_out(finder.left_out))
    return tally.failed + len(change.problems)


def _progress(arguments: Arguments, stack: contextlib.ExitStack, total: int) -> Any:
    """A bar on a terminal, for updates that take longer than a second; else None."""
    if arguments.quiet or not total or not sys.stderr.isatty():
        return None
    from tqdm import tqdm

    return stack.enter_context(tqdm(total=total, unit="photo", delay=1.0, leave=False, **bar_size()))


def _summarise(index: PhotoIndex, tally: Tally, left_out: str) -> None:
    counts = (("new", tally.added), ("gone", tally.gone), ("failed", tally.failed))
    changed = ", ".join(f"{count:,} {what}" for what, count in counts if count)
    if changed:
        click.echo(f"{index.count():,} photos in {index.path}: {changed}.", err=True)
    if left_out:
        click.echo(f"Not searched: {left_out}.", err=True)


# -- searching -------------------------------------------------------------------------------------------


def _hits(arguments: Arguments, index: PhotoIndex, captioner: Captioner) -> list[Hit]:
    from cutline.photo_index import sentences
    from cutline.photo_index.searching import Query, search, words_of
    from cutline.photo_index.updating import space_of

    space, vectors, meaning = space_of(captioner), [], ""
    if arguments.text.strip():
        place = _meaning(arguments, captioner)
        if place is not None:
            vectors.append(place)
        elif sentences.is_installed():
            meaning = arguments.text
    leave_out = ""
    if arguments.like:
        leave_out = os.path.relpath(arguments.like, arguments.folder)
        known = index.vector(leave_out, space)
        vectors.append(_vector_of(arguments.like, captioner) if known is None else known)
    query = Query(words=words_of(arguments.text), meaning=meaning, vectors=vectors, space=space)
    return search(index, query, count=arguments.n, leave_out=leave_out)


def _meaning(arguments: Arguments, captioner: Captioner) -> Floats | None:
    """Where photos lie that show what the text says; None, and a note, where the model cannot say."""
    from cutline.captioning.protocol import embedder
    from cutline.photo_index import sentences

    try:
        meaning: Floats = embedder(captioner).embed_text([arguments.text])[0]
        return meaning if meaning.any() else None  # it knows none of the words
    except OptionError as error:
        if not arguments.quiet and not sentences.is_installed():
            click.echo(f"Searched the words of captions alone: {error.message}", err=True)
        return None


def _vector_of(photo: str, captioner: Captioner) -> Floats:
    from cutline.captioning.protocol import embedder

    vector: Floats = embedder(captioner).embed([photo])[0]
    return vector


def _duplicates(arguments: Arguments, index: PhotoIndex, captioner: Captioner) -> list[list[Hit]]:
    from cutline.captioning.protocol import embedder
    from cutline.photo_index.searching import duplicates
    from cutline.photo_index.updating import space_of

    embedder(captioner)  # raises where it does not say how photos are alike
    return duplicates(index, space_of(captioner), count=arguments.n)


# -- printing --------------------------------------------------------------------------------------------


def _print_hits(arguments: Arguments, hits: Sequence[Hit]) -> None:
    for hit in hits:
        write_line(json.dumps(_row(arguments, hit)) if arguments.as_json else _line(arguments, hit))
    if not hits and not arguments.quiet:
        click.echo("Nothing was found.", err=True)


def _print_groups(arguments: Arguments, groups: Sequence[Sequence[Hit]]) -> None:
    for number, group in enumerate(groups):
        if arguments.as_json:
            write_line(json.dumps({"photos": [_row(arguments, hit) for hit in group]}))
            continue
        if number:
            write_line("")
        for hit in group:
            write_line(_line(arguments, hit))
    if not groups and not arguments.quiet:
        click.echo("No two photos look the same.", err=True)


def _row(arguments: Arguments, hit: Hit) -> dict[str, object]:
    likeness = None if hit.likeness is None else round(hit.likeness, 4)
    return {"file": os.path.join(arguments.folder, hit.path), "caption": hit.caption, "likeness": likeness}


def _line(arguments: Arguments, hit: Hit) -> str:
    return f"{os.path.join(arguments.folder, hit.path)}\t{hit.caption}"
