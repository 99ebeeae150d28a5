"""METEOR in pure Python: an approximation, not the Java program that papers report.

It follows METEOR 1.5's English scoring (Denkowski and Lavie, 2014): precision and recall with recall
favoured, content words above function words, and a penalty for scattered matches. It matches equal words
and equal stems only. The Java program also matches WordNet synonyms and paraphrases and so scores higher:
compare its figures with its figures, and these with these. ``cutline.metrics.java.meteor_java`` runs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cutline.metrics.ngrams import Floats, Hypotheses, References, ReferenceSet, pair

METEOR_APPROXIMATION = "cutline-meteor-exact-stem 1.0"
"""Name and version, stated with every score."""

# METEOR 1.5's parameters for English.
_ALPHA, _BETA, _GAMMA, _DELTA = 0.85, 0.20, 0.60, 0.75
_EXACT, _STEM = 1.0, 0.6

_BEAM = 32  # alignments kept while walking along a caption; captions rarely need more than three

_FUNCTION_WORD_LIST = (
    "a an the this that these those some any each every no all both either neither another such i you "
    "he she it we they me him her us them my your his its our their one 's who whom whose which what "
    "there here and or but nor so yet if as than because while when where of in on at by for with "
    "about against between into through during before after above below to from up down out off over "
    "under near along across behind beside around upon onto toward towards within without is are was "
    "were be been being am do does did have has had having will would shall should can could may "
    "might must not n't 're 've 'll 'd 'm ca wo very too also just"
)
FUNCTION_WORDS = frozenset(_FUNCTION_WORD_LIST.split())

_IRREGULAR = {
    "men": "man",
    "women": "woman",
    "children": "child",
    "feet": "foot",
    "teeth": "tooth",
    "geese": "goose",
    "mice": "mouse",
    "sat": "sit",
    "stood": "stand",
    "ran": "run",
    "rode": "ride",
    "ridden": "ride",
    "held": "hold",
    "threw": "throw",
    "thrown": "throw",
    "caught": "catch",
    "wore": "wear",
    "worn": "wear",
    "swam": "swim",
    "ate": "eat",
    "eaten": "eat",
    "took": "take",
    "taken": "take",
    "flew": "fly",
    "lying": "lie",
    "lay": "lie",
}


def meteor(references: References, hypotheses: Hypotheses) -> tuple[float, Floats]:
    """Score a corpus of words: from the summed counts, and each item's score [N], between 0 and 1.

    Each item counts with the reference that fits it best, as in the Java program.
    """
    best = [_best(captions, _words(hypothesis)) for captions, hypothesis in pair(references, hypotheses)]
    return _score(_Counts.total(best)), np.array([_score(counts) for counts in best])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counts:
    """What a score is made of; index 0 is content words, 1 is function words."""

    hypothesis: tuple[float, float] = (0, 0)  # words
    reference: tuple[float, float] = (0, 0)
    weight_hypothesis: tuple[float, float] = (0, 0)  # matched words, by match weight
    weight_reference: tuple[float, float] = (0, 0)
    matches: float = 0
    chunks: float = 0

    @classmethod
    def total(cls, parts: Sequence[_Counts]) -> _Counts:
        def add(pairs: Sequence[tuple[float, float]]) -> tuple[float, float]:
            return sum(left for left, _ in pairs), sum(right for _, right in pairs)

        return cls(
            hypothesis=add([part.hypothesis for part in parts]),
            reference=add([part.reference for part in parts]),
            weight_hypothesis=add([part.weight_hypothesis for part in parts]),
            weight_reference=add([part.weight_reference for part in parts]),
            matches=sum(part.matches for part in parts),
            chunks=sum(part.chunks for part in parts),
        )


def _score(counts: _Counts) -> float:
    def mix(pair: tuple[float, float]) -> float:
        return _DELTA * pair[0] + (1 - _DELTA) * pair[1]

    if not counts.matches:
        return 0.0
    precision = mix(counts.weight_hypothesis) / mix(counts.hypothesis)
    recall = mix(counts.weight_reference) / mix(counts.reference)
    mean = precision * recall / (_ALPHA * precision + (1 - _ALPHA) * recall)
    penalty: float = _GAMMA * (counts.chunks / counts.matches) ** _BETA
    return mean * (1 - penalty)


def _best(references: ReferenceSet, hypothesis: list[str]) -> _Counts:
    return max((_count(_words(reference), hypothesis) for reference in references), key=_score)


def _words(tokens: Sequence[object]) -> list[str]:
    return [str(token) for token in tokens]


def _count(reference: list[str], hypothesis: list[str]) -> _Counts:
    alignment = _align(reference, hypothesis)
    weights_hypothesis, weights_reference = [0.0, 0.0], [0.0, 0.0]
    chunks, previous = 0, (-2, -2)
    for position, target in alignment:
        weight = _EXACT if hypothesis[position] == reference[target] else _STEM
        weights_hypothesis[hypothesis[position] in FUNCTION_WORDS] += weight
        weights_reference[reference[target] in FUNCTION_WORDS] += weight
        chunks += (position, target) != (previous[0] + 1, previous[1] + 1)
        previous = (position, target)
    whole = chunks == 1 and len(alignment) == len(hypothesis) == len(reference)
    return _Counts(
        hypothesis=_split(hypothesis),
        reference=_split(reference),
        weight_hypothesis=(weights_hypothesis[0], weights_hypothesis[1]),
        weight_reference=(weights_reference[0], weights_reference[1]),
        matches=len(alignment),
        chunks=0 if whole else chunks,  # a perfect copy is not scattered at all
    )


def _split(words: list[str]) -> tuple[float, float]:
    function = sum(word in FUNCTION_WORDS for word in words)
    return len(words) - function, function


@dataclass(frozen=True, slots=True)
class _Path:
    """A part of an alignment: what is matched so far, and how well."""

    weight: float = 0.0
    chunks: int = 0
    links: tuple[tuple[int, int], ...] = ()
    used: frozenset[int] = frozenset()

    def extend(self, position: int, target: int, weight: float) -> _Path:
        follows = bool(self.links) and self.links[-1] == (position - 1, target - 1)
        link = (position, target)
        return _Path(
            self.weight + weight, self.chunks + (not follows), (*self.links, link), self.used | {target}
        )


def _align(reference: list[str], hypothesis: list[str]) -> tuple[tuple[int, int], ...]:
    """Match each word to at most one word of the reference: most weight first, then fewest chunks."""
    stems = [stem(word) for word in reference]
    paths = [_Path()]
    for position, word in enumerate(hypothesis):
        word_stem = stem(word)
        options = [
            (target, _EXACT if word == other else _STEM)
            for target, other in enumerate(reference)
            if word == other or word_stem == stems[target]
        ]
        if options:
            longer = [
                path.extend(position, target, weight)
                for path in paths
                for target, weight in options
                if target not in path.used
            ]
            paths = sorted(paths + longer, key=lambda path: (-path.weight, path.chunks))[:_BEAM]
    return paths[0].links


_VOWELS = frozenset("aeiouy")


def stem(word: str) -> str:
    """Cut an English word's inflection: plural, -ed, -ing, -ly, and y to i (steps 1 of Porter's stemmer)."""
    if word in _IRREGULAR:
        return stem(_IRREGULAR[word])
    if len(word) <= 2:
        return word
    word = _singular(word)
    word = _without_tense(word)
    if len(word) > 4 and word.endswith("ly"):
        word = word[:-2]
    if len(word) > 2 and word.endswith("y") and word[-2] not in _VOWELS:
        word = word[:-1] + "i"
    return word[:-1] if len(word) > 4 and word.endswith("e") else word


def _singular(word: str) -> str:
    if word.endswith("sses"):
        return word[:-2]
    if word.endswith(("ies", "ied")):
        return word[:-2] if len(word) > 4 else word[:-1]
    if word.endswith(("xes", "ches", "shes")):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us")) and _has_vowel(word[:-2]):
        return word[:-1]
    return word


def _without_tense(word: str) -> str:
    for ending in ("ing", "ed"):
        start = word.removesuffix(ending)
        if start != word and _has_vowel(start):
            if start[-2:-1] == start[-1:] and start[-1] not in "aeiouylsz":
                return start[:-1]  # running: run
            if start.endswith(("at", "bl", "iz")) or (len(start) == 3 and start[1] in _VOWELS):
                return start + "e" if start[-1] not in "wxy" else start  # riding: ride
            return start
    return word


def _has_vowel(text: str) -> bool:
    return any(character in _VOWELS for character in text)
