"""A worker in the test's own thread."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cutline.server.jobs import services as jobs
from cutline.server.jobs.context import Context, JobStopped
from cutline.server.jobs.models import Job
from cutline.server.work.tasks import HANDLERS

Work = Callable[..., list[str]]


@pytest.fixture
def work() -> Work:
    """Do the jobs that are due, one after the other, at most so many; gives their kinds."""

    def run(most: int = 1000) -> list[str]:
        done: list[str] = []
        while len(done) < most and (job := jobs.claim()) is not None:
            done.append(job.kind)
            _do(job)
        return done

    return run


def _do(job: Job) -> None:
    context = Context(job)
    try:
        HANDLERS[job.kind](job, context)
    except JobStopped:
        pass
    except Exception as error:  # as a worker's thread does
        jobs.fail(job, context.token, error)


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, configure: Callable[..., object]) -> None:
    configure(data_dir=tmp_path, fetch_allow="127.0.0.0/8")
