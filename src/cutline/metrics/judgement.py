"""All scores of one system on one set, and of two systems against each other."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from cutline.errors import DataError, MissingExtra
from cutline.metrics import java
from cutline.metrics.bleu import bleu_from_statistics, bleu_statistics
from cutline.metrics.bootstrap import Comparison, paired_bootstrap
from cutline.metrics.cider import CiderD, DocumentFrequency
from cutline.metrics.diversity import (
    distinct_between,
    distinct_n,
    mean_length,
    repetition,
    unique_captions,
    vocabulary_used,
    words_not_shared,
)
from cutline.metrics.meteor import METEOR_APPROXIMATION, meteor
from cutline.metrics.ngrams import MAX_ORDER, Floats
from cutline.metrics.rouge import rouge_l
from cutline.metrics.tokens import TOKENIZER, tokenize

CIDER = "CIDEr-D"
_PERCENT = 100.0  # quality is printed times 100, as papers do

Captions = Sequence[str]
Words = list[str]


class TokenizerChoice(StrEnum):
    """What splits captions into words."""

    PYTHON = "python"
    JAVA = "java"

    @property
    def stated(self) -> str:
        """Name and version, to be stated with every score."""
        return TOKENIZER if self is TokenizerChoice.PYTHON else java.PTB_TOKENIZER_JAVA

    def words_of(self, texts: Sequence[str]) -> list[Words]:
        """Split captions into words. Raises MissingExtra where it is to be Java and cannot be."""
        if self is TokenizerChoice.PYTHON:
            return [tokenize(text) for text in texts]
        return java.tokenize_java(texts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One figure, with who computed it on whose words."""

    name: str
    value: float | None  # as printed; None when it was not computed
    by: str
    tokenizer: str
    note: str = ""  # what the figure is, or why there is none
    digits: int = 2  # decimals worth printing


