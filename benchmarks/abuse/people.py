"""People who use the service as meant, at a steady rate, each from an address of their own."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self, TypeAlias

import httpx

from benchmarks.service.pictures import variants
from tests.server.services.service import Service

_EVERY_S = {"gallery": 0.4, "caption": 1.6, "upload": 2.0}  # of one person
_TIMEOUT_S = 30.0

Seen: TypeAlias = tuple[float, bool]


class People:
    """Two people with an account and one without. What they want is asked at fixed times, answered or not."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._stack = ExitStack()
        self._photos = variants()
        self._lock = threading.Lock()
        self._clients: list[httpx.Client] = []

    def __enter__(self) -> Self:
        keys = account_keys(self._service, [f"person-{number}@example.org" for number in range(2)])
        for number, key in enumerate([*keys, ""]):
            transport = httpx.HTTPTransport(local_address=f"127.{10 + number}.0.1")
            client = httpx.Client(
                base_url=f"{self._service.url}/api/v1",
                transport=transport,
                headers={"X-API-Key": key} if key else {},
                timeout=_TIMEOUT_S,
            )
            self._clients.append(self._stack.enter_context(client))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def seen(self, seconds: float) -> dict[str, list[Seen]]:
        """For each thing that they do in so many seconds: how long it took, and whether it was done."""
        seen: dict[str, list[Seen]] = {name: [] for name in _EVERY_S}
        threads = [
            threading.Thread(target=self._do, args=(number, name, seconds, seen[name]))
            for number in range(len(self._clients))
            for name in _EVERY_S
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return seen

    def _do(self, number: int, name: str, seconds: float, results: list[Seen]) -> None:
        act: Callable[[httpx.Client], httpx.Response] = getattr(self, f"_{name}")
        began, every_s = time.monotonic(), _EVERY_S[name]
        due = began + number * every_s / len(self._clients)
        while due < began + seconds:
            time.sleep(max(0.0, due - time.monotonic()))
            start = time.perf_counter()
            try:
                is_done = act(self._clients[number]).is_success
            except httpx.HTTPError:
                is_done = False
            results.append((time.perf_counter() - start, is_done))
            due = max(due + every_s, time.monotonic())

    def _photo(self) -> bytes:
        with self._lock:
            return next(self._photos)

    def _gallery(self, client: httpx.Client) -> httpx.Response:
        return client.get("/gallery")

    def _caption(self, client: httpx.Client) -> httpx.Response:
        return client.post("/caption", files={"image": ("photo.jpg", self._photo())})

    def _upload(self, client: httpx.Client) -> httpx.Response:
        answer = client.post(
            "/images", files={"files": ("photo.jpg", self._photo())}, headers={"Prefer": "wait=20"}
        )
        for image in _images_of(answer):
            client.delete(f"/images/{image}")  # or a visitor's quota would end the measurement
        return answer


def _images_of(answer: httpx.Response) -> Iterator[str]:
    if answer.is_success:
        yield from answer.json()["images"]


def summaries(seen: Mapping[str, list[Seen]]) -> dict[str, dict[str, float]]:
    """For each thing: how often, how often in vain, and the median and p95 of its time.

    What gets no answer, or an error, counts with the time that it took, and in vain.
    """
    return {name: _summary(results) for name, results in seen.items()}


def _summary(results: list[Seen]) -> dict[str, float]:
    times = [took_s for took_s, _ in results] or [0.0]
    p95_s = statistics.quantiles(times, n=20, method="inclusive")[-1] if len(times) > 1 else times[0]
    return {
        "count": len(results),
        "in_vain": sum(not is_done for _, is_done in results),
        "median_s": statistics.median(times),
        "p95_s": p95_s,
    }


def account_keys(service: Service, emails: Sequence[str]) -> list[str]:
    """Keys with every scope that is not for the staff, of new accounts with these addresses."""
    made: Any = service.manage(
        "shell",
        "--verbosity=0",
        "-c",
        "from cutline.server.account import keys;"
        "from cutline.server.people.keys import EVERYBODYS;"
        "from cutline.server.people.models import User;"
        "from cutline.server.people.viewers import owner_of;"
        f"users = [User.objects.create_user(email, 'correct horse battery') for email in {list(emails)!r}];"
        "print(*[keys.create(owner_of(user), name='all', scopes=EVERYBODYS)[1] for user in users])",
    )
    return str(made).strip().splitlines()[-1].split()
