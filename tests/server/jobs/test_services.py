from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.utils import timezone

from cutline.errors import CaptionerUnavailable, OptionError, UnreadableImage
from cutline.server.bulk.models import Bulk, BulkState
from cutline.server.errors import Conflict, NotFound, ServiceUnavailable
from cutline.server.events.models import Event
from cutline.server.jobs import queue as job_queue
from cutline.server.jobs import services
from cutline.server.jobs.context import Context, JobStopped, LeaseLost
from cutline.server.jobs.models import Job, JobKind, JobState, Priority
from cutline.server.people.models import Owner
from tests.server.jobs.making import make_owner, queue

pytestmark = [pytest.mark.django_db, pytest.mark.both_databases]
threads = pytest.mark.django_db(transaction=True)  # what is to be seen by threads must be committed


@pytest.fixture
def owner() -> Owner:
    return make_owner()


def claimed(**words: Any) -> Job:
    job = services.claim(**words)
    assert job is not None
    return job


def later(job: Job, **delta: float) -> None:
    """Let so much time pass for a job's lease."""
    Job.objects.filter(pk=job.pk).update(lease_until=timezone.now() - timedelta(**delta))


# -- claiming --------------------------------------------------------------------------------------------


def test_interactive_goes_before_bulk_and_the_oldest_first(owner: Owner) -> None:
    bulk = queue(owner, priority=Priority.BULK)
    first, second = queue(owner), queue(owner)
    assert [claimed().pk for _ in range(3)] == [first.pk, second.pk, bulk.pk]
    assert services.claim() is None


def test_a_thread_that_is_kept_for_people_takes_no_bulk_job(owner: Owner) -> None:
    queue(owner, priority=Priority.BULK)
    assert services.claim(bulk_too=False) is None
    interactive = queue(owner)
    assert claimed(bulk_too=False).pk == interactive.pk


def test_a_job_that_waits_for_its_next_try_is_not_claimed(owner: Owner) -> None:
    job = queue(owner)
    Job.objects.filter(pk=job.pk).update(run_after=timezone.now() + timedelta(hours=1))
    assert services.claim() is None


def test_a_paused_bulk_keeps_its_jobs_back(owner: Owner) -> None:
    bulk = Bulk.objects.create(owner=owner, state=BulkState.PAUSED)
    services.create_job(owner=owner, kind=JobKind.CAPTION, priority=Priority.BULK, bulk_id=bulk.pk)
    assert services.claim() is None
    Bulk.objects.update(state=BulkState.RUNNING)
    assert services.claim() is not None


@threads
def test_many_threads_claim_each_job_once(owner: Owner) -> None:
    jobs = {queue(owner).pk for _ in range(40)}
    taken: list[Any] = []

    def work() -> None:
        try:
            while job := services.claim():
                taken.append(job.pk)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(work) for _ in range(8)]:
            done.result()
    assert len(taken) == len(jobs)
    assert set(taken) == jobs
    assert set(Job.objects.values_list("attempts", flat=True)) == {1}


# -- ending ----------------------------------------------------------------------------------------------


def test_a_result_is_refused_once_another_holds_the_lease(owner: Owner) -> None:
    queue(owner)
    slow = claimed()
    later(slow, seconds=1)
    assert services.sweep() == 1
    quick = claimed()
    assert quick.pk == slow.pk
    with pytest.raises(LeaseLost), transaction.atomic():
        services.finish(slow, slow.lease_token)
    services.fail(slow, slow.lease_token, UnreadableImage("too late"))
    row = Job.objects.get(pk=slow.pk)
    assert (row.state, row.error_code) == (JobState.RUNNING, "")
    services.finish(quick, quick.lease_token)
    assert Job.objects.get(pk=slow.pk).state == JobState.DONE


def test_what_a_finish_was_written_with_goes_when_its_lease_is_gone(owner: Owner) -> None:
    queue(owner)
    job = claimed()
    services.cancel(Job.objects.get(pk=job.pk))

    @transaction.atomic
    def write_too_late() -> None:
        Event.objects.create(owner=owner, type="caption.ready", data={})
        services.finish(job, job.lease_token)

    with pytest.raises(LeaseLost):
        write_too_late()
    assert not Event.objects.filter(type="caption.ready").exists()


