"""OpenAI-compatible chat endpoints: the one client for captioners and language models behind HTTP.

Ollama, vLLM, LM Studio, llama.cpp's server and most vendors speak this protocol. Nothing here knows of
photos.
"""

from __future__ import annotations

import json
import os
import random
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urldefrag, urlsplit

from cutline.errors import CaptionerUnavailable, ConfigError

KEY_VARIABLES = ("CUTLINE_OPENAI_API_KEY", "OPENAI_API_KEY")
KEY_FILE_VARIABLE = "CUTLINE_OPENAI_API_KEY_FILE"
MAX_ANSWER_BYTES = 4 * 2**20
_READ_BYTES = 2**16
_RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
_REFUSED = {
    401: "it does not accept the API key",
    403: "the API key may not use this model",
    404: "it has no such address or model",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long, and how often, to try. timeout_s: without a byte; deadline_s: for a whole streamed answer."""

    timeout_s: float = 60.0
    tries: int = 4
    first_wait_s: float = 0.5
    max_wait_s: float = 20.0
    deadline_s: float = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatEndpoint:
    """Where a chat model answers. ``base_url`` is what comes before ``/chat/completions``.

    Raises CaptionerUnavailable where base_url and model name no endpoint, and, when asked, with the reason
    where it cannot be reached, refuses, or answers in another form. Redirects are not followed: they could
    hand the key to another host.
    """

    base_url: str
    model: str
    api_key: str | None = field(default=None, repr=False)
    patience: Patience = Patience()

    def __post_init__(self) -> None:
        parts = urlsplit(self.base_url)
        if "@" in parts.netloc or parts.query:
            raise CaptionerUnavailable(
                "The address of an endpoint has no user, key or query in it.",
                hint=f"Give the key in {KEY_VARIABLES[0]}, or in the file that {KEY_FILE_VARIABLE} names.",
            )
        if parts.scheme not in ("http", "https") or not parts.netloc or not self.model:
            raise CaptionerUnavailable(
                f"{self.base_url}#{self.model} does not name an endpoint and a model.",
                hint="Write openai:https://HOST/v1#MODEL.",
            )

    @classmethod
    def from_place(cls, place: str, *, patience: Patience | None = None) -> ChatEndpoint:
        """An endpoint from BASE_URL#MODEL, and the key from the environment. Raises ConfigError."""
        base_url, model = urldefrag(place)
        return cls(base_url=base_url, model=model, api_key=find_api_key(), patience=patience or Patience())

    @property
    def url(self) -> str:
        return self.base_url.rstrip("/") + "/chat/completions"

    def post(self, body: Mapping[str, Any]) -> object:
        """Ask for a whole answer, and ask again where that may help. Returns the parsed JSON."""
        deadline = self._deadline()
        with closing(self._open({"model": self.model, **body})) as answer:
            return self._whole(answer, deadline)

    def stream(self, body: Mapping[str, Any]) -> Generator[str, None, None]:
        """Ask for an answer and yield its pieces as they come. Tries again only before the first piece.

        A server that does not stream gives one piece. A stream that ends without its end mark raises.
        """
        deadline = self._deadline()
        with closing(self._open({"model": self.model, **body, "stream": True})) as answer:
            if "text/event-stream" in (answer.headers.get("Content-Type") or ""):
                yield from self._pieces(answer, deadline)
            else:
                yield from contents(self._whole(answer, deadline), self.url)[:1]

    def _deadline(self) -> float:
        return time.monotonic() + self.patience.deadline_s

    def _whole(self, answer: HTTPResponse, deadline: float) -> object:
        return _json(b"".join(self._bytes(answer, deadline)), self.url)

    def _bytes(self, answer: HTTPResponse, deadline: float) -> Iterator[bytes]:
        """An answer as it comes, as long as it is neither too long nor too slow."""
        seen = 0
        try:
            while data := answer.read1(_READ_BYTES):
                seen += len(data)
                if seen > MAX_ANSWER_BYTES:
                    raise CaptionerUnavailable(
                        f"{self.url} answered with more than {MAX_ANSWER_BYTES:,} bytes."
                    )
                if time.monotonic() > deadline:
                    raise CaptionerUnavailable(
                        f"{self.url} was still answering after {self.patience.deadline_s:.0f} s."
                    )
                yield data
        except (OSError, HTTPException) as error:
            raise self._broken(error) from error

    def _pieces(self, answer: HTTPResponse, deadline: float) -> Iterator[str]:
        finished = False
        for line in _lines(self._bytes(answer, deadline)):
            if not line.startswith(b"data:"):
                continue
            data = line.removeprefix(b"data:").strip()
            if data == b"[DONE]":
                return
            piece, ended = delta(_json(data, self.url), self.url)
            finished = finished or ended
            if piece:
                yield piece
        if not finished:
            raise CaptionerUnavailable(
                f"{self.url} closed the connection before its answer was complete.", hint="Try again."
            )

    def _open(self, body: Mapping[str, Any]) -> HTTPResponse:
        headers = {"Content-Type": "application/json", "User-Agent": "cutline"}
        if self.api_key:
            headers["Authorization"] = f"Bearer {self.api_key}"
        request = urllib.request.Request(self.url, json.dumps(body).encode(), headers)
        failure = _Failure(reason="", wait_s=None)
        for attempt in range(self.patience.tries):
            if attempt:
                time.sleep(self._wait_s(attempt, failure))
            try:
                opened: HTTPResponse = _OPENER.open(request, timeout=self.patience.timeout_s)
                return opened
            except urllib.error.HTTPError as error:
                failure = _failure(error)
                if error.code not in _RETRIED:
                    raise CaptionerUnavailable(f"{self.url} refused: {failure.reason}.") from error
            except (OSError, HTTPException) as error:
                failure = _Failure(reason=str(error) or type(error).__name__, wait_s=None)
        raise CaptionerUnavailable(
            f"{self.url} did not answer in {self.patience.tries} tries: {failure.reason}.",
            hint="Check the address, or try later.",
        )

    def _wait_s(self, attempt: int, failure: _Failure) -> float:
        """Until the next try. Raises CaptionerUnavailable where the server asks to wait for too long."""
        if failure.wait_s is None:
            return _grown_wait_s(self.patience, attempt)
        if failure.wait_s > self.patience.max_wait_s:
            raise CaptionerUnavailable(
                f"{self.url} is busy, and asks to wait {failure.wait_s:,.0f} s: {failure.reason}.",
                hint="Try later.",
            )
        return failure.wait_s

    def _broken(self, error: Exception) -> CaptionerUnavailable:
        reason = str(error) or type(error).__name__
        return CaptionerUnavailable(
            f"{self.url} closed the connection before its answer was complete: {reason}.", hint="Try again."
        )


def _lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    rest = b""
    for block in blocks:
        *whole, rest = (rest + block).split(b"\n")
        yield from whole
    yield rest


def find_api_key() -> str | None:
    """The key for endpoints: from a variable, or from the file that CUTLINE_OPENAI_API_KEY_FILE names.

    Raises ConfigError where that file cannot be read.
    """
    key = next((os.environ[name] for name in KEY_VARIABLES if os.environ.get(name)), None)
    path = os.environ.get(KEY_FILE_VARIABLE)
    if key or not path:
        return key
    try:
        return Path(path).read_text(encoding="utf-8").strip() or None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"The key file {path} cannot be read: {error}.", hint=f"Correct or unset {KEY_FILE_VARIABLE}."
        ) from error


