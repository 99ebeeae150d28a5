"""What the service tells about itself: ids, logs, numbers, health."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from cutline.server import health
from cutline.server.config import ServerSettings
from cutline.server.observability import logs, request_id
from cutline.server.shares import Pace
from tests.server.services.process import ANSWERS_S

Configure = Callable[..., ServerSettings]


@pytest.fixture
def client() -> Client:
    return Client(raise_request_exception=False)


def series(client: Client, **headers: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    answer = client.get("/metrics", headers=headers)
    assert answer.status_code == 200
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.content.decode())
        for sample in family.samples
    }


def requests_of(client: Client, method: str, route: str, status: int) -> float:
    labels = {"method": method, "route": route, "status": str(status)}
    return series(client).get(("cutline_http_requests_total", frozenset(labels.items())), 0.0)


# -- ids ---------------------------------------------------------------------------------------------------


def test_an_answer_carries_an_id_of_its_own(client: Client, db: None) -> None:
    first, second = client.get("/api/v1/nothing"), client.get("/api/v1/nothing")
    assert re.fullmatch(r"[0-9a-f]{16}", first["X-Request-Id"])
    assert first["X-Request-Id"] != second["X-Request-Id"]
    assert first.json()["request_id"] == first["X-Request-Id"]


@pytest.mark.parametrize(
    ("offered", "taken"),
    [
        ("trace-0af7:1_2.3", True),
        ("a" * 64, True),
        ("a" * 65, False),
        ("", False),
        ("two words", False),
        ("line\nbreak", False),
        ("ü", False),
    ],
)
def test_a_clients_id_is_taken_where_it_is_fit_for_a_log(offered: str, taken: bool) -> None:
    assert (request_id.new(offered) == offered) is taken


def test_an_id_is_bound_to_what_is_done_under_it() -> None:
    assert request_id.current() == ""
    with request_id.bound("outer"):
        with request_id.bound("inner"):
            assert request_id.current() == "inner"
        assert request_id.current() == "outer"
    assert request_id.current() == ""


# -- logs --------------------------------------------------------------------------------------------------


@pytest.fixture
def lines() -> Iterator[Callable[[str], list[str]]]:
    """Log into a string, in a format; the service's own logging comes back afterwards."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    out = io.StringIO()

    def start(format: str) -> list[str]:
        logs.configure({"level": "INFO", "format": format})
        for handler in root.handlers:
            if isinstance(handler, logging.StreamHandler):
                handler.setStream(out)
        with request_id.bound("abc123"):
            logging.getLogger("cutline.test").info("Something happened.", extra={"job": "j1"})
        return out.getvalue().splitlines()

    yield start
    root.handlers[:] = before
    root.setLevel(level)


def test_a_line_for_machines_is_json_with_everything(lines: Callable[[str], list[str]]) -> None:
    said = json.loads(lines("json")[-1])
    assert said.pop("time")
    assert said == {
        "level": "INFO",
        "logger": "cutline.test",
        "message": "Something happened.",
        "request_id": "abc123",
        "job": "j1",
    }


def test_a_line_for_people_says_the_same(lines: Callable[[str], list[str]]) -> None:
    assert lines("text")[-1].endswith("INFO cutline.test Something happened. (job=j1) [abc123]")


def test_no_log_or_metric_holds_a_path_or_query(
    client: Client, caplog: pytest.LogCaptureFixture, db: None
) -> None:
    with caplog.at_level(logging.INFO):
        client.get("/api/v1/shared/a-secret-token?q=ck_secret")
        client.get("/nowhere/a-secret-token")
    told = "".join(f"{record.getMessage()} {vars(record)}" for record in caplog.records)
    assert "GET /api/v1/shared/" in told
    assert "a-secret-token" not in told.replace("wsgi.input", "")
    assert "ck_secret" not in told
    assert "a-secret-token" not in str(series(client))


# -- numbers -----------------------------------------------------------------------------------------------