@dataclass(frozen=True, slots=True, kw_only=True)
class _Resampled:
    """What the bootstrap needs of one metric: values [N] or statistics [N, K], times 100 at the end."""

    name: str
    values: Floats
    aggregate: Callable[[Floats], Floats] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A system's scores, and what each item got."""

    scores: tuple[Score, ...]
    items: Mapping[str, Floats]  # metric -> [N], times 100
    resampled: tuple[_Resampled, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Versus:
    """One metric of two systems."""

    name: str
    first: float
    second: float
    test: Comparison  # times 100, as the scores


class Judge:
    """Scores systems on one set of references.

    ``references`` [N] are the items to score; ``population`` is the whole set that they are part of, from
    which CIDEr-D takes how rare words are, so that a look at the first hundred items is on the same scale.
    ``use_java`` adds METEOR (Java) and SPICE where they can be run; others are reported as not computed.
    """

    def __init__(
        self,
        references: Sequence[Captions],
        *,
        population: Sequence[Captions] | None = None,
        tokenizer: TokenizerChoice = TokenizerChoice.PYTHON,
        use_java: bool = True,
    ) -> None:
        if not references:
            raise DataError("There is nothing to score: no item has references.")
        self._tokenizer = tokenizer
        self._use_java = use_java
        self._references = self._split_sets(references)
        whole = self._references if population is None else self._split_sets(population)
        self._cider = CiderD(self._references, document_frequency=DocumentFrequency.of(whole))

    def judge(self, captions: Captions, candidates: Sequence[Captions] = ()) -> Judgement:
        """Score one caption an item [N]; a failed caption is empty, and scores 0.

        ``candidates`` are several captions of some items, to be compared with each other.
        """
        words = self._tokenizer.words_of(captions)
        if len(words) != len(self._references):
            raise DataError(f"{len(self._references)} items need as many captions, not {len(words)}.")
        bleu = bleu_statistics(self._references, words)
        rouge, rouges = rouge_l(self._references, words)
        approximation, approximations = meteor(self._references, words)
        ciders = self._cider.score_many(range(len(words)), words)
        scores = [
            *self._bleu_scores(bleu),
            self._score("ROUGE-L", rouge * _PERCENT, "longest common subsequence, beta 1.2"),
            self._score(CIDER, float(ciders.mean()) * _PERCENT, "what pycocoevalcap calls CIDEr"),
            self._score(
                "METEOR-approx",
                approximation * _PERCENT,
                "exact and stem matches only; not comparable with METEOR (Java)",
                by=METEOR_APPROXIMATION,
            ),
        ]
        resampled = [_bleu_resampled(bleu, order) for order in range(1, MAX_ORDER + 1)]
        resampled += [
            _Resampled(name="ROUGE-L", values=rouges),
            _Resampled(name=CIDER, values=ciders),
            _Resampled(name="METEOR-approx", values=approximations),
        ]
        self._add_java(words, scores, resampled)
        items = {each.name: each.values for each in resampled if each.values.ndim == 1}
        items["BLEU-4"] = bleu_from_statistics(bleu)[:, -1]
        return Judgement(
            scores=(*scores, *self._diversity(words), *self._choice(candidates)),
            items={name: values * _PERCENT for name, values in items.items()},
            resampled=tuple(resampled),
        )

    def _split_sets(self, sets: Sequence[Captions]) -> list[list[Words]]:
        flat = iter(self._tokenizer.words_of([text for texts in sets for text in texts]))
        return [[next(flat) for _ in texts] for texts in sets]

    def _score(
        self, name: str, value: float | None, note: str = "", *, by: str = "", digits: int = 2
    ) -> Score:
        by = by or f"cutline {importlib.metadata.version('cutline')}"
        tokenizer = self._tokenizer.stated
        return Score(name=name, value=value, by=by, tokenizer=tokenizer, note=note, digits=digits)

    def _bleu_scores(self, statistics: Floats) -> list[Score]:
        values = bleu_from_statistics(statistics.sum(axis=0)) * _PERCENT
        note = "closest reference length"
        return [
            self._score(f"BLEU-{order}", float(value), note) for order, value in enumerate(values, start=1)
        ]

    def _diversity(self, words: list[Words]) -> list[Score]:
        return [
            self._score("distinct-1", distinct_n(words, 1), "different words / words", digits=3),
            self._score("distinct-2", distinct_n(words, 2), "different word pairs / word pairs", digits=3),
            self._score("unique captions", unique_captions(words), "different captions / captions", digits=3),
            self._score("vocabulary used", vocabulary_used(words), "different words", digits=0),
            self._score("mean length", mean_length(words), "words a caption"),
            self._score("repetition", repetition(words), "word pairs that repeat within a caption", digits=3),
        ]

    def _choice(self, candidates: Sequence[Captions]) -> list[Score]:
        several = [each for each in candidates if len(each) > 1]
        if not several:
            return []
        words = self._split_sets(several)
        note = "content words that only one of two candidates for a photo has / content words of both"
        pairs = "different word pairs / word pairs, among the candidates for a photo"
        return [
            self._score("candidates: words not shared", words_not_shared(words), note, digits=3),
            self._score("candidates: distinct-2", distinct_between(words, 2), pairs, digits=3),
        ]

    def _add_java(self, words: list[Words], scores: list[Score], resampled: list[_Resampled]) -> None:
        programs = (
            ("METEOR", java.METEOR_JAVA, java.why_unavailable, java.meteor_java),
            ("SPICE", java.SPICE_JAVA, java.why_spice_unavailable, java.spice_java),
        )
        for name, by, why_not, run in programs:
            reason = why_not() if self._use_java else "Java programs were switched off."
            if not reason:
                try:
                    value, values = run(self._references, words)
                except (java.JavaFailed, MissingExtra) as error:
                    reason = str(error)
            if reason:
                scores.append(self._score(name, None, reason, by=by))
                continue
            by = f"{by}, pycocoevalcap {java.package_version()}"
            scores.append(self._score(name, value * _PERCENT, "", by=by))
            resampled.append(_Resampled(name=f"{name} (mean of items)", values=values))


def _bleu_resampled(statistics: Floats, order: int) -> _Resampled:
    return _Resampled(
        name=f"BLEU-{order}",
        values=statistics,
        aggregate=lambda sums: bleu_from_statistics(sums)[:, order - 1],
    )


def compare(first: Judgement, second: Judgement, *, samples: int, seed: int) -> list[Versus]:
    """Test each metric that both systems have: is the difference significant?

    Each metric sees the same resamples, for they come of one seed.
    """
    others = {each.name: each for each in second.resampled}
    return [
        _versus(mine, others[mine.name], samples=samples, seed=seed)
        for mine in first.resampled
        if mine.name in others
    ]


def _versus(first: _Resampled, second: _Resampled, *, samples: int, seed: int) -> Versus:
    def percent(sums: Floats) -> Floats:
        if first.aggregate is None:
            means: Floats = _PERCENT * sums[:, 0] / len(first.values)
            return means
        return _PERCENT * first.aggregate(sums)

    def whole(values: Floats) -> float:
        return float(percent(values.reshape(len(values), -1).sum(axis=0, keepdims=True))[0])

    return Versus(
        name=first.name,
        first=whole(first.values),
        second=whole(second.values),
        test=paired_bootstrap(first.values, second.values, aggregate=percent, samples=samples, seed=seed),
    )


def rank(values: Floats, count: int) -> dict[str, list[int]]:
    """Pick items by score: the best, those around the median, the worst; each item once, best first.

    With few items the three groups share them.
    """
    order = [int(index) for index in np.argsort(-values, kind="stable")]
    count = min(count, -(-len(order) // 3))
    best, rest = order[:count], order[count:]
    worst = rest[max(0, len(rest) - count) :]
    between = rest[: len(rest) - len(worst)]
    start = max(0, (len(between) - count) // 2)
    return {"best": best, "median": between[start : start + count], "worst": worst}
