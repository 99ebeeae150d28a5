"""The service's one door to captioning. Each model is loaded when first asked for, once in a process.

wanted = captioner.wanted({"n": 3})
written = captioner.write(photo, wanted)
written.captions, written.model        # of the same model, whatever is loaded meanwhile
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from PIL import Image

from cutline.captioning import golden
from cutline.captioning.batching import CaptionerClosed, MicroBatcher, Preparing
from cutline.captioning.bundle_captioner import BundleCaptioner
from cutline.captioning.options import (
    MAX_PREFIX_CHARS,
    OPTIONS,
    DecodingOptions,
    Option,
    Strategy,
    check_choices,
)
from cutline.captioning.protocol import Caption, Captioner, Embedder, ModelInfo, as_list, embedder
from cutline.captioning.sources import SCHEMES, default_bundle, load
from cutline.errors import ImageError, OptionError
from cutline.images import Limits, Source, open_image
from cutline.registry import local
from cutline.server.config import settings
from cutline.server.errors import Invalid
from cutline.server.models_in_service import Loading, Shelf, Status, challenger_of, is_followed, told_of
from cutline.server.observability.metrics import BATCH_SIZE, CAPTIONS, CHALLENGER_FAILURES, MODEL_S
from cutline.vectors import Floats as Vector

if TYPE_CHECKING:
    from cutline.captioning.protocol import Sources

logger = logging.getLogger(__name__)

OnFailure: TypeAlias = Callable[[ModelInfo, Exception], None]

DEFAULT = "default"
"""The id of the model that captions where none is asked for."""

__all__ = [
    "DEFAULT",
    "MAX_PREFIX_CHARS",
    "OPTIONS",
    "Caption",
    "Model",
    "ModelInfo",
    "Option",
    "Seen",
    "Status",
    "Strategy",
    "Tried",
    "Vector",
    "Wanted",
    "Written",
    "about",
    "about_to_ask",
    "can_embed",
    "close_captioners",
    "embed",
    "embed_text",
    "follow",
    "followed",
    "get_captioner",
    "models",
    "try_challenger",
    "wanted",
    "write",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model that may be asked for. name and version are empty until it is first used."""

    id: str
    name: str
    version: str
    is_default: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a request or a job asks of a captioner, checked as far as it can be without loading it."""

    n: int
    model: str
    options: DecodingOptions
    in_canary: bool = False  # by the challenger, while there is one


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The captions of one photo, best first, the model that wrote them, and the seconds that it took."""

    captions: Sequence[Caption]
    model: ModelInfo
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried(Written):
    """What the challenger wrote for nobody; no captions where it failed."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """Where a photo, or a text, lies among the photos that this model has seen: [E], of length 1."""

    vector: Vector
    model: ModelInfo


def wanted(options: Mapping[str, Any], *, n: int = 1, in_canary: bool = False) -> Wanted:
    """Read options as a job keeps them: n, model, and DecodingOptions' own; None and absent are the same.

    n: how many captions where the options do not say; greedy decoding then gives its one. in_canary: whether
    the challenger may write them, where no other model is asked for.
    Raises OptionError for what contradicts itself or does not exist, Invalid for an unknown model.
    """
    given = {name: value for name, value in options.items() if value is not None}
    model = str(given.pop("model", "") or DEFAULT)
    asked = given.pop("n", None)
    if unknown := given.keys() - OPTIONS.keys():
        raise OptionError(f"Unknown option: {', '.join(sorted(unknown))}.")
    chosen = DecodingOptions(**given)
    count = asked or (1 if chosen.strategy is Strategy.GREEDY else n)
    check_choices(chosen, n=count)
    _uri(model)
    return Wanted(n=count, model=model, options=chosen, in_canary=in_canary and model == DEFAULT)


def write(photo: Source, wanted: Wanted, *, on_failure: OnFailure | None = None) -> Written:
    """Caption a photo. Raises ImageError, OptionError, and what get_captioner and runtimes raise.

    on_failure is told of a model that failed on it, also where another one then wrote the captions.
    """
    if wanted.in_canary and (chosen := _challenger()) is not None:
        try:
            return _ask(chosen, photo, wanted, on_failure)
        except (ImageError, OptionError):
            raise
        except CaptionerClosed:
            pass
        except Exception as error:  # whatever a runtime raises over a graph
            CHALLENGER_FAILURES.inc()
            logger.warning("The challenger failed, and the champion captions: %r", error)
    while True:
        chosen = get_captioner(wanted.model)
        try:
            return _ask(chosen, photo, wanted, on_failure)
        except CaptionerClosed:
            if get_captioner(wanted.model) is chosen:
                raise
            # another version took its place between the two lines


def can_embed() -> bool:
    """Whether the default model says where photos lie. Loads it; raises as get_captioner."""
    return get_captioner().embedder is not None


def embed(photo: Source) -> Seen:
    """Where a photo lies, by the default model. Raises ImageError, and OptionError where it cannot say."""
    chosen = get_captioner()
    [vector] = embedder(chosen.embedder or chosen).embed([photo])
    return Seen(vector=vector, model=chosen.about())


def embed_text(text: str) -> Seen:
    """Where photos lie that a text means, by the default model. Raises OptionError where it cannot say."""
    chosen = get_captioner()
    [vector] = embedder(chosen.embedder or chosen).embed_text([text])
    return Seen(vector=vector, model=chosen.about())


def try_challenger(photo: Source, wanted: Wanted) -> Tried | None:
    """Let the challenger caption a photo for nobody; None while there is none. Raises ImageError."""
    chosen = _challenger()
    if chosen is None:
        return None
    began = time.monotonic()
    try:
        written = _ask(chosen, photo, wanted, None)
    except (ImageError, OptionError):
        raise
    except CaptionerClosed:
        return None
    except Exception as error:  # whatever a runtime raises over a graph
        logger.warning("The challenger failed in the shadow: %r", error)
        return Tried(captions=(), model=chosen.about(), seconds=time.monotonic() - began)
    return Tried(captions=written.captions, model=written.model, seconds=written.seconds)


def _challenger() -> Served | None:
    get_captioner()  # whose registry it is
    return _SHELF.challenger(DEFAULT)


def _ask(chosen: Served, photo: Source, wanted: Wanted, on_failure: OnFailure | None) -> Written:
    began = time.monotonic()
    try:
        [captions] = chosen.caption([photo], n=wanted.n, options=wanted.options)
    except (ImageError, OptionError, CaptionerClosed):
        raise
    except Exception as error:  # whatever a runtime raises over a graph
        if on_failure is not None:
            on_failure(chosen.about(), error)
        raise
    return Written(captions=captions, model=chosen.about(), seconds=time.monotonic() - began)


def get_captioner(model: str = "") -> Served:
    """The captioner of a model's id (as GET /models lists them), loaded; the default model where empty.

    Raises Invalid for a model that the settings do not allow, CaptionerUnavailable or BundleError.
    """
    return _SHELF.get(model or DEFAULT)


def about(model: str = "") -> ModelInfo:
    """What a model says of itself. Loads it; raises as get_captioner."""
    return get_captioner(model).about()


def models() -> list[Model]:
    """The models that may be asked for, the default first. Loads none but the default."""
    listed = []
    for each in (DEFAULT, *settings().models):
        ready = get_captioner() if each == DEFAULT else _SHELF.peek(each)
        name, version = (ready.name, ready.version) if ready else ("", "")
        listed.append(Model(id=each, name=name, version=version, is_default=each == DEFAULT))
    return listed


def is_idle() -> bool:
    """Whether nobody asks for captions in this process, nor is about to."""
    return not _COMING.count() and not _ASKED.count()


def followed() -> list[Status]:
    """How it stands with the models that follow an alias: the worst that any process tells."""
    models = [each for each in (DEFAULT, *settings().models) if is_followed(_uri(each))]
    return told_of([*models, challenger_of(DEFAULT)])


def follow() -> None:
    """Look at the aliases now, and change to what they stand for; a thread does so every now and then."""
    _SHELF.follow()


def close_captioners() -> None:
    """Answer what was asked, and forget the models."""
    _SHELF.close()


@lru_cache(maxsize=1)
def photo_limits() -> Limits:
    """What one photo may cost at most, by the settings."""
    return Limits(max_file_bytes=settings().max_upload_bytes, max_pixels=settings().max_pixels)


def _uri(model: str) -> str:
    """What a model's id stands for; "" is the bundle that ships. Only these URIs are ever loaded."""
    if model == DEFAULT:
        return settings().model
    try:
        return settings().models[model]
    except KeyError:
        raise Invalid(f"There is no model {model}.", hint="GET /api/v1/models lists them.") from None


