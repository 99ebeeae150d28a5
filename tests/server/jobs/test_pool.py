from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from cutline.errors import UnreadableImage
from cutline.server.errors import ServiceUnavailable
from cutline.server.jobs import services
from cutline.server.jobs.context import Context, JobStopped
from cutline.server.jobs.models import Job, JobKind, JobState, Priority
from cutline.server.people.models import Owner
from cutline.server.work.pool import Handler, WorkerPool, _jobs_at_once
from tests.server.jobs.making import make_owner, queue
from tests.server.services.process import ANSWERS_S, wait_until

pytestmark = [pytest.mark.django_db(transaction=True)]


@pytest.fixture
def start() -> Iterator[Callable[..., WorkerPool]]:
    pools: list[WorkerPool] = []

    def begin(run: Handler, *, threads: int = 2) -> WorkerPool:
        table: Mapping[str, Handler] = {"caption": run, "fetch": run, "style": run}
        pool = WorkerPool(table, threads=threads)
        pools.append(pool)
        pool.start()
        return pool

    yield begin
    for pool in pools:
        pool.stop(ANSWERS_S)


@pytest.fixture
def owner() -> Owner:
    return make_owner()


def finish(job: Job, context: Context) -> None:
    services.finish(job, context.token)


def all_in(state: JobState) -> Callable[[], bool]:
    return lambda: not Job.objects.exclude(state=state).exists()


def test_a_lost_hint_costs_a_moment_and_no_more(owner: Owner, start: Callable[..., WorkerPool]) -> None:
    pool = start(finish)
    wait_until(lambda: pool._polled, what="threads without work")
    queue(owner)
    wait_until(all_in(JobState.DONE), what="a job that nobody hinted at")


def test_one_hint_makes_a_thread_work_until_nothing_is_left(
    owner: Owner, start: Callable[..., WorkerPool]
) -> None:
    for _ in range(10):
        queue(owner)
    start(finish, threads=1).wake()
    wait_until(all_in(JobState.DONE), what="all jobs")


def test_interactive_work_finds_a_thread_while_bulk_work_takes_long(
    owner: Owner, start: Callable[..., WorkerPool]
) -> None:
    gate = threading.Event()

    def run(job: Job, context: Context) -> None:
        if job.priority == Priority.BULK:
            gate.wait(ANSWERS_S)
        finish(job, context)

    for _ in range(6):
        queue(owner, priority=Priority.BULK)
    pool = start(run, threads=3)
    running = Job.objects.filter(state=JobState.RUNNING)
    wait_until(lambda: running.count() == 2, what="two bulk jobs at work")
    job = queue(owner)
    pool.wake()
    wait_until(Job.objects.filter(pk=job.pk, state=JobState.DONE).exists, what="the photo")
    assert running.count() == 2
    gate.set()
    wait_until(all_in(JobState.DONE), what="the bulk")


