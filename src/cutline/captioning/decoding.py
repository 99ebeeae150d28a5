"""From next-token probabilities to sentences: greedy, beam search and sampling, for many images at once.

Each image is decoded as if alone: rows of the batch share forward passes and nothing else, and an image
whose captions are final leaves the batch.

Shapes: B images still in the batch, K hypotheses (beams or samples) of each, T tokens so far, C candidates
for the next token, M candidates that the graph gives in order, V vocabulary, R grid cells.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from heapq import heappush, heapreplace
from typing import Any, TypeAlias, TypeVar, assert_never

import numpy as np
from numpy.typing import NDArray

from cutline.captioning.bundle import Architecture
from cutline.captioning.evidence import RIVALS, agreement
from cutline.captioning.options import Decoding, Strategy
from cutline.captioning.runtime import Encoded, Floats, Ints, Runtime, Step, Tensors

Scores: TypeAlias = NDArray[np.float64]
Flags: TypeAlias = NDArray[np.bool_]
Number = TypeVar("Number", bound=np.generic)

_COMPACT_BELOW = 0.8
"""The share of images still open below which the others' memory is copied to a smaller batch."""


_NUCLEUS_GUESS = 256
"""How many candidates top_p looks at before it looks at more: to sort a whole vocabulary is slow."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Hypothesis:
    """A finished sentence. ``log_probs`` has one more entry than ``tokens``: the end token's.

    ``score`` is what it was ranked by. ``attention`` [T, R]. ``agreement`` is what the other sentences that
    the search finished say of this one, as in Evidence. ``sexes`` [T, 2] are the probabilities of words for
    males and for females where each token was written; zero where nobody asks.
    """

    tokens: tuple[int, ...]
    log_probs: tuple[float, ...]
    score: float
    attention: Floats
    agreement: float | None = None
    sexes: Floats = field(default_factory=lambda: np.zeros((0, 2), np.float32))


def decode(
    runtime: Runtime,
    encoded: Encoded,
    architecture: Architecture,
    decoding: Decoding,
    draws: Sequence[Scores] = (),
    first: Sequence[Hypothesis] = (),
) -> list[list[Hypothesis]]:
    """Write up to ``decoding.n`` sentences for each image, best first.

    ``draws``: for sampling, uniform numbers in [0, 1) for each image, [n, max_length + 1]: what makes an
    image's samples its own, wherever it stands in the batch. ``first``: a sentence of each image from which
    diverse beam search begins, in place of one that it finds itself.
    """
    if decoding.strategy is Strategy.BEAM and decoding.diversity and decoding.n > 1:
        return _decode_diversely(runtime, encoded, architecture, decoding, first)
    return _search(runtime, encoded, architecture, decoding, draws)


def _decode_diversely(
    runtime: Runtime,
    encoded: Encoded,
    architecture: Architecture,
    decoding: Decoding,
    first: Sequence[Hypothesis],
) -> list[list[Hypothesis]]:
    """One search after the other for each image, each away from the captions that are there already.

    Diverse beam search (Vijayakumar et al., 2018): each group looks at the captions of those before. The
    first caption is given, or that of a search for one; the others follow, the likeliest first.
    """
    one = replace(decoding, n=1, diversity=0.0)
    plain = replace(one, strategy=Strategy.GREEDY) if one.beam_size == 1 else one
    found = [[each] for each in first] or _search(runtime, encoded, architecture, plain)
    for _ in range(decoding.n - 1):
        away = _Away(found, decoding)
        more = _search(runtime, encoded, architecture, one, away=away)
        found = [[*captions, *another] for captions, another in zip(found, more, strict=True)]
    if any(len(captions) < decoding.n for captions in found):  # a narrow beam found one again
        likeliest = replace(decoding, diversity=0.0, beam_size=max(decoding.n, decoding.beam_size))
        more = _search(runtime, encoded, architecture, likeliest)
        found = [_filled(*both, decoding.n) for both in zip(found, more, strict=True)]
    return [[*captions[:1], *sorted(captions[1:], key=lambda each: -each.score)] for captions in found]


def _filled(captions: list[Hypothesis], more: list[Hypothesis], n: int) -> list[Hypothesis]:
    known = {each.tokens for each in captions}
    return [*captions, *(each for each in more if each.tokens not in known)][:n]


def _search(
    runtime: Runtime,
    encoded: Encoded,
    architecture: Architecture,
    decoding: Decoding,
    draws: Sequence[Scores] = (),
    *,
    away: _Away | None = None,
) -> list[list[Hypothesis]]:
    search = _Search(runtime, encoded, architecture, decoding, draws, away)
    while search.is_open:
        search.advance()
    return search.results()


class _Away:
    """What captions that are there already cost others: ``diversity`` for each that has a word already.

    A function word costs where it stands at the same place (Hamming diversity), any other word wherever it
    stands: else one word more would shift all others, and make a new caption of the same one. Where the
    model's function words are not known, each token costs at its place. The prefix is given, and costs
    nothing.
    """

    def __init__(self, captions: Sequence[Sequence[Hypothesis]], decoding: Decoding) -> None:
        count = max(map(len, captions))
        longest = max((len(each.tokens) for several in captions for each in several), default=0)
        self._tokens = np.full((longest, len(captions), count), -1)  # [T, B, G], -1 where there is none
        # An empty sentence, in which nothing is charged, is no alternative.
        self._known = [{(), *(each.tokens for each in several)} for several in captions]
        self._cost, self._free = decoding.diversity, len(decoding.prefix)
        for image, several in enumerate(captions):
            for group, each in enumerate(several):
                self._tokens[: len(each.tokens), image, group] = each.tokens
        self._words = np.zeros((len(captions), 0), np.int64)  # [B, any number], -1 where there is none
        if decoding.function_words is not None:
            is_word = ~np.isin(self._tokens, [-1, *decoding.function_words])
            words = np.where(is_word, self._tokens, -1)
            self._words = words.transpose(1, 0, 2).reshape(len(captions), longest * count)
            self._tokens[is_word] = -1

    def at(self, place: int, images: Ints) -> Ints:
        """Return the tokens that cost something at a place, -1 for none. images [B] -> [B, any number]."""
        if place < self._free:
            return np.zeros((len(images), 0), np.int64)
        words = self._words[images]
        return np.hstack([words, self._tokens[place, images]]) if place < len(self._tokens) else words

    def charges(self, tokens: Ints, place: int, images: Ints) -> Flags:
        """Say which candidates cost something. tokens [B, K, C], images [B] -> [B, K, C]."""
        charged: Flags = (tokens[..., None] == self.at(place, images)[:, None, None, :]).any(axis=3)
        return charged

    def charged(self, candidates: _Candidates, place: int, images: Ints) -> _Candidates:
        """Take the cost off the candidates' log-probabilities. images [B]."""
        dear = self.at(place, images)
        log_probs = candidates.log_probs.copy()
        if candidates.tokens.ndim == 1:
            for tokens in dear.T:  # one of each image
                rows = np.flatnonzero(np.isin(tokens, candidates.tokens))
                columns = np.searchsorted(candidates.tokens, tokens[rows])
                log_probs[rows, :, columns] -= self._cost
        else:
            same = candidates.tokens[..., None] == dear[:, None, None, :]
            log_probs -= (self._cost * same.sum(axis=3)).astype(log_probs.dtype)
        return _Candidates(log_probs=log_probs, tokens=candidates.tokens)

    def cost_of(self, tokens: Ints, image: int) -> Scores:
        """Return what each token of a sentence was charged. tokens [T] -> [T]."""
        images = np.array([image])
        shared = [int((self.at(place, images) == token).sum()) for place, token in enumerate(tokens.tolist())]
        return self._cost * np.array(shared, np.float64)

    def has(self, tokens: Ints, image: int) -> bool:
        """Whether an image has this caption already."""
        return tuple(tokens.tolist()) in self._known[image]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Candidates:
    """What may come next: ``log_probs`` [B, K, C], -inf where it may not, and the tokens [B, K, C] or [C]."""

    log_probs: Floats
    tokens: Ints

    def token_at(self, slots: Ints, which: Ints) -> Ints:
        """Return the tokens of candidates. slots, which [B, N] -> [B, N]."""
        if self.tokens.ndim == 1:
            return self.tokens[which]
        return self.tokens[np.arange(len(slots))[:, None], slots, which]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Choice:
    """The next hypotheses, [B, N] each: which one they go on from, by which token, and to what total."""

    parents: Ints
    tokens: Ints
    totals: Scores


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Ending:
    """A finished sentence as the search keeps it: ``slots`` [T] says which hypothesis it was at each step."""

    tokens: Ints
    totals: Scores
    slots: Ints


