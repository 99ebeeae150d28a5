"""Any OpenAI-compatible endpoint that sees, as a captioner: ``cutline.load("openai:BASE_URL#MODEL")``."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from urllib.parse import urldefrag

from cutline.captioning.options import OPTIONS, DecodingOptions, Strategy, check_choices
from cutline.captioning.protocol import Caption, ModelInfo, as_list
from cutline.chat import ChatEndpoint, Patience, contents, find_api_key
from cutline.errors import CaptionerUnavailable, OptionError
from cutline.images import Source, open_image
from cutline.model_answers import clean_lines
from cutline.refusals import is_refusal

if TYPE_CHECKING:
    from cutline.captioning.protocol import Sources

PROMPT = (
    "Describe this photo in one plain sentence of at most 20 words, as a newspaper's picture caption. "
    "Say only what can be seen. Answer with the sentence alone."
)
_SUPPORTED = frozenset({"strategy", "max_length", "temperature", "top_p", "seed"})


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
        self._endpoint = ChatEndpoint(
            base_url=base_url, model=model, api_key=api_key, patience=patience or Patience()
        )
        self.name = model
        self._max_side_px = max_side_px
        self._concurrency = concurrency

    @classmethod
    def from_place(cls, place: str) -> EndpointCaptioner:
        """A captioner from BASE_URL#MODEL, with the key from the environment."""
        base_url, model = urldefrag(place)
        return cls(base_url, model, api_key=find_api_key())

    def about(self) -> ModelInfo:
        """Its name; nothing else is known."""
        return ModelInfo(name=self.name, version=self.version)

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
        request = {"messages": [{"role": "user", "content": content}], **settings}
        texts: list[str] = []
        while len(texts) < n:  # many servers give one answer however many are asked for
            again = {"n": n - len(texts)}
            if "seed" in settings:
                again["seed"] = settings["seed"] + len(texts)
            texts.extend(_texts(self._endpoint.post(request | again), self._endpoint.url))
        return [Caption(text=text, log_prob=math.nan, words=tuple(text.split())) for text in texts[:n]]

    def _data_url(self, source: Source) -> str:
        image = open_image(source, enough_px=self._max_side_px)
        image.thumbnail((self._max_side_px, self._max_side_px))
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=90)
        return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _settings(options: DecodingOptions, n: int) -> dict[str, Any]:
    """Say in the protocol's words what is asked for. Raises OptionError for what it has no words for."""
    check_choices(options, n=n)
    refused = [name for name in OPTIONS if name not in _SUPPORTED and getattr(options, name) is not None]
    if options.strategy is Strategy.BEAM:
        refused.append("strategy beam")
    if refused:
        raise OptionError(f"An endpoint does not support: {', '.join(refused)}.")
    temperature = 0.0 if options.strategy is Strategy.GREEDY else options.temperature
    named = {
        "temperature": temperature,
        "top_p": options.top_p,
        "seed": options.seed,
        "max_tokens": options.max_length,
    }
    return {name: value for name, value in named.items() if value is not None}


def _texts(answer: object, url: str) -> list[str]:
    """The sentences of an answer, one for each choice."""
    sentences = [_sentence(content, url) for content in contents(answer, url)]
    if not sentences:
        raise CaptionerUnavailable(f"{url} answered with an empty caption.")
    return sentences


def _sentence(content: str, url: str) -> str:
    lines = clean_lines(content)
    if not lines:
        raise CaptionerUnavailable(f"{url} answered with an empty caption.")
    sentence = lines[0]
    for line in lines[1:]:  # a sentence that was broken into lines
        if sentence.endswith((".", "!", "?")) or not line[0].islower():
            break
        sentence = f"{sentence} {line}"
    if is_refusal(sentence):
        raise CaptionerUnavailable(f"{url} did not describe the photo: {sentence:.200}")
    return sentence
