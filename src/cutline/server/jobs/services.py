"""Jobs: created, claimed, renewed, ended, put back. The row is the truth, messages are hints.

Exactly once rests on one rule: whatever a job writes, it writes in one transaction whose first statement is
`finish`, a conditional UPDATE that only the holder of the row's lease passes. A worker may die, hang, or be
overtaken at any moment: before that transaction commits the job is another's to do, after it the job is done.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from cutline.server import leases, wiring
from cutline.server.config import settings
from cutline.server.errors import Conflict
from cutline.server.events.services import emit_all
from cutline.server.jobs import handover, lending
from cutline.server.jobs.attempts import backoff_s, is_transient, most_tries, reason_of
from cutline.server.jobs.context import Context, LeaseLost
from cutline.server.jobs.hints import hint
from cutline.server.jobs.models import Job, JobKind, JobState, Priority
from cutline.server.jobs.queue import due
from cutline.server.observability import request_id as request_ids
from cutline.server.observability.metrics import JOB_S, JOB_WAIT_S, JOBS
from cutline.server.people.voices import same_voice
from cutline.server.transactions import retried

if TYPE_CHECKING:
    from cutline.server.people.models import Owner

logger = logging.getLogger(__name__)

MAX_LOSSES = 15  # workers that a job may outlive: more, and it is the job that kills them
_LONGEST_WAIT_OF_LOST_S = 30.0


# -- made ------------------------------------------------------------------------------------------------


def create_job(
    *,
    owner: Owner,
    image_id: UUID | None = None,
    kind: JobKind = JobKind.CAPTION,
    priority: Priority = Priority.INTERACTIVE,
    options: Mapping[str, Any] | None = None,
    bulk_id: UUID | None = None,
    bulk_item_id: int | None = None,
    request_id: str = "",
    may_lend: bool = False,
    given_to: str = "",
) -> Job:
    """Write a job, in the caller's transaction; workers are told after it commits.

    may_lend: it comes with a photo that was just stored, of which a function hears, where the settings have
    one caption (jobs/lending.py). given_to: the worker that has its photo already (jobs/handover.py).
    """
    job = Job(
        owner=owner,
        image_id=image_id,
        kind=kind,
        priority=priority,
        options=dict(options or {}),
        bulk_id=bulk_id,
        bulk_item_id=bulk_item_id,
        request_id=request_id[:64],
    )
    if may_lend:
        lending.lend(job)
    if given_to:
        job.run_after += timedelta(seconds=handover.HELD_S)
        transaction.on_commit(lambda: handover.assign(given_to, job.pk))
    return create_jobs([job], hinted=not given_to)[0]


def create_jobs(jobs: Sequence[Job], *, hinted: bool = True) -> list[Job]:
    """Write many jobs at once, in the caller's transaction, with no more hints than a worker has threads."""
    for job in jobs:
        job.request_id = job.request_id or request_ids.current()
    created = Job.objects.bulk_create(jobs, batch_size=500)
    queued = sum(job.state == JobState.QUEUED for job in created) if hinted else 0
    for _ in range(min(queued, settings().worker_threads)):
        transaction.on_commit(hint)
    return created


# -- claimed ---------------------------------------------------------------------------------------------


def claim(
    worker: str = "",
    *,
    bulk_too: bool = True,
    fetches_too: bool = True,
    styles_too: bool = True,
    fetches_not_of: Collection[UUID] = (),
    styles_not_of: Collection[Owner] = (),
    not_of: Collection[Owner] = (),
) -> Job | None:
    """Take the best job that is due, with a lease: interactive before bulk, then the oldest.

    worker: who takes it, for the log. bulk_too=False takes interactive jobs alone; fetches_too=False leaves
    the URLs of bulks, fetches_not_of those of these owners; styles_too=False leaves captions in a voice,
    styles_not_of those of whoever counts as one of these. not_of: leaves all jobs of these.
    """
    candidates = _candidates(bulk_too, fetches_too, fetches_not_of, styles_too=styles_too)
    for owner in styles_not_of:
        candidates = candidates.exclude(same_voice(owner, "owner"), kind=JobKind.STYLE)
    for owner in not_of:
        candidates = candidates.exclude(same_voice(owner, "owner"))
    return _claim(candidates, worker)