def _load(uri: str) -> Captioner:
    """As cutline.load, with this service's threads and limits where the runtime is our own."""
    uri = str(local(uri))
    if uri.partition(":")[0] in SCHEMES:
        return load(uri)
    return BundleCaptioner(
        uri or default_bundle(), threads=settings().model_threads or None, limits=photo_limits()
    )


def _served(loading: Loading) -> Served:
    """Load a model, try it if it must be, and put what gathers batches in front of it."""
    loaded = _load(loading.uri)
    if loading.must_be_tried:
        golden.check(loaded, expected=loading.expected)
    return Served(loaded)


class Served(MicroBatcher):
    """A model in service. embedder: the same model, where it says how photos are alike."""

    def __init__(self, loaded: Captioner) -> None:
        super().__init__(
            _Measured(loaded),
            max_batch=settings().batch_size,
            max_wait_ms=settings().batch_wait_ms,
            expects=_COMING.count,
        )
        self.embedder = loaded if isinstance(loaded, Embedder) and loaded.about().bundle_hash else None


class _Measured:
    """A captioner that counts its passes."""

    def __init__(self, captioner: Captioner) -> None:
        self._captioner = captioner
        self._label = captioner.about().label

    @property
    def name(self) -> str:
        return self._captioner.name

    @property
    def version(self) -> str:
        return self._captioner.version

    def about(self) -> ModelInfo:
        return self._captioner.about()

    def prepare(self, image: Source) -> Image.Image:
        if isinstance(self._captioner, Preparing):
            return self._captioner.prepare(image)
        return open_image(image, limits=photo_limits())

    def caption(
        self, images: Sources, *, n: int = 1, options: DecodingOptions | None = None
    ) -> list[list[Caption]]:
        batch: Sequence[Source] = as_list(images)
        began = time.monotonic()
        with _ASKED.one_more():
            answers = self._captioner.caption(batch, n=n, options=options)
        MODEL_S.observe(time.monotonic() - began)
        BATCH_SIZE.observe(len(batch))
        CAPTIONS.labels(self._label).inc(sum(len(captions) for captions in answers))
        return answers


class _Counter:
    """Counts the threads that are in a context."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0

    def count(self) -> int:
        return self._count

    @contextmanager
    def one_more(self) -> Iterator[None]:
        with self._lock:
            self._count += 1
        try:
            yield
        finally:
            with self._lock:
                self._count -= 1


_COMING = _Counter()  # about to ask for captions: a batch waits for them, and for nobody else
_ASKED = _Counter()  # passes that are running
_SHELF = Shelf(uri_of=_uri, make=_served)
about_to_ask = _COMING.one_more
"""A context in which a photo is made ready for `write`: batches wait a moment for it."""
