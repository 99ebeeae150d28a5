"""The models that a process has loaded; those behind an alias of a registry follow it.

A followed alias is looked at every now and then. The version that it has come to stand for is loaded beside
the one in use and tried on the golden photos; only then the two change places, and the old one ends when it
has answered what was asked. What cannot be loaded, or fails, changes nothing, and is told in `statuses`.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import hashlib
import logging
import random
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Generic, Literal, Protocol, TypeVar

from django.core.cache import cache

from cutline.errors import CutlineError, RegistryUnavailable, VersionMissing, VersionRefused
from cutline.registry import Registry, Version, is_reference, open_registry, parse_reference
from cutline.registry.manifest import CHALLENGER, SHORT_ID
from cutline.registry.places import Reference
from cutline.registry.registry import earlier
from cutline.server.config import settings
from cutline.server.observability.metrics import MODEL_KEPT, MODEL_SWAPS
from cutline.strict import load_json

logger = logging.getLogger(__name__)

GOLDEN = "files/golden.json"
"""Of a version: the captions of the golden photos that it is known to write, by the photos' names."""

RETRY_S = 300.0
"""A version that was refused is tried again after this: the reason may have been this machine's."""


STATES = ("refused", "unreachable", "current")
"""From the worst to the best."""


class Closing(Protocol):
    """What is served, and can be closed when it has answered."""

    def close(self) -> None:
        """Answer what was asked, then stop."""
        ...


