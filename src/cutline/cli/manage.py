"""`cutline manage`: Django's own commands."""

from __future__ import annotations

import os

import click


@click.command(
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}
)
@click.pass_context
def command(context: click.Context) -> None:
    """Run a command of the service's administration.

    \b
    cutline manage migrate
    cutline manage createsuperuser
    cutline manage export_training_data FOLDER
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cutline.server.django_settings")
    from django.core.management import execute_from_command_line

    execute_from_command_line(["cutline manage", *context.args])