def contents(answer: Any, url: str) -> list[str]:
    """The texts of an answer's choices.

    Raises CaptionerUnavailable where it has another form, or the server says that its model refused.
    """
    try:
        return [_content(choice, url) for choice in answer["choices"]]
    except (LookupError, TypeError, AttributeError) as error:
        raise _other_form(url) from error


def _content(choice: Any, url: str) -> str:
    message = choice["message"]
    text = _text_of(message.get("content"))
    if text and choice.get("finish_reason") != "content_filter":
        return text
    refusal = message.get("refusal") or _text_of(message.get("content"), "refusal")
    if refusal:
        raise CaptionerUnavailable(f"{url} refused: {str(refusal).rstrip('.'):.300}.")
    if choice.get("finish_reason") == "content_filter":
        raise CaptionerUnavailable(f"{url} refused: its content filter withheld the answer.")
    thought = any(message.get(name) for name in _THOUGHTS)
    if text is None and not thought and choice.get("finish_reason") != "length":
        raise _other_form(url)
    return text or ""


_THOUGHTS = ("reasoning_content", "reasoning", "thinking")


def _text_of(content: Any, kind: str = "text") -> str | None:
    """The text of an answer, which may come in parts, of which some are thoughts; None where it has none."""
    if content is None or isinstance(content, str):
        return content if kind == "text" else None
    parts = [content] if isinstance(content, dict) else content
    texts = [part if isinstance(part, str) else part.get(kind) for part in parts if not _is_thought(part)]
    return "".join(text for text in texts if isinstance(text, str))


