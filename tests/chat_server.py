"""A real HTTP server on this machine that speaks the chat completions protocol, streamed or not."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, dict[str, str], bytes | Iterable[bytes]]  # in pieces: sent as they come


def said(*texts: str | None) -> bytes:
    """The body of a whole answer."""
    return json.dumps({"choices": [{"message": {"content": text}} for text in texts]}).encode()


def streamed(*pieces: str, end: bool = True) -> Answer:
    """An answer in pieces, as server-sent events; without its end where it breaks off."""
    return 200, {"Content-Type": "text/event-stream"}, _events(pieces) + (_END if end else b"")


_END = b"data: [DONE]\n\n"


def _events(pieces: Iterable[str]) -> bytes:
    events = ({"choices": [{"delta": {"content": piece}, "finish_reason": None}]} for piece in pieces)
    return "".join(f"data: {json.dumps(event)}\n\n" for event in events).encode()


def in_words(text: str) -> Answer:
    """A text, streamed word by word."""
    return streamed(*(f"{word} " for word in text.split(" ")))


def paused(text: str, gate: threading.Event, *, after_words: int) -> Answer:
    """A text, of which the first words are streamed at once, and the others when the gate opens."""
    words = [f"{word} " for word in text.split(" ")]

    def pieces() -> Iterator[bytes]:
        yield _events(words[:after_words])
        gate.wait()
        yield _events(words[after_words:]) + _END

    return 200, {"Content-Type": "text/event-stream"}, pieces()


@dataclass
class ChatServer:
    """What the server was asked, and how it shall answer: by the number of the request, and the request."""

    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    answer: Callable[[int, dict[str, Any]], Answer] = lambda _count, _request: (200, {}, said("A red wall."))


@contextlib.contextmanager
def chat_server() -> Iterator[ChatServer]:
    """A server that listens until the end of the block."""
    state = ChatServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            state.requests.append({"path": self.path, **request})
            state.headers.append(dict(self.headers))
            status, headers, body = state.answer(len(state.requests), request)
            self.send_response(status)
            length = {"Content-Length": str(len(body))} if isinstance(body, bytes) else {}
            for name, value in {**length, **headers}.items():
                self.send_header(name, value)
            with contextlib.suppress(ConnectionError):  # the caller may have given up
                self.end_headers()
                for piece in [body] if isinstance(body, bytes) else body:
                    self.wfile.write(piece)

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        state.url = f"http://127.0.0.1:{listening.server_port}/v1"
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        listening.shutdown()
        thread.join()
