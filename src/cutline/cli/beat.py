"""`cutline beat`: the clock by itself."""

from __future__ import annotations

from pathlib import Path

import click

from cutline.cli._service import asked_to_stop, data_dir_option, set_up


@click.command(context_settings={"show_default": True})
@data_dir_option
def command(data_dir: Path | None) -> None:
    """Sweep by the clock: find lost work, remove what is too old.

    \b
    cutline beat

    Workers do this as well, one of them at a time, unless they were started with --no-beat. There may be any
    number of clocks: those that come second in an interval do nothing.
    """
    asked = asked_to_stop()
    set_up(data_dir)
    from cutline.server.work.scheduler import Clock

    clock = Clock()
    clock.start()
    asked.wait()
    clock.stop()