def claim_given(job_id: UUID, worker: str = "") -> Job | None:
    """Take a job that was given to this worker, though it may not be due yet; None where somebody has it."""
    return _claim(Job.objects.filter(pk=job_id, state=JobState.QUEUED).select_related("owner"), worker)


def _claim(candidates: QuerySet[Job], worker: str) -> Job | None:
    job = leases.claim(
        candidates,
        for_s=settings().lease_s,
        then=announce,
        state=JobState.RUNNING,
        stage="",
        started_at=timezone.now(),
    )
    if job is not None:
        if job.attempts == 1:
            JOB_WAIT_S.labels(job.kind, _name(job)).observe((timezone.now() - job.created_at).total_seconds())
        logger.debug("claimed", extra={"job": str(job.pk), "kind": job.kind, "worker": worker})
    return job


def _candidates(
    bulk_too: bool, fetches_too: bool, fetches_not_of: Collection[UUID] = (), *, styles_too: bool = True
) -> QuerySet[Job]:
    candidates = due(timezone.now()).select_related("owner")
    if not styles_too:
        candidates = candidates.exclude(kind=JobKind.STYLE)
    if not bulk_too:
        return candidates.filter(priority__lt=Priority.BULK)
    if not fetches_too:
        return candidates.exclude(kind=JobKind.FETCH)
    return candidates.exclude(kind=JobKind.FETCH, owner__in=fetches_not_of) if fetches_not_of else candidates


# -- held ------------------------------------------------------------------------------------------------


def renew(contexts: Iterable[Context]) -> None:
    """Lengthen the leases of running jobs, write down and tell their stages; stop those that lost theirs."""
    held = {context.token: context for context in contexts}
    if not held:
        return
    for job in leases.renew(_running(), list(held), for_s=settings().lease_s):
        assert job.lease_token is not None  # it is one of these
        context = held.pop(job.lease_token)
        if job.stage != context.current_stage:
            with suppress(LeaseLost):
                _note_stage(job, job.lease_token, context.current_stage[:20])
    for context in held.values():
        context.stopped.set()


@retried
def _note_stage(job: Job, token: UUID, stage: str) -> None:
    _move(job, token, stage=stage)
    announce(job)


# -- ended -----------------------------------------------------------------------------------------------


def finish(job: Job, token: UUID | None) -> None:
    """Mark a job done, and tell of it: the first statement of the transaction that writes its result.

    Raises LeaseLost where the lease is not this one any more: the caller's transaction must not commit.
    """
    mark_done(job, token)
    _lock_image(job)
    _announce_end(job)


def mark_done(job: Job, token: UUID | None, *, model_hash: str = "") -> None:
    """As `finish`, for a caller that locks the job's image next, and then tells of both with `tell_done`.

    model_hash: of the bundle whose captions are the result.
    """
    _mark_ended(job, token, JobState.DONE, model_hash=model_hash)
    transaction.on_commit(lambda: _count(job, "done"))


def tell_done(job: Job, owner_id: UUID, type: str, data: Mapping[str, Any]) -> None:
    """Tell the owner of a job's image that the job is done, and at once the event that is its result."""
    wiring.call(wiring.JOB_ENDED, job)
    emit_all(owner_id, [*_told_of(job), (type, data)])


def fail(job: Job, token: UUID | None, error: Exception) -> None:
    """Put a job back for a later try where that may help; else end it, with the reason.

    Changes nothing where the lease is not this one any more.
    """
    tries = job.attempts - job.losses
    try:
        if is_transient(error) and tries < most_tries(job.kind):
            _put_back(job, token, after_s=backoff_s(tries))
        else:
            _fail_for_good(job, token, *reason_of(error))
    except LeaseLost:
        logger.info("failed after its lease was lost", extra={"job": str(job.pk)})


