"""/healthz: the process answers. /readyz: so does everything it needs. /metrics: for Prometheus."""

from __future__ import annotations

import asyncio
import hmac
import logging
import math
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from django.core.cache import cache
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from kombu import Connection
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from cutline.server import captioner
from cutline.server.api.asgi_types import App, Receive, Scope, Send
from cutline.server.api.problems import problem
from cutline.server.config import settings
from cutline.server.errors import Unauthenticated
from cutline.server.images.stores import Folder, store
from cutline.server.shares import Pace

logger = logging.getLogger(__name__)

PATIENCE_S = 4
FRESH_S = 3.0  # for so long an answer is given again: whoever asks more often learns no more
_PROBES_PER_S, _PROBES_AT_ONCE = 50, 200  # of one network
_LONGEST_WAIT_S = 0.5  # a probe gives up after a second
LEAST_FREE_BYTES = 64 * 2**20

stopping = threading.Event()  # set at shutdown: no longer ready, so that no new work is sent here


class Unfit(Exception):
    """A dependency answers, but not well enough."""


class Probes:
    """Answers the three paths before anything that wants a host name, a session or a database."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer a probe, or pass the request on."""
        probe = _PROBES.get(request.path_info)
        if probe is None:
            return self._get_response(request)
        if request.method not in ("GET", "HEAD"):
            return HttpResponse(status=405, headers={"Allow": "GET, HEAD"})
        response = probe(request)
        response["Cache-Control"] = "no-store"
        return response


def health(request: HttpRequest) -> HttpResponse:
    """The process is alive; nothing else is asked."""
    return JsonResponse({"status": "ok"})


def readiness(request: HttpRequest) -> HttpResponse:
    """Say whether every dependency answers; 503 where one fails. Says which, and why only in the log."""
    return _told(latest.results())


def _told(results: Mapping[str, bool]) -> HttpResponse:
    ready = not stopping.is_set() and all(results.values())
    told: dict[str, object] = {
        "status": "ready" if ready else "stopping" if stopping.is_set() else "not ready",
        "checks": {name: "ok" if good else "failed" for name, good in results.items()},
    }
    if latest_models:
        told["models"] = latest_models
    return JsonResponse(told, status=200 if ready else 503)


latest_models: list[dict[str, str]] = []
"""What the checks found last: answers come without a look at the cache."""


def _look_at_models() -> None:
    latest_models[:] = [_model(status) for status in captioner.followed()]


def _model(status: captioner.Status) -> dict[str, str]:
    """A model that follows an alias. One that was refused makes nothing unready: the one before serves on."""
    told = {"id": status.model, "label": status.label, "version": status.version[:12], "state": status.state}
    return told | ({"refused": status.refused[:12]} if status.refused else {})


def check_all() -> dict[str, bool]:
    """Give {dependency: whether it is fit}; one that takes longer than PATIENCE_S is not."""
    pool = ThreadPoolExecutor(len(CHECKS) + 1, thread_name_prefix="readiness")
    asked = {pool.submit(_passes, name, check): name for name, check in CHECKS.items()}
    everything: list[Future[Any]] = [*asked, pool.submit(_look_at_models)]
    done, _ = wait(everything, timeout=PATIENCE_S)
    pool.shutdown(wait=False, cancel_futures=True)
    return {name: future in done and future.result() for future, name in asked.items()}


