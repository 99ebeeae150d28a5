"""What workers do: the table of job kinds, and the message that wakes a worker's threads."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from cutline.server.bulk import expansion
from cutline.server.captions import services as captions
from cutline.server.celery_app import app
from cutline.server.config import settings
from cutline.server.images import classifier
from cutline.server.jobs import hints
from cutline.server.jobs.models import JobKind
from cutline.server.mail import services as mail
from cutline.server.webhooks import deliveries
from cutline.server.work.pool import Crew, Run

TABLE: Mapping[str, Run] = {
    JobKind.CAPTION: captions.run,
    JobKind.MODERATE: classifier.run,
    JobKind.BULK: expansion.run,
    JobKind.FETCH: expansion.run_fetch,
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


@app.task(name=mail.SEND)
def send_mails() -> None:
    """Send every mail that is due."""
    mail.send_due()


@app.task(name=deliveries.DELIVER)
def deliver_webhooks() -> None:
    """Make every webhook call that is due."""
    deliveries.deliver_due()


@app.task(name=hints.WORK)
def work() -> None:
    """Look for work. The threads do it: a message only wakes them."""
    start_crew().wake()
