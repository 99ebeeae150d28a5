"""A worker process is killed in each window of a job: nothing is lost, and nothing done twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from cutline.server import styler
from cutline.server.captions import services as captions
from cutline.server.captions import styling
from cutline.server.captions.models import Attention, Caption, Version
from cutline.server.events.models import Event
from cutline.server.images import renditions
from cutline.server.images.models import Image, Rendition, StoredFile
from cutline.server.jobs import services
from cutline.server.jobs.models import Job, JobState
from cutline.server.work.pool import WorkerPool
from cutline.server.work.tasks import HANDLERS
from tests.chat_server import chat_server, in_words
from tests.server.jobs.doomed_worker import EACH, REFUSED
from tests.server.jobs.making import make_owner, upload
from tests.server.services.process import ANSWERS_S, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.django_db(transaction=True), pytest.mark.both_databases]

ROOT = Path(__file__).parents[3]
CANDIDATES = 3


def database_url() -> str:
    """The test's own database, for another process."""
    found = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{found['NAME']}"
    return f"postgres://{found['USER']}:{found['PASSWORD']}@{found['HOST']}:{found['PORT']}/{found['NAME']}"


def doomed(moment: str, **words: Any) -> subprocess.Popen[bytes]:
    """Start a worker that is killed at a moment."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.server.jobs.doomed_worker", moment],
        cwd=ROOT,
        env={**os.environ, "CUTLINE_DATABASE_URL": database_url()},
        stdin=subprocess.PIPE,
        **words,
    )


@pytest.fixture
def start_worker() -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """Start a worker that is killed at a moment."""
    begun: list[subprocess.Popen[bytes]] = []

    def start(moment: str) -> subprocess.Popen[bytes]:
        begun.append(doomed(moment))
        return begun[-1]

    yield start
    for child in begun:
        child.kill()
        child.communicate()


@pytest.fixture(scope="module")
def end_of_worker() -> Iterator[Callable[[str], int]]:
    """Let a worker work that is killed at a moment; its exit code. One process for a database forks them."""
    parents: dict[str, subprocess.Popen[bytes]] = {}

    def end(moment: str) -> int:
        place = database_url()
        if place not in parents:
            parents[place] = doomed(EACH, stdout=subprocess.PIPE)
        parent = parents[place]
        assert parent.stdin is not None
        assert parent.stdout is not None
        parent.stdin.write(f"{moment}\n".encode())
        parent.stdin.flush()
        return int(parent.stdout.readline())

    yield end
    for parent in parents.values():
        parent.communicate()


def forget_leases() -> None:
    """As if so much time had passed. A renewal that a dead worker sent may still come in between."""

    def none_runs() -> bool:
        Job.objects.filter(state=JobState.RUNNING).update(lease_until=timezone.now())
        services.sweep()
        return not Job.objects.filter(state=JobState.RUNNING).exists()

    wait_until(none_runs, what="the end of the leases")
    Job.objects.update(run_after=timezone.now())


def others_write() -> bool:
    """Whether another process is within a transaction; on SQLite nobody is while this one has begun one."""
    if connection.vendor == "sqlite":
        return False
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND xact_start IS NOT NULL"
        )
        return cursor.fetchone() is not None


def work_off() -> None:
    """Do everything that is due, in threads of this process."""
    pool = WorkerPool(HANDLERS, threads=2)
    pool.start()
    try:
        unended = Job.objects.filter(state__in=(JobState.QUEUED, JobState.RUNNING))
        wait_until(lambda: not unended.exists(), what="the end of all jobs")
    finally:
        pool.stop(ANSWERS_S)
        assert renditions.wait_until_rendered(ANSWERS_S)


def assert_captioned_once(image: Image, job: Job) -> None:
    """One job, done; its candidates, the history and the event, each once."""
    assert list(Job.objects.values_list("pk", "state")) == [(job.pk, JobState.DONE)]
    assert sorted(Caption.objects.values_list("job_id", "rank")) == [(job.pk, n) for n in range(CANDIDATES)]
    assert Attention.objects.count() == CANDIDATES
    assert list(Version.objects.values_list("number", "action")) == [(1, "generated")]
    image.refresh_from_db()
    assert image.caption == Caption.objects.get(rank=0).text
    assert Event.objects.filter(type="caption.ready").count() == 1


@pytest.mark.parametrize(
    "moment", ["claiming", "claimed", "reading", "captioning", "saving", "writing", "written"]
)
def test_a_worker_that_is_killed(moment: str, end_of_worker: Callable[[str], int]) -> None:
    image, job = upload(make_owner())
    assert end_of_worker(moment) == -signal.SIGKILL
    state = Job.objects.get().state
    assert state == {"claiming": JobState.QUEUED, "written": JobState.DONE}.get(moment, JobState.RUNNING)
    assert Caption.objects.count() == (CANDIDATES if moment == "written" else 0)
    forget_leases()
    work_off()
    assert_captioned_once(image, job)
    assert not StoredFile.objects.exclude(state=StoredFile.State.LIVE).exists()
    assert set(Rendition.objects.values_list("image_id", flat=True)) == {image.pk}


def test_a_worker_that_is_killed_while_words_stream(
    start_worker: Callable[[str], subprocess.Popen[bytes]], configure: Callable[..., object]
) -> None:
    with chat_server() as model:
        model.answer = lambda _count, _request: in_words("This dog has the whole beach to itself today.")
        configure(restyler=f"openai:{model.url}#writer")
        image, _ = upload(make_owner())
        work_off()
        captions.edit(image, "A dog runs along the beach.", image.owner)
        job = styling.request(image, image.owner, voice={"tone": "dry"}, n=1)
        assert start_worker("telling").wait(ANSWERS_S) == -signal.SIGKILL
        assert Job.objects.get(pk=job.pk).state == JobState.RUNNING
        forget_leases()
        work_off()
        styler.close()
    assert Job.objects.get(pk=job.pk).state == JobState.DONE
    assert Caption.objects.get(job=job).text == "This dog has the whole beach to itself today."
    assert Event.objects.filter(type="styles.ready").count() == 1
    image.refresh_from_db()
    assert image.caption == "A dog runs along the beach."


@pytest.mark.parametrize("moment", ["failing", "failed"])
def test_a_worker_that_is_killed_while_it_says_why_a_job_failed(
    moment: str, end_of_worker: Callable[[str], int]
) -> None:
    _, job = upload(make_owner(), options={"prefix": "zzqx unheard of"})
    assert end_of_worker(moment) == -signal.SIGKILL
    forget_leases()
    work_off()
    row = Job.objects.get(pk=job.pk)
    assert (row.state, row.error_code) == (JobState.FAILED, "option_invalid")
    told = Event.objects.filter(type="job.changed", data__state="failed")
    assert told.count() == 1


def test_a_worker_that_was_only_asleep_writes_nothing_any_more(
    start_worker: Callable[[str], subprocess.Popen[bytes]],
) -> None:
    image, job = upload(make_owner())
    sleeper = start_worker("dozing")  # about to write, until it is told to go on
    held = Job.objects.filter(state=JobState.RUNNING)
    wait_until(held.exists, what="a job at work")

    def seize() -> bool:
        # Stopped within a transaction it would keep its locks, which is another matter. While this one is
        # open, nobody else has one on SQLite; PostgreSQL tells.
        with transaction.atomic():
            sleeper.send_signal(signal.SIGSTOP)
            os.waitpid(sleeper.pid, os.WUNTRACED)
            if not others_write():
                return True
            sleeper.send_signal(signal.SIGCONT)
            return False

    wait_until(seize, what="a moment without a transaction", every_s=0.01)
    forget_leases()
    work_off()
    assert_captioned_once(image, job)
    assert sleeper.stdin is not None
    sleeper.stdin.close()
    sleeper.send_signal(signal.SIGCONT)
    assert sleeper.wait(ANSWERS_S) == REFUSED
    assert_captioned_once(image, job)


def test_jobs_in_hand_at_shutdown_are_finished_or_given_back(configure: Callable[..., Any]) -> None:
    owner = make_owner()
    for seed in range(6):
        upload(owner, seed)
    pool = WorkerPool(HANDLERS, threads=3)
    pool.start()
    begun = Job.objects.exclude(state=JobState.QUEUED)  # or done already, on a quick machine
    wait_until(begun.exists, what="a job at work")
    pool.stop(ANSWERS_S)
    assert renditions.wait_until_rendered(ANSWERS_S)
    states = set(Job.objects.values_list("state", flat=True))
    assert JobState.RUNNING not in states
    assert set(Job.objects.filter(state=JobState.QUEUED).values_list("attempts", flat=True)) <= {0}
    work_off()
    assert set(Job.objects.values_list("state", "attempts")) == {(JobState.DONE, 1)}
