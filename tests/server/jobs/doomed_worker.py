"""A worker that kills itself with SIGKILL at one exact moment, which the command line names.

It is the service's own pool with its own table. At the moment that the argument names, the process is gone
at once: nothing is cleaned up, and nothing that was not committed stays. "dozing": it stays, waits with what
it would write until its stdin ends, and its exit code says what became of that.

With EACH instead of a moment, each line of stdin names one: a worker is forked for it, which spares it the
imports, and a line of stdout says how it ended.
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
EACH = "each"


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


def fork_for_each() -> None:
    """Let a process of its own work until each moment that comes; nothing here has begun a thread."""
    import onnxruntime  # noqa: F401

    import cutline.server.work.pool
    import cutline.server.work.tasks  # noqa: F401

    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
            work(line.strip())
            os._exit(WRITTEN)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)  # noqa: T201


def work(moment: str) -> None:
    """Work until the moment comes."""
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
            services.tell_done = die
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


def main(moment: str) -> None:
    """Work until the moment comes, or until each that comes."""
    set_up(None)
    if moment == EACH:
        fork_for_each()
    else:
        work(moment)


if __name__ == "__main__":
    main(sys.argv[1])