def test_a_job_is_finished_once(owner: Owner) -> None:
    queue(owner)
    job = claimed()
    services.finish(job, job.lease_token)
    with pytest.raises(LeaseLost), transaction.atomic():
        services.finish(job, job.lease_token)


@pytest.mark.parametrize(
    "error",
    [CaptionerUnavailable("away"), ServiceUnavailable("away"), OperationalError("locked"), OSError("full")],
)
def test_what_may_pass_is_tried_again_later_and_each_time_later(owner: Owner, error: Exception) -> None:
    queue(owner)
    for least_s, most_s in ((1, 2), (2, 4), (4, 8)):
        job = claimed()
        before = timezone.now()
        services.fail(job, job.lease_token, error)
        after = timezone.now()
        row = Job.objects.get(pk=job.pk)
        assert (row.state, row.lease_token) == (JobState.QUEUED, None)
        assert before + timedelta(seconds=least_s) <= row.run_after <= after + timedelta(seconds=most_s)
        Job.objects.update(run_after=timezone.now())


@pytest.mark.parametrize("error", [UnreadableImage("damaged"), OptionError("nonsense"), NotFound("gone")])
def test_what_will_not_pass_fails_at_once_with_its_reason(owner: Owner, error: Any) -> None:
    queue(owner)
    job = claimed()
    services.fail(job, job.lease_token, error)
    row = Job.objects.get(pk=job.pk)
    assert (row.state, row.error_code, row.error_message) == (JobState.FAILED, error.code, error.message)
    assert row.ended_at is not None


def test_a_fault_of_ours_tells_the_owner_nothing_of_our_insides(owner: Owner) -> None:
    queue(owner)
    job = claimed()
    services.fail(job, job.lease_token, KeyError("/srv/secret/path"))
    row = Job.objects.get(pk=job.pk)
    assert (row.state, row.error_code) == (JobState.FAILED, "internal_error")
    assert "secret" not in row.error_message


def test_tries_are_used_up(owner: Owner, configure: Callable[..., Any]) -> None:
    configure(max_attempts=2)
    queue(owner)
    for _ in range(2):
        job = claimed()
        services.fail(job, job.lease_token, ServiceUnavailable("away"))
        Job.objects.update(run_after=timezone.now())
    assert Job.objects.get().state == JobState.FAILED


def test_a_failed_job_is_told_to_its_owner_and_can_be_tried_again(owner: Owner) -> None:
    queue(owner)
    job = claimed()
    services.fail(job, job.lease_token, UnreadableImage("damaged"))
    told = Event.objects.filter(owner=owner, type="job.changed").order_by("id").last()
    assert told is not None
    assert told.data["state"] == "failed"
    assert told.data["error"] == {"code": "image_unreadable", "message": "damaged"}
    services.retry(Job.objects.get())
    again = claimed()
    assert (again.attempts, again.error_code) == (1, "")


def test_what_is_done_or_under_way_cannot_be_tried_again(owner: Owner) -> None:
    job = queue(owner)
    with pytest.raises(Conflict):
        services.retry(job)
    mine = claimed()
    services.finish(mine, mine.lease_token)
    with pytest.raises(Conflict):
        services.retry(Job.objects.get())


def test_cancelling_ends_a_job_once(owner: Owner) -> None:
    job = queue(owner)
    services.cancel(job)
    assert services.claim() is None
    with pytest.raises(Conflict):
        services.cancel(Job.objects.get(pk=job.pk))


# -- leases ----------------------------------------------------------------------------------------------


def test_a_lease_that_is_renewed_is_not_swept(owner: Owner) -> None:
    queue(owner)
    context = Context(claimed())
    later(context.job, seconds=1)
    services.renew([context])
    assert services.sweep() == 0
    assert not context.stopped.is_set()
    assert Job.objects.get().state == JobState.RUNNING