_Finished: TypeAlias = tuple[float, tuple[int, ...]]
"""Score and tokens of a sentence."""


def _remember(best: list[_Finished], sentence: _Finished) -> None:
    """Put a sentence in its place among the best, as many as can be another one's rivals."""
    if len(best) <= RIVALS or sentence > best[-1]:
        if sentence not in best:
            insort(best, sentence, key=lambda each: (-each[0], each[1]))
        del best[RIVALS + 1 :]


_Entry: TypeAlias = tuple[float, int, _Ending]
"""Score, minus when it was found, and what."""


class _Search:
    def __init__(
        self,
        runtime: Runtime,
        encoded: Encoded,
        architecture: Architecture,
        decoding: Decoding,
        draws: Sequence[Scores],
        away: _Away | None = None,
    ) -> None:
        images = len(next(iter(encoded.memory.values())))
        self._runtime = runtime
        self._architecture = architecture
        self._decoding = decoding
        self._away = away
        self._draws = np.stack(draws) if len(draws) else np.zeros((images, decoding.n, 0))
        self._memory: Tensors = encoded.memory
        self._state: Tensors = encoded.state
        self._images = np.arange(images)  # [B]: which image each row is
        self._last = np.full((images, 1), architecture.start_id, np.int64)
        self._tokens = np.zeros((images, 1, 0), np.int64)  # [B, K, T]
        self._slots = np.zeros((images, 1, 0), np.int64)  # [B, K, T]: the hypothesis that each was
        self._totals = np.zeros((images, 1, 1))  # [B, K, T + 1]: log-probability of the first t tokens
        # Of each step: the row that each image had, the attention, the likeliest words and their chances.
        self._seen: list[tuple[Ints, Floats, Ints, Floats]] = []
        self._endings: list[list[_Entry]] = [[] for _ in range(images)]  # heaps: worst first
        self._finished: list[list[_Finished]] = [[] for _ in range(images)]  # the best few of all, best first
        self._endings_seen = 0
        self._top = architecture.vocabulary  # M, until a step has shown it
        self._banned_always = [architecture.pad_id, architecture.start_id, architecture.unknown_id]

    @property
    def is_open(self) -> bool:
        """Whether an image is still without its captions."""
        return len(self._images) > 0

    def advance(self) -> None:
        """Write one more token of every open hypothesis."""
        repeats = self._repeats()
        step, full = self._step(repeats)
        rows = np.full(len(self._endings), -1)
        rows[self._images] = np.arange(len(self._images))
        candidates = self._candidates(step, repeats, full)
        if not full and self._are_too_few(candidates):
            step, full = self._run(True), True
            candidates = self._candidates(step, repeats, full)
        self._seen.append((rows, step.attention, step.top_tokens, step.top_log_probs))
        if self._away is not None:
            candidates = self._away.charged(candidates, self._length, self._images)
        choice = self._choose(candidates)
        self._state = step.state
        self._go_on(self._set_endings_aside(choice))

    def results(self) -> list[list[Hypothesis]]:
        """Return each image's sentences, best first."""
        return [
            [self._hypothesis(image, score, ending) for score, _, ending in sorted(endings, key=_best_first)]
            for image, endings in enumerate(self._endings)
        ]

    @property
    def _length(self) -> int:
        return self._tokens.shape[2]

    @property
    def _forced(self) -> int | None:
        """The one token that may come next, where only one may."""
        if self._length < len(self._decoding.prefix):
            return self._decoding.prefix[self._length]
        return self._architecture.end_id if self._length >= self._decoding.max_length else None

    # One step of the graph

    def _step(self, repeats: Ints) -> tuple[Step, bool]:
        """Run the decoder; in full only where its short list of likeliest tokens may not be enough."""
        banned = len(self._banned_always) + 1 + int((repeats >= 0).sum(axis=2).max(initial=0))
        wanted = _candidates_wanted(self._decoding, self._architecture.vocabulary) + banned
        full = self._forced is not None or wanted > self._top
        step = self._run(full)
        self._top = step.top_tokens.shape[2]
        if not full and wanted > self._top:
            return self._run(True), True
        return step, full

    def _are_too_few(self, candidates: _Candidates) -> bool:
        """Whether the short list may lack what is to be chosen: the wording bans many, or they cost."""
        if self._decoding.wording is None and self._away is None:
            return False
        good = np.isfinite(candidates.log_probs)
        if self._away is not None:
            good &= ~self._away.charges(candidates.tokens, self._length, self._images)
        wanted = _candidates_wanted(self._decoding, self._architecture.vocabulary)
        return bool(good.sum(axis=2).min(initial=wanted) < wanted)

    def _run(self, full: bool) -> Step:
        return self._runtime.step(self._last, self._memory, self._state, full=full)

    # Constraints

    def _candidates(self, step: Step, repeats: Ints, full: bool) -> _Candidates:
        if step.log_probs is not None and full:
            return self._from_all(step.log_probs, repeats)
        tokens = step.top_tokens
        banned = np.zeros(tokens.shape, bool)
        for token in self._banned_now():
            banned |= tokens == token
        if (repeats >= 0).any():
            banned |= (tokens[..., None] == repeats[:, :, None, :]).any(axis=3)
        if (wording := self._decoding.wording) is not None:
            guesses = wording.guesses_of_people[self._last]
            banned |= wording.banned[tokens] | (guesses[:, :, None] & wording.people[tokens])
        return _Candidates(log_probs=np.where(banned, -np.inf, step.top_log_probs), tokens=tokens)

    def _from_all(self, log_probs: Floats, repeats: Ints) -> _Candidates:
        forced = self._forced
        if forced is not None:
            return _Candidates(log_probs=log_probs[:, :, [forced]], tokens=np.array([forced]))
        allowed = log_probs.copy()
        allowed[:, :, self._banned_now()] = -np.inf
        if (wording := self._decoding.wording) is not None:
            guesses = wording.guesses_of_people[self._last]
            allowed[wording.banned | (guesses[:, :, None] & wording.people)] = -np.inf
        row, slot, which = np.nonzero(repeats >= 0)
        allowed[row, slot, repeats[row, slot, which]] = -np.inf
        stuck = np.isneginf(allowed).all(
            axis=2
        )  # a tiny vocabulary used up: the sentence ends, however short
        allowed[stuck, self._architecture.end_id] = log_probs[stuck, self._architecture.end_id]
        return _Candidates(log_probs=allowed, tokens=np.arange(log_probs.shape[2]))

    def _repeats(self) -> Ints:
        """Return the tokens that may not come again, -1 for none. [B, K, any number]"""
        repeats = _runs_again(self._tokens, self._decoding.no_repeat_ngram)
        if self._decoding.repeatable is None:
            return repeats
        words = np.where(np.isin(self._tokens, self._decoding.repeatable), -1, self._tokens)
        return np.concatenate([repeats, words], axis=2)

    def _banned_now(self) -> list[int]:
        if self._length < self._decoding.min_length:
            return [*self._banned_always, self._architecture.end_id]
        return self._banned_always

    # Choice

    def _choose(self, candidates: _Candidates) -> _Choice:
        strategy = self._decoding.strategy
        if strategy is Strategy.BEAM or self._length < len(self._decoding.prefix):
            return _likeliest(candidates, self._totals[:, :, -1], 2 * self._decoding.beam_size)
        if strategy is Strategy.GREEDY:
            return self._each(candidates, candidates.log_probs.argmax(axis=2))
        if strategy is Strategy.SAMPLE:
            return self._sample(candidates)
        assert_never(strategy)

    def _sample(self, candidates: _Candidates) -> _Choice:
        n = self._decoding.n
        if candidates.log_probs.shape[1] != n:  # all samples share their beginning
            candidates = _Candidates(
                log_probs=np.repeat(candidates.log_probs, n, axis=1),
                tokens=candidates.tokens
                if candidates.tokens.ndim == 1
                else np.repeat(candidates.tokens, n, axis=1),
            )
        return self._each(
            candidates, _draw(candidates.log_probs, self._draws[:, :, self._length], self._decoding)
        )

    def _each(self, candidates: _Candidates, which: Ints) -> _Choice:
        """Let every hypothesis go on by one candidate of its own. which [B, K]."""
        slots = np.broadcast_to(np.arange(which.shape[1]), which.shape)
        parents = np.minimum(slots, self._totals.shape[1] - 1)
        rows = np.arange(len(which))[:, None]
        return _Choice(
            parents=parents,
            tokens=candidates.token_at(slots, which),
            totals=self._totals[rows, parents, -1] + candidates.log_probs[rows, slots, which],
        )

    # Bookkeeping

    def _set_endings_aside(self, choice: _Choice) -> _Choice:
        """Collect the choices that end a sentence; return the K best that continue, -inf where fewer."""
        alive = np.isfinite(choice.totals)
        ends = alive & (choice.tokens == self._architecture.end_id)
        self._keep(choice, ends)
        alive &= ~ends
        if self._decoding.strategy is Strategy.BEAM and choice.tokens.shape[1] > self._decoding.beam_size:
            order = np.argsort(~alive, axis=1, kind="stable")[:, : self._decoding.beam_size]
            rows = np.arange(len(order))[:, None]
            choice = _Choice(
                parents=choice.parents[rows, order],
                tokens=choice.tokens[rows, order],
                totals=choice.totals[rows, order],
            )
            alive = alive[rows, order]
        totals = np.where(alive, choice.totals, -np.inf)
        return _Choice(parents=choice.parents, tokens=choice.tokens, totals=totals)

    def _keep(self, choice: _Choice, ends: Flags) -> None:
        """Keep the ends that are among the best.

        A beam of K takes an end from anywhere among its 2 K likeliest continuations; transformers, only from
        the K likeliest. Of 1,200 dev photos 32 get another caption so, no better and no worse.
        """
        scores = choice.totals / (self._length + 1) ** self._decoding.length_penalty
        for row, which in zip(*np.nonzero(ends), strict=True):
            image, parent = int(self._images[row]), choice.parents[row, which]
            endings = self._endings[image]
            score = float(scores[row, which])
            _remember(self._finished[image], (score, tuple(self._tokens[row, parent].tolist())))
            if len(endings) >= self._decoding.n and score <= endings[0][0]:
                continue
            if self._away is not None and self._away.has(self._tokens[row, parent], image):
                continue
            ending = _Ending(
                tokens=self._tokens[row, parent],
                totals=np.append(self._totals[row, parent], choice.totals[row, which]),
                slots=np.append(self._slots[row, parent], parent),
            )
            self._endings_seen += 1  # breaks ties: of equals, the one that was found first stays
            entry = (score, -self._endings_seen, ending)
            if len(endings) < self._decoding.n:
                heappush(endings, entry)
            else:
                heapreplace(endings, entry)

    def _go_on(self, choice: _Choice) -> None:
        """Carry the chosen hypotheses over, without the images that are done."""
        still = self._still_open(choice.totals)
        keep = np.flatnonzero(still)
        if len(keep) == 0:
            self._images = keep
            return
        before = len(still)
        if len(keep) > _COMPACT_BELOW * before:
            keep = np.arange(before)  # copying the memory would cost more than the idle rows do
        parents = choice.parents[keep]
        beams = self._totals.shape[1]
        chosen = (keep[:, None] * beams + parents).ravel()
        shape = parents.shape
        if not (shape[1] == beams and len(keep) == before and (parents == np.arange(beams)).all()):
            self._state = {name: _pick(value, chosen, shape) for name, value in self._state.items()}
        if len(keep) < before:
            self._memory = {name: value[keep] for name, value in self._memory.items()}
            self._draws = self._draws[keep]
        self._images = self._images[keep]
        self._last = choice.tokens[keep]
        self._tokens = _extend(_pick(self._tokens, chosen, shape), choice.tokens[keep])
        self._slots = _extend(_pick(self._slots, chosen, shape), parents)
        totals = np.where(still[keep][:, None], choice.totals[keep], -np.inf)
        self._totals = _extend(_pick(self._totals, chosen, shape), totals)

    def _still_open(self, totals: Scores) -> Flags:
        """Say which images may still find a better sentence. totals [B, K] -> [B].

        Log-probabilities only fall, so a live hypothesis can end no better than its total now, divided by
        the kindest of the lengths that it may still reach. Where that is no better than the worst sentence
        to be given, searching on would change nothing.
        """
        best = totals.max(axis=1)
        open_: Flags = np.isfinite(best)
        if self._decoding.strategy is not Strategy.BEAM:
            return open_
        lengths = np.array([self._length + 2, self._decoding.max_length + 1], np.float64)
        reachable = best / (lengths**self._decoding.length_penalty).max()
        worst = np.array([self._worst(image) for image in self._images.tolist()])
        better: Flags = reachable > worst
        return open_ & better

    def _worst(self, image: int) -> float:
        endings = self._endings[image]
        return endings[0][0] if len(endings) >= self._decoding.n else -np.inf

    def _sexes(self, likely: Sequence[Sequence[Any]]) -> Floats:
        """The probabilities of words for males and females at each step, [T, 2]; likely: [M] and [M] each."""
        wording = self._decoding.wording
        if wording is None or not self._decoding.safe or not likely:
            return np.zeros((len(likely), 2), np.float32)
        tokens, log_probs = (np.stack(each) for each in zip(*likely, strict=True))
        sure = np.exp(log_probs)
        return np.stack(
            [(sure * each[tokens]).sum(axis=1) for each in (wording.male, wording.female)], axis=1
        )

    def _hypothesis(self, image: int, score: float, ending: _Ending) -> Hypothesis:
        seen = [
            (attention[rows[image], slot], tokens[rows[image], slot], chances[rows[image], slot])
            for (rows, attention, tokens, chances), slot in zip(self._seen, ending.slots[:-1], strict=False)
        ]
        looked = [attention for attention, _, _ in seen]
        cells = self._seen[0][1].shape[2]
        log_probs = np.diff(ending.totals)
        if self._away is not None:
            log_probs[:-1] += self._away.cost_of(ending.tokens, image)
            score = float(log_probs.sum()) / len(log_probs) ** self._decoding.length_penalty
        tokens = tuple(ending.tokens.tolist())
        rivals = [each for _, each in self._finished[image] if each != tokens]
        return Hypothesis(
            tokens=tokens,
            log_probs=tuple(log_probs.tolist()),
            score=score,
            attention=np.stack(looked) if looked else np.zeros((0, cells), np.float32),
            agreement=agreement(tokens, rivals),
            sexes=self._sexes([likely for _, *likely in seen]),
        )


