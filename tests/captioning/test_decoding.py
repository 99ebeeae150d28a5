"""Every decoder against the plainest possible reference: all sentences, written out and scored one by one."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from tiny_bundle import COLS, LSTM, ROWS, SIDE, TRANSFORMER, Tiny, make_bundle

from cutline.captioning.bundle import Bundle, read_bundle
from cutline.captioning.decoding import Hypothesis, decode
from cutline.captioning.options import Decoding, DecodingOptions, Strategy, resolve
from cutline.captioning.runtime import Encoded, Runtime, Step, Tensors, open_runtime
from cutline.errors import OptionError

END, BANNED = 2, {0, 1, 3}
LETTERS = [4, 5, 6, 7, 8]
LONGEST = 4
KINDS = [TRANSFORMER, LSTM]


class Reference:
    """A bundle's model without any of our runtime: one image, one sentence at a time, all log-probs."""

    def __init__(self, bundle: Bundle) -> None:
        self.encoder = onnxruntime.InferenceSession(bundle.files["encoder.onnx"])
        self.decoder = onnxruntime.InferenceSession(bundle.files["decoder.onnx"])
        self.states = bundle.manifest.architecture.state
        self.known: dict[tuple[bytes, tuple[int, ...]], np.ndarray] = {}

    def next_log_probs(self, pixels: np.ndarray, told: Sequence[int]) -> np.ndarray:
        """The distribution [V] after the words told."""
        key = (pixels.tobytes(), tuple(told))
        if key not in self.known:
            self.known[key] = self._run(pixels, told)
        return self.known[key]

    def _run(self, pixels: np.ndarray, told: Sequence[int]) -> np.ndarray:
        names = [each.name for each in self.encoder.get_outputs()]
        seen = dict(zip(names, self.encoder.run(names, {"pixels": pixels[None]}), strict=True))
        state = {
            name: seen[f"initial.{name}"][:, None]
            if f"initial.{name}" in seen
            else np.zeros((1, 1, *each.shape), np.float32)
            for name, each in self.states.items()
        }
        memory = {name: value for name, value in seen.items() if name.startswith("memory.")}
        for token in [1, *told]:
            feeds = {"tokens": np.array([[token]]), **memory}
            feeds |= {f"state.{name}": value for name, value in state.items()}
            wanted = ["log_probs", *(f"next.{name}" for name in state)]
            log_probs, *following = self.decoder.run(wanted, feeds)
            state = dict(zip(state, following, strict=True))
        return log_probs[0, 0]

    def log_probs(self, pixels: np.ndarray, sentence: Sequence[int]) -> list[float]:
        """Of each token of a sentence, and of the end after it."""
        tokens = [*sentence, END]
        return [float(self.next_log_probs(pixels, tokens[:i])[token]) for i, token in enumerate(tokens)]


@dataclass(frozen=True, kw_only=True)
class Model:
    """A bundle through our runtime, and the reference beside it."""

    bundle: Bundle
    reference: Reference
    runtime: Runtime

    def decode(
        self,
        pixels: np.ndarray,
        options: DecodingOptions,
        *,
        n: int = 1,
        prefix: tuple[int, ...] = (),
        function_words: tuple[int, ...] | None = None,
    ) -> list[list[Hypothesis]]:
        """Decode images [B, H, W, 3]."""
        decoding = self.settled(options, n=n, prefix=prefix)
        decoding = replace(decoding, function_words=function_words)
        draws = [
            np.random.default_rng([options.seed or 0, int(each.sum())]).random((n, LONGEST + 2))
            for each in pixels
        ]
        return decode(
            self.runtime, self.runtime.encode(pixels), self.bundle.manifest.architecture, decoding, draws
        )

    def settled(self, options: DecodingOptions, *, n: int = 1, prefix: tuple[int, ...] = ()) -> Decoding:
        """All choices made."""
        return resolve(options, n=n, longest=LONGEST, prefix=prefix)


@pytest.fixture(params=KINDS, scope="module")
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Model:
    return made(tmp_path_factory.mktemp("tiny") / "bundle", Tiny(kind=request.param))


