"""What the objectives train on: photos with tokenised captions, and captions whose photos nobody has.

Legend of shapes: S captions of one photo, L tokens, C concepts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from cutline.metrics import tokenize
from cutline.training.vocabulary import END_ID, PAD_ID, START_ID

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Captions:
    """The captions of one photo. ``row`` is the photo's place in the feature store; -1: there is no photo.

    words: as scores see them, whatever the vocabulary knows. ids: as the model sees them, <sos> and <end>
    left out.
    concepts: for each concept that a caption names, the share of the captions that do, in 0..1.
    """

    key: str
    source: str
    row: int
    words: tuple[tuple[str, ...], ...]
    ids: tuple[tuple[int, ...], ...]
    concepts: dict[int, float]

    @property
    def references(self) -> list[list[str]]:
        """The captions as lists of words, to score against."""
        return [list(words) for words in self.words]


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """Everything that a training reads, split and tokenised."""

    tokenizer: Tokenizer
    concepts: tuple[str, ...]
    train: tuple[Captions, ...]
    dev: tuple[Captions, ...]
    texts: tuple[Captions, ...]


def tokenise_captions(
    tokenizer: Tokenizer, captions: Sequence[str], *, key: str, source: str, row: int
) -> Captions | None:
    """Tokenise the captions of one photo, no concepts known yet; None when none of them holds a word."""
    codes = tokenizer.encode_batch(list(captions), add_special_tokens=False)
    kept = [(tuple(tokenize(text)), tuple(code.ids)) for text, code in zip(captions, codes, strict=True)]
    kept = [(words, ids) for words, ids in kept if words and ids]
    if not kept:
        return None
    return Captions(
        key=key,
        source=source,
        row=row,
        words=tuple(words for words, _ in kept),
        ids=tuple(ids for _, ids in kept),
        concepts={},
    )


def with_concepts(captions: Captions, concepts: Mapping[str, int]) -> Captions:
    """Fill in which concepts, {word: number}, the captions name."""
    named = Counter(concepts[word] for words in captions.words for word in set(words) if word in concepts)
    shares = {place: count / len(captions.words) for place, count in sorted(named.items())}
    return replace(captions, concepts=shares)


def first_concepts(corpus: Corpus, count: int) -> Corpus:
    """The corpus as if there were its first ``count`` concepts alone."""
    if len(corpus.concepts) <= count:
        return corpus

    def cut(items: tuple[Captions, ...]) -> tuple[Captions, ...]:
        return tuple(
            replace(item, concepts={place: share for place, share in item.concepts.items() if place < count})
            for item in items
        )

    return replace(
        corpus,
        concepts=corpus.concepts[:count],
        train=cut(corpus.train),
        dev=cut(corpus.dev),
        texts=cut(corpus.texts),
    )


def pack(captions: Captions, *, count: int, length: int, rng: np.random.Generator) -> Ints:
    """<sos> tokens <end> and padding, of ``count`` captions, none twice as long as they last: [S, L].

    Captions too long for it are left out, unless all are: then they are cut.
    """
    fitting = [ids for ids in captions.ids if len(ids) <= length - 2] or [
        ids[: length - 2] for ids in captions.ids
    ]
    chosen = list(rng.permutation(len(fitting))[:count])
    chosen += list(rng.integers(0, len(fitting), count - len(chosen)))
    packed = np.full((count, length), PAD_ID, dtype=np.int64)
    for row, choice in zip(packed, chosen, strict=True):
        ids = fitting[choice]
        row[: len(ids) + 2] = (START_ID, *ids, END_ID)
    return packed


def concept_targets(batch: Sequence[Captions], concepts: int) -> npt.NDArray[np.float32]:
    """The share of each photo's captions that name each concept: [B, C]."""
    targets = np.zeros((len(batch), concepts), dtype=np.float32)
    for row, captions in zip(targets, batch, strict=True):
        for place, share in captions.concepts.items():
            row[place] = share
    return targets