def _best_first(entry: _Entry) -> tuple[float, int]:
    return -entry[0], -entry[1]


def _candidates_wanted(decoding: Decoding, vocabulary: int) -> int:
    """Return how many allowed candidates a hypothesis must have for the choice to be exact."""
    strategy = decoding.strategy
    if strategy is Strategy.GREEDY:
        return 1
    if strategy is Strategy.BEAM:
        return 2 * decoding.beam_size
    if strategy is Strategy.SAMPLE:
        return decoding.top_k or vocabulary
    assert_never(strategy)


def _runs_again(tokens: Ints, size: int) -> Ints:
    """Return the tokens that would complete a run of ``size`` tokens a second time, -1 where none.

    tokens [B, K, T] -> [B, K, T - size + 1]
    """
    images, beams, length = tokens.shape
    if size == 0 or length < size:
        return np.zeros((images, beams, 0), np.int64)
    places = length - size + 1
    same = np.ones((images, beams, places), bool)
    for i in range(size - 1):
        same &= tokens[:, :, i : i + places] == tokens[:, :, [places + i]]
    return np.where(same, tokens[:, :, size - 1 :], -1)


def _likeliest(candidates: _Candidates, totals: Scores, count: int) -> _Choice:
    """Take the ``count`` likeliest continuations of an image's hypotheses, best first. totals [B, K]."""
    images, beams, width = candidates.log_probs.shape
    scores = (totals[:, :, None] + candidates.log_probs).reshape(images, beams * width)
    if count < scores.shape[1]:
        best = np.argpartition(-scores, count - 1, axis=1)[:, :count]
    else:
        best = np.broadcast_to(np.arange(scores.shape[1]), scores.shape)
    rows = np.arange(images)[:, None]
    kept = scores[rows, best]
    order = np.lexsort((best, -kept), axis=1)  # by place where scores are equal
    parents, which = np.divmod(best[rows, order], width)
    return _Choice(parents=parents, tokens=candidates.token_at(parents, which), totals=kept[rows, order])