def _is_thought(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") in _THOUGHTS


# -- the protocol --------------------------------------------------------------------------------------------


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """Make a redirect an error: following it could hand the key to another host."""

    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(NoRedirects)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failure:
    reason: str
    wait_s: float | None


def _failure(error: urllib.error.HTTPError) -> _Failure:
    """What a refusal says of itself."""
    with error:
        try:
            message = json.loads(error.read(MAX_ANSWER_BYTES))["error"]["message"]
        except (ValueError, LookupError, TypeError, OSError):
            message = error.reason
    known = f"{_REFUSED[error.code]}, " if error.code in _REFUSED else ""
    return _Failure(
        reason=f"{known}HTTP {error.code}: {message!s:.300}".rstrip("."),
        wait_s=asked_wait_s(error.headers.get("Retry-After", "").strip()),
    )


def asked_wait_s(told: str) -> float | None:
    """How long a server asks to wait (RFC 9110: in seconds, or until a date); None where it does not say."""
    if told.isascii() and told.isdigit():
        return float(told)
    try:
        return max(0.0, parsedate_to_datetime(told).timestamp() - time.time())
    except ValueError:
        return None


def _grown_wait_s(patience: Patience, attempt: int) -> float:
    """Twice as long each time; a little at random, lest all come back at once."""
    grown: float = patience.first_wait_s * 2 ** (attempt - 1) * random.uniform(0.75, 1.25)
    return min(patience.max_wait_s, grown)


def delta(answer: Any, url: str) -> tuple[str, bool]:
    """A piece of a streamed answer, and whether it is the last. Raises CaptionerUnavailable."""
    if isinstance(answer, dict) and "choices" not in answer and ("error" in answer or "message" in answer):
        raise CaptionerUnavailable(f"{url} gave up: {_message(answer):.300}.")
    try:
        if not answer["choices"]:  # usage figures at the end
            return "", False
        choice = answer["choices"][0]
        said = choice.get("delta", {})
        piece = _text_of(said.get("content")) or said.get("refusal") or ""
    except (LookupError, TypeError, AttributeError) as error:
        raise _other_form(url) from error
    if not isinstance(piece, str):
        raise _other_form(url)
    return piece, choice.get("finish_reason") is not None


def _message(answer: Mapping[str, Any]) -> str:
    """What an error says, in the two forms that servers send."""
    error = answer.get("error", answer)
    return str(error.get("message", error) if isinstance(error, dict) else error).rstrip(".")


def _json(data: bytes, url: str) -> object:
    try:
        return json.loads(data)
    except ValueError as error:
        raise CaptionerUnavailable(f"{url} answered something other than JSON: {data[:80]!r}.") from error


def _other_form(url: str) -> CaptionerUnavailable:
    return CaptionerUnavailable(f"{url} answered in another form than chat completions have.")
