"""A captioning system and a corpus so small that a test can train them.

Photos do not exist: a store of random features stands for them, with a direction for each thing that captions
name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor, nn

from cutline.training.corpus import Captions, Corpus, tokenise_captions, with_concepts
from cutline.training.distil import DistilObjective
from cutline.training.lstm import LstmCaptioner, LstmConfig
from cutline.training.matching import MatchObjective
from cutline.training.optim import build_optimiser
from cutline.training.systems import CaptionSystem, ConceptSystem
from cutline.training.transformer import TransformerCaptioner, TransformerConfig

THINGS = ("dog", "cat", "boat", "tree", "ball", "girl")
COLOURS = ("red", "blue")
CONCEPTS = (*THINGS, *COLOURS)
WORDS = ("<pad>", "<sos>", "<end>", "<unk>", "a", "and", "there", "is", "on", "grass", *CONCEPTS)
ROWS, COLUMNS, WIDTH = 2, 3, 16


def word_tokenizer() -> Tokenizer:
    """Split at spaces; every word above is known."""
    vocabulary = {word: place for place, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return tokenizer


def say(colour: str, thing: str, other: str) -> list[str]:
    """Three captions of one photo."""
    return [
        f"a {colour} {thing} and a {other}",
        f"there is a {colour} {thing}",
        f"a {thing} and a {other} on grass",
    ]


def captions(count: int, *, seed: int, source: str = "photos", photos: bool = True) -> list[Captions]:
    """Photos and what is said of them; photo i is row i of the store."""
    rng = np.random.default_rng(seed)
    tokenizer, places = word_tokenizer(), {word: place for place, word in enumerate(CONCEPTS)}
    found = []
    for row in range(count):
        thing, other = (str(each) for each in rng.choice(THINGS, 2, replace=False))
        texts = say(str(rng.choice(COLOURS)), thing, other)
        key = f"{source}-{seed}-{row}"
        one = tokenise_captions(tokenizer, texts, key=key, source=source, row=row if photos else -1)
        assert one is not None
        found.append(with_concepts(one, places))
    return found


class PlantedStore:
    """Features that show, in one region each, what the photo's captions name."""

    def __init__(self, items: Sequence[Captions], *, variants: int = 1, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.variants = variants
        directions = rng.standard_normal((len(CONCEPTS), WIDTH)).astype(np.float32)
        shape = (variants, len(items), ROWS, COLUMNS, WIDTH)
        self.features = 0.1 * rng.standard_normal(shape).astype(np.float32)
        for item in items:
            for concept in item.concepts:
                place = int(rng.integers(ROWS * COLUMNS))
                self.features[:, item.row, place // COLUMNS, place % COLUMNS] += 2 * directions[concept]

    def read(self, rows: Sequence[int], variants: Sequence[int]) -> Tensor:
        """As FeatureStore."""
        return torch.from_numpy(self.features[list(variants), list(rows)])


class PlainTail(nn.Module):
    """The cached features, laid out as regions, and a bias that can learn."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(WIDTH))

    def forward(self, cached: Tensor) -> Tensor:
        """[B, H, W, C] -> [B, R, C]."""
        return (cached + self.bias).flatten(1, 2)


def tiny_config(**changes: int | float) -> TransformerConfig:
    """Two layers of width 32."""
    sizes: dict[str, int | float] = {
        "vocabulary": len(WORDS),
        "concepts": len(CONCEPTS),
        "feature_width": WIDTH,
        "rows": ROWS,
        "columns": COLUMNS,
        "width": 32,
        "heads": 4,
        "encoder_layers": 1,
        "decoder_layers": 2,
        "hidden": 64,
        "dropout": 0.0,
        "concept_tokens": 4,
        "max_tokens": 12,
    }
    return TransformerConfig(**(sizes | changes))  # type: ignore[arg-type]


def tiny_system(*, seed: int = 0, **changes: int | float) -> ConceptSystem:
    """A system with random weights."""
    return ConceptSystem(PlainTail(), tiny_transformer(seed=seed, **changes))


def tiny_transformer(*, seed: int = 0, **changes: int | float) -> TransformerCaptioner:
    """A transformer with random weights."""
    torch.manual_seed(seed)
    return TransformerCaptioner(tiny_config(**changes))


def tiny_lstm(*, seed: int = 0) -> CaptionSystem:
    """An lstm-attention system with random weights."""
    torch.manual_seed(seed)
    config = LstmConfig(
        vocabulary=len(WORDS),
        feature_width=WIDTH,
        rows=ROWS,
        columns=COLUMNS,
        width=12,
        hidden=20,
        attention_width=10,
        embedding_width=9,
        max_tokens=12,
    )
    return CaptionSystem(PlainTail(), LstmCaptioner(config))


def tiny_corpus(*, train: int = 48, dev: int = 12, texts: int = 24) -> tuple[Corpus, PlantedStore]:
    """A corpus, and the store of its photos."""
    items = captions(train + dev, seed=1)
    corpus = Corpus(
        tokenizer=word_tokenizer(),
        concepts=CONCEPTS,
        train=tuple(items[:train]),
        dev=tuple(items[train:]),
        texts=tuple(captions(texts, seed=2, photos=False)),
    )
    return corpus, PlantedStore(items)


def measured_around(
    learning: DistilObjective | MatchObjective, *, epochs: int
) -> tuple[Mapping[str, float], Mapping[str, float]]:
    """Train; what the objective measured before and after."""
    with torch.no_grad():
        before = learning.evaluate()
    optimiser = build_optimiser(learning.stage, learning.parameter_groups())
    for epoch in range(epochs):
        for batch in learning.batches(epoch):
            optimiser.zero_grad()
            learning.loss(batch).value.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
    with torch.no_grad():
        return before, learning.evaluate()