def made(folder: Path, tiny: Tiny) -> Model:
    bundle = read_bundle(make_bundle(folder, tiny))
    return Model(bundle=bundle, reference=Reference(bundle), runtime=open_runtime(bundle, threads=1))


def images(count: int, seed: int = 0) -> np.ndarray:
    """Images of one colour each."""
    colours = np.random.default_rng(seed).integers(0, 256, (count, 1, 1, 3))
    return np.broadcast_to(colours, (count, SIDE, SIDE, 3)).astype(np.uint8)


def all_sentences(least: int = 0, most: int = LONGEST) -> list[tuple[int, ...]]:
    return [each for length in range(least, most + 1) for each in itertools.product(LETTERS, repeat=length)]


def ranked(
    model: Model, pixels: np.ndarray, sentences: Sequence[tuple[int, ...]], penalty: float
) -> list[tuple[float, tuple[int, ...]]]:
    """All sentences with their scores, best first."""
    scored = [
        (sum(model.reference.log_probs(pixels, each)) / (len(each) + 1) ** penalty, each)
        for each in sentences
    ]
    return sorted(scored, reverse=True)


def check_equal(found: list[Hypothesis], wanted: list[tuple[float, tuple[int, ...]]], *, n: int) -> None:
    assert [each.tokens for each in found] == [tokens for _, tokens in wanted[:n]]
    assert [each.score for each in found] == pytest.approx([score for score, _ in wanted[:n]], abs=1e-4)


@pytest.mark.parametrize("penalty", [0.7, 0.0, 1.5, -0.5, -1])
def test_a_beam_as_wide_as_the_language_finds_the_very_best(model: Model, penalty: float) -> None:
    pixels = images(3)
    options = DecodingOptions(beam_size=64, diversity=0, length_penalty=penalty, max_length=3)
    found = model.decode(pixels, options, n=5)
    for each, hypotheses in zip(pixels, found, strict=True):
        check_equal(hypotheses, ranked(model, each, all_sentences(most=3), penalty), n=5)


@pytest.mark.parametrize(("least", "most"), [(0, 1), (2, 2), (2, 3), (1, 3)])
def test_length_limits_hold_and_the_best_within_them_is_found(model: Model, least: int, most: int) -> None:
    pixels = images(2)
    options = DecodingOptions(
        beam_size=64, diversity=0, length_penalty=0.7, min_length=least, max_length=most
    )
    for each, hypotheses in zip(pixels, model.decode(pixels, options, n=4), strict=True):
        check_equal(hypotheses, ranked(model, each, all_sentences(least, most), 0.7), n=4)


def repeats(sentence: Sequence[int], size: int) -> bool:
    runs = Counter(tuple(sentence[i : i + size]) for i in range(len(sentence) - size + 1))
    return any(count > 1 for count in runs.values())


@pytest.mark.parametrize("size", [1, 2, 3])
def test_no_run_of_words_comes_twice_and_the_best_without_is_found(model: Model, size: int) -> None:
    pixels = images(2)
    options = DecodingOptions(
        beam_size=64, diversity=0, length_penalty=0.0, min_length=3, max_length=3, no_repeat_ngram=size
    )
    allowed = [each for each in all_sentences(3, 3) if not repeats(each, size)]
    for each, hypotheses in zip(pixels, model.decode(pixels, options, n=5), strict=True):
        check_equal(hypotheses, ranked(model, each, allowed, 0.0), n=5)


def test_no_word_comes_twice_but_those_that_may_and_the_best_without_is_found(model: Model) -> None:
    pixels, may = images(2), (4, 6)
    options = DecodingOptions(beam_size=64, diversity=0, length_penalty=0.0, min_length=3, max_length=3)
    decoding = resolve(options, n=5, longest=LONGEST, repeatable=may)
    allowed = [
        each for each in all_sentences(3, 3) if not repeats([word for word in each if word not in may], 1)
    ]
    assert any(repeats(each, 1) for each in allowed)
    found = decode(model.runtime, model.runtime.encode(pixels), model.bundle.manifest.architecture, decoding)
    for each, hypotheses in zip(pixels, found, strict=True):
        check_equal(hypotheses, ranked(model, each, allowed, 0.0), n=5)