def test_requests_are_counted_by_the_template_of_their_route(client: Client, db: None) -> None:
    route = "/api/v1/images/<uuidstr:image_id>"
    before = requests_of(client, "GET", route, 404)
    for number in range(3):
        client.get(f"/api/v1/images/00000000-0000-4000-8000-00000000000{number}")
    assert requests_of(client, "GET", route, 404) == before + 3


def test_an_odd_method_makes_no_series_of_its_own(client: Client, db: None) -> None:
    client.generic("BREW", "/")
    known = {dict(labels)["method"] for _, labels in series(client) if "method" in dict(labels)}
    assert "BREW" not in known
    assert "other" in known


def test_the_depth_of_the_queue_is_counted_in_the_database(client: Client, db: None) -> None:
    from cutline.server.jobs.models import Job, Priority
    from cutline.server.people.models import Owner

    owner = Owner.objects.create()
    Job.objects.bulk_create(Job(owner=owner, priority=Priority.BULK) for _ in range(3))
    Job.objects.create(owner=owner, state="done")
    labels = {"kind": "caption", "priority": "bulk", "state": "queued"}
    found = series(client)
    assert found["cutline_queue_depth", frozenset(labels.items())] == 3
    assert found["cutline_queue_depth", frozenset((labels | {"priority": "interactive"}).items())] == 0
    assert found["cutline_queue_oldest_seconds", frozenset()] >= 0


def test_whoever_asks_for_metrics_keeps_no_connection_to_the_database(db: None) -> None:
    def ask() -> object:  # in a thread that ends, as a worker's own server of metrics does
        assert list(health.QueueCollector().collect())
        return connection.connection

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(ask).result() is None


def test_every_promised_series_is_there(client: Client, db: None) -> None:
    text = client.get("/metrics").content.decode()
    for name in (
        "cutline_http_requests_total",
        "cutline_http_request_seconds",
        "cutline_queue_depth",
        "cutline_job_stage_seconds",
        "cutline_job_seconds",
        "cutline_model_seconds",
        "cutline_batch_size",
        "cutline_websockets",
    ):
        assert f"# HELP {name}" in text


