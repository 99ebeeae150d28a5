"""`cutline serve` and `cutline worker` as processes: where they keep things, how they begin and end."""

from __future__ import annotations

import re
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.server.services.process import ANSWERS_S, Process, free_ports, wait_until
from tests.server.services.redis import Redis
from tests.server.services.service import CUTLINE, Mode, Service


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """The service on a laptop, not started, with a folder of its own."""
    made = Service(Mode.LAPTOP, tmp_path)
    yield made
    made.stop()


def run(service: Service, *words: str, **changes: str) -> Process:
    """Run a command to its end."""
    env = service.env | {f"CUTLINE_{name.upper()}": value for name, value in changes.items()}
    process = Process("command", [CUTLINE, *words], folder=service.folder, env=env)
    process.start()
    wait_until(lambda: not process.alive, what="the command's end", every_s=0.1)
    return process


def stop_asking_again(process: Process) -> int | None:
    """Send SIGTERM until the process is gone, as a supervisor may; its exit code."""

    def gone() -> bool:
        process.signal(signal.SIGTERM)
        return not process.alive

    wait_until(gone, what=f"{process.name}'s end", every_s=0.001)
    return process.returncode


def test_a_link_leads_to_the_port_that_was_given(service: Service, photo: bytes) -> None:
    del service.env["CUTLINE_PUBLIC_URL"]  # as on a laptop, where nobody sets anything
    service.start()
    with service.visitor() as visitor:
        [item] = visitor.upload(photo)
        link = visitor.patch(f"/images/{item['id']}", json={"visibility": "unlisted"}).json()["share_url"]
        assert link.startswith(f"{service.url}/shared/")
        assert httpx.get(link, timeout=ANSWERS_S).status_code == 200


def test_one_command_keeps_everything_below_its_data_folder_and_ends_as_told(
    service: Service, photo: bytes
) -> None:
    service.begins_with_nothing = True
    service.start()
    with service.visitor() as visitor, visitor.listen() as listener:
        image = visitor.upload(photo)[0]["id"]
        assert listener.caption_of(image)["data"]["caption"]
    assert service.web.stop() == 0
    assert sorted(path.name for path in service.folder.iterdir()) == ["data", "logs"]
    assert {"cutline.sqlite3", "files", "secret.key"} <= {path.name for path in service.data.iterdir()}
    assert [path for path in [service.data, *service.data.rglob("*")] if path.stat().st_mode & 0o077] == []
    assert f"Cutline is at {service.url}" in service.web.output()
    assert not re.search("Traceback|Warning:", service.web.output())


def test_no_word_of_what_was_deleted_stays_in_the_database_file(
    service: Service, make_photo: Callable[..., bytes]
) -> None:
    service.env |= {"CUTLINE_UNDO_S": "0.1", "CUTLINE_SWEEP_S": "0.5"}
    service.start()
    with service.visitor() as stays, service.visitor() as goes:
        for number, (visitor, word) in enumerate([(stays, "quokka"), (stays, "zyzzyva"), (goes, "axolotl")]):
            image = visitor.upload(make_photo(number))[0]["id"]
            visitor.put(f"/images/{image}/caption", json={"text": f"A {word}."}).raise_for_status()
            if word == "zyzzyva":
                visitor.delete(f"/images/{image}").raise_for_status()
        goes.delete("/me").raise_for_status()
        left = "select count(*) from images_image"
        wait_until(lambda: service.rows(left) == [(1,)], what="the sweep", every_s=0.1)
    assert service.web.stop() == 0
    kept = b"".join(path.read_bytes() for path in service.data.rglob("cutline.sqlite3*"))
    assert [word in kept for word in (b"quokka", b"zyzzyva", b"axolotl")] == [True, False, False]


