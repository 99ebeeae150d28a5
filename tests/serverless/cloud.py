"""A cloud in one small server: Lambda's runtime API, a bucket, and the service that is called back."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cutline.captioning.protocol import Caption, ModelInfo
from cutline.errors import ImageMissing
from cutline.images import open_image

KEY = "images/6f1c2b9e-7a39-4c1f-9d1f-0f6a6b1f2c3d/0123456789abcdef-master.jpg"


def s3_event(key: str = KEY, bucket: object = "photos", name: str = "ObjectCreated:Put") -> dict[str, Any]:
    """What S3 sends for a new object; key: as S3 writes it, with + for a space."""
    s3 = {"bucket": {"name": bucket}, "object": {"key": key, "size": 1234, "sequencer": "0055AED6DCD90281E5"}}
    return {"Records": [{"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": name, "s3": s3}]}


def sqs_event(**bodies: object) -> dict[str, Any]:
    """A batch of messages, by their ids."""
    return {
        "Records": [
            {
                "messageId": name,
                "eventSource": "aws:sqs",
                "body": body if isinstance(body, str) else json.dumps(body),
            }
            for name, body in bodies.items()
        ]
    }


@dataclass(slots=True)
class Cloud:
    """What it offers and what it was told."""

    url: str = ""
    objects: dict[str, bytes] = field(default_factory=dict)
    statuses: list[int] = field(default_factory=list)  # what the service answers next; then 204
    calls: list[tuple[Mapping[str, str], bytes]] = field(default_factory=list)
    asked: int = 0  # how often the function asked for an event
    events: queue.Queue[Any] = field(default_factory=queue.Queue)
    answers: queue.Queue[Any] = field(default_factory=queue.Queue)


@contextmanager
def a_cloud() -> Iterator[Cloud]:
    """Run one."""
    cloud = Cloud()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if self.path.endswith("/invocation/next"):
                cloud.asked += 1
                event = cloud.events.get()
                headers = {
                    "Lambda-Runtime-Aws-Request-Id": "request-1",
                    "Lambda-Runtime-Deadline-Ms": str(int(1000 * (time.time() + 900))),
                    "Content-Type": "application/json",
                    "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:x:1:function:f",
                }
                self._answer(200, json.dumps(event).encode(), headers)
            elif (data := cloud.objects.get(self.path)) is not None:
                self._answer(200, data)
            else:
                self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if "/runtime/" in self.path:
                cloud.answers.put((self.path.rsplit("/", 1)[1], json.loads(body or b"null")))
                self._answer(202)
                return
            cloud.calls.append(({name.lower(): value for name, value in self.headers.items()}, body))
            status = cloud.statuses.pop(0) if cloud.statuses else 204
            self._answer(status, headers={"Retry-After": "7"} if status == 503 else {"Location": "/other"})

        def _answer(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    cloud.url = f"http://127.0.0.1:{server.server_address[1]}"
    running = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    running.start()
    try:
        yield cloud
    finally:
        server.shutdown()
        server.server_close()


class Sentences:
    """A captioner that looks at no more than whether it is a photo."""

    name, version = "sentences", "1"

    def about(self) -> ModelInfo:
        """Its name."""
        return ModelInfo(name=self.name, version=self.version)

    def caption(self, images: Any, *, n: int = 1, options: object = None) -> list[list[Caption]]:
        """So many for each. Raises ImageError."""
        for image in images:
            open_image(image)
        return [[Caption(text=f"sentence {rank}", log_prob=-1.0 - rank) for rank in range(n)] for _ in images]


class Photos:
    """Photos in memory; what is not there was deleted."""

    def __init__(self, own: Callable[[Any], str | None], *, broken: bool = False) -> None:
        self.key_of = own
        self.broken = broken
        self.data: dict[str, bytes] = {}

    def read(self, key: str) -> bytes:
        """One of them."""
        if self.broken:
            raise OSError("the store is away")
        if key not in self.data:
            raise ImageMissing("gone")
        return self.data[key]