@retried
def _fail_for_good(job: Job, token: UUID | None, code: str, message: str) -> None:
    _end(job, token, JobState.FAILED, error_code=code[:60], error_message=message[:1000])
    transaction.on_commit(lambda: _count(job, "failed"))


@retried
def _put_back(job: Job, token: UUID | None, *, after_s: float) -> None:
    """Queue a running job again, for another try later."""
    _move(
        job,
        token,
        state=JobState.QUEUED,
        run_after=timezone.now() + timedelta(seconds=after_s),
        **leases.FREE,
    )
    announce(job)
    transaction.on_commit(lambda: JOBS.labels(job.kind, "retried").inc())


def release(job: Job) -> None:
    """Put a claimed job back untouched, as at shutdown. Raises LeaseLost if it is no longer held."""
    _release(job, job.lease_token, job.attempts - 1)


@retried
def _release(job: Job, token: UUID | None, attempts: int) -> None:
    _move(job, token, state=JobState.QUEUED, stage="", attempts=attempts, **leases.FREE)
    announce(job)
    transaction.on_commit(lambda: JOBS.labels(job.kind, "released").inc())
    transaction.on_commit(hint)


def _end(job: Job, token: UUID | None, state: JobState, **values: str) -> None:
    _mark_ended(job, token, state, **values)
    _lock_image(job)
    _announce_end(job)


def _mark_ended(job: Job, token: UUID | None, state: JobState, **values: str) -> None:
    _move(job, token, state=state, lease_until=None, ended_at=timezone.now(), **values)


def _announce_end(job: Job) -> None:
    announce(job)
    wiring.call(wiring.JOB_ENDED, job)


def _lock_image(job: Job) -> None:
    """Lock rows in one order everywhere: the job, its image, then the owner (as `emit` does)."""
    if job.image_id is not None and connection.features.has_select_for_update:
        images = Job._meta.get_field("image").related_model._default_manager
        list(images.filter(pk=job.image_id).select_for_update(no_key=True).values_list("pk"))


def _move(job: Job, token: UUID | None, **values: Any) -> None:
    """Change a running row that this token holds, and the object with it. Raises LeaseLost."""
    if not leases.change(_running(), job, token, values):
        raise LeaseLost(str(job.pk))


def _running() -> QuerySet[Job]:
    return Job.objects.filter(state=JobState.RUNNING)


# -- what people do to jobs ------------------------------------------------------------------------------


@retried
def cancel(job: Job) -> Job:
    """End a job that has not ended. Its worker notices, at the latest when it would write its result.

    Raises Conflict for a job that has ended already.
    """
    unended = Job.objects.filter(pk=job.pk, state__in=(JobState.QUEUED, JobState.RUNNING))
    values: dict[str, Any] = {"state": JobState.CANCELLED, "lease_until": None, "ended_at": timezone.now()}
    if not unended.update(lease_token=None, **values):
        job.refresh_from_db()
        raise Conflict(f"The job is already {job.state}.")
    leases.set_values(job, values)
    _announce_end(job)
    transaction.on_commit(lambda: _count(job, "cancelled"))
    return job


def cancel_quietly(jobs: QuerySet[Job]) -> None:
    """End those of these jobs that have not ended, in the caller's transaction, and tell nobody of each."""
    jobs.filter(state__in=(JobState.QUEUED, JobState.RUNNING)).update(
        state=JobState.CANCELLED, ended_at=timezone.now(), **leases.FREE
    )