@pytest.mark.parametrize("strategy", Strategy)
def test_where_no_word_is_left_the_sentence_ends_however_short(tmp_path: Path, strategy: Strategy) -> None:
    model = made(tmp_path / "bundle", Tiny(max_tokens=9))
    options = DecodingOptions(strategy=strategy, min_length=8, no_repeat_ngram=1)
    decoding = resolve(options, n=1, longest=8)
    pixels = images(2)
    draws = [np.full((1, 9), 0.5)] * 2
    found = decode(
        model.runtime, model.runtime.encode(pixels), model.bundle.manifest.architecture, decoding, draws
    )
    for hypotheses in found:
        assert sorted(hypotheses[0].tokens) == LETTERS


def test_a_prefix_is_kept_and_the_best_after_it_is_found(model: Model) -> None:
    pixels, prefix = images(2), (8, 4)
    options = DecodingOptions(beam_size=64, diversity=0, length_penalty=0.7)
    allowed = [each for each in all_sentences() if each[:2] == prefix]
    for each, hypotheses in zip(pixels, model.decode(pixels, options, n=5, prefix=prefix), strict=True):
        check_equal(hypotheses, ranked(model, each, allowed, 0.7), n=5)
        for hypothesis in hypotheses:
            wanted = model.reference.log_probs(each, hypothesis.tokens)
            assert hypothesis.log_probs == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize("strategy", [Strategy.GREEDY, Strategy.SAMPLE])
def test_greedy_and_sampling_keep_a_prefix_too(model: Model, strategy: Strategy) -> None:
    for hypotheses in model.decode(images(3), DecodingOptions(strategy=strategy), prefix=(8, 4, 4)):
        assert hypotheses[0].tokens[:3] == (8, 4, 4)


def plain_beam(
    model: Model, pixels: np.ndarray, beams: int, penalty: float, n: int, longest: int
) -> list[tuple[float, tuple[int, ...]]]:
    """Beam search as in a textbook, without early stop: 2 x beams best, those that end aside, beams go on."""
    live: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
    ended: list[tuple[float, tuple[int, ...]]] = []
    for length in range(longest + 1):
        grown = []
        for total, told in live:
            log_probs = model.reference.next_log_probs(pixels, told)
            allowed = [END] if length == longest else [*LETTERS, END]
            grown += [(total + float(log_probs[token]), (*told, token)) for token in allowed]
        grown = sorted(grown, reverse=True)[: 2 * beams]
        ended += [(total / len(told) ** penalty, told[:-1]) for total, told in grown if told[-1] == END]
        live = [(total, told) for total, told in grown if told[-1] != END][:beams]
    return sorted(ended, reverse=True)[:n]


@pytest.mark.parametrize("beams", [2, 3])
@pytest.mark.parametrize("penalty", [0.7, 0.0, -0.5, 2.0])
def test_a_narrow_beam_is_the_textbooks_and_stopping_early_changes_nothing(
    model: Model, beams: int, penalty: float
) -> None:
    pixels = images(12, seed=beams)
    options = DecodingOptions(beam_size=beams, diversity=0, length_penalty=penalty)
    for each, hypotheses in zip(pixels, model.decode(pixels, options, n=beams), strict=True):
        check_equal(hypotheses, plain_beam(model, each, beams, penalty, beams, LONGEST), n=beams)


