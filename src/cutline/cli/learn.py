"""`cutline learn`: parses the command line; cutline.learning learns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cutline.captioning.bundle import Bundle
    from cutline.learning.dataset import DataSet

_CONFIG = click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The learner's YAML. Without one, all has its default.",
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def command() -> None:
    """Learn from what people wrote, picked and rated.

    \b
    cutline manage export_training_data export/
    cutline learn data export/ learning/
    """


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
@click.option("--model", metavar="BUNDLE", help="The bundle whose words are known. [the one that ships]")
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
    write_dvc(folder, export=export, config=config)
    _print_data(made, as_json=as_json)
    return 1 if made.problems else 0


def _bundle(place: str | None) -> Bundle:
    from cutline.captioning.bundle import read_bundle
    from cutline.captioning.sources import default_bundle

    return read_bundle(place or default_bundle())


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
