"""A worker that kills itself with SIGKILL at one exact moment, which the command line names.

It is the service's own pool with its own table. At the moment that the argument names, the process is gone
at once: nothing is cleaned up, and nothing that was not committed stays. "dozing": it stays, waits with what
it would write until its stdin ends, and its exit code says what became of that.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from functools import wraps
from typing import Any

from cutline.cli._service import set_up

MOMENTS = (
    "claiming",
    "claimed",
    "reading",
    "captioning",
    "saving",
    "telling",
    "writing",
    "written",
    "failing",
    "failed",
    "dozing",
)
WRITTEN, REFUSED = 10, 11


def die(*_: Any, **__: Any) -> None:
    """Be gone."""
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def then_die(function: Callable[..., Any]) -> Callable[..., Any]:
    """Do it, and be gone."""

    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> None:
        function(*args, **kwargs)
        die()

    return run


def doze(run: Callable[..., None]) -> Callable[..., None]:
    """Do a job, and end the process with what came of it."""

    def runs(*arguments: Any) -> None:
        from cutline.server.jobs.context import JobStopped

        try:
            run(*arguments)
        except JobStopped:
            os._exit(REFUSED)
        os._exit(WRITTEN)

    return runs


def main(moment: str) -> None:
    """Work until the moment comes."""
    set_up(None)
    from cutline.server.captions import live_words
    from cutline.server.captions import services as captions
    from cutline.server.jobs import services
    from cutline.server.jobs.models import Job
    from cutline.server.work.pool import WorkerPool
    from cutline.server.work.tasks import HANDLERS

    def on_stage(job: Job, stage: str) -> None:
        if stage == moment:
            die()

    table = dict(HANDLERS)
    match moment:
        case "claiming":  # the lease is written, and not committed
            services.announce = die
        case "claimed":  # committed, and nothing done
            table["caption"] = die
        case "telling":  # some words of a caption were told
            live_words.LiveWords._tell = then_die(live_words.LiveWords._tell)  # type: ignore[method-assign]
        case "writing":  # everything of the result is written, and not committed
            captions.emit = die  # type: ignore[attr-defined]
        case "written":  # committed, and nobody told
            captions._save = then_die(captions._save)
        case "dozing":
            save = captions._save

            def save_later(*arguments: Any, **words: Any) -> None:
                sys.stdin.read()
                save(*arguments, **words)

            captions._save = save_later
            table["caption"] = doze(table["caption"])
        case "failing":
            services._announce_end = die
        case "failed":
            services.fail = then_die(services.fail)
    WorkerPool(table, threads=2, on_stage=on_stage).start()
    time.sleep(600)


if __name__ == "__main__":
    main(sys.argv[1])
