"""The captioner of a bundle: photos in, captions out, on our own runtime."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from cutline.captioning.bundle import Bundle, Manifest, read_bundle
from cutline.captioning.caption import Caption, as_list
from cutline.captioning.decoding import Hypothesis, decode
from cutline.captioning.options import Decoding, DecodingOptions, Strategy, settle
from cutline.captioning.runtime import (
    Encoded,
    Engine,
    Pixels,
    Runtime,
    default_threads,
    joined,
    open_runtime,
)
from cutline.captioning.tokenizer import Tokenizer
from cutline.errors import CutlineError
from cutline.images import DEFAULT_LIMITS, Limits, Source, read_pixels

if TYPE_CHECKING:
    from cutline.captioning.caption import Sources

BATCH_SIZE = 32
"""Images that are decoded together: the decoder is quicker for each the more there are."""

ENCODED_AT_ONCE = 4
"""Images that are encoded together: the encoder is no quicker for more, but its memory grows with them."""


class BundleCaptioner:
    """A bundle, loaded. May be used from several threads at once.

    ``batch_size`` is how many images are decoded together; ``threads`` is for the graphs, by default one for
    each core; ``limits`` are of the images.
    """

    def __init__(
        self,
        bundle: Bundle | str | os.PathLike[str],
        *,
        engine: Engine = Engine.ONNXRUNTIME,
        threads: int | None = None,
        batch_size: int = BATCH_SIZE,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        whole = bundle if isinstance(bundle, Bundle) else read_bundle(bundle)
        self.manifest: Manifest = whole.manifest
        self._tokenizer = Tokenizer(whole)
        self._runtime: Runtime = open_runtime(whole, engine=engine, threads=threads)
        self._batch_size = batch_size
        self._limits = limits

    @property
    def name(self) -> str:
        """The model's name."""
        return self.manifest.name

    @property
    def version(self) -> str:
        """The model's version."""
        return self.manifest.version

    @property
    def defaults(self) -> DecodingOptions:
        """What an option that is left None means here."""
        return self.manifest.decoding

    def caption(
        self, images: Sources, *, n: int = 1, options: DecodingOptions | None = None
    ) -> list[list[Caption]]:
        """As Captioner. The first image that cannot be read ends the call with its error."""
        outcomes: list[list[Caption]] = []
        for outcome in self.caption_each(as_list(images), n=n, options=options):
            if isinstance(outcome, CutlineError):
                raise outcome
            outcomes.append(outcome)
        return outcomes

    def caption_each(
        self, images: Iterable[Source], *, n: int = 1, options: DecodingOptions | None = None
    ) -> Iterator[list[Caption] | CutlineError]:
        """Caption any number of images as they come; an image that cannot be read gives its error in place.

        Photos are read and scaled on threads while the graphs work on those before them. At most a few
        batches are in memory at once. Raises OptionError before it reads anything.
        """
        asked = (options or DecodingOptions()).over(self.defaults)
        decoding = self._settled(asked, n)
        return self._stream(iter(images), decoding, asked.prefix or "")

    def prepare(self, image: Source) -> Image.Image:
        """Read an image and scale it to the model's size, as ``caption`` does first. Raises ImageError."""
        return Image.fromarray(self._read(image))

    def _settled(self, asked: DecodingOptions, n: int) -> Decoding:
        longest = self.manifest.architecture.max_tokens - 1
        prefix = self._tokenizer.prefix_ids(asked.prefix) if asked.prefix else ()
        return settle(asked, n=n, longest=longest, prefix=prefix)

    def _stream(
        self, images: Iterator[Source], decoding: Decoding, prefix: str
    ) -> Iterator[list[Caption] | CutlineError]:
        first = list(islice(images, 2))
        if len(first) < 2:  # no threads for one photo
            yield from self._outcomes([self._try_read(each) for each in first], decoding, prefix)
            return
        with ThreadPoolExecutor(default_threads(), thread_name_prefix="cutline-read") as pool:
            yield from self._batches(pool, chain(first, images), decoding, prefix)

    def _batches(
        self,
        pool: ThreadPoolExecutor,
        images: Iterator[Source],
        decoding: Decoding,
        prefix: str,
    ) -> Iterator[list[Caption] | CutlineError]:
        waiting: deque[Future[Pixels | CutlineError]] = deque()
        while True:
            ahead = 2 * self._batch_size - len(waiting)
            waiting.extend(pool.submit(self._try_read, image) for image in islice(images, ahead))
            if not waiting:
                return
            batch = [waiting.popleft().result() for _ in range(min(self._batch_size, len(waiting)))]
            yield from self._outcomes(batch, decoding, prefix)

    def _read(self, image: Source) -> Pixels:
        return read_pixels(image, self.manifest.preprocessing, limits=self._limits)

    def _try_read(self, image: Source) -> Pixels | CutlineError:
        try:
            return self._read(image)
        except CutlineError as error:
            return error

    def _outcomes(
        self, batch: Sequence[Pixels | CutlineError], decoding: Decoding, prefix: str
    ) -> Iterator[list[Caption] | CutlineError]:
        pixels = [each for each in batch if not isinstance(each, CutlineError)]
        captions = iter(self._caption_pixels(pixels, decoding, prefix) if pixels else ())
        return iter([each if isinstance(each, CutlineError) else next(captions) for each in batch])

    def _caption_pixels(
        self, pixels: Sequence[Pixels], decoding: Decoding, prefix: str
    ) -> list[list[Caption]]:
        encoded = self._encode(pixels)
        draws = [_draws(each, decoding) for each in pixels] if decoding.strategy is Strategy.SAMPLE else []
        found = decode(self._runtime, encoded, self.manifest.architecture, decoding, draws)
        return [[self._written(each, prefix) for each in hypotheses] for hypotheses in found]

    def _encode(self, pixels: Sequence[Pixels]) -> Encoded:
        pieces = [
            self._runtime.encode(np.stack(pixels[start : start + ENCODED_AT_ONCE]))
            for start in range(0, len(pixels), ENCODED_AT_ONCE)
        ]
        return pieces[0] if len(pieces) == 1 else joined(pieces)

    def _written(self, hypothesis: Hypothesis, prefix: str) -> Caption:
        words = self._tokenizer.words(hypothesis.tokens)
        rows, cols = self.manifest.architecture.grid
        maps = [hypothesis.attention[start:stop].mean(axis=0) for start, stop in words.spans]
        attention = np.array(maps, np.float32).reshape(len(maps), rows, cols)
        return Caption(
            text=_as_asked(self._tokenizer.sentence(words.words), prefix),
            log_prob=float(sum(hypothesis.log_probs)),
            token_log_probs=hypothesis.log_probs,
            words=words.words,
            attention=attention,
        )


def _as_asked(text: str, prefix: str) -> str:
    """Give the prefix back in the capitals in which it was asked for."""
    asked = prefix.strip()
    return asked + text[len(asked) :] if text.casefold().startswith(asked.casefold()) else text


def _draws(pixels: Pixels, decoding: Decoding) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Give an image's own random numbers, [n, max_length + 1].

    They come of the seed and the pixels: so the same photo draws the same captions wherever it stands in a
    batch, and two photos under one seed draw independently.
    """
    digest = np.frombuffer(hashlib.blake2b(pixels.tobytes(), digest_size=16).digest(), np.uint32)
    entropy = None if decoding.seed is None else [decoding.seed, *digest.tolist()]
    return np.random.default_rng(entropy).random((decoding.n, decoding.max_length + 1))
