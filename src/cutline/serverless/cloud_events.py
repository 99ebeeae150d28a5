"""Over HTTP: CloudEvents 1.0 in binary and in structured mode, as Knative, Cloud Run and Azure send them.

POST anywhere: 204 when it is done; 400 for what is no event, which nobody should send again; 503 for what may
be done later. Notifications without an envelope, as S3 stores of one's own post them, are taken too.
GET /healthz: 200. OPTIONS: Azure's question whether events may be sent here.
"""

from __future__ import annotations

import base64
import logging
import signal
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cutline.serverless.events import NoEvent, objects_of, parsed
from cutline.serverless.function import Function

MOST_BYTES = 2**20  # of an event: it names a photo, and does not hold it
_STRUCTURED = "application/cloudevents+json"
_NEEDED = ("specversion", "id", "source", "type")
_AT_ONCE = 4
_PATIENCE_S = 20.0  # for a place among them
_SILENCE_S = 30.0

logger = logging.getLogger(__name__)


def data_of(headers: Mapping[str, str], body: bytes) -> object:
    """The data of a CloudEvent. headers: their names in lower case. Raises NoEvent."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == _STRUCTURED:
        event = parsed(body)
        if not isinstance(event, dict):
            raise NoEvent("The event is no object with names.")
        _check({name: event.get(name) for name in _NEEDED})
        if "data_base64" in event:
            return parsed(_decoded(event["data_base64"]))
        return event.get("data", {})
    if any(name.startswith("ce-") for name in headers):
        _check({name: headers.get(f"ce-{name}") for name in _NEEDED})
    return parsed(body) if body else {}


def _check(attributes: Mapping[str, Any]) -> None:
    if missing := [name for name, value in attributes.items() if not (isinstance(value, str) and value)]:
        raise NoEvent(f"This is no CloudEvent: it lacks {', '.join(missing)}.")
    if not attributes["specversion"].startswith("1."):
        raise NoEvent("Only CloudEvents 1.0 are understood.")


def _decoded(text: object) -> bytes:
    try:
        return base64.b64decode(text, validate=True)  # type: ignore[arg-type]  # TypeError says so
    except (TypeError, ValueError) as error:
        raise NoEvent("data_base64 is no base64.") from error


class Server(ThreadingHTTPServer):
    """Takes events, a few at once; the others wait."""

    daemon_threads = False  # a request that has begun is answered, also at shutdown
    block_on_close = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], function: Function) -> None:
        super().__init__(address, _Request)
        self.function = function
        self.places = threading.BoundedSemaphore(_AT_ONCE)


class _Request(BaseHTTPRequestHandler):
    server: Server
    timeout = _SILENCE_S
    server_version, sys_version = "Cutline", ""

    def do_GET(self) -> None:  # as http.server wants it
        self._answer(200 if self.path == "/healthz" else 404)

    def do_OPTIONS(self) -> None:
        origin = self.headers.get("WebHook-Request-Origin", "")
        asked = {"WebHook-Allowed-Origin": origin, "WebHook-Allowed-Rate": "*"} if origin else {}
        self._answer(200, {"Allow": "GET, POST, OPTIONS", **asked})

    def do_POST(self) -> None:
        declared = self.headers.get("Content-Length", "")
        if not declared.isdecimal():
            self._answer(411)
        elif int(declared) > MOST_BYTES:
            self._answer(413)
        else:
            self._answer(self._done(self.rfile.read(int(declared))))

    def _done(self, body: bytes) -> int:
        """Do what an event asks for, and give the status that tells of it."""
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            found = objects_of(data_of(headers, body))
        except NoEvent as error:
            logger.warning("Refused: %s", error)
            return 400
        if not self.server.places.acquire(timeout=_PATIENCE_S):
            return 503
        try:
            for each in found:
                self.server.function.caption(each)
        except Exception:  # whatever it is: the event comes again
            logger.exception("An event could not be done.")
            return 503
        finally:
            self.server.places.release()
        return 204

    def _answer(self, status: int, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *words: Any) -> None:
        """Leave requests to the platform's own log: keys of photos stand in none."""


def serve(function: Function, port: int) -> None:
    """Take events until SIGTERM; what has begun is finished."""
    with Server(("", port), function) as server:
        stop = threading.Thread(target=server.shutdown)
        signal.signal(signal.SIGTERM, lambda *_: stop.start())
        server.serve_forever(poll_interval=0.1)