def diverse_beam(
    model: Model,
    pixels: np.ndarray,
    options: DecodingOptions,
    n: int,
    prefix: tuple[int, ...] = (),
    function_words: tuple[int, ...] | None = None,
) -> list[tuple[int, ...]]:
    """As in Vijayakumar et al. (2018): a word costs for each earlier caption that has it at its place.

    Where the function words are known, other words cost wherever they stand.
    """
    beams, cost, penalty = options.beam_size or 3, options.diversity or 0.0, options.length_penalty or 0.0
    found: list[tuple[int, ...]] = []
    for _ in range(n):
        live: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
        ended: list[tuple[float, tuple[int, ...]]] = []
        for place in range(LONGEST + 1):
            grown = []
            for total, told in live:
                log_probs = model.reference.next_log_probs(pixels, told)
                given = prefix[place : place + 1]
                for token in given or ([END] if place == LONGEST else [*LETTERS, END]):
                    is_anywhere = function_words is not None and token not in function_words
                    shared = sum(
                        each.count(token) if is_anywhere else each[place : place + 1] == (token,)
                        for each in found
                    )
                    shared = 0 if given or token == END else shared
                    grown.append((total + float(log_probs[token]) - cost * shared, (*told, token)))
            grown = sorted(grown, reverse=True)[: 2 * beams]
            ended += [(total / len(told) ** penalty, told[:-1]) for total, told in grown if told[-1] == END]
            live = [(total, told) for total, told in grown if told[-1] != END][:beams]
        found += [told for _, told in sorted(ended, reverse=True) if told and told not in found][:1]
    return found


@pytest.mark.parametrize("function_words", [None, (3, 5)])
@pytest.mark.parametrize("prefix", [(), (8, 4)])
@pytest.mark.parametrize(("beams", "cost"), [(1, 0.3), (2, 0.5), (3, 2.0)])
def test_several_captions_are_the_textbooks_diverse_ones(
    model: Model,
    beams: int,
    cost: float,
    prefix: tuple[int, ...],
    function_words: tuple[int, ...] | None,
) -> None:
    pixels = images(12, seed=beams)
    options = DecodingOptions(beam_size=beams, diversity=cost, length_penalty=0.7)
    alone = model.decode(pixels, replace(options, diversity=0), prefix=prefix)
    found = model.decode(pixels, options, n=4, prefix=prefix, function_words=function_words)
    for each, hypotheses, (first,) in zip(pixels, found, alone, strict=True):
        assert hypotheses[0].tokens == first.tokens, "the first is what one caption would be"
        tokens = [hypothesis.tokens for hypothesis in hypotheses]
        assert len(set(tokens)) == 4
        if beams > 1:  # one beam is greedy, for the first, which the textbook does not know
            assert set(tokens) >= set(diverse_beam(model, each, options, 4, prefix, function_words))
        scores = [hypothesis.score for hypothesis in hypotheses[1:]]
        assert scores == sorted(scores, reverse=True)
        for hypothesis in hypotheses:
            wanted = model.reference.log_probs(each, hypothesis.tokens)
            assert hypothesis.log_probs == pytest.approx(wanted, abs=1e-4), "what was charged is given back"
            score = sum(hypothesis.log_probs) / len(hypothesis.log_probs) ** 0.7
            assert hypothesis.score == pytest.approx(score, abs=1e-4)


def test_diverse_captions_do_not_depend_on_other_images_or_on_the_short_list(tmp_path: Path) -> None:
    pixels = images(17)
    options = DecodingOptions(no_repeat_ngram=2)
    wide, narrow = (made(tmp_path / f"{top}", Tiny(top=top)) for top in (9, 4))
    words = (3, 5, 7)
    together = wide.decode(pixels, options, n=3, function_words=words)
    alone = [wide.decode(each[None], options, n=3, function_words=words)[0] for each in pixels]
    short = narrow.decode(pixels, options, n=3, function_words=words)
    for one, two, three in zip(together, alone, short, strict=True):
        assert (
            [each.tokens for each in one] == [each.tokens for each in two] == [each.tokens for each in three]
        )
        for a, b in zip(one, two, strict=True):
            assert a.attention == pytest.approx(b.attention, abs=1e-5)


