"""`cutline manage`: Django's management commands."""

from __future__ import annotations

from pathlib import Path

import click

from cutline.cli._service import data_dir_option, set_up


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@data_dir_option
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="COMMAND [ARGUMENTS]...")
def command(data_dir: Path | None, arguments: tuple[str, ...]) -> None:
    """Administer the service. `cutline manage help` lists every command.

    \b
    cutline manage migrate
    cutline manage createsuperuser
    cutline manage --data-dir ~/cutline export_training_data FOLDER
    """
    set_up(data_dir)
    from django.core.management import execute_from_command_line

    execute_from_command_line(["cutline manage", *(arguments or ("help",))])
