"""Shared by the service's commands. Django is imported only when one of them runs."""

from __future__ import annotations

import gc
import os
import signal
import stat
import time
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


class StopRequest:
    """What a signal sets and the main thread waits for.

    No `threading.Event`: its lock may be held where the signal's handler sets it. And the main thread looks
    by itself: where another thread is being created, the kernel may give that one the signal, and then
    nothing wakes the main thread, in which Python runs handlers.
    """

    _LOOKS_EVERY_S = 0.2

    def __init__(self) -> None:
        self._is_set = False

    def set(self) -> None:
        """Ask for the stop."""
        self._is_set = True

    def wait(self) -> None:
        """Wait for it, in the main thread."""
        while not self._is_set:
            time.sleep(self._LOOKS_EVERY_S)


def stop_requested() -> StopRequest:
    """What the first SIGTERM or SIGINT sets. A SIGINT after it ends the process at once.

    Call it before anything is started, so that a signal during the start is not lost. Further SIGTERMs are
    ignored: supervisors may repeat them, and have SIGKILL for slow processes. They are ignored rather than
    handled because Python removes handlers at its very end, where a SIGTERM would then kill the process.
    """
    stop = StopRequest()

    def request(number: int, frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        stop.set()

    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, request)
    return stop
