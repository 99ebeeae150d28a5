"""Language models that follow instructions, as writers: behind HTTP, or in a GGUF file run by llama.cpp."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, Protocol

from cutline.chat import ChatEndpoint, Patience
from cutline.styles.prompts import Example, Message, max_tokens, messages, prompt_version
from cutline.styles.writing import Task, Written

TEMPERATURE = 0.8


class ChatModel(Protocol):
    """What answers messages, piece by piece. A request is as in the chat completions protocol."""

    def stream(self, request: dict[str, Any]) -> Generator[str, None, None]:
        """Yield the pieces of an answer. Raises CaptionerUnavailable."""
        ...


class ChatWriter:
    """A Writer of a model that follows instructions. examples: shown to it before each request."""

    def __init__(self, chat: ChatModel, *, name: str, version: str, examples: Sequence[Example] = ()) -> None:
        self._chat = chat
        self._examples = tuple(examples)
        self.name = name
        self.version = version
        self.prompt_version = prompt_version() + (f"+{len(self._examples)}" if self._examples else "")

    def with_examples(self, examples: Sequence[Example]) -> ChatWriter:
        """The same model, shown these examples."""
        return ChatWriter(self._chat, name=self.name, version=self.version, examples=examples)

    def write(self, task: Task, *, seed: int) -> Generator[Written, None, None]:
        """As Writer."""
        asked: Sequence[Message] = messages(task, self._examples)
        request = {
            "messages": list(asked),
            "max_tokens": max_tokens(task.voice),
            "temperature": TEMPERATURE,
            "seed": seed,
        }
        for piece in self._chat.stream(request):
            yield Written(text=piece)


def endpoint_writer(place: str, patience: Patience | None = None) -> ChatWriter:
    """A writer from BASE_URL#MODEL, with the key from the environment.

    Raises CaptionerUnavailable, ConfigError.
    """
    endpoint = ChatEndpoint.from_place(place, patience=patience)
    return ChatWriter(endpoint, name=endpoint.model, version="remote")
