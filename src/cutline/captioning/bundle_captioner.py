"""The captioner of a bundle: photos in, captions out, on our own runtime."""

from __future__ import annotations

import hashlib
import os
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from PIL import Image

from cutline.captioning.bundle import (
    CARD,
    CONFIDENCE,
    ENCODER,
    RERANKER,
    TEXT,
    Bundle,
    Manifest,
    read_bundle,
)
from cutline.captioning.confidence import Confidence
from cutline.captioning.decoding import Hypothesis, Scores, decode
from cutline.captioning.evidence import Evidence, naming, parse_weights
from cutline.captioning.options import Decoding, DecodingOptions, Strategy, resolve
from cutline.captioning.protocol import Caption, ModelInfo, as_list
from cutline.captioning.reranking import Reranker
from cutline.captioning.runtime import (
    Encoded,
    Engine,
    Floats,
    Pixels,
    Runtime,
    TextTower,
    default_threads,
    joined,
    open_runtime,
    open_text_tower,
)
from cutline.captioning.streaming import Outcome, Outcomes
from cutline.captioning.tokenizer import Tokenizer
from cutline.captioning.wording import without_unsure_sexes, wording_of
from cutline.errors import BundleDamaged, CutlineError, OptionError
from cutline.images import DEFAULT_LIMITS, Limits, Source, read_pixels

if TYPE_CHECKING:
    from cutline.captioning.protocol import Sources

T = TypeVar("T")

BATCH_SIZE = 16
"""Images that are decoded together: the decoder is quicker for each the more there are."""

ENCODED_AT_ONCE = 4
"""Images that are encoded together: the encoder is no quicker for more, but its memory grows with them."""