class Latest:
    """The last results, good or bad: all who ask within FRESH_S get them; who asks meanwhile waits for them.

    So the checks run once at a time, and once in FRESH_S at most, however many ask.
    """

    def __init__(
        self, check: Callable[[], dict[str, bool]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._check = check
        self._clock = clock
        self._lock = threading.Lock()
        self._found: dict[str, bool] = {}
        self._until = -math.inf

    def results(self) -> dict[str, bool]:
        """Give {dependency: whether it is fit}, as of now or a moment ago."""
        with self._lock:
            if self._clock() >= self._until:
                self._found = self._check()
                self._until = self._clock() + FRESH_S
            return self._found

    def fresh(self) -> dict[str, bool] | None:
        """The results that are still given again, without waiting for anybody; None where there are none."""
        return self._found if self._clock() < self._until else None

    def forget(self) -> None:
        """Discard the results: the next call checks again. For tests."""
        self._until = -math.inf


latest = Latest(check_all)


def _passes(name: str, check: Callable[[], None]) -> bool:
    try:
        check()
    except Exception as error:  # whatever a driver raises: the answer is no, the reason is in the log
        logger.warning("Not ready: %s.", name, extra={"error": repr(error)})
        return False
    else:
        return True
    finally:
        connection.close()


def _database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise Unfit("Migrations are missing: cutline manage migrate.")


def _cache() -> None:
    cache.set("ready", os.getpid(), timeout=60)


def _queue() -> None:
    with Connection(settings().celery_broker_url, connect_timeout=PATIENCE_S) as broker:
        broker.ensure_connection(max_retries=1, interval_start=0, timeout=PATIENCE_S)


def _channel_layer() -> None:
    url = settings().channel_layer_url
    if url.startswith("memory:"):
        return
    import redis

    with redis.Redis.from_url(url, socket_timeout=PATIENCE_S, socket_connect_timeout=PATIENCE_S) as client:
        client.ping()


def _files() -> None:
    files = store()
    if not isinstance(files, Folder):
        files.exists("ready")  # asks the bucket; whether the key is there does not matter
        return
    folder = Path(files.location)
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise Unfit("The folder cannot be written to.")
    if shutil.disk_usage(folder).free < LEAST_FREE_BYTES:
        raise Unfit("The disk is full.")


CHECKS: Mapping[str, Callable[[], None]] = {
    "database": _database,
    "cache": _cache,
    "queue": _queue,
    "events": _channel_layer,
    "files": _files,
}


def answer_known(app: App, *, network_of: Callable[[Scope], str]) -> App:
    """Wrap an ASGI application: probes whose answer is known cost no thread, however many ask.

    A network that asks far oftener than whoever watches a service waits for each answer.
    """
    pace = Pace(_PROBES_PER_S, at_once=_PROBES_AT_ONCE)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        response = _known(scope)
        if response is None:
            await app(scope, receive, send)
            return
        if wait_s := pace.wait_s(network_of(scope)):
            await asyncio.sleep(min(wait_s, _LONGEST_WAIT_S))
        response["Cache-Control"] = "no-store"
        response["Content-Length"] = str(len(response.content))
        headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in response.items()]
        body = response.content if scope["method"] == "GET" else b""
        await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return answer


def _known(scope: Scope) -> HttpResponse | None:
    if scope["method"] not in ("GET", "HEAD"):
        return None
    if scope["path"] == "/healthz":
        return JsonResponse({"status": "ok"})
    results = latest.fresh() if scope["path"] == "/readyz" else None
    return None if results is None else _told(results)


def metrics(request: HttpRequest) -> HttpResponse:
    """Every series of this process, for whoever has the token."""
    token = settings().metrics_token.get_secret_value()
    scheme, _, offered = request.headers.get("Authorization", "").strip().partition(" ")
    is_known = hmac.compare_digest(token.encode(), offered.strip().encode()) and scheme.lower() == "bearer"
    if token and not is_known:
        return problem(
            request,
            Unauthenticated(
                "The metrics are for whoever has their token.",
                hint="Send it as `Authorization: Bearer`, followed by the value of CUTLINE_METRICS_TOKEN.",
            ),
        )
    return HttpResponse(generate_latest(REGISTRY), content_type=CONTENT_TYPE_LATEST)


class QueueCollector(Collector):
    """How much waits, counted in the database when somebody asks."""

    def describe(self) -> list[GaugeMetricFamily]:
        """Nothing is counted when the collector is registered."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Give the depth of the queue of jobs, by kind, priority and state, and the age of the oldest."""
        try:
            series = list(self._series())
        finally:
            # A worker's metrics are asked for in threads that end: the pool would never see it again.
            if not connection.in_atomic_block:
                connection.close()
        yield from series

    def _series(self) -> Iterator[GaugeMetricFamily]:
        from django.db.models import Count, Min
        from django.utils import timezone

        from cutline.server.jobs.models import Job, JobKind, JobState, Priority

        waiting = (JobState.QUEUED, JobState.RUNNING)
        depth = GaugeMetricFamily(
            "cutline_queue_depth", "Jobs that have not ended.", labels=["kind", "priority", "state"]
        )
        counts = {
            (row["kind"], row["priority"], row["state"]): row["jobs"]
            for row in Job.objects.filter(state__in=waiting)
            .order_by()
            .values("kind", "priority", "state")
            .annotate(jobs=Count("id"))
        }
        for kind in JobKind:
            for priority in Priority:
                for state in waiting:
                    depth.add_metric(
                        [kind.value, priority.name.lower(), state.value],
                        counts.get((kind.value, priority.value, state.value), 0),
                    )
        yield depth
        oldest = Job.objects.filter(state=JobState.QUEUED).aggregate(at=Min("created_at"))["at"]
        yield GaugeMetricFamily(
            "cutline_queue_oldest_seconds",
            "Age of the oldest job that no worker has started.",
            value=(timezone.now() - oldest).total_seconds() if oldest else 0,
        )


REGISTRY.register(QueueCollector())

_PROBES: Mapping[str, Callable[[HttpRequest], HttpResponse]] = {
    "/healthz": health,
    "/readyz": readiness,
    "/metrics": metrics,
}
