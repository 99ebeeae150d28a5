"""`cutline learn`: parses the command line; cutline.learning learns."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cutline.captioning.bundle import Bundle
    from cutline.learning.dataset import DataSet
    from cutline.learning.loop import Outcome

_CONFIG = click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The learner's YAML. Without one, all has its default.",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group(invoke_without_command=True)
@click.option(
    "--every",
    metavar="TIME",
    help="Run again and again, so long after the last run began: 24h, 90m or 3600s. Without a command.",
)
@_CONFIG
@click.pass_context
def command(context: click.Context, every: str | None, config: Path | None) -> int:
    """Learn from what people wrote, picked and rated.

    \b
    cutline learn run --config learn.yaml
    cutline learn --every 24h --config learn.yaml
    """
    if context.invoked_subcommand is not None:
        if every is not None or config is not None:
            option, where = ("--every", "without a command") if every else ("--config", "after the command")
            raise click.UsageError(f"{option} goes {where}: {context.invoked_subcommand}.", context)
        return 0
    if every is None:
        click.echo(context.get_help())
        return 0
    from cutline.learning.schedule import parse_interval, repeat

    log_to_terminal()
    repeat(lambda: _learn(config), every_s=parse_interval(every))
    return 0


@command.command("run")
@_CONFIG
@_JSON
def run_command(config: Path | None, as_json: bool) -> int:
    """Learn once, and end: data set, challenger, gates.

    \b
    cutline learn run
    cutline learn run --config learn.yaml --json

    Says why it did not start, if nothing is to be learned. A challenger that passes all gates is in the
    registry then, where `challenger` stands for it; one that does not is an ordinary end, too. A run that
    is killed goes on when it is called again. The exit code is 0 for all of this.
    """
    from cutline.learning.config import load_config
    from cutline.learning.loop import run

    log_to_terminal()
    print_outcome(run(load_config(config)), as_json=as_json)
    return 0


def _learn(config: Path | None) -> None:
    from cutline.learning.config import load_config
    from cutline.learning.loop import run

    print_outcome(run(load_config(config)), as_json=False)


def print_outcome(outcome: Outcome, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(outcome.as_json(), indent=1, ensure_ascii=False))
        return
    click.echo(f"{outcome.ending.value}: {outcome.reason}")
    if outcome.version:
        click.echo(f"  the challenger is {outcome.version}")
    if outcome.page is not None:
        click.echo(f"  report: {outcome.page}")


def log_to_terminal() -> None:
    logging.basicConfig(format="%(message)s", stream=sys.stderr, force=True)
    logging.getLogger("cutline").setLevel(logging.INFO)


@command.command("data")
@click.argument("export", type=click.Path(path_type=Path))
@click.argument("folder", type=click.Path(path_type=Path))
@_CONFIG
@_JSON
@click.option(
    "--before",
    type=click.Path(path_type=Path),
    metavar="DATA",
    help="The data set before; what is gone since then is named. [the latest in FOLDER]",
)
@click.option(
    "--model",
    metavar="BUNDLE",
    help="The bundle whose words are known, or registry:PLACE. [the one that ships]",
)
def data_command(
    export: Path, folder: Path, config: Path | None, as_json: bool, before: Path | None, model: str | None
) -> int:
    """Make a data set in FOLDER of what the service exported into EXPORT.

    \b
    cutline learn data export/ learning/
    cutline learn data export/ learning/ --config learn.yaml --json

    The data set is a folder named for the hash of its content. Its report.json says what was left out and
    why. The exit code is 1 if it must not be learned from as a whole.
    """
    from cutline.learning.config import load_config
    from cutline.learning.dataset import build, latest, read
    from cutline.learning.feedback import read_export
    from cutline.learning.layouts import write_dvc
    from cutline.learning.vocabulary import Known

    settings = load_config(config)
    folder.mkdir(parents=True, exist_ok=True)
    made = build(
        read_export(export),
        folder,
        settings.data,
        known=Known(_bundle(model)),
        before=read(before) if before else latest(folder),
    )
    write_dvc(folder, export=export, config=config, model=model)
    _print_data(made, as_json=as_json)
    return 1 if made.problems else 0


def _bundle(place: str | None) -> Bundle:
    from cutline.captioning.bundle import read_bundle
    from cutline.captioning.sources import default_bundle
    from cutline.registry.places import local

    return read_bundle(local(place) or default_bundle())


def _print_data(data: DataSet, *, as_json: bool) -> None:
    if as_json:
        facts = {
            "folder": str(data.folder),
            "hash": data.hash,
            "counts": dict(data.counts),
            "problems": list(data.problems),
            "withdrawn": list(data.withdrawn),
        }
        click.echo(json.dumps(facts, indent=1))
        return
    counts = data.counts
    click.echo(
        f"{data.folder}: {counts['captions']} captions of {counts['photos']} photos by"
        f" {counts['owners']} owners ({counts['left_out']} left out), {counts['preferences']} preferences,"
        f" {counts['ratings']} ratings"
    )
    for image in data.withdrawn:
        click.echo(f"  withdrawn since the last data set: {image}")
    for problem in data.problems:
        click.echo(f"  not to be learned from: {problem}")