class Scripted:
    """A model that says at step t that the next token is 4, or the end, with given probabilities."""

    def __init__(self, script: Sequence[tuple[float, float]]) -> None:
        self.script = script
        self.steps = 0

    def encode(self, pixels: np.ndarray) -> Encoded:
        state = {"length": np.zeros((len(pixels), 1, 1), np.float32)}
        return Encoded(memory={"memory.nothing": np.zeros((len(pixels), 1), np.float32)}, state=state)

    def step(self, tokens: np.ndarray, memory: Tensors, state: Tensors, *, full: bool) -> Step:
        word, end = self.script[self.steps]
        self.steps += 1
        rest = (1 - word - end) / 7
        one = np.log([rest, rest, end, rest, word, rest, rest, rest, rest]).astype(np.float32)
        log_probs = np.broadcast_to(one, (*tokens.shape, 9))
        order = np.argsort(-log_probs, axis=2)[:, :, :7]
        return Step(
            log_probs=log_probs if full else None,
            top_log_probs=np.take_along_axis(log_probs, order, axis=2),
            top_tokens=order,
            attention=np.zeros((*tokens.shape, ROWS * COLS), np.float32),
            state=state,
        )


@pytest.mark.parametrize(("penalty", "words", "steps"), [(0.7, 4, 5), (0.0, 0, 1), (-1.0, 0, 1)])
def test_the_search_goes_on_exactly_as_long_as_a_longer_sentence_may_still_win(
    model: Model, penalty: float, words: int, steps: int
) -> None:
    """At once the end is likelier, but word after sure word the long sentence's rank rises past it."""
    scripted = Scripted([(0.35, 0.6), (0.99, 0.001), (0.99, 0.001), (0.99, 0.001), (0.001, 0.99)])
    decoding = replace(model.settled(DecodingOptions(length_penalty=penalty)), beam_size=1)
    encoded = scripted.encode(images(1))
    ((found,),) = decode(scripted, encoded, model.bundle.manifest.architecture, decoding)
    assert found.tokens == (4,) * words
    assert scripted.steps == steps


class Counted:
    """A runtime that notes how many images each step was for."""

    def __init__(self, inner: Runtime) -> None:
        self.inner = inner
        self.sizes: list[int] = []

    def encode(self, pixels: np.ndarray) -> Encoded:
        return self.inner.encode(pixels)

    def step(self, tokens: np.ndarray, memory: Tensors, state: Tensors, *, full: bool) -> Step:
        self.sizes.append(len(tokens))
        return self.inner.step(tokens, memory, state, full=full)


def test_images_that_are_done_leave_the_batch(tmp_path: Path) -> None:
    model = made(tmp_path / "bundle", Tiny())
    counted = Counted(model.runtime)
    decoding = model.settled(DecodingOptions(strategy=Strategy.GREEDY))
    found = decode(counted, counted.encode(images(40)), model.bundle.manifest.architecture, decoding)
    longest = max(len(each[0].tokens) for each in found)
    last = sum(len(each[0].tokens) == longest for each in found)
    assert counted.sizes[0] == 40
    assert counted.sizes[-1] <= last / 0.8 < 40


def test_greedy_takes_the_likeliest_word_each_time(model: Model) -> None:
    pixels = images(8)
    for each, (hypothesis,) in zip(
        pixels, model.decode(pixels, DecodingOptions(strategy=Strategy.GREEDY)), strict=True
    ):
        told: list[int] = []
        while len(told) < LONGEST:
            log_probs = model.reference.next_log_probs(each, told).copy()
            log_probs[list(BANNED)] = -np.inf
            if (token := int(log_probs.argmax())) == END:
                break
            told.append(token)
        assert hypothesis.tokens == tuple(told)
        assert hypothesis.log_probs == pytest.approx(model.reference.log_probs(each, told), abs=1e-4)