@retried
def retry(job: Job) -> Job:
    """Queue a failed or cancelled job again, with all its tries. Raises Conflict for any other."""
    values: dict[str, Any] = {
        "state": JobState.QUEUED,
        "stage": "",
        "attempts": 0,
        "losses": 0,
        "run_after": timezone.now(),
        **leases.FREE,
        "error_code": "",
        "error_message": "",
        "started_at": None,
        "ended_at": None,
    }
    ended = Job.objects.filter(pk=job.pk, state__in=(JobState.FAILED, JobState.CANCELLED))
    if not ended.update(**values):
        job.refresh_from_db()
        raise Conflict(
            f"The job is {job.state}: there is nothing to retry.",
            hint="Request a new caption of the image instead.",
        )
    leases.set_values(job, values)
    announce(job)
    transaction.on_commit(hint)
    return job


# -- the sweep -------------------------------------------------------------------------------------------


def sweep() -> int:
    """Put back the jobs whose lease ran out, and hint at what is due. Returns how many were lost."""
    late = list(leases.expired(_running(), timezone.now())[:1000])
    lost = [job for job in late if (_take_back(job) if lending.is_lent(job) else _lose(job))]
    for _ in due(timezone.now()).values_list("pk")[: settings().worker_threads]:
        hint()
    return len(lost)


def _take_back(job: Job) -> bool:
    """Queue a job for workers that no function has answered. Says whether it still was late."""
    try:
        _take_back_or_raise(job, job.lease_token)
    except LeaseLost:
        return False
    JOBS.labels(job.kind, "unanswered").inc()
    return True


@retried
def _take_back_or_raise(job: Job, token: UUID | None) -> None:
    _move(job, token, state=JobState.QUEUED, stage="", attempts=0, **leases.FREE)
    announce(job)


def _lose(job: Job) -> bool:
    """Put back a job whose worker is gone. Says whether it still was late: it may have been renewed since."""
    try:
        _lose_or_raise(job, job.lease_token, job.lease_until, job.losses + 1)
    except LeaseLost:
        return False
    logger.warning("A job lost its worker.", extra={"job": str(job.pk), "losses": job.losses})
    JOBS.labels(job.kind, "lost").inc()
    return True


@retried
def _lose_or_raise(job: Job, token: UUID | None, until: datetime | None, losses: int) -> None:
    # A renewal changes lease_until alone, so the token does not tell whether the job was renewed since.
    if not leases.change(_running().filter(lease_until=until), job, token, {"losses": losses}):
        raise LeaseLost(str(job.pk))
    if losses > MAX_LOSSES:
        message = f"{losses} workers in a row died while working on it."
        _end(job, token, JobState.FAILED, error_code="worker_lost", error_message=message)
        return
    # Jobs that were lost together part, so that the one that kills workers does not take the others along.
    wait_s = 0.0 if losses == 1 else min(_LONGEST_WAIT_OF_LOST_S, backoff_s(losses - 1))
    run_after = timezone.now() + timedelta(seconds=wait_s)
    _move(job, token, state=JobState.QUEUED, stage="", run_after=run_after, **leases.FREE)
    announce(job)


# -- what they tell --------------------------------------------------------------------------------------


def announce(job: Job) -> None:
    """Tell the owner where a job stands, in the caller's transaction. A bulk tells its own progress."""
    if told := _told_of(job):
        emit_all(job.owner_id, told)


def _told_of(job: Job) -> list[tuple[str, dict[str, Any]]]:
    if job.priority >= Priority.BULK and job.state in (JobState.RUNNING, JobState.DONE):
        return []
    data: dict[str, Any] = {
        "job": str(job.pk),
        "image": str(job.image_id) if job.image_id else None,
        "kind": job.kind,
        "state": str(job.state),
        "stage": job.stage,
    }
    if job.error_code:
        data["error"] = {"code": job.error_code, "message": job.error_message}
    return [("job.changed", data)]


def _count(job: Job, outcome: str) -> None:
    JOBS.labels(job.kind, outcome).inc()
    JOB_S.labels(job.kind, _name(job)).observe((timezone.now() - job.created_at).total_seconds())


def _name(job: Job) -> str:
    return Priority(job.priority).name.lower()