def test_metrics_are_for_whoever_has_the_token(client: Client, configure: Configure, db: None) -> None:
    configure(metrics_token="secret")
    for sent in ("", "Bearer wrong", "secret", "Basic secret", "Bearer", "Bearersecret", "Token secret"):
        answer = client.get("/metrics", headers={"Authorization": sent} if sent else {})
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), sent
        assert "CUTLINE_METRICS_TOKEN" in answer.json()["hint"]
        assert answer["WWW-Authenticate"].startswith("Bearer")
    for scheme in ("Bearer ", "bearer ", "BEARER   "):
        assert series(client, Authorization=f"{scheme}secret")


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What answers late answers: the machine is busy."""
    monkeypatch.setattr(health, "PATIENCE_S", ANSWERS_S)


# -- health ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_probes_answer_whatever_host_they_ask_for(client: Client, path: str, db: None) -> None:
    answer = client.get(path, headers={"Host": "10.1.2.3:8000"})
    assert answer.status_code in (200, 503)
    assert answer["Cache-Control"] == "no-store"
    assert not answer.cookies


def test_health_asks_no_database(client: Client) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}  # without the db fixture a query would raise


def test_probes_take_no_writes(client: Client) -> None:
    answer = client.post("/healthz")
    assert (answer.status_code, answer["Allow"]) == (405, "GET, HEAD")


def test_a_service_whose_dependencies_answer_is_ready(
    client: Client, transactional_db: None, patient: None
) -> None:
    answer = client.get("/readyz")
    assert answer.json()["checks"] == dict.fromkeys(health.CHECKS, "ok")
    assert (answer.status_code, answer.json()["status"]) == (200, "ready")


def test_readiness_names_what_failed_and_keeps_the_reason_for_the_log(
    client: Client,
    configure: Configure,
    caplog: pytest.LogCaptureFixture,
    transactional_db: None,
    patient: None,
) -> None:
    nowhere = "redis://:hunter2@127.0.0.1:9/0"
    configure(broker_url=nowhere, channel_layer_url=nowhere, cache_url=nowhere)
    answer = client.get("/readyz")
    checks = answer.json()["checks"]
    assert (answer.status_code, checks["queue"], checks["events"]) == (503, "failed", "failed")
    assert checks["database"] == "ok"
    assert "127.0.0.1" not in answer.content.decode()
    assert "Not ready: queue." in caplog.messages


def test_a_folder_that_cannot_be_made_is_not_ready(
    client: Client, configure: Configure, transactional_db: None
) -> None:
    configure(storage_url="file:///proc/cutline")
    assert client.get("/readyz").json()["checks"]["files"] == "failed"


def test_checks_of_readiness_run_once_for_all_who_ask_within_seconds(
    client: Client, monkeypatch: pytest.MonkeyPatch, transactional_db: None
) -> None:
    asked: list[str] = []

    def fails() -> None:
        asked.append("database")
        raise health.Unfit("It is away.")

    monkeypatch.setattr(health, "CHECKS", {"database": fails})
    answers = [client.get("/readyz") for _ in range(5)]
    assert {answer.status_code for answer in answers} == {503}
    assert len(asked) == 1


def test_those_who_ask_while_a_check_runs_wait_for_its_answer() -> None:
    now = [100.0]
    checks: list[str] = []
    begun, go_on = threading.Event(), threading.Event()

    def check() -> dict[str, bool]:
        checks.append("")
        begun.set()
        assert go_on.wait(ANSWERS_S)
        return {"database": len(checks) > 1}

    latest = health.Latest(check, clock=lambda: now[0])
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(latest.results) for _ in range(4)]
        assert begun.wait(ANSWERS_S)
        go_on.set()
        assert [answer.result(ANSWERS_S) for answer in answers] == [{"database": False}] * 4
    assert len(checks) == 1
    now[0] += health.FRESH_S
    assert latest.results() == {"database": True}


def test_probes_whose_answer_is_known_reach_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    reached: list[str] = []
    checked: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        reached.append(scope["path"])
        health.latest.results()

    async def ask(method: str, path: str) -> list[Any]:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        await probed({"method": method, "path": path}, receive, send)
        return sent

    def check() -> dict[str, bool]:
        checked.append("")
        return {"database": False}

    async def sleep(delay_s: float) -> None:
        waited.append(delay_s)

    waited: list[float] = []
    monkeypatch.setattr(health.asyncio, "sleep", sleep)
    monkeypatch.setattr(health, "Pace", partial(Pace, clock=lambda: 0.0))
    monkeypatch.setattr(health, "latest", health.Latest(check))
    probed = health.answer_known(app, network_of=lambda scope: "one")
    assert asyncio.run(ask("GET", "/readyz")) == []  # nothing is known yet: Django asks
    for _ in range(5):
        start, body = asyncio.run(ask("GET", "/readyz"))
        assert (start["status"], json.loads(body["body"])["checks"]) == (503, {"database": "failed"})
        assert (b"cache-control", b"no-store") in start["headers"]
    assert asyncio.run(ask("HEAD", "/healthz"))[1]["body"] == b""
    assert asyncio.run(ask("POST", "/readyz")) == []
    assert (reached, len(checked)) == (["/readyz", "/readyz"], 1)
    assert not waited
    for _ in range(300):
        asyncio.run(ask("GET", "/healthz"))
    assert waited[0] < 0.1
    assert waited[-1] == 0.5


def test_a_service_that_stops_is_not_ready(
    client: Client, monkeypatch: pytest.MonkeyPatch, transactional_db: None
) -> None:
    monkeypatch.setattr(health.stopping, "is_set", lambda: True)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (503, "stopping")