@pytest.mark.parametrize(
    "options",
    [
        DecodingOptions(beam_size=3),
        DecodingOptions(beam_size=2, no_repeat_ngram=2, min_length=2),
        DecodingOptions(strategy=Strategy.GREEDY, no_repeat_ngram=1),
        DecodingOptions(strategy=Strategy.SAMPLE, seed=5, temperature=1.7),
        DecodingOptions(strategy=Strategy.SAMPLE, seed=5, top_k=3),
        DecodingOptions(strategy=Strategy.SAMPLE, seed=5, top_p=0.8),
    ],
)
def test_an_image_alone_and_among_others_gets_the_same_captions(
    model: Model, options: DecodingOptions
) -> None:
    pixels = images(17)
    together = model.decode(pixels, options)
    backwards = model.decode(pixels[::-1].copy(), options)[::-1]
    alone = [model.decode(each[None], options)[0] for each in pixels]
    lengths = {len(hypotheses[0].tokens) for hypotheses in alone}
    assert len(lengths) > 1, "the images must finish at different steps for this test to mean anything"
    for one, two, three in zip(together, backwards, alone, strict=True):
        for a, b, c in zip(one, two, three, strict=True):
            assert a.tokens == b.tokens == c.tokens
            assert a.log_probs == pytest.approx(c.log_probs, abs=1e-4)
            assert a.attention == pytest.approx(c.attention, abs=1e-5)
            assert b.attention == pytest.approx(c.attention, abs=1e-5)


def test_attention_is_that_of_the_sentences_own_words(model: Model) -> None:
    """Following the beams' family tree back must give what a forced run of the same words gives."""
    pixels = images(5)
    for each, hypotheses in zip(pixels, model.decode(pixels, DecodingOptions(beam_size=3), n=3), strict=True):
        for hypothesis in hypotheses:
            (again,) = model.decode(
                each[None], DecodingOptions(strategy=Strategy.GREEDY), prefix=hypothesis.tokens
            )[0]
            if again.tokens == hypothesis.tokens:
                assert again.attention == pytest.approx(hypothesis.attention, abs=1e-5)
            else:
                words = len(hypothesis.tokens)
                assert again.attention[:words] == pytest.approx(hypothesis.attention, abs=1e-5)


def test_the_short_list_of_likeliest_words_and_all_of_them_give_the_same(tmp_path: Path) -> None:
    """What the graph's top list cannot decide falls back to the full distribution."""
    pixels = images(6)
    wide = made(tmp_path / "wide", Tiny(top=9))
    for options in (
        DecodingOptions(beam_size=2, no_repeat_ngram=2, min_length=1),
        DecodingOptions(beam_size=1, no_repeat_ngram=1),
        DecodingOptions(strategy=Strategy.SAMPLE, seed=1, top_k=2),
        DecodingOptions(strategy=Strategy.GREEDY, no_repeat_ngram=1),
    ):
        for top in (1, 4, 6):
            narrow = made(tmp_path / f"narrow-{top}-{id(options)}", Tiny(top=top))
            for a, b in zip(wide.decode(pixels, options), narrow.decode(pixels, options), strict=True):
                assert [each.tokens for each in a] == [each.tokens for each in b]
                assert a[0].log_probs == pytest.approx(b[0].log_probs, abs=1e-4)


def sampled_words(model: Model, options: DecodingOptions, draws: int) -> Counter[int]:
    """How often each first token was drawn; the end counts as END."""
    pixels = images(1)
    encoded = model.runtime.encode(pixels)
    uniform = np.random.default_rng(3).random((draws, LONGEST + 2))
    decoding = model.settled(options, n=draws)
    (found,) = decode(model.runtime, encoded, model.bundle.manifest.architecture, decoding, [uniform])
    assert len(found) == draws
    return Counter(each.tokens[0] if each.tokens else END for each in found)


@pytest.mark.parametrize(
    "options",
    [
        DecodingOptions(),
        DecodingOptions(temperature=2.0),
        DecodingOptions(temperature=3.0, top_k=3),
        DecodingOptions(temperature=3.0, top_p=0.7),
        DecodingOptions(temperature=3.0, top_k=4, top_p=0.8),
    ],
)
def test_samples_follow_the_distribution_that_was_asked_for(model: Model, options: DecodingOptions) -> None:
    draws = 4000
    log_probs = model.reference.next_log_probs(images(1)[0], ()).astype(np.float64)
    weights = {token: np.exp(log_probs[token] / (options.temperature or 1)) for token in [*LETTERS, END]}
    order = sorted(weights, key=lambda token: -weights[token])[: options.top_k or None]
    kept, reached = [], 0.0
    total = sum(weights[token] for token in order)
    for token in order:
        if options.top_p is None or reached < options.top_p * total:
            kept.append(token)
            reached += weights[token]
    one_word = DecodingOptions(strategy=Strategy.SAMPLE, max_length=1)
    counts = sampled_words(model, one_word.over(options), draws)
    assert set(counts) <= set(kept)
    for token in kept:
        wanted = weights[token] / reached
        assert counts[token] / draws == pytest.approx(wanted, abs=4 * np.sqrt(0.25 / draws))


