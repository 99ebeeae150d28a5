"""Where the time of one upload goes, from its bytes to its caption: a trace by stage, with its statements.

    python -m benchmarks.upload [--photos 40] [--statements]

A laptop's service in this process: Django's client sends a photo to /api/v1/images, then this thread claims
the job and runs it, as a worker does. There are no head starts, so that each stage stands alone: in the
service, captioning runs beside the storing. A stage's time is its own, without the stages inside it. CPU time
is this thread's: it hardly depends on what else the machine does, but the captioner's own threads are only in
the wall time. All are medians over the photos.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import logging
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from typing import Any
from unittest.mock import patch

from benchmarks.service.pictures import variants

REST, RUN = "request: all else (Django, routing, session)", "job: all else"
STAGES = (
    ("request: verify, decode, make the master", "cutline.server.uploads.services", "examine"),
    ("request: look for the same picture", "cutline.server.uploads.services", "_again"),
    ("request: quota", "cutline.server.uploads.quota", "check"),
    ("request: write the file", "cutline.server.images.storage", "put"),
    ("request: image, job and event, one transaction", "cutline.server.uploads.services", "_create"),
    ("request: the answer's content", "cutline.server.images.show", "shown"),
    ("job: claim", "cutline.server.jobs.services", "claim"),
    ("job: read the master", "cutline.server.images.renditions", "read_master"),
    ("job: the captioner", "cutline.server.captioner", "write"),
    (
        "job: captions, version and event, one transaction",
        "cutline.server.captions.services",
        "save_candidates",
    ),
)


class Trace:
    """Times and statements of the stage that is running."""

    def __init__(self) -> None:
        self._open: list[str] = []
        self._since = (time.perf_counter(), time.thread_time())
        self.wall: dict[str, float] = defaultdict(float)
        self.cpu: dict[str, float] = defaultdict(float)
        self.statements: dict[str, list[str]] = defaultdict(list)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Everything within, but for stages within it, belongs to this one."""
        self._settle()
        self._open.append(name)
        try:
            yield
        finally:
            self._settle()
            self._open.pop()

    def _settle(self) -> None:
        now = (time.perf_counter(), time.thread_time())
        if self._open:
            self.wall[self._open[-1]] += now[0] - self._since[0]
            self.cpu[self._open[-1]] += now[1] - self._since[1]
        self._since = now

    def count(self, execute: Callable[..., Any], sql: str, *rest: Any) -> Any:
        """Count a statement. For connection.execute_wrapper."""
        if self._open:
            self.statements[self._open[-1]].append(sql)
        return execute(sql, *rest)


def _traced(trace: list[Trace], name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*arguments: Any, **words: Any) -> Any:
        with trace[-1].stage(name):
            return function(*arguments, **words)

    return call


def measure(count: int) -> list[Trace]:
    """A trace of each photo."""
    import django

    with tempfile.TemporaryDirectory(prefix="cutline-upload-") as folder, ExitStack() as stack:
        os.environ["CUTLINE_DATA_DIR"] = folder
        os.environ["DJANGO_SETTINGS_MODULE"] = "cutline.server.django_settings"
        django.setup()
        from django.core.files.uploadedfile import SimpleUploadedFile
        from django.core.management import call_command
        from django.db import connection
        from django.test import Client

        from cutline.server.captions import services as captions
        from cutline.server.images import renditions
        from cutline.server.jobs import services as jobs
        from cutline.server.jobs.context import Context

        logging.disable(logging.WARNING)
        call_command("migrate", verbosity=0)
        traces: list[Trace] = []
        stack.enter_context(patch.object(renditions, "render_later", lambda image_id: None))
        for name, module_name, function_name in STAGES:
            module = importlib.import_module(module_name)
            traced = _traced(traces, name, getattr(module, function_name))
            stack.enter_context(patch.object(module, function_name, traced))
        client = Client(headers={"host": "127.0.0.1:8000"})
        for photo in islice(variants(), count + 3):
            data = SimpleUploadedFile("photo.jpg", photo)
            trace = Trace()
            traces.append(trace)
            with connection.execute_wrapper(trace.count):
                with trace.stage(REST):
                    answer = client.post("/api/v1/images", {"files": data})
                assert answer.status_code < 300, answer.content
                with trace.stage(RUN):
                    job = jobs.claim()
                    assert job is not None
                    context = Context(job)
                    captions.run(job, context)
                    context.close()
        return traces[3:]  # the first ones load the model


def _rows(traces: list[Trace]) -> list[tuple[str, float, float, float]]:
    names = [REST, *(name for name, _, _ in STAGES if name.startswith("request")), RUN]
    names += [name for name, _, _ in STAGES if name.startswith("job")]
    return [
        (
            name,
            1000 * statistics.median(trace.wall[name] for trace in traces),
            1000 * statistics.median(trace.cpu[name] for trace in traces),
            statistics.median(len(trace.statements[name]) for trace in traces),
        )
        for name in names
    ]


def main() -> int:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--photos", type=int, default=40)
    parser.add_argument("--statements", action="store_true", help="also print those of the last photo")
    asked = parser.parse_args()
    traces = measure(asked.photos)
    rows = _rows(traces)
    print("| stage | ms | CPU ms | statements |\n| --- | ---: | ---: | ---: |")
    for name, wall, cpu, statements in rows:
        print(f"| {name} | {wall:.2f} | {cpu:.2f} | {statements:g} |")
    wall, cpu, statements = (sum(numbers) for numbers in list(zip(*rows, strict=True))[1:])
    print(f"| all of it | {wall:.2f} | {cpu:.2f} | {statements:g} |")
    for name, told in traces[-1].statements.items() if asked.statements else ():
        print(f"\n{name}", *told, sep="\n  ")
    return 0


if __name__ == "__main__":
    sys.exit(main())
