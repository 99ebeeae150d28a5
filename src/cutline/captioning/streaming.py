"""Caption any number of photos with any captioner, as a stream."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from itertools import islice
from typing import Protocol, TypeAlias, TypeVar, runtime_checkable

from PIL import Image

from cutline.captioning.options import DecodingOptions
from cutline.captioning.protocol import Caption, Captioner
from cutline.errors import CutlineError, ImageError
from cutline.images import Preprocessing, Source

Outcome: TypeAlias = list[Caption] | CutlineError
"""One photo's captions, best first, or what was wrong with it."""

Outcomes: TypeAlias = Generator[Outcome, None, None]

BATCH_SIZE = 8
"""Photos in one call of a captioner that does not take them as they come."""

READERS = min(4, os.cpu_count() or 1)
READ_AHEAD = 32

Item = TypeVar("Item")
Made = TypeVar("Made")


@runtime_checkable
class Streaming(Protocol):
    """A captioner with a streaming interface, which is faster for many photos."""

    def caption_each(
        self,
        images: Iterable[Source],
        *,
        n: int = 1,
        options: DecodingOptions | None = None,
        batch_size: int | None = None,
    ) -> Outcomes:
        """As the function ``caption_each``."""
        ...


def caption_each(
    captioner: Captioner,
    images: Iterable[Source],
    *,
    n: int = 1,
    options: DecodingOptions | None = None,
    batch_size: int | None = None,
) -> Outcomes:
    """Caption photos in order, with a few batches in memory; a photo that fails yields its error.

    ``batch_size`` None leaves it to the captioner. Raises errors that would fail every photo.
    """
    if isinstance(captioner, Streaming):
        yield from captioner.caption_each(images, n=n, options=options, batch_size=batch_size)
        return
    rest = iter(images)
    while batch := list(islice(rest, batch_size or BATCH_SIZE)):
        yield from _tried(captioner, batch, n, options)


def _tried(
    captioner: Captioner, photos: Sequence[Source], n: int, options: DecodingOptions | None
) -> Sequence[Outcome]:
    """Caption a batch; if it fails, caption each photo alone to find out which one fails."""
    try:
        return captioner.caption(photos, n=n, options=options)
    except ImageError as error:
        if len(photos) == 1:
            return [error]
        return [outcome for photo in photos for outcome in _tried(captioner, [photo], n, options)]


class Ready(Protocol):
    """A photo that is read: what the captioner gets; or the error, where it could not be read."""

    @property
    def photo(self) -> Image.Image | None:
        """The photo; None where there is an error."""
        ...

    @property
    def error(self) -> CutlineError | None:
        """Why there is no photo."""
        ...


Read = TypeVar("Read", bound=Ready)


def read_ahead(
    items: Iterator[Item], read: Callable[[Item], Made], *, readers: int = READERS
) -> Generator[Made, None, None]:
    """Call ``read`` for each item on a few threads, a few items ahead; yields what it gives in order."""
    waiting: deque[Future[Made]] = deque()
    pool = ThreadPoolExecutor(readers, thread_name_prefix="cutline-read")
    try:
        while True:
            ahead = islice(items, READ_AHEAD - len(waiting))
            waiting.extend(pool.submit(read, each) for each in ahead)
            if not waiting:
                return
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def caption_ready(
    captioner: Captioner,
    photos: Iterable[Read],
    *,
    n: int = 1,
    options: DecodingOptions | None = None,
    batch_size: int | None = None,
) -> Generator[tuple[Read, Outcome], None, None]:
    """Yield each photo with its captions or its error, in order. As ``caption_each`` otherwise."""
    handed: deque[Read] = deque()  # to the captioner, and what failed in between

    def pictures() -> Iterator[Image.Image]:
        for each in photos:
            handed.append(each)
            if each.photo is not None:
                yield each.photo

    def failed() -> Iterator[tuple[Read, Outcome]]:
        while handed and (error := handed[0].error) is not None:
            yield handed.popleft(), error

    stream = caption_each(captioner, pictures(), n=n, options=options, batch_size=batch_size)
    with closing(stream):
        for outcome in stream:
            yield from failed()
            yield handed.popleft(), outcome
    yield from failed()


def model_input(captioner: Captioner) -> Preprocessing | None:
    """How a bundle's captioner preprocesses photos; None for others, which do it themselves."""
    preprocessing = getattr(getattr(captioner, "manifest", None), "preprocessing", None)
    return preprocessing if isinstance(preprocessing, Preprocessing) else None