class BundleCaptioner:
    """A bundle, loaded. May be used from several threads at once.

    ``batch_size`` is how many images are decoded together; ``threads`` by default is one for each core;
    ``limits`` are of the images; ``is_exact`` computes as the graphs say, slowly (see `open_runtime`).
    """

    def __init__(
        self,
        bundle: Bundle | str | os.PathLike[str],
        *,
        engine: Engine = Engine.ONNXRUNTIME,
        threads: int | None = None,
        batch_size: int = BATCH_SIZE,
        limits: Limits = DEFAULT_LIMITS,
        is_exact: bool = False,
    ) -> None:
        whole = bundle if isinstance(bundle, Bundle) else read_bundle(bundle)
        self.manifest: Manifest = whole.manifest
        self._confidence = _weights(whole, CONFIDENCE, Confidence)
        self._reranker = _weights(whole, RERANKER, Reranker)
        self._about = _about(whole, self._confidence)
        self._tokenizer = Tokenizer(whole)
        self._wordings = {
            is_safe: wording_of(
                self._tokenizer.token_of,
                self.manifest.architecture.vocabulary,
                is_safe=is_safe,
                never_said=self.manifest.text.never_said,
            )
            for is_safe in (False, True)
        }
        self._threads = threads or default_threads()
        self._runtime: Runtime = open_runtime(whole, engine=engine, threads=self._threads, is_exact=is_exact)
        self._open_for_many = partial(
            open_runtime,
            whole,
            engine=engine,
            threads=self._threads,
            is_shared_out=True,
            is_exact=is_exact,
        )
        self._runtime_for_many: Runtime | None = None
        self._text_tower = _text_tower(whole, engine, self._runtime, is_exact=is_exact)
        self._opening = threading.Lock()
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

    def about(self) -> ModelInfo:
        """What the bundle says of itself."""
        return self._about

    @property
    def defaults(self) -> DecodingOptions:
        """What an option that is left None means here."""
        return self.manifest.decoding

    @property
    def candidates(self) -> int:
        """How many sentences of a photo its re-ranker chooses from; 0 without one."""
        return self._reranker.candidates if self._reranker else 0

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
        self,
        images: Iterable[Source],
        *,
        n: int = 1,
        options: DecodingOptions | None = None,
        batch_size: int | None = None,
    ) -> Outcomes:
        """Caption any number of images as they come; an image that cannot be read gives its error in place.

        Few images share all threads. Of many, each thread takes a batch from photos to sentences, beside the
        others. At most a few batches are in memory at once. Raises OptionError before it reads anything.
        """
        asked = (options or DecodingOptions()).over(self.defaults)
        decoding = self._decoding(asked, n)
        return self._stream(iter(images), decoding, asked.prefix or "", batch_size or self._batch_size)

    def prepare(self, image: Source) -> Image.Image:
        """Read an image and scale it to the model's size, as ``caption`` does first. Raises ImageError."""
        return Image.fromarray(self._read(image))

    @property
    def no_text_reason(self) -> str:
        """As Embedder."""
        if self._text_tower is not None:
            return ""
        return f"{self._about.label} has no text tower: it cannot say which photos a text means."

    def embed(self, images: Sources) -> Floats:
        """As Embedder: the encoder's own embedding, else its pooled features."""
        with ThreadPoolExecutor(self._threads, thread_name_prefix="cutline-read") as pool:
            pixels = list(pool.map(self._read, as_list(images)))
        pieces = [self._runtime.encode(np.stack(each)).places() for each in _split(pixels, ENCODED_AT_ONCE)]
        return np.concatenate(pieces) if pieces else np.zeros((0, 0), np.float32)

    def embed_text(self, texts: Sequence[str]) -> Floats:
        """As Embedder: a text is cut at the longest that a sentence may be."""
        if self._text_tower is None:
            raise OptionError(self.no_text_reason)
        architecture = self.manifest.architecture
        ids = [self._tokenizer.ids(text)[: architecture.max_tokens] for text in texts]
        places = self._embed_ids(self._text_tower, ids)
        places[[not set(each) - {architecture.unknown_id} for each in ids]] = 0
        return places

    def _embed_ids(self, tower: TextTower, ids: Sequence[Sequence[int]]) -> Floats:
        pad = self.manifest.architecture.pad_id
        tokens = np.full((len(ids), max(map(len, ids), default=0) or 1), pad, np.int64)
        for row, each in zip(tokens, ids, strict=True):
            row[: len(each)] = each
        return tower.embed(tokens)

    def _decoding(self, asked: DecodingOptions, n: int) -> Decoding:
        longest = self.manifest.architecture.max_tokens - 1
        prefix = self._tokenizer.prefix_ids(asked.prefix) if asked.prefix else ()
        repeatable = self._tokenizer.repeatable_ids() if asked.no_repeat_words else None
        return resolve(
            asked,
            n=n,
            longest=longest,
            prefix=prefix,
            repeatable=repeatable,
            function_words=self._tokenizer.function_word_ids() or None,
            wording=self._wordings[asked.safe is not False],
        )

    def _stream(self, images: Iterator[Source], decoding: Decoding, prefix: str, size: int) -> Outcomes:
        first = list(islice(images, max(size, 2)))
        if len(first) < max(size, 2):
            yield from self._caption_together(first, decoding, prefix)
        else:
            yield from self._caption_in_parallel(chain(first, images), decoding, prefix, size)

    def _caption_together(self, images: Sequence[Source], decoding: Decoding, prefix: str) -> list[Outcome]:
        if len(images) < 2:  # no threads for one photo
            read = list(map(self._try_read, images))
        else:
            with ThreadPoolExecutor(self._threads, thread_name_prefix="cutline-read") as pool:
                read = list(pool.map(self._try_read, images))
        encodings = [_encode(self._runtime, piece) for piece in _split(read, ENCODED_AT_ONCE)]
        return self._decode(self._runtime, encodings, decoding, prefix)

    def _caption_in_parallel(
        self, images: Iterator[Source], decoding: Decoding, prefix: str, size: int
    ) -> Outcomes:
        """Work on small tasks, as many at once as there are threads.

        A batch is decoded when the next ones are encoded: then it need not wait, and at the end every thread
        has one.
        """
        runtime = self._for_many()
        pool = ThreadPoolExecutor(self._threads, thread_name_prefix="cutline-caption")
        encoding: deque[list[Future[_Encoding]]] = deque()
        decoding_batches: deque[Future[list[Outcome]]] = deque()

        def encode_piece(piece: Sequence[Source]) -> _Encoding:
            return _encode(runtime, list(map(self._try_read, piece)))

        def decode_batch(encodings: Sequence[Future[_Encoding]]) -> list[Outcome]:
            return self._decode(runtime, [each.result() for each in encodings], decoding, prefix)

        try:
            for batch in _batches(images, size, self._threads):
                encoding.append(
                    [pool.submit(encode_piece, piece) for piece in _split(batch, ENCODED_AT_ONCE)]
                )
                if len(encoding) > self._threads:
                    decoding_batches.append(pool.submit(decode_batch, encoding.popleft()))
                if len(decoding_batches) > self._threads:
                    yield from decoding_batches.popleft().result()
            decoding_batches.extend(pool.submit(decode_batch, each) for each in encoding)
            while decoding_batches:
                yield from decoding_batches.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _for_many(self) -> Runtime:
        with self._opening:
            if self._runtime_for_many is None:
                self._runtime_for_many = self._open_for_many() if self._threads > 1 else self._runtime
            return self._runtime_for_many

    def _read(self, image: Source) -> Pixels:
        return read_pixels(image, self.manifest.preprocessing, limits=self._limits)

    def _try_read(self, image: Source) -> Pixels | CutlineError:
        try:
            return self._read(image)
        except CutlineError as error:
            return error

    def _decode(
        self, runtime: Runtime, encodings: Sequence[_Encoding], decoding: Decoding, prefix: str
    ) -> list[Outcome]:
        read = [each for part in encodings for each in part.read]
        encoded = [part.encoded for part in encodings if part.encoded is not None]
        draws: list[Scores] = []
        if decoding.strategy is Strategy.SAMPLE:
            draws = [_draws(each, decoding) for each in read if not isinstance(each, CutlineError)]
        whole = joined(encoded) if encoded else None
        found = self._sentences(runtime, whole, decoding, draws) if whole else []
        read_as = " ".join(self._tokenizer.words(decoding.prefix).words)
        places = whole.places() if whole else ()
        written = iter(
            [self._written(each, place, decoding, prefix, read_as) for each in sentences]
            for sentences, place in zip(found, places, strict=True)
        )
        return [each if isinstance(each, CutlineError) else next(written) for each in read]

    def _sentences(
        self, runtime: Runtime, whole: Encoded, decoding: Decoding, draws: Sequence[Scores]
    ) -> list[list[_Sentence]]:
        """Each photo's sentences, best first: the first is what the re-ranker chose, where there is one."""
        chosen: list[_Sentence] = []
        is_beam = decoding.strategy is Strategy.BEAM and decoding.beam_size > 1
        if self._reranker is not None and decoding.rerank and is_beam:
            many = self._reranker.candidates
            wide = replace(decoding, n=many, beam_size=many, diversity=0.0)
            for several in self._found(runtime, whole, wide):
                chosen.append(several[self._reranker.best([each.evidence for each in several])])
            if decoding.n == 1:
                return [[each] for each in chosen]
        first = [each.hypothesis for each in chosen]
        found = self._found(runtime, whole, decoding, draws, first)
        if not chosen:
            return found
        return [_with_first(*each, decoding.n) for each in zip(chosen, found, strict=True)]

    def _found(
        self,
        runtime: Runtime,
        whole: Encoded,
        decoding: Decoding,
        draws: Sequence[Scores] = (),
        first: Sequence[Hypothesis] = (),
    ) -> list[list[_Sentence]]:
        found = decode(runtime, whole, self.manifest.architecture, decoding, draws, first)
        given = len(decoding.prefix)
        seen: Sequence[Floats | None] = [None] * len(found) if whole.concepts is None else [*whole.concepts]
        photos = zip(found, whole.places(), seen, strict=True)
        return [self._known(*each, given) for each in photos]

    def _known(
        self, hypotheses: Sequence[Hypothesis], place: Floats, concepts: Floats | None, given: int
    ) -> list[_Sentence]:
        """Sentences of a photo at place [E] that shows concepts [2, V], with what is known of them.

        given: how many of their first tokens were asked for.
        """
        likeness: Sequence[float | None] = [None] * len(hypotheses)
        if self._text_tower is not None:
            texts = self._embed_ids(self._text_tower, [each.tokens for each in hypotheses])
            likeness = (texts @ place).tolist()
        named: Sequence[float | None] = [None] * len(hypotheses)
        if concepts is not None:
            named = [naming(each.tokens, concepts) for each in hypotheses]
        return [_Sentence.of(*each, given) for each in zip(hypotheses, likeness, named, strict=True)]

    def _written(
        self, sentence: _Sentence, place: Floats, decoding: Decoding, prefix: str, read_as: str
    ) -> Caption:
        hypothesis, evidence = sentence.hypothesis, sentence.evidence
        words = self._tokenizer.words(hypothesis.tokens)
        if decoding.safe:
            words = without_unsure_sexes(
                words, hypothesis.sexes, least=decoding.sex_confidence, given=len(decoding.prefix)
            )
        rows, cols = self.manifest.architecture.grid
        attention = _by_word(hypothesis.attention, words.spans).reshape(-1, rows, cols)
        return Caption(
            text=_as_asked(self._tokenizer.sentence(words.words), prefix.strip(), read_as),
            log_prob=float(sum(hypothesis.log_probs)),
            token_log_probs=hypothesis.log_probs,
            words=words.words,
            attention=attention,
            embedding=place,
            evidence=evidence,
            confidence=self._confidence.of(evidence) if self._confidence else None,
        )


