"""Caption any number of photos with any captioner, as a stream."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from itertools import islice
from typing import Protocol, TypeAlias, runtime_checkable

from cutline.captioning.options import DecodingOptions
from cutline.captioning.protocol import Caption, Captioner
from cutline.errors import CutlineError, ImageError
from cutline.images import Source

Outcome: TypeAlias = list[Caption] | CutlineError
"""One photo's captions, best first, or what was wrong with it."""

Outcomes: TypeAlias = Generator[Outcome, None, None]

BATCH_SIZE = 8
"""Photos in one call of a captioner that does not take them as they come."""


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