def _draw(log_probs: Floats, uniform: Scores, decoding: Decoding) -> Ints:
    """Draw a candidate for each hypothesis. log_probs [B, K, C], uniform [B, K] -> [B, K]."""
    scaled = log_probs.astype(np.float64) / decoding.temperature
    weights = np.exp(scaled - scaled.max(axis=2, keepdims=True))
    if not decoding.top_k and decoding.top_p == 1:
        return _where_reached(weights, uniform)
    order = _leading(weights, decoding)
    total = weights.sum(axis=2, keepdims=True)
    weights = np.take_along_axis(weights, order, axis=2)
    if decoding.top_k:
        total = weights.sum(axis=2, keepdims=True)
    if decoding.top_p < 1:
        reached = np.cumsum(weights, axis=2)
        # The first candidate always stays, and each one that the ones before it leave short of top_p.
        weights[(reached - weights) >= decoding.top_p * total] = 0
    drawn = _where_reached(weights, uniform)
    return np.take_along_axis(order, drawn[:, :, None], axis=2)[:, :, 0]


def _leading(weights: Scores, decoding: Decoding) -> Ints:
    """Order the candidates that top_k and top_p can reach, heaviest first. weights [B, K, C] -> [B, K, N]."""
    width = weights.shape[2]
    count = min(decoding.top_k or _NUCLEUS_GUESS, width)
    while True:
        order = np.argpartition(-weights, count - 1, axis=2)[:, :, :count]
        kept = np.take_along_axis(weights, order, axis=2)
        if decoding.top_k or count == width or (kept.sum(2) >= decoding.top_p * weights.sum(2)).all():
            inner = np.lexsort((order, -kept), axis=2)
            return np.take_along_axis(order, inner, axis=2)
        count = min(8 * count, width)


def _where_reached(weights: Scores, uniform: Scores) -> Ints:
    """Find the candidate at which the running sum passes ``uniform`` of the whole."""
    reached = np.cumsum(weights, axis=2)
    drawn = (reached <= uniform[:, :, None] * reached[:, :, -1:]).sum(axis=2)
    # Rounding may put the mark on the sum itself: then it is the last candidate of any weight.
    last: Ints = weights.shape[2] - 1 - (weights[:, :, ::-1] > 0).argmax(axis=2)
    return np.asarray(np.minimum(drawn, last))


def _pick(values: NDArray[Number], chosen: Ints, shape: tuple[int, ...]) -> NDArray[Number]:
    """Take hypotheses by their flat number. values [B, K, ...], chosen [N] -> [*shape, ...]."""
    flat = values.reshape(values.shape[0] * values.shape[1], *values.shape[2:])
    return flat[chosen].reshape(*shape, *values.shape[2:])


def _extend(values: NDArray[Number], more: NDArray[Number]) -> NDArray[Number]:
    """Add one entry to the last axis. [B, K, T], [B, K] -> [B, K, T + 1]."""
    return np.concatenate([values, more[:, :, None]], axis=2)