def test_a_renewal_writes_down_what_a_job_is_doing_and_tells_it_once(owner: Owner) -> None:
    queue(owner)
    context = Context(claimed())
    context.stage("captioning")
    for _ in range(2):
        services.renew([context])
    assert Job.objects.get().stage == "captioning"
    told = Event.objects.filter(type="job.changed").order_by("id").values_list("data", flat=True)
    assert [(data["state"], data["stage"]) for data in told] == [("running", ""), ("running", "captioning")]


def test_whoever_works_on_a_cancelled_job_is_told_to_stop(owner: Owner) -> None:
    queue(owner)
    context = Context(claimed())
    services.cancel(Job.objects.get())
    services.renew([context])
    with pytest.raises(JobStopped):
        context.stage("saving")


def test_a_lost_job_goes_to_another_and_counts_as_lost_and_not_as_tried(owner: Owner) -> None:
    queue(owner)
    later(claimed(), seconds=1)
    assert services.sweep() == 1
    job = claimed()
    assert (job.attempts, job.losses) == (2, 1)


def test_a_job_that_ends_its_workers_fails_for_good(owner: Owner) -> None:
    queue(owner)
    for _ in range(services.MAX_LOSSES + 1):
        Job.objects.update(run_after=timezone.now())
        later(claimed(), seconds=1)
        services.sweep()
    row = Job.objects.get()
    assert (row.state, row.error_code) == (JobState.FAILED, "worker_lost")


def test_jobs_that_were_lost_again_and_again_do_not_come_back_all_at_once(owner: Owner) -> None:
    queue(owner)
    Job.objects.update(losses=4)
    later(claimed(), seconds=1)
    services.sweep()
    assert services.claim() is None


def test_a_released_job_is_as_if_it_had_never_been_claimed(owner: Owner) -> None:
    queue(owner)
    services.release(claimed())
    job = claimed()
    assert (job.attempts, job.losses) == (1, 0)


@threads
def test_two_sweeps_at_once_lose_a_job_once(owner: Owner) -> None:
    for _ in range(10):
        queue(owner)
    while job := services.claim():
        later(job, seconds=1)
    together = threading.Barrier(3)

    def sweep() -> int:
        try:
            together.wait()
            return services.sweep()
        finally:
            connection.close()

    with ThreadPoolExecutor(3) as pool:
        found = [done.result() for done in [pool.submit(sweep) for _ in range(3)]]
    assert sum(found) == 10
    assert set(Job.objects.values_list("losses", flat=True)) == {1}


# -- the queue -------------------------------------------------------------------------------------------


def test_the_place_in_the_queue(owner: Owner) -> None:
    bulk = queue(owner, priority=Priority.BULK)
    first, second = queue(owner), queue(owner)
    assert [job_queue.position(job) for job in (first, second, bulk)] == [0, 1, 2]
    mine = claimed()
    assert job_queue.position(mine) is None
    assert [job_queue.position(job) for job in (second, bulk)] == [0, 1]


def test_the_places_of_many_are_told_by_one_question(owner: Owner, django_assert_num_queries: Any) -> None:
    jobs = [queue(owner) for _ in range(3)]
    running = claimed()
    with django_assert_num_queries(1):
        places = job_queue.positions(jobs)
    assert [places.get(job.pk) for job in jobs] == [None, 0, 1]
    with django_assert_num_queries(0):
        assert job_queue.positions([running]) == {}


@threads
def test_a_job_is_hinted_at_only_once_it_is_there(owner: Owner, hints_heard: list[int]) -> None:
    with transaction.atomic():
        queue(owner)
        assert hints_heard == []
    assert len(hints_heard) == 1


@threads
def test_many_jobs_make_few_hints(
    owner: Owner, hints_heard: list[int], configure: Callable[..., Any]
) -> None:
    configure(worker_threads=3)
    services.create_jobs([Job(owner=owner, priority=Priority.BULK) for _ in range(50)])
    assert len(hints_heard) == 3
    assert Job.objects.count() == 50
