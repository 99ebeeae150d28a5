"""The measurements, each over a running service, from the outside."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from websockets.asyncio.client import ClientConnection, connect

from tests.server.services.client import Event, Visitor

if TYPE_CHECKING:
    from cutline.captioning.bundle_captioner import BundleCaptioner
    from tests.server.services.service import Service

CANDIDATES = 3  # as many as the service writes by default
ROOT = Path(__file__).parents[2]


class Ear:
    """A websocket that is read by a thread of its own, so that each event's arrival is told exactly."""

    def __init__(self, visitor: Visitor) -> None:
        self._listener = visitor.listen()
        self._arrived = threading.Condition()
        self._events: list[tuple[float, Event]] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def wait(self, matches: Callable[[Event], bool], *, timeout_s: float = 60) -> tuple[float, Event]:
        """When the first event that matches arrived (time.time()), and the event. Raises TimeoutError."""
        end = time.monotonic() + timeout_s
        seen = 0
        with self._arrived:
            while True:
                for at, event in self._events[seen:]:
                    if matches(event):
                        return at, event
                seen = len(self._events)
                if not self._arrived.wait(end - time.monotonic()):
                    raise TimeoutError("the event did not come")

    def close(self) -> None:
        """Leave."""
        self._listener.close()
        self._thread.join()

    def _read(self) -> None:
        def keep(event: Event) -> bool:
            at = time.time()
            with self._arrived:
                self._events.append((at, event))
                self._arrived.notify_all()
            return False

        self._listener.drain(10**6, keep)


