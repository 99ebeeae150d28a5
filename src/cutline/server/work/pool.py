"""The worker threads of one process: each claims the best job, runs its handler, and looks for the next."""

from __future__ import annotations

import logging
import os
import random
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

from django.db import DatabaseError, InterfaceError, connection

from cutline.server import decoding
from cutline.server.config import settings
from cutline.server.jobs import services
from cutline.server.jobs.attempts import is_transient
from cutline.server.jobs.context import Context, JobStopped, LeaseLost
from cutline.server.jobs.models import Job, JobKind, Priority
from cutline.server.observability import request_id
from cutline.server.observability.metrics import JOBS_NOW
from cutline.server.people.models import Owner
from cutline.server.people.voices import voice_of
from cutline.server.shares import Payer, Work
from cutline.server.transactions import forget_broken_connection

logger = logging.getLogger(__name__)

Handler: TypeAlias = Callable[[Job, Context], None]

_POLL_S = 0.5  # one idle thread polls: a lost hint costs no more than this
_ALIKE_S = 0.4  # so much longer than others whoever counts as one has jobs run before it is one at a time
_AT_ONCE_S = 1.0  # and so much longer before they rest
_WORK = 0.3  # then so much of the time
_GAP_S = 0.5  # for so long whoever is ahead waits for a moment in which nobody else's jobs run
_RECENT_S = 5.0  # for so long after a job was claimed, whoever it counts for has jobs
_STUCK_S = 900.0  # the lease of a job without a sign of life for so long is not renewed
_GIVE_UP_S = 10.0  # for so long we try to record a failure, then the lease runs out


@dataclass(slots=True)
class _Had:
    """What whoever counts as one had of the threads: their work. claimed, ended: when the last job was."""

    owner: Owner
    work: Work
    claimed: float = 0.0
    ended: float = 0.0


