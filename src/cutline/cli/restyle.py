"""`cutline restyle`: descriptions in, captions in a voice out, line by line."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from cutline.cli._voice import VOICE_OPTIONS, take_voice
from cutline.errors import CaptionerUnavailable, DataError, OptionError

if TYPE_CHECKING:
    from cutline.cli._restyle_rows import Row
    from cutline.styles import Restyler, Voice

HELP = """Write captions in a voice from descriptions: the lines of FILE, or of standard input.

\b
Examples:
  echo "A dog runs along the beach." | cutline restyle --tone quirky --hashtags 3 --emoji
  cutline restyle descriptions.txt --preset instagram
  cutline caption holiday/ --json | cutline restyle --tone "like a haiku" --json
  cutline restyle captions.jsonl --tone dry -n 3 --output styled.jsonl
  cutline restyle --list

A line is a description, or a JSON object with one under "description", "caption" or "text", or with
"captions" as `cutline caption --json` writes them. Objects come out as they were, with "voice" and "styled"
added. --output continues where an earlier run, finished or killed, left off.

A language model writes, named by --restyler: gguf:FILE, or openai:BASE_URL#MODEL for Ollama, vLLM, LM Studio,
llama.cpp's server or a vendor (its key is read from CUTLINE_OPENAI_API_KEY, OPENAI_API_KEY or the file that
CUTLINE_OPENAI_API_KEY_FILE names). CUTLINE_RESTYLER sets it for good. What it writes is checked: it may name
no thing, person or number that the description does not support. A text that fails is asked for again, then
cut, then refused; the description is then printed instead, and the exit code is 1.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """The parsed command line."""

    file: str
    restyler: str | None
    n: int
    seed: int
    as_json: bool
    output: str | None
    quiet: bool


@click.command(name="restyle", help=HELP)
@click.argument("file", default="-", metavar="[FILE]")
@VOICE_OPTIONS
@click.option("--prefix", default="", help="Text before each caption.")
@click.option("--suffix", default="", help="Text after each caption, before its hashtags.")
@click.option("--list", "list_presets", is_flag=True, help="Show the named voices, and end.")
@click.option("--restyler", "-r", metavar="URI", envvar="CUTLINE_RESTYLER", help="The language model.")
@click.option("-n", "n", type=click.IntRange(1, 10), default=1, show_default=True, help="Captions per line.")
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed gives other captions.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object per line, also for plain lines.")
@click.option("--output", "-o", metavar="FILE", help="Append to FILE, and skip the lines that it has.")
@click.option("--quiet", "-q", is_flag=True, help="No summary and no notes.")
def command(**typed: Any) -> int:
    from cutline import styles

    if typed.pop("list_presets"):
        return _print_presets()
    make_voice = take_voice(typed, prefix=typed.pop("prefix"), suffix=typed.pop("suffix"))
    arguments = Arguments(**typed)
    if make_voice is None:
        raise OptionError(
            "In which voice?", hint="Give --tone, --preset, --audience or another of its options."
        )
    voice = make_voice()
    return restyle(arguments, voice, styles.load(arguments.restyler))


def restyle(arguments: Arguments, voice: Voice, restyler: Restyler) -> int:
    """Run the command; return the exit code."""
    from cutline.cli._restyle_rows import StyledFile, read_rows

    done = failed = 0
    with contextlib.ExitStack() as stack:
        lines = _opened(arguments.file, stack)
        output = stack.enter_context(StyledFile(arguments.output)) if arguments.output else None
        kept = output.lines if output else 0
        write = output.append if output else _print_line
        for row in read_rows(lines, arguments.file, as_json=arguments.as_json):
            if row.number <= kept:
                continue
            try:
                good = _restyle_row(row, arguments, voice, restyler, write)
            except CaptionerUnavailable as error:
                error.kept = f"{kept + done:,} lines are in {arguments.output}." if output else error.kept
                raise
            done += 1
            failed += not good
    if not arguments.quiet and (done > 1 or output):
        parts = [f"{done - failed:,} restyled"]
        parts += [f"{kept:,} skipped (done before)"] if kept else []
        parts += [f"{failed:,} failed"] if failed else []
        click.echo(f"cutline: {', '.join(parts)}{f' -> {arguments.output}' if output else ''}", err=True)
    return 1 if failed else 0


def _restyle_row(
    row: Row, arguments: Arguments, voice: Voice, restyler: Restyler, write: Callable[[str], None]
) -> bool:
    """Restyle a line and write what becomes of it. False where that is no caption in the voice."""
    from cutline.styles.records import voice_record

    if not row.source.strip():
        write("")
        return True
    try:
        description, *context = row.sentences()
        styled = restyler.restyle(
            description, voice, n=arguments.n, seed=arguments.seed, context=tuple(context)
        )
    except (DataError, OptionError) as error:
        _note(arguments, f"line {row.number}: {error}")
        write(row.failed(error))
        return False
    refused = [fault for each in styled for fault in each.refused]
    if refused:
        _note(arguments, f"line {row.number}: refused, for {', and '.join(dict.fromkeys(refused))}")
    write(row.restyled(styled, voice_record(voice)))
    return not refused


def _note(arguments: Arguments, text: str) -> None:
    if not arguments.quiet:
        click.echo(f"cutline: {text}", err=True)


def _opened(path: str, stack: contextlib.ExitStack) -> BinaryIO:
    if path == "-":
        return sys.stdin.buffer
    try:
        return stack.enter_context(open(path, "rb"))
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}).") from error


def _print_line(line: str) -> None:
    sys.stdout.buffer.write(line.encode() + b"\n")
    sys.stdout.buffer.flush()


def _print_presets() -> int:
    from cutline.styles import presets
    from cutline.styles.records import voice_record

    for name, voice in presets().items():
        record = voice_record(voice)
        told = ", ".join(f"{key} {value}" for key, value in record.items() if value is not True)
        click.echo(f"{name}: {told}{', emoji' if voice.emoji else ''}")
    return 0
