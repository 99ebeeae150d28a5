"""A photo goes to an idle worker before it is stored, and then its job."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.utils import timezone
from redis import Redis as Client

from cutline.server import captioner
from cutline.server.captions.head_start import HeadStarts
from cutline.server.captions.models import Caption
from cutline.server.captions.services import save_candidates
from cutline.server.config import ServerSettings
from cutline.server.images import renditions
from cutline.server.jobs import handover, hints, services
from cutline.server.jobs.context import Context
from cutline.server.jobs.handover import IdleWorker, Offered
from cutline.server.jobs.models import Job, JobState
from cutline.server.work.pool import WorkerPool
from tests.server.jobs.making import make_owner, upload
from tests.server.services.process import ANSWERS_S, free_ports, wait_until
from tests.server.services.redis import Redis

PHOTO = b"\xff\xd8 a photo\nof two lines"


@pytest.fixture
def client(
    redis: Redis, configure: Callable[..., ServerSettings], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Client]:
    """A database of Redis that the settings name."""
    [url] = redis.take(1)
    configure(broker_url=url, channel_layer_url=url, cache_url=url)
    monkeypatch.setattr(handover, "_away_until", 0.0)
    monkeypatch.setattr(handover, "_is_away", False)
    with Client.from_url(url) as client:
        yield client


@dataclass(slots=True)
class Worker:
    """An idle worker that writes down what it is sent."""

    photos: queue.Queue[Offered] = field(default_factory=queue.Queue)
    jobs: queue.Queue[UUID] = field(default_factory=queue.Queue)
    idle: IdleWorker = field(init=False)

    def __post_init__(self) -> None:
        self.idle = IdleWorker(on_photo=self.photos.put, on_job=self.jobs.put)
        self.idle.start()


@pytest.fixture
def start(client: Client) -> Iterator[Callable[[], Worker]]:
    """Make workers that are idle."""
    workers: list[Worker] = []

    def begin() -> Worker:
        worker = Worker()
        workers.append(worker)
        known = client.scard(handover._IDLE)

        def is_known() -> bool:
            worker.idle.note_idle()
            return client.scard(handover._IDLE) != known

        wait_until(is_known, what="a worker that hears")
        return worker

    yield begin
    for worker in workers:
        worker.idle.stop()


def offered(photo: bytes = PHOTO) -> Offered:
    return Offered(image_id=uuid4(), photo=photo, options={"n": 2, "model": "é"}, in_canary=True)


def test_a_photo_and_its_job_go_to_one_idle_worker(start: Callable[[], Worker], client: Client) -> None:
    workers = [start(), start()]
    sent = offered()
    name = handover.offer(sent)
    [worker] = [each for each in workers if each.idle._name == name]
    assert worker.photos.get(timeout=ANSWERS_S) == sent
    job_id = uuid4()
    handover.assign(name, job_id)
    assert worker.jobs.get(timeout=ANSWERS_S) == job_id
    [other] = [each for each in workers if each is not worker]
    assert handover.offer(offered()) == other.idle._name
    assert handover.offer(offered()) == ""
    assert other.photos.get(timeout=ANSWERS_S)
    assert [each.empty() for each in (worker.photos, worker.jobs, other.jobs)] == [True] * 3


def test_redis_keeps_no_photo(start: Callable[[], Worker], client: Client) -> None:
    worker = start()
    assert handover.offer(offered())
    worker.photos.get(timeout=ANSWERS_S)
    assert client.keys() == []


def test_who_is_busy_or_has_stopped_is_sent_nothing(start: Callable[[], Worker], client: Client) -> None:
    worker = start()
    worker.idle.note_busy()
    assert handover.offer(offered()) == ""
    worker.idle.note_idle()
    worker.idle.stop()
    assert handover.offer(offered()) == ""
    worker.idle.note_idle()
    assert client.scard(handover._IDLE) == 0


def test_a_worker_that_died_is_passed_over(start: Callable[[], Worker], client: Client) -> None:
    worker = start()
    client.sadd(handover._IDLE, "dead", "gone")
    found = [handover.offer(offered()), handover.offer(offered())]
    assert worker.idle._name in found
    assert client.scard(handover._IDLE) == 0


def test_a_large_photo_is_read_from_the_store(start: Callable[[], Worker]) -> None:
    start()
    assert handover.offer(offered(b"x" * (handover._MOST_BYTES + 1))) == ""
    assert handover.offer(offered())


def test_what_cannot_be_read_does_not_end_the_thread(start: Callable[[], Worker], client: Client) -> None:
    worker = start()
    client.publish(handover._photos_of(worker.idle._name), b"no JSON")
    client.publish(handover._jobs_of(worker.idle._name), b"no id")
    assert handover.offer(offered())
    assert worker.photos.get(timeout=ANSWERS_S)


def test_without_redis_nothing_is_sent_and_nobody_waits(
    client: Client, configure: Callable[..., ServerSettings], caplog: pytest.LogCaptureFixture
) -> None:
    url = f"redis://127.0.0.1:{free_ports(1)[0]}/0"
    configure(broker_url=url, channel_layer_url=url, cache_url=url)
    assert handover.offer(offered()) == ""
    assert "Redis carries no photos" in caplog.text
    caplog.clear()
    assert handover.offer(offered()) == ""
    assert caplog.text == ""  # it is left alone for a while


def test_a_redis_that_forbids_channels_is_told_of_once(
    client: Client, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is for a user of Redis 7 who was not given any."""
    client.acl_setuser("default", enabled=True, nopass=True, reset_channels=True)
    try:
        worker = Worker()
        client.sadd(handover._IDLE, "somebody")
        assert handover.offer(offered()) == ""
        monkeypatch.setattr(handover, "_away_until", 0.0)
        client.sadd(handover._IDLE, "somebody")
        assert handover.offer(offered()) == ""
        worker.idle.stop()
    finally:
        client.acl_setuser("default", enabled=True, channels=["*"])
    assert caplog.text.count("Redis carries no photos") == 1