def test_sampled_log_probs_are_the_models_own_whatever_the_temperature(model: Model) -> None:
    pixels = images(2)
    options = DecodingOptions(strategy=Strategy.SAMPLE, temperature=5.0, top_k=3, seed=0)
    for each, hypotheses in zip(pixels, model.decode(pixels, options, n=3), strict=True):
        for hypothesis in hypotheses:
            wanted = model.reference.log_probs(each, hypothesis.tokens)
            assert hypothesis.log_probs == pytest.approx(wanted, abs=1e-4)


def test_special_tokens_are_never_written(tmp_path: Path) -> None:
    for seed in range(6):
        model = made(tmp_path / str(seed), Tiny(seed=seed, sharpness=0.1, top=4))
        options = DecodingOptions(strategy=Strategy.SAMPLE, temperature=10.0)
        for hypotheses in model.decode(images(8, seed), options, n=8):
            for hypothesis in hypotheses:
                assert not BANNED & set(hypothesis.tokens)


@pytest.mark.parametrize(
    ("options", "n", "reason"),
    [
        (DecodingOptions(strategy=Strategy.GREEDY), 2, "Greedy decoding gives one"),
        (DecodingOptions(), 0, "Request at least 1"),
        (DecodingOptions(min_length=LONGEST + 1), 1, "writes at most 4"),
        (DecodingOptions(min_length=3, max_length=2), 1, "more than max_length"),
    ],
)
def test_choices_that_contradict_each_other_are_refused(
    options: DecodingOptions, n: int, reason: str
) -> None:
    with pytest.raises(OptionError, match=reason):
        resolve(options, n=n, longest=LONGEST)


def test_more_than_the_model_can_write_is_no_narrower_than_its_own_most() -> None:
    """ "At most 50 tokens" holds of a model that writes 4."""
    assert resolve(DecodingOptions(max_length=50), n=1, longest=LONGEST).max_length == LONGEST


def test_a_beam_of_one_is_greedy(tmp_path: Path) -> None:
    for seed in range(6):
        model = made(tmp_path / str(seed), Tiny(seed=seed))
        pixels = images(8, seed)
        beam = model.decode(pixels, DecodingOptions(strategy=Strategy.BEAM, beam_size=1), n=1)
        greedy = model.decode(pixels, DecodingOptions(strategy=Strategy.GREEDY), n=1)
        assert [each.tokens for [each] in beam] == [each.tokens for [each] in greedy]


def test_a_default_length_gives_way_to_the_one_that_was_asked_for() -> None:
    """Or a short caption could only be had by someone who knows the bundle's own least length."""
    defaults = DecodingOptions(min_length=2, max_length=3)
    short = resolve(DecodingOptions(max_length=1).over(defaults), n=1, longest=LONGEST)
    assert (short.min_length, short.max_length) == (1, 1)
    long = resolve(DecodingOptions(min_length=LONGEST).over(defaults), n=1, longest=LONGEST)
    assert (long.min_length, long.max_length) == (LONGEST, LONGEST)


@pytest.mark.parametrize(
    "values",
    [
        {"temperature": 0.0},
        {"top_p": 1.1},
        {"beam_size": 0},
        {"seed": -1},
        {"seed": 1.5},
        {"temperature": float("nan")},
    ],
)
def test_values_out_of_range_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(OptionError, match=next(iter(values))):
        DecodingOptions(**values)
