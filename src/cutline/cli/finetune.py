"""`cutline finetune`: parses the command line; cutline.learning learns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cutline.cli.data import KINDS
from cutline.cli.learn import log_to_terminal, print_outcome

if TYPE_CHECKING:
    from cutline.learning.config import LearningConfig


@click.command(name="finetune")
@click.argument("photos")
@click.option("--kind", type=click.Choice(KINDS), default="auto", help="The layout. [auto]")
@click.option("--images", metavar="FOLDER", help="The photos' folder, if the layout does not show it.")
@click.option("--captions", metavar="FILE", help="The captions file, if the layout does not show it.")
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="A learner's YAML, as `cutline learn` reads it.",
)
@click.option(
    "--registry",
    metavar="PLACE",
    help="The registry: a folder or s3://... [the YAML's, CUTLINE_REGISTRY's, CUTLINE_MODEL's, or models]",
)
@click.option(
    "--work",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Where to work. [finetune, in the YAML's]",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    photos: str,
    kind: Any,
    images: str | None,
    captions: str | None,
    config: Path | None,
    registry: str | None,
    work: Path | None,
    as_json: bool,
) -> int:
    """Train the registry's champion further on your own captioned photos.

    \b
    cutline finetune holiday/
    cutline finetune holiday/ --registry models/ --config learn.yaml

    PHOTOS is a data set in any layout that `cutline train` reads: photos with texts of the same name, for
    one. The gates are those of `cutline learn`. A challenger that passes is in the registry then, where
    `challenger` stands for it. The exit code is 1 if there is none.
    """
    from cutline.learning.loop import Ending, finetune
    from cutline.training.examples import DataConfig

    log_to_terminal()
    where = DataConfig(path=photos, kind=kind, images=images, captions=captions)
    outcome = finetune(where, _settings(config, registry, work))
    print_outcome(outcome, as_json=as_json)
    return 0 if outcome.ending is Ending.CHALLENGER else 1


def _settings(config: Path | None, registry: str | None, work: Path | None) -> LearningConfig:
    """The learner's settings, in a folder of its own unless its YAML or the command names another."""
    from cutline.learning.config import load_config

    settings = load_config(config)
    if registry is not None:
        settings = replace(settings, registry=registry)
    beside = settings.work if config is not None else Path()
    return replace(settings, work=work or beside / "finetune")
