"""A web server of somebody else: takes webhooks, and offers photos."""

from __future__ import annotations

import contextlib
import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.server.services.process import ANSWERS_S, wait_until


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A POST that came."""

    path: str
    headers: dict[str, str]  # names in lower case
    body: bytes
    status: int  # what it was answered


def chat_answer(text: str) -> bytes:
    """What an OpenAI-compatible endpoint answers that describes a photo so."""
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode()


class Receiver:
    """HTTP on 127.0.0.1, in threads of this process."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.files: dict[str, tuple[bytes, str]] = {}  # path -> content, content type
        self.redirects: dict[str, str] = {}  # path -> where to
        self.answers: dict[str, bytes] = {}  # path -> what a POST is answered, with the status 200
        self.gates: dict[str, threading.Event] = {}  # path -> what a POST waits for
        self.failures: dict[str, int] = {}  # path -> how many calls are still answered 500
        self._lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                status = receiver._take(self.path, headers, body)
                if gate := receiver.gates.get(self.path):
                    gate.wait()
                answer = receiver.answers.get(self.path, b"")
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # they were killed meanwhile
                    self.send_response(status)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(answer)))
                    self.end_headers()
                    self.wfile.write(answer)

            def do_GET(self) -> None:
                if target := receiver.redirects.get(self.path):
                    self.send_response(302)
                    self.send_header("Location", target)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                content, kind = receiver.files.get(self.path, (b"", ""))
                self.send_response(200 if kind else 404)
                self.send_header("Content-Type", kind or "text/plain")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> None:
        """Listen."""
        self._thread.start()

    def stop(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def forget(self) -> None:
        """Let go whoever waits, and answer each path as at first; what came, and the files, stay."""
        for gate in list(self.gates.values()):
            gate.set()
        for rules in (self.redirects, self.answers, self.gates, self.failures):
            rules.clear()

    def offer(self, path: str, content: bytes, content_type: str = "image/jpeg") -> str:
        """Offer a file; its URL."""
        self.files[path] = (content, content_type)
        return self.url + path

    def at(self, path: str) -> list[Call]:
        """What has come to a path so far."""
        with self._lock:
            return [call for call in self.calls if call.path == path]

    def wait_for(self, path: str, *, count: int = 1, timeout_s: float = ANSWERS_S) -> list[Call]:
        """Wait until so many calls came. Raises TimeoutError."""
        wait_until(lambda: len(self.at(path)) >= count, timeout_s=timeout_s, what=f"{count} calls of {path}")
        return self.at(path)

    def _take(self, path: str, headers: dict[str, str], body: bytes) -> int:
        with self._lock:
            left = self.failures.get(path, 0)
            self.failures[path] = max(0, left - 1)
            status = 500 if left else 200 if path in self.answers else 204
            self.calls.append(Call(path=path, headers=headers, body=body, status=status))
            return status
