"""Any OpenAI-compatible endpoint that sees, as a captioner: ``cutline.load("openai:BASE_URL#MODEL")``."""

from __future__ import annotations

import base64
import io
import json
import math
import os
import random
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException
from typing import TYPE_CHECKING, Any
from urllib.parse import urldefrag, urlsplit

from cutline.captioning.options import DecodingOptions, Strategy
from cutline.captioning.protocol import Caption, as_list
from cutline.errors import CaptionerUnavailable, OptionError
from cutline.images import Source, open_image

if TYPE_CHECKING:
    from cutline.captioning.protocol import Sources

KEY_VARIABLES = ("CUTLINE_OPENAI_API_KEY", "OPENAI_API_KEY")
PROMPT = (
    "Describe this photo in one plain sentence of at most 20 words, as a newspaper's picture caption. "
    "Say only what can be seen. Answer with the sentence alone."
)
_RETRIED = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
_REFUSED = {
    401: "it does not accept the API key",
    403: "the API key may not use this model",
    404: "it has no such address or model",
}
_MAX_ANSWER_BYTES = 4 * 2**20
_UNSUPPORTED = (
    "beam_size",
    "length_penalty",
    "min_length",
    "no_repeat_ngram",
    "no_repeat_words",
    "top_k",
    "prefix",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long, and how often, to try."""

    timeout_s: float = 60.0
    tries: int = 4
    first_wait_s: float = 0.5
    max_wait_s: float = 20.0


class EndpointCaptioner:
    """A vision model behind HTTP. Photos are sent to it: scaled down, without metadata.

    ``base_url`` is what comes before ``/chat/completions``. Raises CaptionerUnavailable with the reason when
    it cannot be reached, refuses, or answers nonsense. Log-probabilities are nan: not every server gives any.
    """

    version = "remote"

    def __init__(
        self,
        base_url: str,
        model: str,
        *,
        api_key: str | None = None,
        patience: Patience | None = None,
        max_side_px: int = 1024,
        concurrency: int = 4,
    ) -> None:
        if urlsplit(base_url).scheme not in ("http", "https") or not urlsplit(base_url).netloc or not model:
            raise CaptionerUnavailable(
                f"{base_url}#{model} names no endpoint and model.",
                hint="Write openai:https://HOST/v1#MODEL.",
            )
        self.name = model
        self._url = base_url.rstrip("/") + "/chat/completions"
        self._key = api_key
        self._patience = patience or Patience()
        self._max_side_px = max_side_px
        self._concurrency = concurrency

    @classmethod
    def from_place(cls, place: str) -> EndpointCaptioner:
        """Make one of BASE_URL#MODEL and the key in the environment."""
        base_url, model = urldefrag(place)
        key = next((os.environ[name] for name in KEY_VARIABLES if os.environ.get(name)), None)
        return cls(base_url, model, api_key=key)

    def caption(
        self, images: Sources, *, n: int = 1, options: DecodingOptions | None = None
    ) -> list[list[Caption]]:
        """As Captioner. Temperature, top_p, seed and max_length are passed on; other options are refused."""
        settings = _settings(options or DecodingOptions(), n)
        sources = as_list(images)
        with ThreadPoolExecutor(max(1, min(self._concurrency, len(sources)))) as pool:
            return list(pool.map(lambda source: self._one(source, settings, n), sources))

    def _one(self, source: Source, settings: Mapping[str, Any], n: int) -> list[Caption]:
        content = [
            {"type": "text", "text": PROMPT},
            {"type": "image_url", "image_url": {"url": self._data_url(source)}},
        ]
        request = {"model": self.name, "messages": [{"role": "user", "content": content}], **settings}
        texts: list[str] = []
        while len(texts) < n:  # many servers give one answer however many are asked for
            again = {"n": n - len(texts)}
            if "seed" in settings:
                again["seed"] = settings["seed"] + len(texts)
            texts.extend(_texts(self._post(request | again), self._url))
        return [Caption(text=text, log_prob=math.nan, words=tuple(text.split())) for text in texts[:n]]

    def _data_url(self, source: Source) -> str:
        image = open_image(source, enough_px=self._max_side_px)
        image.thumbnail((self._max_side_px, self._max_side_px))
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=90)
        return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()

    def _post(self, body: Mapping[str, Any]) -> object:
        """Ask, and ask again where that may help."""
        headers = {"Content-Type": "application/json", "User-Agent": "cutline"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        request = urllib.request.Request(self._url, json.dumps(body).encode(), headers)
        trouble = _Trouble(reason="", wait_s=None)
        for attempt in range(self._patience.tries):
            if attempt:
                time.sleep(_wait_s(self._patience, attempt, trouble.wait_s))
            try:
                with _OPENER.open(request, timeout=self._patience.timeout_s) as answer:
                    return _json(answer.read(_MAX_ANSWER_BYTES + 1), self._url)
            except urllib.error.HTTPError as error:
                trouble = _told(error)
                if error.code not in _RETRIED:
                    raise CaptionerUnavailable(f"{self._url} refused: {trouble.reason}.") from error
            except (OSError, HTTPException) as error:
                trouble = _Trouble(reason=str(error) or type(error).__name__, wait_s=None)
        raise CaptionerUnavailable(
            f"{self._url} did not answer in {self._patience.tries} tries: {trouble.reason}.",
            hint="Check the address, or try later.",
        )


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Let a redirect be an error: following it could hand the key to another host."""

    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirects)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trouble:
    reason: str
    wait_s: float | None


def _told(error: urllib.error.HTTPError) -> _Trouble:
    """Read what a refusal says of itself."""
    with error:
        try:
            said = json.loads(error.read(_MAX_ANSWER_BYTES))["error"]["message"]
        except (ValueError, LookupError, TypeError, OSError):
            said = error.reason
    known = f"{_REFUSED[error.code]}, " if error.code in _REFUSED else ""
    wait = error.headers.get("Retry-After", "")
    return _Trouble(
        reason=f"{known}HTTP {error.code}: {said!s:.300}".rstrip("."),
        wait_s=float(wait) if wait.isdigit() else None,
    )


def _wait_s(patience: Patience, attempt: int, told_s: float | None) -> float:
    """Wait twice as long each time, or as told; a little at random, lest all come back at once."""
    grown = patience.first_wait_s * 2 ** (attempt - 1) * random.uniform(0.75, 1.25)
    return min(patience.max_wait_s, grown if told_s is None else told_s)


def _settings(options: DecodingOptions, n: int) -> dict[str, Any]:
    """Say in the protocol's words what is asked for. Raises OptionError for what it has no words for."""
    if n < 1:
        raise OptionError(f"{n} captions were asked for; ask for 1 or more.")
    refused = [name for name in _UNSUPPORTED if getattr(options, name) is not None]
    if options.strategy is Strategy.BEAM:
        refused.append("strategy beam")
    if refused:
        raise OptionError(f"An endpoint does not know: {', '.join(refused)}.")
    temperature = 0.0 if options.strategy is Strategy.GREEDY else options.temperature
    named = {
        "temperature": temperature,
        "top_p": options.top_p,
        "seed": options.seed,
        "max_tokens": options.max_length,
    }
    return {name: value for name, value in named.items() if value is not None}


def _json(data: bytes, url: str) -> object:
    if len(data) > _MAX_ANSWER_BYTES:
        raise CaptionerUnavailable(f"{url} answered with more than {_MAX_ANSWER_BYTES:,} bytes.")
    try:
        return json.loads(data)
    except ValueError as error:
        raise CaptionerUnavailable(f"{url} answered something other than JSON: {data[:80]!r}.") from error


def _texts(answer: Any, url: str) -> list[str]:
    """Take the sentences out of an answer."""
    try:
        contents = [choice["message"]["content"] for choice in answer["choices"]]
        texts = [" ".join(content.split()).strip('"') for content in contents]
    except (LookupError, TypeError, AttributeError) as error:
        raise CaptionerUnavailable(f"{url} answered in another form than chat completions have.") from error
    if not texts or not all(texts):
        raise CaptionerUnavailable(f"{url} answered with an empty caption.")
    return texts
