"""Prefer: wait=N, through the whole ASGI application, with the endpoints of probe.py."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

import httpx
import pytest
from channels.layers import InMemoryChannelLayer, get_channel_layer
from django.db import connection

from cutline.server.api import limits, wait
from cutline.server.api.models import IdempotentAnswer
from cutline.server.asgi import application
from cutline.server.jobs.models import Job, JobState
from cutline.server.people.models import Owner
from tests.server.services.process import ANSWERS_S, wait_until

pytestmark = [
    pytest.mark.urls("tests.server.api.probe"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.both_databases,
]

WAITING = 40


def job(state: JobState = JobState.RUNNING) -> Job:
    return Job.objects.create(owner=Owner.objects.create(), state=state)


def with_client(do: Callable[[httpx.AsyncClient], Awaitable[Any]]) -> Any:
    """Do something with a client of the application, in a loop of its own."""
    limits.forget()

    async def run() -> Any:
        transport = httpx.ASGITransport(app=application)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await do(client)

    return asyncio.run(run())


def wait_for(job: Job, prefer: str, **headers: str) -> httpx.Response:
    answer = with_client(
        lambda client: client.post(f"/api/v1/waits/{job.pk}", headers={"Prefer": prefer, **headers})
    )
    assert isinstance(answer, httpx.Response)
    return answer


def listeners() -> int:
    """How many wait for events of anybody: whoever waits for a job is one."""
    layer = get_channel_layer()
    assert isinstance(layer, InMemoryChannelLayer)
    return sum(len(channels) for channels in list(layer.groups.values()))


async def until_so_many_wait(count: int) -> None:
    async with asyncio.timeout(ANSWERS_S):
        while listeners() < count:
            await asyncio.sleep(0.01)


def end_once_somebody_waits(job: Job) -> threading.Thread:
    def end() -> None:
        wait_until(listeners, what="somebody who waits")
        Job.objects.filter(pk=job.pk).update(state=JobState.FAILED)
        connection.close()

    thread = threading.Thread(target=end)
    thread.start()
    return thread


def test_without_prefer_nobody_waits() -> None:
    answer = wait_for(job(), "respond-async")
    assert answer.json()["name"] == "begun"
    assert "Preference-Applied" not in answer.headers


def test_an_answer_that_is_there_already_needs_no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[bool] = []
    look = wait._any_open

    def noted(jobs: Sequence[UUID]) -> bool:
        looks.append(look(jobs))
        return looks[-1]

    monkeypatch.setattr(wait, "_any_open", noted)
    answer = wait_for(job(JobState.DONE), "wait=30")
    assert answer.json() == {"name": "done", "number": 1}
    assert answer.headers["Preference-Applied"] == "wait=30"
    assert looks == [False]  # one look, which found nothing to wait for


def test_waiting_ends_in_time() -> None:
    answer = wait_for(job(), "respond-async, wait=1")
    assert answer.json()["name"] == "begun"
    assert answer.headers["Preference-Applied"] == "wait=1"


def test_waiting_sees_a_job_that_ends_meanwhile() -> None:
    waited = job()
    thread = end_once_somebody_waits(waited)
    answer = wait_for(waited, "wait=60")
    thread.join()
    assert answer.json()["name"] == "done"


def test_an_answer_that_came_late_is_whole() -> None:
    answer = wait_for(job(JobState.DONE), "wait=30", **{"X-Request-Id": "the-name"})
    assert answer.status_code == 200
    assert int(answer.headers["Content-Length"]) == len(answer.content)
    assert answer.headers.get_list("Content-Type") == ["application/json; charset=utf-8"]
    assert answer.headers["X-Request-Id"] == "the-name"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "sessionid" in answer.cookies
    assert {"content-security-policy", "ratelimit", "vary"} <= set(answer.headers)


def test_a_client_that_leaves_gets_its_answer_when_it_repeats_the_request() -> None:
    waited = job()

    async def leave_and_return(client: httpx.AsyncClient) -> httpx.Response:
        path = f"/api/v1/waits/{waited.pk}"
        headers = [(b"prefer", b"wait=50"), (b"idempotency-key", b"k"), (b"host", b"127.0.0.1")]
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
            "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "scheme": "http",
            "headers": headers, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
        }  # fmt: skip
        gone = asyncio.Event()
        body_sent = False

        async def receive() -> dict[str, Any]:
            nonlocal body_sent
            if not body_sent:
                body_sent = True
                return {"type": "http.request", "body": b"", "more_body": False}
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            cookies.extend(
                value for name, value in message.get("headers", ()) if name.lower() == b"set-cookie"
            )

        cookies: list[bytes] = []
        request = asyncio.create_task(application(scope, receive, send))
        await until_so_many_wait(1)
        assert not request.done()
        gone.set()
        await asyncio.wait_for(request, ANSWERS_S)
        headers_again = {"Idempotency-Key": "k", "Cookie": cookies[0].decode().partition(";")[0]}
        return await client.post(path, headers={**headers_again, "Prefer": "wait=50"})

    answer = with_client(leave_and_return)
    assert answer.json()["name"] == "begun"
    assert answer.headers["Idempotent-Replayed"] == "true"


def test_the_late_answer_is_the_one_that_a_repetition_gets() -> None:
    waited = job(JobState.DONE)

    async def twice(client: httpx.AsyncClient) -> list[httpx.Response]:
        headers = {"Prefer": "wait=20", "Idempotency-Key": "k"}
        return [await client.post(f"/api/v1/waits/{waited.pk}", headers=headers) for _ in range(2)]

    first, second = with_client(twice)
    assert first.json() == second.json() == {"name": "done", "number": 1}
    assert second.headers["Idempotent-Replayed"] == "true"
    assert IdempotentAnswer.objects.get().status == 200


def test_those_who_wait_hold_no_thread_and_keep_nobody_waiting() -> None:
    waited = job()

    async def crowd(client: httpx.AsyncClient) -> tuple[int, list[httpx.Response]]:
        await client.get("/api/v1/whoami")
        before = threading.active_count()
        waiting = [
            asyncio.create_task(client.post(f"/api/v1/waits/{waited.pk}", headers={"Prefer": "wait=60"}))
            for _ in range(WAITING)
        ]
        await until_so_many_wait(WAITING)
        assert [task.result() for task in waiting if task.done()] == []
        threads = threading.active_count() - before
        for _ in range(5):
            (await client.get("/api/v1/whoami")).raise_for_status()
        assert [task.result() for task in waiting if task.done()] == []  # all five went before
        thread = end_once_somebody_waits(waited)
        answers = await asyncio.gather(*waiting)
        thread.join()
        return threads, answers

    threads, answers = with_client(crowd)
    assert [answer.json()["name"] for answer in answers] == ["done"] * WAITING
    assert threads < WAITING / 2