def test_slow_urls_leave_half_of_the_threads_to_other_bulk_work(
    owner: Owner, start: Callable[..., WorkerPool], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    looks: list[Job | None] = []
    claim = services.claim

    def noted(*arguments: Any, **words: Any) -> Job | None:
        looks.append(claim(*arguments, **words))
        return looks[-1]

    monkeypatch.setattr(services, "claim", noted)

    def run(job: Job, context: Context) -> None:
        if job.kind == JobKind.FETCH:
            gate.wait(ANSWERS_S)
        finish(job, context)

    for _ in range(8):
        queue(owner, priority=Priority.BULK, kind=JobKind.FETCH)
    photos = [queue(owner, priority=Priority.BULK) for _ in range(3)]
    start(run, threads=5).wake()
    captioned = Job.objects.filter(pk__in=[job.pk for job in photos], state=JobState.DONE)
    try:
        wait_until(lambda: captioned.count() == 3, what="photos behind slow URLs")
        fetching = Job.objects.filter(kind=JobKind.FETCH, state=JobState.RUNNING)
        wait_until(lambda: fetching.count() == 2, what="two fetches at work")
        seen = len(looks)
        wait_until(lambda: len(looks) >= seen + 2, what="threads that look by themselves")
        assert fetching.count() == 2
    finally:
        gate.set()
    wait_until(all_in(JobState.DONE), what="the URLs")


def test_what_waits_for_the_language_model_holds_up_nobody_else(
    owner: Owner, start: Callable[..., WorkerPool]
) -> None:
    gate = threading.Event()

    def run(job: Job, context: Context) -> None:
        if job.kind == JobKind.STYLE:
            gate.wait(ANSWERS_S)
        finish(job, context)

    mine = [queue(owner, kind=JobKind.STYLE) for _ in range(3)]
    theirs = queue(make_owner(), kind=JobKind.STYLE)
    photo = queue(make_owner())
    writing = Job.objects.filter(kind=JobKind.STYLE, state=JobState.RUNNING)
    start(run, threads=8).wake()
    try:
        wait_until(Job.objects.filter(pk=photo.pk, state=JobState.DONE).exists, what="the photo")
        wait_until(writing.filter(pk=theirs.pk).exists, what="the other owner's turn")
        own = writing.filter(pk__in=[job.pk for job in mine])
        wait_until(own.exists, what="one's own turn")
        assert own.count() == 1
    finally:
        gate.set()
    wait_until(all_in(JobState.DONE), what="the captions in a voice")


@pytest.mark.both_databases
def test_many_jobs_of_one_network_hold_up_nobody_else(start: Callable[..., WorkerPool]) -> None:
    alone, one, another = (Owner.objects.create(network=name) for name in ("b", "a", "a"))
    go_on = threading.Event()
    began: list[Job] = []

    def run(job: Job, context: Context) -> None:
        began.append(job)
        assert go_on.wait(ANSWERS_S)
        finish(job, context)

    def running(network: str) -> int:
        return sum(job.owner.network == network for job in began)

    queue(alone)
    for owner in (one, another) * 4:
        queue(owner)
    pool = start(run, threads=4)
    try:
        wait_until(lambda: running("a") == 1 and pool._polled, what="one job of the network")
        wait_until(lambda: not pool._hints, what="every thread that looked for more")
        late = queue(Owner.objects.create(network="c"))
        pool.wake()
        wait_until(lambda: late.pk in {job.pk for job in began}, what="who came last")
        assert (running("a"), running("b")) == (1, 1)
    finally:
        go_on.set()
    wait_until(all_in(JobState.DONE), what="everything")


def test_whoever_had_more_work_done_has_one_job_between_others_and_with_much_more_rests() -> None:
    for others_run, one in ((False, 1), (True, 0)):
        ahead = (0.0, 0.3, 0.5, 1.0, 1.1)
        found = [_jobs_at_once(ahead_s, share=3, others_run=others_run) for ahead_s in ahead]
        assert found == [3, 3, one, one, 0]


def test_one_network_alone_has_all_threads(start: Callable[..., WorkerPool]) -> None:
    owner = Owner.objects.create(network="a")
    together = threading.Barrier(5)  # the test's thread, too

    def run(job: Job, context: Context) -> None:
        together.wait(ANSWERS_S)
        finish(job, context)

    for _ in range(4):
        queue(owner)
    pool = start(run, threads=4)
    for _ in range(4):
        pool.wake()
    together.wait(ANSWERS_S)
    wait_until(all_in(JobState.DONE), what="everything")


def test_looking_past_waiting_urls_has_an_index_of_its_own(owner: Owner) -> None:
    now = timezone.now()
    Job.objects.bulk_create(
        Job(owner=owner, kind=JobKind.FETCH, priority=Priority.BULK, created_at=now) for _ in range(3000)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    plan = services._candidates(True, False).explain()
    assert "job_queue_unfetched" in plan, plan


def test_a_thread_outlives_whatever_a_job_raises(owner: Owner, start: Callable[..., WorkerPool]) -> None:
    raised = iter([UnreadableImage("damaged"), RuntimeError("a bug"), JobStopped("cancelled")])

    def run(job: Job, context: Context) -> None:
        if error := next(raised, None):
            raise error
        finish(job, context)

    jobs = [queue(owner) for _ in range(4)]
    start(run, threads=1).wake()
    wait_until(Job.objects.filter(state=JobState.DONE).exists, what="the last job")
    found = dict(Job.objects.values_list("pk", "error_code"))
    assert [found[job.pk] for job in jobs] == ["image_unreadable", "internal_error", "", ""]


def test_what_may_pass_is_tried_until_it_passes(
    owner: Owner, start: Callable[..., WorkerPool], configure: Callable[..., Any]
) -> None:
    configure(retry_base_s=0.05)
    tries: list[int] = []

    def run(job: Job, context: Context) -> None:
        tries.append(job.attempts)
        if len(tries) < 3:
            raise ServiceUnavailable("away")
        finish(job, context)

    queue(owner)
    start(run)
    wait_until(all_in(JobState.DONE), what="the third try")
    assert tries == [1, 2, 3]


@pytest.mark.slow
def test_a_lease_is_renewed_for_as_long_as_the_job_takes(
    owner: Owner, start: Callable[..., WorkerPool], configure: Callable[..., Any]
) -> None:
    configure(lease_s=1)
    gate = threading.Event()

    def run(job: Job, context: Context) -> None:
        context.stage("thinking")
        gate.wait(ANSWERS_S)
        finish(job, context)

    queue(owner)
    start(run)
    held = Job.objects.filter(state=JobState.RUNNING)
    wait_until(held.exists, what="a job at work")
    first = held.get().lease_until
    assert first is not None
    longer = held.filter(lease_until__gt=first + timedelta(seconds=2))  # by itself it would have ended twice
    wait_until(longer.exists, what="renewals of the lease")
    gate.set()
    wait_until(all_in(JobState.DONE), what="the long job")
    row = Job.objects.get()
    assert (row.attempts, row.losses, row.stage) == (1, 0, "thinking")


def test_a_job_that_outlasts_the_shutdown_goes_back_and_can_write_nothing(
    owner: Owner, start: Callable[..., WorkerPool]
) -> None:
    begun, gate, ended = threading.Event(), threading.Event(), threading.Event()
    outcome: list[str] = []

    def run(job: Job, context: Context) -> None:
        begun.set()
        gate.wait(ANSWERS_S)
        try:
            finish(job, context)
            outcome.append("written")
        except JobStopped:
            outcome.append("refused")
            raise
        finally:
            ended.set()

    queue(owner)
    pool = start(run, threads=1)
    assert begun.wait(ANSWERS_S)
    pool.stop(0.2)
    row = Job.objects.get()
    assert (row.state, row.attempts) == (JobState.QUEUED, 0)
    gate.set()
    assert ended.wait(ANSWERS_S)
    assert outcome == ["refused"]
    assert Job.objects.get().state == JobState.QUEUED


def test_a_job_that_is_claimed_in_the_moment_of_the_shutdown_goes_back(
    owner: Owner, start: Callable[..., WorkerPool], monkeypatch: pytest.MonkeyPatch
) -> None:
    claimed, go_on = threading.Event(), threading.Event()
    claim = services.claim

    def claim_slowly(*arguments: Any, **words: Any) -> Job | None:
        job = claim(*arguments, **words)
        claimed.set()
        assert go_on.wait(ANSWERS_S)
        return job

    monkeypatch.setattr(services, "claim", claim_slowly)
    queue(owner)
    pool = start(finish, threads=1)
    assert claimed.wait(ANSWERS_S)
    pool.stop(0)
    go_on.set()
    wait_until(all_in(JobState.QUEUED), what="the job's return")
    assert Job.objects.get().attempts == 0