def test_a_service_that_is_told_to_stop_loses_no_job(
    service: Service, make_photo: Callable[..., bytes]
) -> None:
    service.start()
    with service.visitor() as visitor:
        images = [visitor.upload(make_photo(number))[0]["id"] for number in range(12)]
    assert service.web.stop() == 0
    assert service.rows("select count(*) from jobs_job where state in ('running', 'failed')") == [(0,)]
    service.start_web()
    done = "select count(*) from jobs_job where state = 'done'"
    wait_until(lambda: service.rows(done) == [(len(images),)], what="the jobs", every_s=0.1)
    assert service.rows("select count(*) from captions_version") == [(len(images),)]


def test_a_port_that_is_taken_is_said_in_one_sentence(service: Service) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        service.take_migrated()
        done = run(service, "serve", "--port", port)
    assert done.returncode == 1
    assert f"Cannot listen on 127.0.0.1:{port}." in done.output()
    assert "Traceback" not in done.output()


def test_port_0_takes_a_free_one_and_says_which(service: Service) -> None:
    service.take_migrated()
    process = Process("free", [CUTLINE, "serve", "--port", "0"], folder=service.folder, env=service.env)
    process.start(lambda: "Cutline is at" in process.output())
    found = re.search(r"Cutline is at (http://127\.0\.0\.1:\d+)", process.output())
    assert found
    assert httpx.get(f"{found[1]}/healthz", timeout=ANSWERS_S).json() == {"status": "ok"}
    assert process.stop() == 0


def test_a_worker_needs_a_queue_between_processes(service: Service) -> None:
    done = run(service, "worker")
    assert done.returncode == 2
    assert "CUTLINE_BROKER_URL" in done.output()


def test_a_worker_tells_its_numbers_and_ends_as_told(service: Service, redis: Redis, photo: bytes) -> None:
    broker, channels, cache = redis.take(3)
    settings = {"broker_url": broker, "channel_layer_url": channels, "cache_url": cache}
    service.env |= {f"CUTLINE_{name.upper()}": value for name, value in settings.items()}
    port = free_ports(1)[0]
    web = Process(
        "web",
        [CUTLINE, "serve", "--port", str(service.port), "--data-dir", str(service.data)],
        folder=service.folder / "logs",
        env=service.env,
    )
    worker = Process(
        "worker",
        [CUTLINE, "worker", "--metrics-port", str(port)],
        folder=service.folder / "logs",
        env=service.env,
    )

    def numbers() -> str:
        return httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=ANSWERS_S, verify=False).text

    service.take_migrated()
    try:
        web.start(service.is_ready)
        worker.start(lambda: "The worker has started." in worker.output())
        with service.visitor() as visitor, visitor.listen() as listener:
            item = visitor.post("/images", files={"files": photo}, headers={"X-Request-Id": "trace-7"})
            listener.caption_of(item.json()["images"][0])
        wait_until(
            lambda: 'cutline_jobs_total{kind="caption",outcome="done"} 1.0' in numbers(),
            what="the number of jobs",
        )
        said = numbers()
        for name in ("cutline_model_seconds_count 1.0", "cutline_batch_size_count 1.0"):
            assert name in said
        assert re.search(r'cutline_job_stage_seconds_count\{kind="caption",stage="\w+"\} 1\.0', said)
        done = re.compile(r"cutline\.server\.work\S* done .*\[trace-7\]")
        wait_until(lambda: done.search(worker.output()), what="the line of the job")
        assert stop_asking_again(worker) == 0
        assert "The worker has stopped." in worker.output()
        assert stop_asking_again(web) == 0
    finally:
        worker.kill()
        web.kill()


def test_the_clock_by_itself_ends_as_told(service: Service) -> None:
    if not service.take_migrated():
        service.manage("migrate", "--verbosity", "0")
    beat = Process("beat", [CUTLINE, "beat"], folder=service.folder / "logs", env=service.env)
    beat.start(lambda: "The scheduler has started." in beat.output())
    assert stop_asking_again(beat) == 0
    assert "ERROR" not in beat.output()
