"""What workers do: the table of job kinds, and the message that wakes a worker's threads."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from cutline.server.bulk import services as bulk
from cutline.server.captions import services as captions
from cutline.server.celery_app import app
from cutline.server.config import settings
from cutline.server.images import moderation
from cutline.server.jobs import hints
from cutline.server.jobs.crew import Crew, Run
from cutline.server.jobs.models import JobKind

TABLE: Mapping[str, Run] = {
    JobKind.CAPTION: captions.run,
    JobKind.MODERATE: moderation.run,
    JobKind.BULK: bulk.run,
    JobKind.FETCH: bulk.run_fetch,
}

_lock = threading.Lock()
_crew: Crew | None = None


def start_crew() -> Crew:
    """This process's worker threads, begun at the first call."""
    global _crew
    with _lock:
        if _crew is None:
            _crew = Crew(TABLE, threads=settings().worker_threads)
            _crew.start()
            hints.listen(_crew.wake)
        return _crew


def stop_crew(timeout_s: float) -> None:
    """Let the jobs in hand finish, at most timeout_s; the rest goes back to the queue."""
    global _crew
    with _lock:
        crew, _crew = _crew, None
        hints.listen(None)
    if crew is not None:
        crew.stop(timeout_s)


@app.task(name=hints.WORK)
def work() -> None:
    """Look for work. The threads do it: a message only wakes them."""
    start_crew().wake()