def one_by_one(
    service: Service, bare: BundleCaptioner, photos: Iterator[bytes], *, rounds: int
) -> dict[str, Any]:
    """Upload a photo, wait for its caption, caption the same photo without a service; and again.

    enqueue_to_event_s: from the job's row (its created_at), through the queue and a worker, to the arrival of
    "the job is running".
    upload_to_caption_s: from the first byte sent to the arrival of the caption. bare_s: bytes to captions.
    """
    delivered, uploads, bares, answers = [], [], [], []
    with service.visitor() as visitor:
        visitor.upload(next(photos))  # now there is a session
        ear = Ear(visitor)
        for round_ in range(rounds + 3):
            photo = next(photos)
            time.sleep(0.4)  # let renditions and the runtime's spinning threads come to rest
            began = time.perf_counter()
            bare.caption([photo], n=CANDIDATES)
            bare_s = time.perf_counter() - began
            time.sleep(0.1)
            began_at = time.time()
            (item,) = visitor.upload(photo)
            answered_at = time.time()
            caption_at, _ = ear.wait(
                lambda event, image=item["id"]: (  # type: ignore[misc]
                    event["type"] == "caption.ready" and event["data"]["image"] == image
                )
            )
            moved_at, _ = ear.wait(
                lambda event, job=item["job"]: (  # type: ignore[misc]
                    event["type"] == "job.changed"
                    and event["data"]["job"] == job
                    and event["data"]["state"] in ("running", "done")  # a burst skips the first
                )
            )
            created = visitor.get(f"/jobs/{item['job']}").raise_for_status().json()["created_at"]
            if round_ < 3:  # the first ones load the model and warm caches
                continue
            created_at = datetime.fromisoformat(created).timestamp()
            delivered.append(moved_at - created_at)
            uploads.append(caption_at - began_at)
            answers.append(answered_at - began_at)
            bares.append(bare_s)
        ear.close()
    ratios = [upload / bare_s for upload, bare_s in zip(uploads, bares, strict=True)]
    return {
        "rounds": rounds,
        "enqueue_to_event_s": spread(delivered),
        "upload_to_caption_s": spread(uploads),
        "upload_to_answer_s": spread(answers),
        "bare_s": spread(bares),
        "upload_over_bare": statistics.median(ratios),
    }


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median and 99th percentile."""
    return {"median": statistics.median(values), "p99": statistics.quantiles(values, n=100)[98]}


# -- many at once ----------------------------------------------------------------------------------------


def bare_bulk(bare: BundleCaptioner, photos: Sequence[bytes]) -> float:
    """Images a second of the captioner alone, given all photos at once."""
    began = time.perf_counter()
    bare.caption(list(photos), n=CANDIDATES)
    return len(photos) / (time.perf_counter() - began)


def many_clients(service: Service, photos: Sequence[bytes], *, clients: int) -> float:
    """Images a second with so many clients; each uploads its next photo when its last has a caption."""
    return asyncio.run(_many_clients(service, photos, clients))


async def _many_clients(service: Service, photos: Sequence[bytes], clients: int) -> float:
    waiting = iter(photos)
    async with asyncio.TaskGroup() as group:
        ready = asyncio.Barrier(clients + 1)
        tasks = [group.create_task(_client(service, waiting, ready)) for _ in range(clients)]
        await ready.wait()
        began = time.perf_counter()
    done = sum(task.result() for task in tasks)
    return done / (time.perf_counter() - began)


async def _client(service: Service, photos: Iterator[bytes], ready: asyncio.Barrier) -> int:
    done = 0
    limits = httpx.Limits(keepalive_expiry=2)  # the server closes what is idle for longer
    async with httpx.AsyncClient(base_url=f"{service.url}/api/v1", timeout=120, limits=limits) as client:
        address = service.url.replace("http", "ws", 1) + "/ws"
        async with connect(address, proxy=None) as socket:
            answer = socket.response
            for header in answer.headers.get_all("Set-Cookie") if answer else ():
                name, _, value = header.partition(";")[0].partition("=")
                client.cookies.set(name, value, domain="127.0.0.1")
            await ready.wait()
            for photo in photos:
                reply = await client.post("/images", files={"files": ("photo.jpg", photo)})
                reply.raise_for_status()
                await _caption_of(socket, reply.json()["items"][0]["id"])
                done += 1
    return done


async def _caption_of(socket: ClientConnection, image: str) -> None:
    async for message in socket:
        event = json.loads(message)
        if event["type"] == "caption.ready" and event["data"]["image"] == image:
            return


# -- long lists ------------------------------------------------------------------------------------------


def fill(service: Service, owner: str, count: int) -> None:
    """Give an owner so many images."""
    env = service.env | {
        "DJANGO_SETTINGS_MODULE": "cutline.server.django_settings",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")]),
    }
    subprocess.run(
        [sys.executable, "-m", "benchmarks.service.fill", owner, str(count)], check=True, env=env, cwd=ROOT
    )


LISTS = {
    "library, first page": "/images?limit=50",
    "library, page 10": "/images?limit=50",
    "library, a word": "/images?limit=50&q=horse",
    "library, two words": "/images?limit=50&q=horse+beach",
    "library, a rare word": "/images?limit=50&q=number777",
    "library, a tag": "/images?limit=50&tag=garden",
    "library, a rare tag": "/images?limit=50&tag=rare",
    "library, a rare state": "/images?limit=50&state=failed",
    "library, an old state": "/images?limit=50&state=cancelled",
    "library, a visibility": "/images?limit=50&visibility=unlisted",
    "gallery, first page": "/gallery?limit=50",
    "gallery, a word": "/gallery?limit=50&q=horse",
    "gallery, a tag": "/gallery?limit=50&tag=garden",
}


def lists(visitor: Visitor, *, rounds: int) -> dict[str, dict[str, float]]:
    """Seconds of each list endpoint."""
    found = {}
    for name, path in LISTS.items():
        if name.endswith("page 10"):
            for _ in range(9):
                cursor = visitor.get(path).raise_for_status().json()["next"]
                path = f"/images?limit=50&cursor={cursor}"
        seconds = []
        for _ in range(rounds + 1):
            began = time.perf_counter()
            answer = visitor.get(path)
            seconds.append(time.perf_counter() - began)
            answer.raise_for_status()
        found[name] = spread(seconds[1:])
    return found


def take(photos: Iterator[bytes], count: int) -> list[bytes]:
    """The next photos."""
    return list(islice(photos, count))