def _text_tower(bundle: Bundle, engine: Engine, runtime: Runtime, *, is_exact: bool) -> TextTower | None:
    if TEXT not in bundle.files:
        return None
    width = runtime.embedding_width
    if width == 0:
        raise BundleDamaged(f"The bundle {bundle.where} has {TEXT}, but its {ENCODER} gives no embedding.")
    return open_text_tower(bundle, engine=engine, width=width, is_exact=is_exact)


def _weights(bundle: Bundle, name: str, kind: type[T]) -> T | None:
    data = bundle.files.get(name)
    return None if data is None else parse_weights(kind, data, f"{name} of {bundle.where}")


def _about(bundle: Bundle, confidence: Confidence | None) -> ModelInfo:
    manifest = bundle.manifest
    return ModelInfo(
        name=manifest.name,
        version=manifest.version,
        bundle_hash=manifest.content_hash(),
        language=manifest.text.language,
        licence=manifest.licence,
        description=manifest.training_data.description,
        metrics=manifest.metrics,
        card=bundle.files.get(CARD, b"").decode("utf-8", "replace"),
        acceptable_cider=confidence.threshold if confidence else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Sentence:
    """A finished sentence, and what is known of it."""

    hypothesis: Hypothesis
    evidence: Evidence

    @classmethod
    def of(
        cls, hypothesis: Hypothesis, likeness: float | None, concepts: float | None, given: int
    ) -> _Sentence:
        """likeness, concepts: as of `Evidence`. given: tokens that were asked for."""
        chosen = hypothesis.log_probs[given:]  # the end, at least
        evidence = Evidence(
            mean_log_prob=float(sum(chosen)) / len(chosen),
            tokens=len(hypothesis.tokens),
            agreement=hypothesis.agreement,
            likeness=likeness,
            concepts=concepts,
        )
        return cls(hypothesis=hypothesis, evidence=evidence)


def _with_first(first: _Sentence, others: Sequence[_Sentence], n: int) -> list[_Sentence]:
    different = (each for each in others if each.hypothesis.tokens != first.hypothesis.tokens)
    return [first, *different][:n]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Encoding:
    """A few photos, each as pixels or an error, and what the encoder made of the pixels, if there are any."""

    read: Sequence[Pixels | CutlineError]
    encoded: Encoded | None


def _encode(runtime: Runtime, read: Sequence[Pixels | CutlineError]) -> _Encoding:
    pixels = [each for each in read if not isinstance(each, CutlineError)]
    return _Encoding(read=read, encoded=runtime.encode(np.stack(pixels)) if pixels else None)


def _split(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _batches(images: Iterator[Source], size: int, workers: int) -> Iterator[Sequence[Source]]:
    """Return batches, none above ``size``; what is left at the end is shared out evenly."""
    while round_ := list(islice(images, size * workers)):
        yield from _split(round_, -(-len(round_) // workers))


def _by_word(attention: Floats, spans: Sequence[tuple[int, int]]) -> Floats:
    """Share each word's look among the cells, its tokens together. [T, R] -> [W, R], rows summing to 1.

    The graphs' own rows may sum to less: a model may also look at what lies in no cell, such as concepts.
    """
    if not spans:
        return attention[:0]
    looks = np.add.reduceat(attention, [start for start, _ in spans], axis=0)
    whole = looks.sum(axis=1, keepdims=True)
    return np.divide(looks, np.where(whole > 0, whole, 1), dtype=np.float32)


def _as_asked(text: str, prefix: str, read_as: str) -> str:
    """Return the prefix as it was asked for, with the capitals and marks that the model does not read."""
    if not read_as:
        return f"{prefix} {text}".strip()
    return prefix + text[len(read_as) :] if text.casefold().startswith(read_as.casefold()) else text


def _draws(pixels: Pixels, decoding: Decoding) -> Scores:
    """Return an image's own random numbers, [n, max_length + 1].

    They come of the seed and the pixels: so the same photo draws the same captions wherever it stands in a
    batch, and two photos under one seed draw independently.
    """
    digest = np.frombuffer(hashlib.blake2b(pixels.tobytes(), digest_size=16).digest(), np.uint32)
    entropy = None if decoding.seed is None else [decoding.seed, *digest.tolist()]
    return np.random.default_rng(entropy).random((decoding.n, decoding.max_length + 1))
