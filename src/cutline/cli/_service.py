"""What the service's commands share. Django is imported only when one of them runs."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from cutline.server.config import ServerSettings

data_dir_option = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Everything that is kept on this machine lies here  [default: data, or CUTLINE_DATA_DIR]",
)


def set_up(data_dir: Path | None) -> ServerSettings:
    """Read the settings and set Django up. Raises ConfigError where the settings are refused."""
    if data_dir is not None:
        os.environ["CUTLINE_DATA_DIR"] = str(data_dir)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cutline.server.django_settings")
    import django

    from cutline.server.config import settings

    made = settings()
    made.data_dir.mkdir(parents=True, exist_ok=True)
    django.setup()
    return made


def asked_to_stop() -> threading.Event:
    """An event that is set at the first SIGTERM or SIGINT. A SIGINT after it ends the process at once.

    Call it before anything is started, so that a signal in mid-start finds an end to go to. Another SIGTERM
    changes nothing: supervisors may repeat it, and have SIGKILL for who is too slow. It is ignored rather
    than handled: Python takes handlers back at its very end, where the process would then die of it.
    """
    asked = threading.Event()

    def ask(number: int, frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        asked.set()

    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, ask)
    return asked