class WorkerPool:
    """The worker threads of one process, and one more thread that renews their leases.

    One thread is kept for interactive jobs where there are two or more: bulk jobs may take minutes. Of those
    for bulk jobs, half may fetch photos: a slow site holds a thread for as long as it likes to; a third of
    these are kept for other owners. No more have the language model write than it does at once, and one owner
    half of that.
    While others have jobs, too, whoever counts as one (people.voices) has a share of the threads; after more
    work than another one, between the others' jobs, and after much more none for a while: so the others' turn
    comes at once, whatever was queued before.
    on_stage is called for each stage that a job enters; on_idle while no job runs, whenever a thread found
    none, and on_busy when one is about to run.
    """

    def __init__(
        self,
        table: Mapping[str, Handler],
        *,
        threads: int,
        on_stage: Callable[[Job, str], None] | None = None,
        on_idle: Callable[[], None] | None = None,
        on_busy: Callable[[], None] | None = None,
    ) -> None:
        self._table = table
        self._on_idle = on_idle
        self._on_busy = on_busy
        self._on_stage = on_stage
        self._name = f"{socket.gethostname()}-{os.getpid()}"
        self._for_bulk = max(1, threads - 1)
        self._for_fetching = max(1, self._for_bulk // 2)
        self._fetching_of_one = self._for_fetching - self._for_fetching // 3
        self._for_styling = max(1, min(threads - 1, settings().restyler_at_once))
        self._claiming = threading.Lock()  # one after the other, so that none overlooks another's claim
        self._condition = threading.Condition()  # guards what follows
        self._hints = 0
        self._given: deque[UUID] = deque()  # jobs that are not yet due for others
        self._polled = False  # whether an idle thread polls
        self._running: dict[UUID, Context] = {}
        self._had: dict[object, _Had] = {}  # by whom jobs count for
        self._keeps_back = False  # whether jobs were left because their owners have enough
        self._gave_back = False  # whether `stop` has put back what was still running
        self._bulk_now = 0
        self._fetching_now = 0
        self._styling_now = 0
        self._styling_for: list[Owner] = []  # an owner for each such job
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, name=f"cutline-job-{number}", daemon=True)
            for number in range(threads)
        ]
        self._renewer = threading.Thread(target=self._renew_leases, name="cutline-leases", daemon=True)

    def start(self) -> None:
        """Start the threads; they work until `stop`."""
        for thread in (*self._threads, self._renewer):
            thread.start()

    def wake(self) -> None:
        """Make an idle thread look for jobs; it works until none is left."""
        with self._condition:
            self._hints = min(self._hints + 1, len(self._threads))
            self._condition.notify()

    def give(self, job_id: UUID) -> None:
        """Make an idle thread claim this job, which is not yet due for other workers."""
        with self._condition:
            self._given.append(job_id)
        self.wake()

    def stop(self, timeout_s: float) -> None:
        """Claim no more, wait at most timeout_s for running jobs, and put the rest back in the queue."""
        self._stopping.set()
        with self._condition:
            self._condition.notify_all()
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        with self._condition:
            self._gave_back = True
            left = list(self._running.values())
        for context in left:
            context.stopped.set()
            _put_back(context.job)
        if left:
            connection.close()

    # -- a thread --------------------------------------------------------------------------------------

    def _work(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                with self._claiming:
                    job = self._claim()
                failures = 0
            except (DatabaseError, InterfaceError) as error:
                failures += 1
                logger.warning("Jobs cannot be claimed: %s", error)
                forget_broken_connection()
                self._stopping.wait(min(5.0, 0.1 * 2**failures) * random.uniform(0.5, 1.0))
                continue
            if job is None:
                if self._on_idle and not self._running:
                    self._on_idle()
                self._wait()
                continue
            if _is_bulk(job) or self._keeps_back:
                self.wake()  # these jobs come with few hints: each that finds one passes it on
            try:
                self._do(job)
            finally:
                with self._condition:
                    had = self._had[voice_of(job.owner)]
                    had.ended = time.monotonic()
                    had.work.add(-1, had.ended)
                    if _is_styling(job):
                        self._styling_for.remove(job.owner)
                self._free_slots(bulk=_is_bulk(job), fetching=_is_fetching(job), styling=_is_styling(job))
        connection.close()

    def _claim(self) -> Job | None:
        """Claim a job and the slots that its kind needs; `_free_slots` returns them."""
        if job := self._claim_given():
            return job
        with self._condition:
            may_bulk = self._bulk_now < self._for_bulk
            may_fetch = may_bulk and self._fetching_now < self._for_fetching
            may_style = self._styling_now < self._for_styling
            self._bulk_now += may_bulk
            self._fetching_now += may_fetch
            self._styling_now += may_style
        job = None
        have_enough = self._have_enough()
        try:
            job = services.claim(
                self._name,
                bulk_too=may_bulk,
                fetches_too=may_fetch,
                styles_too=may_style,
                fetches_not_of=self._fetching_enough(),
                styles_not_of=self._styling_enough(),
                not_of=have_enough,
            )
            self._note(job, have_enough)
        finally:
            self._free_slots(
                bulk=may_bulk and not (job and _is_bulk(job)),
                fetching=may_fetch and not (job and _is_fetching(job)),
                styling=may_style and not (job and _is_styling(job)),
            )
        return job

    def _claim_given(self) -> Job | None:
        """Claim what was given to this process; an interactive job, which needs no slots."""
        with self._condition:
            job_id = self._given.popleft() if self._given else None
        job = services.claim_given(job_id, self._name) if job_id else None
        if job is not None:
            self._note(job, ())
        return job

    def _fetching_enough(self) -> Sequence[UUID]:
        """Owners for whom this process fetches as many photos as it does for one: others' turns come, too."""
        with self._condition:
            fetching = Counter(
                context.job.owner_id for context in self._running.values() if _is_fetching(context.job)
            )
        return [owner for owner, count in fetching.items() if count >= self._fetching_of_one]

    def _styling_enough(self) -> Sequence[Owner]:
        """Those for whom the language model writes as much as it does for one: a thread would wait."""
        with self._condition:
            owners = list(self._styling_for)
        counts = Counter(voice_of(owner) for owner in owners)
        return [owner for owner in owners if counts[voice_of(owner)] >= max(1, self._for_styling // 2)]

    def _have_enough(self) -> Sequence[Owner]:
        """Who has as many jobs as they may while others have some, too; one owner of each."""
        now = time.monotonic()
        with self._condition:
            self._had = {
                voice: had
                for voice, had in self._had.items()
                if had.work.count or had.claimed > now - _RECENT_S
            }
            if len(self._had) < 2:
                return []
            share = max(1, (len(self._threads) - 1) // len(self._had))
            least_s = min(had.work.seconds(now) for had in self._had.values())
            running = sum(had.work.count for had in self._had.values())
            return [
                had.owner
                for had in self._had.values()
                if had.work.count
                >= _jobs_at_once(
                    had.work.seconds(now) - least_s,
                    share,
                    others_run=running > had.work.count and now - had.ended < _GAP_S,
                )
            ]

    def _note(self, job: Job | None, have_enough: Sequence[Owner]) -> None:
        with self._condition:
            self._keeps_back = bool(have_enough) or (self._keeps_back and job is not None)
            if job is not None:
                now = time.monotonic()
                new = _Had(owner=job.owner, work=Work(_WORK, now))
                had = self._had.setdefault(voice_of(job.owner), new)
                had.work.add(1, now)
                had.claimed = now
                if _is_styling(job):
                    self._styling_for.append(job.owner)

    def _free_slots(self, *, bulk: bool, fetching: bool, styling: bool) -> None:
        with self._condition:
            self._bulk_now -= bulk
            self._fetching_now -= fetching
            self._styling_now -= styling

    def _wait(self) -> None:
        """Sleep until a hint comes; one of the idle threads polls now and then."""
        if connection.vendor == "postgresql":
            connection.close()  # to the pool: others need it meanwhile
        with self._condition:
            if not self._hints and not self._stopping.is_set():
                polls = not self._polled
                self._polled = self._polled or polls
                self._condition.wait(_POLL_S * random.uniform(0.8, 1.2) if polls else None)
                if polls:
                    self._polled = False
                    self._condition.notify()  # another thread polls, if this one finds work
            self._hints = max(0, self._hints - 1)

    def _do(self, job: Job) -> None:
        try:
            context = Context(job, on_stage=self._on_stage)
        except LeaseLost:
            return
        with self._condition:
            is_too_late = self._gave_back  # claimed before the stop, and not seen by it
            if not is_too_late:
                self._running[context.token] = context
                JOBS_NOW.set(len(self._running))
        if is_too_late:
            _put_back(job)
            return
        if self._on_busy:
            self._on_busy()
        try:
            self._run(job, context)
        finally:
            with self._condition:
                del self._running[context.token]
                JOBS_NOW.set(len(self._running))

    def _run(self, job: Job, context: Context) -> None:
        labels = {"job": str(job.pk), "kind": job.kind, "request_id": job.request_id}
        try:
            began = time.monotonic()
            payer = Payer(names=(f"owner:{job.owner_id}",))
            with request_id.bound(job.request_id), decoding.on_behalf_of(payer):
                self._table[job.kind](job, context)
            logger.info("done", extra={**labels, "ms": round(1000 * (time.monotonic() - began))})
        except JobStopped:
            logger.info("stopped", extra=labels)
        except Exception as error:  # whatever it is ends in the row, and this thread must live on
            expected = is_transient(error) or hasattr(error, "code")
            logger.log(
                logging.WARNING if expected else logging.ERROR,
                "failed: %s",
                error,
                exc_info=None if expected else error,
                extra=labels,
            )
            self._fail(job, context, error)
        finally:
            context.close()

    def _fail(self, job: Job, context: Context, error: Exception) -> None:
        """Record the failure. If the database stays away, the sweep finds the job once its lease ran out."""
        deadline = time.monotonic() + _GIVE_UP_S
        while True:
            try:
                forget_broken_connection()
                services.fail(job, context.token, error)
                return
            except (DatabaseError, InterfaceError) as unwritten:
                if time.monotonic() > deadline or self._stopping.wait(0.5):
                    logger.warning("A failure could not be written: %s", unwritten)
                    return

    # -- the thread that renews leases ----------------------------------------------------------------------

    def _renew_leases(self) -> None:
        """Renew leases until every thread has ended, also while the pool is stopping."""
        while any(thread.is_alive() for thread in self._threads):
            time.sleep(min(1.0, settings().lease_s / 4))
            alive = time.monotonic() - _STUCK_S
            with self._condition:
                contexts = [each for each in self._running.values() if each.moved_at > alive]
            try:
                services.renew(contexts)
            except (DatabaseError, InterfaceError) as error:
                logger.warning("Leases cannot be renewed: %s", error)
                forget_broken_connection()
        connection.close()


def _jobs_at_once(ahead_s: float, share: int, *, others_run: bool) -> int:
    """How many jobs are run at once for somebody who had so much more work done than another."""
    if ahead_s <= _ALIKE_S:
        return share
    return 0 if ahead_s > _AT_ONCE_S or others_run else 1


def _put_back(job: Job) -> None:
    with suppress(LeaseLost, DatabaseError, InterfaceError):
        services.release(job)


def _is_bulk(job: Job) -> bool:
    return job.priority >= Priority.BULK


def _is_fetching(job: Job) -> bool:
    return _is_bulk(job) and job.kind == JobKind.FETCH


def _is_styling(job: Job) -> bool:
    return job.kind == JobKind.STYLE
