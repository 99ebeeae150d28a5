"""Concepts: the content words that a photo probably calls for, recognised before a sentence is written.

The decoder reads the likeliest concepts beside the regions (semantic attention, You et al., 2016). Since a
caption tells its own concepts, captions without photos can teach the decoder too, and the names of ImageNet's
classes give concepts a start even where few photos show them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from typing import cast

import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that torch's own documentation uses

from cutline.training.class_names import classes_of_words

# Words that carry no picture. Short on purpose: verbs, colours and numbers do carry one.
_FUNCTION_WORDS = """
    a an the of to in on at by for from with without into onto over under up down out off near next
    beside behind between through across around against along and or but as is are was were be been
    being am has have having had do does did it its his her their them they he she him himself
    herself itself themselves who whom whose which that this these those there here while when where
    what how some any other another each all both more most very not no so than then too also just
    only 's n't s t i you we our your my one's getting get gets doing
"""
_EMPTY = frozenset(_FUNCTION_WORDS.split())
# A concept that is rarer in captions is taken to be as frequent, or the least doubt would bring it up.
_RAREST = 0.002


def choose_concepts(captions: Iterable[Sequence[str]], *, limit: int) -> list[str]:
    """The most frequent content words of tokenised captions, most frequent first; equals by the alphabet."""
    counts = Counter(word for caption in captions for word in caption if word not in _EMPTY and len(word) > 1)
    return sorted(counts, key=lambda word: (-counts[word], word))[:limit]


def imagenet_words() -> list[list[str]]:
    """For each ImageNet class, in order, the everyday words that name what it shows."""
    text = resources.files(__package__).joinpath("imagenet_words.json").read_text(encoding="utf-8")
    return cast(list[list[str]], json.loads(text))


class ConceptHead(nn.Module):
    """Multi-label logits from the mean and the maximum of the regions.

    Legend: B images, R regions, F feature width, C concepts.
    """

    def __init__(self, feature_width: int, concepts: int) -> None:
        super().__init__()
        self.mean = nn.Linear(feature_width, concepts)
        self.maximum = nn.Linear(feature_width, concepts, bias=False)
        nn.init.zeros_(self.maximum.weight)

    def forward(self, features: Tensor) -> Tensor:
        """[B, R, F] -> [B, C]."""
        return cast(Tensor, self.mean(features.mean(dim=1)) + self.maximum(features.amax(dim=1)))

    @torch.no_grad()
    def take(self, weights: Mapping[str, Tensor], theirs: Sequence[str], ours: Sequence[str]) -> None:
        """Take the weights of another head for the concepts that both know. theirs, ours: in order."""
        known = {word: place for place, word in enumerate(theirs)}
        places = [place for place, word in enumerate(ours) if word in known]
        own = self.state_dict()
        for name, values in weights.items():
            own[name][places] = values[[known[ours[place]] for place in places]]

    @torch.no_grad()
    def start_from_imagenet(
        self, classifier: nn.Linear, concepts: Sequence[str], *, learnt: int | None = None, bias: float = -5.0
    ) -> int:
        """Start each concept that ImageNet's class names cover at the mean of those classes' weights.

        learnt: how many concepts are captions' own; those after them are words of names (`class_names`).
        Returns how many concepts were covered.
        """
        rows: dict[str, list[int]] = {}
        for index, words in enumerate(imagenet_words()):
            for word in words:
                rows.setdefault(word, []).append(index)
        for word, named in classes_of_words(() if learnt is None else concepts[learnt:]).items():
            rows[word] = sorted({*rows.get(word, ()), *named})
        centre = classifier.weight.mean(dim=0)
        nn.init.zeros_(self.mean.weight)
        nn.init.constant_(self.mean.bias, bias)
        covered = [(place, rows[word]) for place, word in enumerate(concepts) if word in rows]
        for place, classes in covered:
            self.mean.weight[place] = classifier.weight[classes].mean(dim=0) - centre
        return len(covered)


class ConceptBonus(nn.Module):
    """What a photo's concepts add to the scores of their words: weight * log(max(p, f) / f).

    p is the concept's probability in the photo, f how frequent it is in captions, 0.002 at least. The decoder
    reads the concepts, too, but has learned to write what captions usually say; this is shallow fusion
    (Gulcehre et al., 2015) with the concepts in place of a language model, and the usual taken off (Li et
    al., 2016). words: the ids of the vocabulary's words; those that are no concept gain nothing.
    frequencies [C]. Legend: B images, C concepts, V vocabulary.
    """

    places: Tensor
    usual: Tensor

    def __init__(
        self,
        concepts: Sequence[str],
        frequencies: npt.ArrayLike,
        words: Mapping[str, int],
        *,
        weight: float,
    ) -> None:
        super().__init__()
        self.weight = weight
        places = torch.full((len(words),), len(concepts))
        for place, concept in enumerate(concepts):
            if concept in words:
                places[words[concept]] = place
        self.register_buffer("places", places)
        self.register_buffer("usual", torch.as_tensor(frequencies, dtype=torch.float32).clamp(min=_RAREST))

    def forward(self, logits: Tensor) -> Tensor:
        """The concepts' logits [B, C] -> what to add to the words' [B, V]."""
        gains = torch.log(torch.maximum(torch.sigmoid(logits), self.usual) / self.usual) * self.weight
        return self._by_word(gains)

    def seen(self, logits: Tensor) -> Tensor:
        """The concepts' logits [B, C] -> of each word, how likely the photo shows it, and how rare it is.

        [B, 2, V]: the concept's probability, and -log f; both are 0 for words that are no concept.
        """
        rarity = -torch.log(self.usual)
        shown = torch.stack((torch.sigmoid(logits), rarity.expand_as(logits)), dim=1)
        return self._by_word(shown)

    def _by_word(self, values: Tensor) -> Tensor:
        """[..., C] -> [..., V], 0 for words that are no concept."""
        return F.pad(values, (0, 1)).index_select(-1, self.places)
