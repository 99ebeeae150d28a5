"""Whatever is killed, whenever: every job ends done exactly once, none is lost, and no file is an orphan.

Stages are hit by holding up what a stage waits for (the store, the model, a table), never by switches in
the service; what is held is let go only after the kill.
"""

from __future__ import annotations

import contextlib
import json
import random
import signal
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.server import photos
from tests.server.services.client import Visitor
from tests.server.services.process import ANSWERS_S, Process, wait_until
from tests.server.services.receiver import Receiver, chat_answer
from tests.server.services.service import Mode, Servers, Service

JOBS = 100  # in each mode
CANDIDATES = 3
MODEL = "/faults/v1/chat/completions"  # of the receiver
QUICK = {
    "lease_s": 4,
    "sweep_s": 1,
    "retry_base_s": 0.2,
    "max_attempts": 1000,
    "max_images_anonymous": 10 * JOBS,
    "candidates": CANDIDATES,
}


@pytest.fixture(scope="module")
def mortal() -> Iterator[Servers]:
    """Servers of these tests' own, since they kill them."""
    with tempfile.TemporaryDirectory(prefix="cutline-faults-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        servers = Servers.below(folder)
        servers.start()
        yield servers
        servers.stop()


@pytest.fixture
def run_service(mortal: Servers, tmp_path: Path, tiny_model: Path) -> Iterator[Callable[..., Service]]:
    """Start a service of one's own: run_service(Mode.LAPTOP), with settings as keywords.

    Its workers run the schedule, too; only with `beat` there is also a process for that.
    """
    with contextlib.ExitStack() as stack:

        def run(mode: Mode, *, workers: int = 2, beat: bool = False, **settings: object) -> Service:
            mortal.start()
            servers = mortal if mode is Mode.PRODUCTION else None
            settings = QUICK | {"model": tiny_model} | settings
            service = Service(mode, tmp_path, servers=servers, workers=workers, settings=settings)
            if not beat:
                service.beat = None
            stack.callback(service.kill)
            service.start()
            return service

        yield run


# -- what must be true at the end ------------------------------------------------------------------------


def assert_all_done_once(service: Service, images: set[str], *, candidates: int = CANDIDATES) -> None:
    """Every image that was acknowledged is captioned, by one job, once; so is every other that is there."""
    jobs = service.rows("SELECT id, image_id, state FROM jobs_job WHERE kind = 'caption'")
    assert not service.rows("SELECT error_code, error_message FROM jobs_job WHERE state = 'failed'")
    assert Counter(state for *_, state in jobs) == {"done": len(jobs)}
    stored = {str(image).replace("-", "") for (image,) in service.rows("SELECT id FROM images_image")}
    assert {image.replace("-", "") for image in images} <= stored
    assert Counter(str(image).replace("-", "") for _, image, _ in jobs) == dict.fromkeys(stored, 1)
    written = service.rows("SELECT job_id, rank FROM captions_caption")
    assert Counter(written) == {(job, rank): 1 for job, *_ in jobs for rank in range(candidates)}
    versions = service.rows("SELECT image_id, action FROM captions_version")
    assert Counter(versions) == {(image, "generated"): 1 for _, image, _ in jobs}
    ready = service.rows("SELECT data FROM events_event WHERE type = 'caption.ready'")
    told = [data if isinstance(data, dict) else json.loads(data) for (data,) in ready]
    assert Counter(data["job"].replace("-", "") for data in told) == {
        str(job).replace("-", ""): 1 for job, *_ in jobs
    }


def assert_no_orphan_file(service: Service, unrendered: Sequence[str] = ()) -> None:
    """Every file that lies in the store stands in the ledger and belongs to something, and the reverse.

    First comes what the sweep does two minutes later: it also renders what has no renditions yet.
    """
    overdue = [
        "from cutline.server.images import renditions, storage",
        *(f"assert renditions.render('{image}')" for image in unrendered),
        "storage.sweep_files(pending_s=0)",
    ]
    service.manage("shell", "--no-imports", "--command", "; ".join(overdue))
    ledger = service.rows("SELECT key, state FROM images_storedfile")
    assert {state for _, state in ledger} <= {"live"}
    assert {key for key, _ in ledger} == service.stored_keys()
    used = {key for (key,) in service.rows("SELECT file_id FROM images_rendition")}
    assert {key for key, _ in ledger} == used


def wait_for_the_end(service: Service, *, timeout_s: float = 2 * ANSWERS_S) -> None:
    """Wait until no job is queued or running."""

    def over() -> bool:
        return not service.rows("SELECT 1 FROM jobs_job WHERE state IN ('queued', 'running') LIMIT 1")

    try:
        wait_until(over, timeout_s=timeout_s, what="the end of all jobs", every_s=0.2)
    except TimeoutError:
        rows = service.rows(
            "SELECT state, stage, attempts, error_code, run_after, lease_until FROM jobs_job"
            " WHERE state IN ('queued', 'running') LIMIT 10"
        )
        raise AssertionError(f"still {rows}\n{service.output()[-5000:]}") from None


def check(
    service: Service, images: set[str], *, candidates: int = CANDIDATES, unrendered: Sequence[str] = ()
) -> None:
    """Wait for the end, stop kindly, and look at what is left; some images may have no renditions yet."""
    wait_for_the_end(service)
    assert_all_done_once(service, images, candidates=candidates)
    service.stop()
    assert_no_orphan_file(service, unrendered)


# -- a worker, in each stage of a job --------------------------------------------------------------------


def in_stage(service: Service, stage: str) -> Callable[[], bool]:
    """Whether a job says that it is in a stage."""
    query = "SELECT 1 FROM jobs_job WHERE state = 'running' AND stage = %s"
    return lambda: bool(service.rows(query, stage))


def upload_without_workers(service: Service, visitor: Visitor, **fields: object) -> str:
    """Upload a photo while nobody works on it; its image's id."""
    for worker in service.workers:
        worker.kill()
    (item,) = visitor.upload(photos.generated(1), **fields)
    return str(item["id"])


@contextlib.contextmanager
def stopped(process: Process) -> Iterator[None]:
    """Hold a process up; it goes on afterwards."""
    process.signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.signal(signal.SIGCONT)


def killed_while_it_reads_the_photo(
    service: Service, visitor: Visitor, mortal: Servers, receiver: Receiver
) -> str:
    (worker,) = service.workers
    image = upload_without_workers(service, visitor)
    with stopped(mortal.store.process):
        worker.start()
        wait_until(in_stage(service, "reading"), what="a job that reads")
        worker.kill()
    worker.start()
    return image


@pytest.fixture
def model(receiver: Receiver) -> str:
    """A language model that captions, as the setting names it."""
    receiver.answers[MODEL] = chat_answer("a red circle on a blue ground")
    return f"openai:{receiver.url}{MODEL.removesuffix('/chat/completions')}#slow"


@contextlib.contextmanager
def model_held(receiver: Receiver) -> Iterator[None]:
    """Let the model answer nobody until the end."""
    gate = receiver.gates[MODEL] = threading.Event()
    yield
    gate.set()
    del receiver.gates[MODEL]


def killed_while_the_model_writes(
    service: Service, visitor: Visitor, mortal: Servers, receiver: Receiver
) -> str:
    (worker,) = service.workers or [service.web]
    with model_held(receiver):
        (item,) = visitor.upload(photos.generated(4))
        wait_until(in_stage(service, "captioning"), what="a job that captions")
        worker.kill()
    service.start()
    return str(item["id"])


def test_a_laptops_one_process_killed_while_the_model_writes(
    run_service: Callable[..., Service], mortal: Servers, receiver: Receiver, model: str
) -> None:
    service = run_service(Mode.LAPTOP, model=model, candidates=1)
    with service.visitor() as visitor:
        image = killed_while_the_model_writes(service, visitor, mortal, receiver)
    check(service, {image}, candidates=1)


def saving(service: Service) -> Callable[[], bool]:
    """Whether somebody waits to write candidates."""
    query = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'captions_caption'::regclass"
    return lambda: bool(service.rows(query))


@contextlib.contextmanager
def candidates_locked(service: Service) -> Iterator[None]:
    """Let nobody write candidates; everybody may read them."""
    with psycopg.connect(service.database) as lock:  # a transaction, until the end
        lock.execute("LOCK TABLE captions_caption IN SHARE MODE")
        yield


def killed_while_it_writes_the_result(
    service: Service, visitor: Visitor, mortal: Servers, receiver: Receiver
) -> str:
    (worker,) = service.workers
    with candidates_locked(service):
        (item,) = visitor.upload(photos.generated(2))
        wait_until(saving(service), what="a job that saves")
        worker.kill()
    worker.start()
    return str(item["id"])


def killed_between_the_caption_and_the_renditions(
    service: Service, visitor: Visitor, mortal: Servers, receiver: Receiver
) -> str:
    (worker,) = service.workers
    with contextlib.ExitStack() as held:
        with candidates_locked(service):
            (item,) = visitor.upload(photos.generated(3))
            wait_until(saving(service), what="a job that saves")
            held.enter_context(stopped(mortal.store.process))
        wait_for_the_end(service)
        worker.kill()
    wait_until(lambda: visitor.get(f"{service.url}/readyz").is_success, what="the store's return")
    shown = visitor.image(item["id"])["urls"]["large"]
    assert httpx.get(httpx.URL(service.url).join(shown["jpeg"]), timeout=ANSWERS_S).status_code == 200
    return str(item["id"])


def test_a_worker_killed_in_each_stage_of_a_job(
    run_service: Callable[..., Service],
    mortal: Servers,
    receiver: Receiver,
    model: str,
    subtests: pytest.Subtests,
) -> None:
    service = run_service(Mode.PRODUCTION, workers=1, model=model, candidates=1)
    images: set[str] = set()
    with service.visitor() as visitor:
        for kill in (
            killed_while_it_reads_the_photo,
            killed_while_the_model_writes,
            killed_while_it_writes_the_result,
            killed_between_the_caption_and_the_renditions,
        ):
            with subtests.test(kill.__name__):
                image = kill(service, visitor, mortal, receiver)
                images.add(image)
                wait_for_the_end(service)
                assert_all_done_once(service, images, candidates=1)
        check(service, images, candidates=1, unrendered=[image])


# -- anything, at any moment, under load -----------------------------------------------------------------


@dataclass
class Load:
    """Several people who upload until everything has been acknowledged, however often that fails."""

    service: Service
    count: int
    people: int = 4
    images: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> None:
        """Upload everything."""
        with ThreadPoolExecutor(self.people) as pool:
            for done in [pool.submit(self._person, number) for number in range(self.people)]:
                done.result()

    def _person(self, number: int) -> None:
        with self.service.visitor() as visitor:
            visitor.timeout = httpx.Timeout(15)
            for seed in range(number, self.count, self.people):
                image = self._upload(visitor, photos.generated(1000 + seed, side_px=160))
                with self._lock:
                    self.images.add(image)

    def _upload(self, visitor: Visitor, photo: bytes) -> str:
        images: list[str] = []

        def is_acknowledged() -> bool:
            try:
                answer = visitor.post("/images", files={"files": ("photo.jpg", photo)})
            except httpx.TransportError:
                return False
            if answer.status_code == 202:
                images.append(str(answer.json()["items"][0]["id"]))
                return True
            # A fault may be told, but only as a fault of the moment.
            assert answer.status_code in (500, 503), answer.text
            return False

        wait_until(is_acknowledged, what="the answer to an upload", every_s=0.2)
        return images[0]


Victims = dict[str, tuple[Callable[[], None], Callable[[], None]]]  # name -> how it is killed, and started


def kill_at_random(victims: Victims, load: Load, *, times: int) -> None:
    """Upload everything; meanwhile kill and start each victim so often, in random order, at random moments.

    Moments are counted in uploads, so that a slow machine sees as many kills as a fast one.
    """
    dice = random.Random(20260101)
    names = list(victims) * times
    dice.shuffle(names)
    moments = sorted(dice.randrange(load.count * 9 // 10) for _ in names)
    with ThreadPoolExecutor(1) as pool:
        uploads = pool.submit(load.run)
        for name, moment in zip(names, moments, strict=True):
            wait_until(
                lambda: len(load.images) >= moment or uploads.done(),  # noqa: B023
                timeout_s=4 * ANSWERS_S,
                what=f"upload {moment}",
            )
            kill, start = victims[name]
            time.sleep(dice.uniform(0.0, 0.3))
            kill()
            time.sleep(dice.uniform(0.0, 0.5))
            start()
        uploads.result()
    assert len(load.images) == load.count


def test_anything_killed_at_random_moments_under_load(
    run_service: Callable[..., Service], mortal: Servers
) -> None:
    service = run_service(Mode.PRODUCTION, beat=True)
    load = Load(service, JOBS)
    assert service.beat is not None
    workers: Victims = {worker.name: (worker.kill, worker.start) for worker in service.workers}
    kill_at_random(
        workers
        | {
            "beat": (service.beat.kill, service.beat.start),
            "web": (service.web.kill, service.start_web),
            "postgresql": (mortal.postgresql.kill, mortal.postgresql.start),
            "redis": (mortal.redis.kill, mortal.redis.start),
            "store": (mortal.store.kill, mortal.store.start),
        },
        load,
        times=1,
    )
    for kill, start in workers.values():  # once more, at what is left to be done
        kill()
        start()
    dead = [process.name for process in service.processes if not process.alive]
    assert not dead, f"{dead} ended by itself\n{service.output()[-5000:]}"
    check(service, load.images)


def test_a_laptops_one_process_killed_at_random_moments_under_load(
    run_service: Callable[..., Service],
) -> None:
    service = run_service(Mode.LAPTOP)
    load = Load(service, JOBS)
    kill_at_random({"web": (service.web.kill, service.start_web)}, load, times=4)
    check(service, load.images)


# -- a kind end ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", list(Mode))
def test_a_stop_under_load_ends_or_gives_back_every_job(
    run_service: Callable[..., Service], mode: Mode
) -> None:
    service = run_service(
        mode,
        workers=1,
        lease_s=600,  # no job comes back because its lease ran out
        model="",  # the real one takes long enough for some jobs to be left
    )
    workers = service.workers or [service.web]
    wait_until(
        lambda: all("The worker has started." in worker.output() for worker in workers),
        what="the start of all workers",
    )
    with service.visitor() as visitor:
        items = visitor.upload(*(photos.generated(2000 + seed, side_px=160) for seed in range(30)))
        for worker in workers:
            worker.signal(signal.SIGTERM)
        for worker in workers:
            assert worker.stop() == 0, worker.output()[-3000:]
        left = service.rows("SELECT state, attempts, losses FROM jobs_job WHERE state != 'done'")
        assert left == [("queued", 0, 0)] * len(left), service.output()[-5000:]
        service.start()
        check(service, {item["id"] for item in items})