T = TypeVar("T", bound=Closing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """How it stands with one model that follows an alias.

    ``version`` is the id of the one in use; ``refused`` that of the one that the alias stands for, where it
    could not be used, and ``reason`` why. unreachable: the registry does not answer; the model stays.
    """

    model: str
    alias: str
    version: str
    label: str
    state: Literal["current", "refused", "unreachable"]
    refused: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loading:
    """What to load: a captioner's URI, and the captions of the golden photos that are expected of it.

    ``must_be_tried`` is whether it has to pass the golden photos first.
    """

    uri: str
    must_be_tried: bool = False
    expected: Mapping[str, str] | None = None


@dataclass(slots=True, kw_only=True)
class _Followed:
    """An alias that is followed. Only the thread that holds ``Shelf._moving`` changes it."""

    registry: Registry
    alias: str
    status: Status
    tried_at: float = 0.0
    beside: str = ""  # the model whose challenger it is; that one may stand for nothing


class Shelf(Generic[T]):
    """The models of this process, by id. Each is loaded once, however many threads ask for it first.

    ``uri_of`` gives a model's URI, ``make`` loads what is to be served.
    """

    def __init__(self, *, uri_of: Callable[[str], str], make: Callable[[Loading], T]) -> None:
        self._uri_of = uri_of
        self._make = make
        self._loading = threading.Lock()
        self._moving = threading.Lock()
        self._ready: dict[str, T] = {}
        self._followed: dict[str, _Followed] = {}
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def get(self, model: str) -> T:
        """The model in use, loaded. Raises what `make` and registries raise."""
        return self._ready.get(model) or self._made(model)

    def peek(self, model: str) -> T | None:
        """The model in use, if it is loaded."""
        return self._ready.get(model)

    def challenger(self, model: str) -> T | None:
        """What the alias `challenger` stands for beside a model that follows its registry, once it is loaded.

        None while it stands for nothing, or for what the model itself is. Never waits for a model to load.
        """
        name = challenger_of(model)
        if name not in self._followed and (beside := self._followed.get(model)) is not None:
            status = Status(model=name, alias=CHALLENGER, version="", label="", state="current")
            self._followed[name] = _Followed(
                registry=beside.registry, alias=CHALLENGER, status=status, beside=model
            )
        return self._ready.get(name)

    def statuses(self) -> list[Status]:
        """How it stands with the models that follow an alias."""
        return [each.status for each in self._followed.values()]

    def close(self) -> None:
        """Close all models, and follow nothing any more. The next `get` begins anew."""
        self._ended.set()
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join()
            atexit.unregister(self.close)
        with self._loading:
            closing, self._ready, self._followed = self._ready, {}, {}
        for each in closing.values():
            each.close()

    def follow(self) -> None:
        """Look at each followed alias once, and change to what it stands for. Never raises CutlineError."""
        with self._moving:
            for model, followed in list(self._followed.items()):
                before = followed.status
                try:
                    self._follow(model, followed)
                except CutlineError as error:
                    followed.status = replace(before, state="unreachable", reason=error.message)
                if followed.status != before:
                    _report(followed.status)
                _tell(followed.status)

    def _made(self, model: str) -> T:
        with self._loading:
            if model not in self._ready:
                uri = self._uri_of(model)
                self._ready[model] = (
                    self._first(model, uri) if is_followed(uri) else self._make(Loading(uri=uri))
                )
            return self._ready[model]

    def _first(self, model: str, uri: str) -> T:
        """What an alias stands for, and follow it. Without an answer: what it stood for last here."""
        engine, reference = parse_uri(uri)
        registry = open_registry(reference.place)
        try:
            served, status = self._newest(model, engine, registry, reference.ref)
        except RegistryUnavailable as error:
            served, version = self._known(engine, registry, reference.ref)
            status = replace(
                _current(model, reference.ref, version), state="unreachable", reason=error.message
            )
        self._followed[model] = _Followed(
            registry=registry, alias=reference.ref, status=status, tried_at=time.monotonic()
        )
        _report(status)
        _tell(status)
        self._start()
        return served

    def _known(self, engine: str, registry: Registry, alias: str) -> tuple[T, Version]:
        """What an alias stood for last, from the local cache; else the model that ships."""
        if (version := registry.known(alias)) is not None:
            with suppress(CutlineError):
                uri = f"{engine}{registry.local_bundle(version)}"
                return self._make(Loading(uri=uri, must_be_tried=True)), version
        version = registry.find("0")
        return self._make(Loading(uri=f"{engine}{registry.local_bundle(version)}")), version

    def _newest(self, model: str, engine: str, registry: Registry, alias: str) -> tuple[T, Status]:
        """The version that an alias stands for; where it cannot be used, the nearest before it that can."""
        wanted = registry.alias(alias).version
        if not wanted:
            registry.find(alias)  # says so
        refusal: CutlineError | None = None
        for id_ in (wanted, *reversed(earlier(registry.history(alias))), "0"):
            if not id_:
                continue
            try:
                version = registry.find(id_)
                served = self._make(_loading(engine, registry, version))
            except RegistryUnavailable:
                raise
            except CutlineError as error:
                refusal = refusal or error
                continue
            _remember(registry, alias, version)
            status = _current(model, alias, version)
            if refusal is not None:
                status = replace(status, state="refused", refused=wanted, reason=refusal.message)
            return served, status
        raise refusal or VersionMissing(f"The registry {registry.where} has no version that can be used.")

    def _follow(self, model: str, followed: _Followed) -> None:
        status = followed.status
        wanted = self._wanted(followed)
        if wanted == status.version:
            followed.status = replace(status, state="current", refused="", reason="")
            return
        if not wanted:
            self._replace(model, None)
            followed.status = replace(status, version="", label="", state="current", refused="", reason="")
            return
        is_early = time.monotonic() < followed.tried_at + RETRY_S
        if status.state == "refused" and wanted == status.refused and is_early:
            return
        engine, _ = parse_uri(self._uri_of(followed.beside or model))
        followed.tried_at = time.monotonic()
        try:
            version = followed.registry.find(wanted)
            fresh = self._make(_loading(engine, followed.registry, version))
        except RegistryUnavailable:
            raise
        except CutlineError as error:
            followed.status = replace(status, state="refused", refused=wanted, reason=error.message)
            return
        if self._ended.is_set():
            fresh.close()
            return
        self._replace(model, fresh)
        _remember(followed.registry, followed.alias, version)
        followed.status = _current(model, followed.alias, version)
        MODEL_SWAPS.labels(model).inc()

    def _wanted(self, followed: _Followed) -> str:
        """The version that a model shall be; "" for none."""
        version = followed.registry.alias(followed.alias).version
        if not followed.beside:
            return version or followed.status.version
        return "" if version == self._followed[followed.beside].status.version else version

    def _replace(self, model: str, fresh: T | None) -> None:
        with self._loading:
            old = self._ready.pop(model, None)
            if fresh is not None:
                self._ready[model] = fresh
        if old is not None:
            old.close()
        del old
        _give_memory_back()

    def _start(self) -> None:
        """Begin to follow, where nobody does yet."""
        if self._thread is not None:
            return
        self._ended = threading.Event()  # an earlier `close` is over
        if settings().model_poll_s > 0:
            self._thread = threading.Thread(
                target=self._run, args=(self._ended,), name="cutline-models", daemon=True
            )
            self._thread.start()
            # A thread that is inside a model when Python ends takes the whole process down with a signal.
            atexit.register(self.close)

    def _run(self, ended: threading.Event) -> None:
        # Not all at the same moment, where there are many processes.
        while not ended.wait(settings().model_poll_s * random.uniform(0.75, 1.25)):
            try:
                self.follow()
            except Exception:  # whatever it is: the model in use stays, and the next look may succeed
                logger.exception("The aliases of models could not be followed.")


def challenger_of(model: str) -> str:
    """The name under which a model's challenger is served: none that settings can give."""
    return f"{model}#{CHALLENGER}"


def is_followed(uri: str) -> bool:
    """Whether a captioner's URI means an alias of a registry, which may come to stand for another version."""
    return is_reference(uri) and re.fullmatch(f"0|{SHORT_ID}", parse_uri(uri)[1].ref) is None


def parse_uri(uri: str) -> tuple[str, Reference]:
    """The engine before a registry's URI ("" or "openvino:"), and what the URI means. Raises ConfigError."""
    engine = "openvino:" if uri.startswith("openvino:") else ""
    return engine, parse_reference(uri.removeprefix("openvino:"))


def _current(model: str, alias: str, version: Version) -> Status:
    return Status(model=model, alias=alias, version=version.id, label=version.label, state="current")


def _loading(engine: str, registry: Registry, version: Version) -> Loading:
    return Loading(
        uri=f"{engine}{registry.local_bundle(version)}",
        must_be_tried=True,
        expected=_expected(registry, version),
    )


def _remember(registry: Registry, alias: str, version: Version) -> None:
    try:
        registry.remember(alias, version)
    except RegistryUnavailable as error:
        logger.warning("What %s stands for was not remembered: %s", alias, error)


def _expected(registry: Registry, version: Version) -> dict[str, str]:
    if GOLDEN not in version.manifest.files:
        return {}
    try:
        content = load_json(registry.file(version, GOLDEN))
    except ValueError as error:
        raise VersionRefused(f"{GOLDEN} of the version {version.short} is not JSON: {error}.") from error
    if not isinstance(content, dict):
        raise VersionRefused(f"{GOLDEN} of the version {version.short} must hold an object.")
    return {str(name): str(caption) for name, caption in content.items()}


def told_of(models: Sequence[str]) -> list[Status]:
    """What processes tell of models that follow an alias: the worst of each, as far as the cache answers."""
    keys = [_key(model, state) for model in models for state in STATES]
    try:
        told = cache.get_many(keys)
    except Exception:  # whatever a cache's driver raises: /readyz tells of that itself
        return []
    found = [[told[key] for state in STATES if (key := _key(model, state)) in told] for model in models]
    return [Status(**states[0]) for states in found if states]


def _tell(status: Status) -> None:
    """Tell other processes how it stands, for as long as a few looks take."""
    try:
        seconds = max(60.0, 4 * settings().model_poll_s)
        cache.set(_key(status.model, status.state), asdict(status), timeout=seconds)
        if status.state == "current":  # who still has trouble says so again
            cache.delete_many([_key(status.model, state) for state in STATES if state != "current"])
    except Exception as error:  # whatever a cache's driver raises: models are served all the same
        logger.warning("How it stands with the model cannot be told: %s", error)


def _key(model: str, state: str) -> str:
    return f"cutline.model.{state}.{hashlib.sha256(model.encode()).hexdigest()[:16]}"


def _report(status: Status) -> None:
    MODEL_KEPT.labels(status.model).set(status.state != "current")
    if not status.version and status.state == "current":
        logger.info("There is no challenger now.", extra={"model": status.model})
        return
    told = {"model": status.model, "alias": status.alias, "version": status.version[:12]}
    if status.state == "current":
        logger.info("The model in use is %s.", status.label, extra=told)
    else:
        logger.error(
            "The model in use stays %s: %s", status.label, status.reason, extra=told | {"state": status.state}
        )


def _give_memory_back() -> None:
    """Let the system have what the old model took: allocators keep it otherwise."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
