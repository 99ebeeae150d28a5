"""The function itself: from an object in a bucket to captions that the service has."""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache

import cutline
from cutline.captioning.protocol import Captioner
from cutline.errors import ConfigError, ImageError
from cutline.serverless.answers import Answer, Service, Tell, Topic
from cutline.serverless.events import StoredObject
from cutline.serverless.photos import Photos, open_photos
from cutline.settings import from_environment

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the function is told, by the service's own variables: CUTLINE_STORAGE_URL and so on.

    A callback_topic is published to; without one the service at public_url is called, with callback_secret.
    """

    storage_url: str = ""
    storage_access_key: str = field(default="", repr=False)
    storage_secret_key: str = field(default="", repr=False)
    public_url: str = ""
    callback_secret: str = field(default="", repr=False)
    callback_topic: str = ""
    model: str = ""
    candidates: int = 3

    def __post_init__(self) -> None:
        if self.candidates < 1:
            raise ConfigError("CUTLINE_CANDIDATES must be at least 1.")


class Function:
    """A captioner between a store of photos and who waits for their captions. For any number of threads."""

    def __init__(self, captioner: Captioner, photos: Photos, tell: Tell, *, candidates: int) -> None:
        self._captioner = captioner
        self._photos = photos
        self._tell = tell
        self._candidates = candidates

    def caption(self, found: StoredObject) -> bool:
        """Caption an object and tell of it. False for what is no photo of the service, or cannot be read.

        Raises whatever may be over when the event comes again.
        """
        key = self._photos.key_of(found)
        if key is None:
            logger.info("An object is none of the service's photos, and was left alone.")
            return False
        began = time.monotonic()
        try:
            photo = self._photos.read(key)
            [captions] = self._captioner.caption([photo], n=self._candidates)
        except ImageError as error:  # the service's workers decide what becomes of it
            logger.warning("A photo was left to the workers: %s", error)
            return False
        self._tell(Answer(key=key, captions=captions, model=self._captioner.about()))
        logger.info("captioned", extra={"ms": round(1000 * (time.monotonic() - began))})
        return True


def open_function(chosen: Settings) -> Function:
    """Load the model, and meanwhile what reaches the store and the service. Raises CutlineError."""
    with ThreadPoolExecutor(1, thread_name_prefix="cutline-model") as pool:
        loading = pool.submit(cutline.load, chosen.model or None)
        photos = open_photos(
            chosen.storage_url,
            access_key=chosen.storage_access_key,
            secret_key=chosen.storage_secret_key,
        )
        tell: Tell
        if chosen.callback_topic:
            tell = Topic(chosen.callback_topic)
        else:
            tell = Service(chosen.public_url, chosen.callback_secret)
        return Function(loading.result(), photos, tell, candidates=chosen.candidates)


@lru_cache(maxsize=1)
def the_function() -> Function:
    """The function of this process, by the environment; loaded once. Raises CutlineError."""
    return open_function(from_environment(Settings()))
