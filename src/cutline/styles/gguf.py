"""Models in GGUF files, run in this process by llama.cpp (the xllamacpp wheel, in the extra ``gguf``)."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import queue
import secrets
import threading
from collections.abc import Generator
from functools import lru_cache
from pathlib import Path
from typing import Any

from cutline.chat import delta
from cutline.errors import CaptionerUnavailable, MissingExtra
from cutline.styles.chat_writer import ChatWriter

CONTEXT_TOKENS = 4096
_HASHED_BYTES = 2**20


def gguf_writer(place: str) -> ChatWriter:
    """A writer from the path of a GGUF file of a model that follows instructions.

    Its version is made of the file's size and the SHA-256 of its first MiB. Raises CaptionerUnavailable,
    MissingExtra.
    """
    path = Path(place).expanduser()
    name, version = name_of(place)
    return ChatWriter(_LlamaCpp(path), name=name, version=version)


def name_of(place: str) -> tuple[str, str]:
    """The name and version of the model in a file. Raises CaptionerUnavailable where there is no file."""
    path = Path(place).expanduser()
    if not path.is_file():
        raise CaptionerUnavailable(f"There is no file {path}.", hint="Write gguf:FILE.")
    found = path.stat()
    return path.stem, _version(path, found.st_size, found.st_mtime_ns)


@lru_cache(maxsize=8)
def _version(path: Path, size: int, _changed: int) -> str:
    with path.open("rb") as file:
        start = file.read(_HASHED_BYTES)
    return hashlib.sha256(start + str(size).encode()).hexdigest()[:12]


def check_installed() -> None:
    """Raise MissingExtra where llama.cpp is not installed."""
    if importlib.util.find_spec("xllamacpp") is None:
        raise MissingExtra(
            "GGUF files need xllamacpp, which is not installed.",
            hint="Install it with: pip install 'cutline[gguf]'",
        )


class _LlamaCpp:
    """llama.cpp's server, called in this process. One answer at a time."""

    def __init__(self, path: Path) -> None:
        check_installed()
        import xllamacpp

        settings = xllamacpp.CommonParams()
        settings.model.path = os.fspath(path)
        settings.n_ctx = CONTEXT_TOKENS
        settings.n_parallel = 1
        settings.warmup = False
        settings.verbosity = -1
        # It always listens on a port of this machine's own address; nobody else may use it.
        settings.api_keys = [secrets.token_urlsafe(32)]
        try:
            self._server = xllamacpp.Server(settings)
        except (RuntimeError, ValueError) as error:
            raise CaptionerUnavailable(
                f"{path} cannot be loaded: {str(error).rstrip('.')}.", hint="Is it a whole GGUF file?"
            ) from error
        self._path = path
        self._turn = threading.Lock()

    def stream(self, request: dict[str, Any]) -> Generator[str, None, None]:
        """As ChatModel."""
        pieces: queue.Queue[str | Exception | None] = queue.Queue()
        stopped = threading.Event()

        def take(chunk: Any) -> bool:
            """Hand a piece over; True ends the answer."""
            try:
                pieces.put(delta(chunk, os.fspath(self._path))[0])
            except CaptionerUnavailable as error:
                pieces.put(error)
                return True
            return stopped.is_set()

        def answer() -> None:
            try:
                with self._turn:
                    self._server.handle_chat_completions(request | {"stream": True}, take)
                pieces.put(None)
            except (RuntimeError, ValueError) as error:
                pieces.put(CaptionerUnavailable(f"{self._path} did not answer: {str(error).rstrip('.')}."))

        thread = threading.Thread(target=answer, name="llama.cpp", daemon=True)
        thread.start()
        try:
            while (piece := pieces.get()) is not None:
                if isinstance(piece, Exception):
                    raise piece
                if piece:
                    yield piece
        finally:
            stopped.set()
            thread.join()
