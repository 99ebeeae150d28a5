"""Shared by the service's commands. Django is imported only when one of them runs."""

from __future__ import annotations

import gc
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cutline.server.config import ServerSettings

data_dir_option = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where to keep all data on this machine  [default: data, or CUTLINE_DATA_DIR]",
)


def set_up(data_dir: Path | None) -> ServerSettings:
    """Read the settings and set Django up; what this process writes is its user's alone from here on.

    Raises ConfigError for invalid settings.
    """
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cutline.server.django_settings")
    import django

    from cutline.server.config import settings

    if data_dir is not None:
        os.environ["CUTLINE_DATA_DIR"] = str(data_dir)
        settings.cache_clear()  # somebody may have looked before the folder was known
    made = settings()
    os.umask(0o077)
    make_private(made.data_dir)
    # What is imported now stays until the end: to look through it for garbage again and again would take half
    # of the time that a command needs to start and to stop.
    gc.disable()
    django.setup()
    gc.freeze()
    gc.enable()
    return made


def make_private(folder: Path) -> None:
    """Make a folder, or take an older one, so that no other user of this machine can look into it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    mode = folder.stat().st_mode
    is_shared = mode & stat.S_ISVTX  # /tmp and its kind: everybody's
    is_private = not mode & 0o077  # an image's may be on a file system that cannot be written to
    if not is_shared and not is_private:
        with suppress(PermissionError):  # somebody else's: they have decided
            folder.chmod(0o700)