def test_where_workers_are_threads_nothing_is_sent(configure: Callable[..., ServerSettings]) -> None:
    configure(broker_url="memory://")
    assert not handover.is_possible()
    assert handover.offer(offered()) == ""


@pytest.mark.django_db(transaction=True)
def test_an_upload_is_captioned_by_the_worker_that_has_its_photo(start: Callable[[], Worker]) -> None:
    """The worker's side, which is of this process here, is started by hand."""
    worker, starts = start(), HeadStarts()
    hints.listen(None)  # as in a process without workers
    image, job = upload(make_owner())
    sent = worker.photos.get(timeout=ANSWERS_S)
    assert (sent.image_id, sent.photo) == (image.pk, renditions.read_master(image.pk))
    assert worker.jobs.get(timeout=ANSWERS_S) == job.pk
    assert job.run_after - job.created_at > timedelta(seconds=handover.HELD_S / 2)

    wait_until(captioner.is_idle, what="a captioner without work")
    hints.listen(lambda: None)
    starts.begin(sent.image_id, sent.photo, sent.options)

    def run(job: Job, context: Context) -> None:
        begun = starts.take(sent.image_id, captioner.wanted(job.options, n=3))
        assert begun is not None
        save_candidates(job, context.token, begun.result())

    pool = WorkerPool({job.kind: run}, threads=1)
    pool.give(job.pk)
    pool.start()
    try:
        wait_until(Job.objects.filter(pk=job.pk, state=JobState.DONE).exists, what="the job")
    finally:
        pool.stop(ANSWERS_S)
    assert Caption.objects.filter(image=image).exists()


@pytest.mark.django_db(transaction=True)
def test_a_job_whose_worker_died_is_others_after_a_moment(start: Callable[[], Worker]) -> None:
    worker = start()
    hints.listen(None)
    _, job = upload(make_owner())
    worker.idle.stop()
    Job.objects.filter(pk=job.pk).update(run_after=timezone.now() + timedelta(hours=1))
    assert services.claim() is None
    Job.objects.filter(pk=job.pk).update(run_after=timezone.now())
    claimed = services.claim()
    assert claimed == job
    assert services.claim_given(job.pk) is None
