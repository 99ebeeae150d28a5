"""`cutline beat`: the scheduler as a process of its own."""

from __future__ import annotations

from pathlib import Path

import click

from cutline.cli._service import data_dir_option, set_up
from cutline.stop_requests import stop_requested


@click.command(context_settings={"show_default": True})
@data_dir_option
def command(data_dir: Path | None) -> None:
    """Run the scheduled maintenance: requeue lost jobs, delete expired data.

    \b
    cutline beat

    Workers do this as well, one at a time, unless started with --no-beat. Any number of schedulers may run:
    each task runs once per interval.
    """
    stop = stop_requested()
    set_up(data_dir)
    from cutline.server.work.scheduler import Scheduler

    scheduler = Scheduler()
    scheduler.start()
    stop.wait()
    scheduler.stop()
