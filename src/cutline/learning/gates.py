"""What a challenger must pass: gates, each a figure with an interval and a threshold.

The first two look at the data and need no challenger, so that most bad feedback costs no training. A gate
that does not pass is no error: the report says which, and why.

Figures that are counted exactly (problems of the data, bytes, captions that differ when written again) have
no interval; all others have one of 95%, by the bootstrap.

Legend of shapes: N captions.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from cutline.captioning.bundle import Bundle
from cutline.captioning.bundle_captioner import BundleCaptioner
from cutline.captioning.protocol import Caption
from cutline.errors import CutlineError, DataError
from cutline.learning.champion import PLAIN, Champion, RegionStore, look
from cutline.learning.config import GateSettings
from cutline.learning.dataset import HELD, DataSet, Row, photo_of, rows_of
from cutline.learning.objectives import Lesson, logits_of, mean_log_probs, packed, remember
from cutline.learning.texts import likeness, words_of
from cutline.metrics import DocumentFrequency, cider_d, paired_bootstrap, tokenize
from cutline.metrics.bootstrap import Comparison, relative_change
from cutline.metrics.ngrams import Floats
from cutline.strict import dump
from cutline.styles.guard import insults_in
from cutline.training.calibration import calibration_error
from cutline.training.concepts import choose_concepts
from cutline.training.datasets import load_examples
from cutline.training.transformer import TransformerCaptioner
from cutline.training.vocabulary import PAD_ID

GOLDEN = Path(__file__).with_name("golden")
"""The golden photos that ship, where a learner's YAML names no others."""

FORMAT = 1
_FORGETTING = frozenset(("base", "golden", "groups"))
_SAMPLES = 2000
_DRAWN_AGAIN = 300
_FITTED, _OTHERS = 300, 3  # captions that are tried on so many other photos
_TIMED, _ROUNDS, _TRIES = 6, 5, 3
_TWICE = 12  # photos that are captioned again, to see whether the same comes out
_AT_ONCE = 32
_SMALL_PHOTO_BATCH = 1
Places: TypeAlias = npt.NDArray[np.int64]
_WORD = re.compile(r"[^\W\d_][\w'-]*")
_NAMES = """
    adam alex alice amy andrew anna anne ben bob brian charles charlie chris daniel dave david emily
    emma eric george hannah harry helen jack jacob james jane jason jennifer jim joe john jonathan julia
    kate kevin laura linda lisa lucy maria mary matthew michael mike nick oliver paul peter rachel
    richard robert sam sarah simon sophie stephen steve susan thomas tim tom tony william
"""
_FIRST_NAMES = frozenset(_NAMES.split())
_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One gate. threshold: what the figure is held against, in words.

    Low and high: its interval, where it has one.
    """

    name: str
    about: str
    passed: bool
    figure: float
    threshold: str
    low: float | None = None
    high: float | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A photo that is captioned otherwise than before. private: it is somebody's, from the feedback."""

    photo: str
    before: str
    after: str
    references: tuple[str, ...]
    gain: float  # of CIDEr-D, times 100
    private: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the gates found. reasons: why it was rejected; empty where everything passed."""

    champion: str
    challenger: str
    data: str
    gates: tuple[Gate, ...]
    changes: tuple[Change, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether all gates were passed."""
        return all(gate.passed for gate in self.gates)

    @property
    def forgot(self) -> bool:
        """Whether it forgot too much of what was known before: weights nearer to the champion forget less."""
        return any(gate.name in _FORGETTING and not gate.passed for gate in self.gates)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it was rejected."""
        return tuple(
            f"{gate.name}: {gate.detail or f'{gate.figure:.4g}, but {gate.threshold}'}"
            for gate in self.gates
            if not gate.passed
        )

    @property
    def summary(self) -> str:
        """The verdict in one line."""
        if self.passed:
            return f"All {len(self.gates)} gates passed."
        return f"Rejected. {'; '.join(self.reasons)}."

    def as_json(self) -> dict[str, Any]:
        """The report as plain values."""
        return {"format": FORMAT, "passed": self.passed, "summary": self.summary, **dump(self)}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Photos:
    """Photos with people's captions, what both models say of them, and how sure they are, if they say so."""

    paths: tuple[Path, ...]
    references: tuple[tuple[str, ...], ...]
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    sure_before: tuple[float, ...] = ()
    sure_after: tuple[float, ...] = ()
    private: bool = False

    def before_by(self, champion: BundleCaptioner) -> _Photos:
        """With the champion's captions."""
        found = list(_captions(champion, self.paths))
        return replace(self, before=tuple(each.text for each in found), sure_before=_confidences(found))

    def after_by(self, challenger: BundleCaptioner) -> _Photos:
        """With the challenger's captions."""
        found = list(_captions(challenger, self.paths))
        return replace(self, after=tuple(each.text for each in found), sure_after=_confidences(found))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The photos on which challengers are judged, with the champion's captions.

    held: those that were kept out of training; base: those of the base, or the golden ones.
    """

    held: _Photos
    base: _Photos


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contest:
    """A challenger beside its champion.

    asked: what `ask` gave for this champion and data. weights: the challenger's, in float32. scratch: a
    folder for features.
    """

    champion: Champion
    asked: Asked
    bundle: Bundle
    weights: TransformerCaptioner
    data: DataSet
    settings: GateSettings
    scratch: Path
    threads: int = 0


# Before a training


def judge_data(champion: Champion, data: DataSet, settings: GateSettings, scratch: Path) -> Report:
    """The gates that need no challenger: is the data sound, and do its captions fit their photos?"""
    gates = [data_gate(data)]
    if gates[0].passed:
        gates.append(fit_gate(champion, data, settings, scratch))
    return Report(champion=_label(champion.bundle), challenger="", data=data.hash, gates=tuple(gates))


def data_gate(data: DataSet) -> Gate:
    """What `dataset.build` found wrong with the whole."""
    return Gate(
        name="data",
        about="Problems of the data set as a whole",
        passed=not data.problems,
        figure=len(data.problems),
        threshold="there must be none",
        detail="; ".join(data.problems),
    )


def fit_gate(champion: Champion, data: DataSet, settings: GateSettings, scratch: Path) -> Gate:
    """Whether people's captions fit their photos better than other photos, as the champion sees it.

    Of captions that were shuffled, or written by a program that saw nothing, half fit the other photo better.
    """
    rows = rows_of(data)
    rng = np.random.default_rng(0)
    chosen = [rows[int(place)] for place in sorted(rng.permutation(len(rows))[:_FITTED])]
    photos = {row.group: photo_of(data, row.image) for row in chosen}
    places = {group: place for place, group in enumerate(photos)}
    path = scratch / "fit.npy"
    store = look(champion.bundle, list(photos.values()), path)
    own, _ = _likelihoods(champion, [(row, places[row.group]) for row in chosen], store)
    wins = np.zeros(len(chosen))
    for _ in range(_OTHERS):
        # Any place but one's own.
        drawn = [
            (places[row.group] + int(rng.integers(1, max(2, len(photos))))) % len(photos) for row in chosen
        ]
        other, _ = _likelihoods(champion, list(zip(chosen, drawn, strict=True)), store)
        wins += (np.asarray(own) > np.asarray(other)) / _OTHERS
    path.unlink()
    share = paired_bootstrap(wins, np.full(len(wins), settings.fit_share), samples=_SAMPLES)
    passed = share.low > 0
    return Gate(
        name="fit",
        about="Share of captions that fit their own photo better than another one, as the champion sees it",
        passed=passed,
        figure=float(wins.mean()),
        low=share.low + settings.fit_share,
        high=share.high + settings.fit_share,
        threshold=f"the interval must lie above {settings.fit_share:g}",
        detail="" if passed else "the captions do not fit their photos: were they mixed up?",
    )


def _likelihoods(
    champion: Champion, rows: Sequence[tuple[Row, int]], store: RegionStore
) -> tuple[list[float], list[float]]:
    lessons = [Lesson(row=place, ids=champion.ids(row.text)) for row, place in rows]
    return mean_log_probs(champion.captioner, lessons, store)


# After a training


def ask(champion: Champion, data: DataSet, settings: GateSettings) -> Asked:
    """What the champion says of the photos on which its challengers are judged.

    Raises DataError for a base that cannot be read, and what captioners raise.
    """
    captioner = BundleCaptioner(champion.bundle)
    return Asked(
        held=_held(data).before_by(captioner),
        base=_base(settings).before_by(captioner),
    )


def judge(contest: Contest, earlier: Report) -> Report:
    """All gates; ``earlier`` has those that `judge_data` asked already. Raises what captioners raise."""
    champion, data, settings = contest.champion, contest.data, contest.settings
    before, after = BundleCaptioner(champion.bundle), BundleCaptioner(contest.bundle)
    held, base = contest.asked.held.after_by(after), contest.asked.base.after_by(after)
    said = [texts for texts in (*held.references, *base.references) if texts]
    frequency = DocumentFrequency.of([_tokenised(texts) for texts in said])
    gates = [
        *earlier.gates,
        *_base_gates(base, settings),
        *_held_gates(contest, held, frequency),
        *_group_gates(held, base, frequency, settings),
        *_wording_gates(contest, held, base),
        _calibration_gate(contest),
        *_confidence_gates(base if any(base.references) else held, after.about().acceptable_cider, settings),
        _latency_gate(contest, before, after, held),
        _size_gate(champion.bundle, contest.bundle, settings),
        _determinism_gate(contest.bundle, held),
    ]
    return Report(
        champion=_label(champion.bundle),
        challenger=_label(contest.bundle),
        data=data.hash,
        gates=tuple(gates),
        changes=tuple(_changes(held, base, frequency)),
    )


def _held(data: DataSet) -> _Photos:
    """The photos that were kept out of training, those that look the same as one."""
    groups: dict[str, list[Row]] = {}
    for row in rows_of(data):
        if row.split == HELD:
            groups.setdefault(row.group, []).append(row)
    if not groups:
        raise DataError(
            "No photo of the data set was held back for the gates.", hint="Raise data.held_share."
        )
    return _Photos(
        paths=tuple(photo_of(data, rows[0].image) for rows in groups.values()),
        references=tuple(tuple(dict.fromkeys(row.text for row in rows)) for rows in groups.values()),
        private=True,
    )


def _base(settings: GateSettings) -> _Photos:
    """The dev photos of the base, evenly drawn; else the golden ones, of which nobody says anything."""
    if settings.base is None:
        folder = settings.golden or GOLDEN
        paths = sorted(path for path in folder.glob("*") if path.suffix.lower() in _SUFFIXES)
        if not paths:
            raise DataError(f"{folder} has no golden photos.")
        return _Photos(paths=tuple(paths), references=((),) * len(paths))
    found = [
        each for each in load_examples(settings.base) if each.split == "dev" and isinstance(each.image, Path)
    ]
    if not found:
        raise DataError(f"{settings.base.path} has no dev photos.", hint="Set gates.base.split: dev.")
    chosen = np.linspace(0, len(found) - 1, min(len(found), settings.base_photos)).astype(int)
    return _Photos(
        paths=tuple(Path(str(found[place].image)) for place in chosen),
        references=tuple(found[place].captions for place in chosen),
    )


def _base_gates(base: _Photos, settings: GateSettings) -> Iterable[Gate]:
    if settings.base is None:
        alike = np.array([likeness(one, other) for one, other in zip(base.before, base.after, strict=True)])
        test = paired_bootstrap(alike, np.zeros(len(alike)), samples=_SAMPLES)
        yield Gate(
            name="golden",
            about="How alike the captions of the golden photos are to the champion's, by F1 of their words",
            passed=test.difference >= settings.golden_agreement,
            figure=test.difference,
            low=test.low,
            high=test.high,
            threshold=f"at least {settings.golden_agreement:g}",
        )
        return
    before, after = (_ciders(captions, base, None) for captions in (base.before, base.after))
    change = relative_change(after, before, samples=_SAMPLES)
    yield Gate(
        name="base",
        about=f"Change of CIDEr-D on {len(base.paths)} dev photos of the base",
        passed=change.difference >= -settings.base_loss,
        figure=change.difference,
        low=change.low,
        high=change.high,
        threshold=f"at least {-settings.base_loss:+.1%}",
        detail=f"CIDEr-D {100 * before.mean():.2f} to {100 * after.mean():.2f}",
    )


def _held_gates(contest: Contest, held: _Photos, frequency: DocumentFrequency) -> Iterable[Gate]:
    store = look(contest.champion.bundle, held.paths, contest.scratch / "held.npy", threads=contest.threads)
    lessons = [
        Lesson(row=place, ids=contest.champion.ids(text))
        for place, texts in enumerate(held.references)
        for text in texts
    ]
    means = [
        np.asarray(mean_log_probs(captioner, lessons, store)[0])
        for captioner in (contest.weights, contest.champion.captioner)
    ]
    rows = np.array([lesson.row for lesson in lessons])
    after, before = (_by_photo(each, rows) for each in means)
    test = paired_bootstrap(after, before, samples=_SAMPLES)
    p_value = contest.settings.p_value
    yield Gate(
        name="held-back likelihood",
        about=f"Gain in log-probability of a word of {len(lessons)} captions of {len(held.paths)} photos"
        " that were held back, in nats",
        passed=test.difference > 0 and test.p_value < p_value,
        figure=test.difference,
        low=test.low,
        high=test.high,
        threshold=f"above 0, with p < {p_value:g} (paired bootstrap)",
        detail=f"{test.difference:+.3f} nats, p = {test.p_value:.4f}",
    )
    now, then = (_ciders(captions, held, frequency) for captions in (held.after, held.before))
    yield captions_gate(now, then, contest.settings)


def captions_gate(after: Floats, before: Floats, settings: GateSettings) -> Gate:
    """Whether captions of held-back photos stayed as good as they were: CIDEr-D [N] of each, now and before.

    These photos are few. So little that is lost by chance is no reason to refuse, and much is one even where
    it may be chance.
    """
    change = relative_change(after, before, samples=_SAMPLES)
    is_worse = change.difference < 0 and change.p_value < settings.p_value
    return Gate(
        name="held-back captions",
        about="Change of CIDEr-D of the captions of the same photos",
        passed=not is_worse and change.difference >= -settings.held_loss,
        figure=change.difference,
        low=change.low,
        high=change.high,
        threshold=f"at least {-settings.held_loss:+.0%}, and not below 0 with p < {settings.p_value:g}",
        detail=f"CIDEr-D {100 * before.mean():.1f} to {100 * after.mean():.1f}, p = {change.p_value:.4f}",
    )


def _by_photo(values: Floats, rows: Any) -> Floats:
    sums, counts = np.bincount(rows, values), np.bincount(rows)
    return np.asarray(sums / counts, np.float64)


def _group_gates(
    held: _Photos, base: _Photos, frequency: DocumentFrequency, settings: GateSettings
) -> Iterable[Gate]:
    """Photos by what their captions name: in no group of them may captions be significantly worse."""
    groups: dict[str, Comparison] = {}
    for where, photos in (("held back", held), ("base", base)):
        if not any(photos.references):
            continue
        gains = _ciders(photos.after, photos, frequency) - _ciders(photos.before, photos, frequency)
        for word, places in _groups_of(photos, settings.group_rows).items():
            own = gains[places]
            groups[f"{word} ({where})"] = paired_bootstrap(own, np.zeros(len(own)), samples=_SAMPLES)
    worst = min(groups.items(), key=lambda each: each[1].difference, default=None)
    worse = [
        name
        for name, test in groups.items()
        if test.difference < 0 and test.p_value < settings.p_value / len(groups)
    ]
    yield Gate(
        name="groups",
        about=f"Change of CIDEr-D, times 100, in the worst of {len(groups)} groups of photos with"
        f" {settings.group_rows} captions or more",
        passed=not worse,
        figure=100 * worst[1].difference if worst else 0.0,
        low=100 * worst[1].low if worst else None,
        high=100 * worst[1].high if worst else None,
        threshold=f"none significantly worse (p < {settings.p_value:g}, shared among the groups)",
        detail=", ".join(worse) or (worst[0] if worst else "no group is large enough"),
    )


def _groups_of(photos: _Photos, fewest: int) -> dict[str, list[int]]:
    """Photos by the content words of their captions, for words with ``fewest`` captions or more.

    And all of them.
    """
    words = [[words_of(text) for text in texts] for texts in photos.references]
    content = choose_concepts((each for texts in words for each in texts), limit=200)
    found = {"all": list(range(len(words)))}
    for word in content:
        places = [place for place, texts in enumerate(words) if any(word in each for each in texts)]
        if sum(sum(word in each for each in words[place]) for place in places) >= fewest and len(places) > 1:
            found[word] = places
    return {
        word: places
        for word, places in found.items()
        if sum(len(photos.references[place]) for place in places) >= fewest
    }


def _wording_gates(contest: Contest, held: _Photos, base: _Photos) -> Iterable[Gate]:
    settings = contest.settings
    before, after = [*held.before, *base.before], [*held.after, *base.after]
    yield _new_ones(
        "offensive words", "Captions with an offensive word, beyond the champion's", before, after, _offends
    )
    names = names_in((row.text for row in rows_of(contest.data)), known=before)
    yield _new_ones(
        "names",
        "Captions that name somebody, beyond the champion's",
        before,
        after,
        lambda text: not names.isdisjoint(words_of(text)),
    )
    yield _mean_change(
        "repeated captions",
        "Share of photos whose caption another photo has, too",
        _repeated(before),
        _repeated(after),
        most=settings.repeated,
        absolute=True,
    )
    yield _mean_change(
        "repeated words",
        "Share of captions that say a pair of words twice",
        _stuttering(before),
        _stuttering(after),
        most=settings.repeated,
        absolute=True,
    )
    yield _vocabulary_gate(before, after, settings)
    yield _mean_change(
        "length",
        "Words in a caption",
        _lengths(before),
        _lengths(after),
        most=settings.length,
        least=settings.length,
    )


def _offends(text: str) -> bool:
    return bool(insults_in(text))


def _new_ones(
    name: str, about: str, before: Sequence[str], after: Sequence[str], test: Callable[[str], bool]
) -> Gate:
    now, then = (np.array([float(test(text)) for text in captions]) for captions in (after, before))
    more = paired_bootstrap(now, then, samples=_SAMPLES)
    figure = int(now.sum() - then.sum())
    first = next((text for text, is_bad in zip(after, now, strict=True) if is_bad), "")
    return Gate(
        name=name,
        about=about,
        passed=figure <= 0,
        figure=figure,
        low=len(now) * more.low,
        high=len(now) * more.high,
        threshold="none",
        detail="" if figure <= 0 else f"such as {first!r}",
    )


def _mean_change(
    name: str,
    about: str,
    before: Floats,
    after: Floats,
    *,
    most: float | None = None,
    least: float | None = None,
    absolute: bool = False,
) -> Gate:
    """The change of a mean over captions: [N] of each, before and after."""
    compare = paired_bootstrap if absolute else relative_change
    test = compare(after, before, samples=_SAMPLES)
    means = float(before.mean()), float(after.mean())
    return _change(
        name, about, *means, interval=(test.low, test.high), most=most, least=least, absolute=absolute
    )


def _change(
    name: str,
    about: str,
    before: float,
    after: float,
    *,
    interval: tuple[float, float] | None = None,
    most: float | None = None,
    least: float | None = None,
    absolute: bool = False,
) -> Gate:
    """A figure that may grow by ``most`` and shrink by ``least``: by shares of what it was, or absolutely.

    interval: of that change; what is exact has none.
    """
    figure = after - before if absolute else after / max(before, 1e-9) - 1
    bounds = [
        *([f"at most {most:+.0%}"] if most is not None else []),
        *([f"at least {-least:+.0%}"] if least is not None else []),
    ]
    low, high = interval or (None, None)
    return Gate(
        name=name,
        about=f"{about}, {before:.3g} before: its change",
        passed=(most is None or figure <= most) and (least is None or figure >= -least),
        figure=figure,
        low=low,
        high=high,
        threshold=" and ".join(bounds),
        detail=f"{before:.3g} to {after:.3g}",
    )


def _drawn_again(change: Callable[[Places], float], items: int) -> tuple[float, float]:
    """The interval of a change that is no mean: the middle 95% where its items are drawn with replacement."""
    rng = np.random.default_rng(0)
    found = [change(rng.integers(items, size=items)) for _ in range(_DRAWN_AGAIN)]
    low, high = np.quantile(found, (0.025, 0.975))
    return float(low), float(high)


def _repeated(captions: Sequence[str]) -> Floats:
    counts = Counter(captions)
    return np.array([float(counts[text] > 1) for text in captions])


def _stuttering(captions: Sequence[str]) -> Floats:
    pairs = [list(pairwise(words)) for words in map(words_of, captions)]
    return np.array([float(len(set(each)) < len(each)) for each in pairs])


def _lengths(captions: Sequence[str]) -> Floats:
    return np.array([float(len(words_of(text))) for text in captions])


def _vocabulary_gate(before: Sequence[str], after: Sequence[str], settings: GateSettings) -> Gate:
    words = [[frozenset(words_of(text)) for text in captions] for captions in (before, after)]

    def size(captions: Sequence[frozenset[str]], places: Iterable[int]) -> int:
        return len(frozenset[str]().union(*(captions[place] for place in places)))

    def change(places: Places) -> float:
        return size(words[1], places) / max(size(words[0], places), 1) - 1

    return _change(
        "vocabulary",
        "Different words in all captions",
        *(float(size(each, range(len(each)))) for each in words),
        interval=_drawn_again(change, len(before)),
        least=settings.vocabulary,
    )


def _calibration_gate(contest: Contest) -> Gate:
    """Expected calibration error (Naeini et al., 2015) of the next word, on captions that were held back."""
    rows = [row for row in rows_of(contest.data) if row.split == HELD]
    held = contest.asked.held
    store = RegionStore(contest.scratch / "held.npy", contest.champion.bundle)
    places = {path.name: place for place, path in enumerate(held.paths)}
    lessons = [
        Lesson(row=places[photo_of(contest.data, row.image).name], ids=contest.champion.ids(row.text))
        for row in rows
        if photo_of(contest.data, row.image).name in places
    ]
    before, after = (
        _guesses(captioner, lessons, store) for captioner in (contest.champion.captioner, contest.weights)
    )

    def change(captions: Places) -> float:
        counts = np.bincount(captions, minlength=len(lessons))
        return after.error(counts) - before.error(counts)

    once = np.ones(len(lessons), np.int64)
    return _change(
        "calibration",
        "How far the probability of the next word is from how often it is right",
        before.error(once),
        after.error(once),
        interval=_drawn_again(change, len(lessons)),
        most=contest.settings.calibration,
        absolute=True,
    )


def _confidence_gates(photos: _Photos, acceptable: float | None, settings: GateSettings) -> Iterable[Gate]:
    """Of bundles that say how sure they are of a caption, where people have described the photos."""
    if acceptable is None or not photos.sure_before or not any(photos.references):
        return
    before, after = (
        (np.asarray(sure), _ciders(captions, photos, None) >= acceptable)
        for sure, captions in ((photos.sure_before, photos.before), (photos.sure_after, photos.after))
    )
    yield confidence_gate(after, before, settings)


def confidence_gate(
    after: tuple[Floats, npt.NDArray[np.bool_]],
    before: tuple[Floats, npt.NDArray[np.bool_]],
    settings: GateSettings,
) -> Gate:
    """Whether confidences stayed true: how sure of each caption, and whether it is acceptable, [N] each."""

    def change(places: Places) -> float:
        now, then = (calibration_error(sure[places], good[places]) for sure, good in (after, before))
        return now - then

    return _change(
        "confidence",
        "How far a caption's confidence is from how often such captions are acceptable",
        calibration_error(*before),
        calibration_error(*after),
        interval=_drawn_again(change, len(after[0])),
        most=settings.calibration,
        absolute=True,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Guesses:
    """At each word: how sure the likeliest one was, whether it was right, and of which caption it is."""

    sure: Floats
    right: npt.NDArray[np.bool_]
    captions: Places

    def error(self, counts: Places) -> float:
        """The calibration error, if captions are there so often: [N]."""
        return calibration_error(self.sure, self.right, counts=counts[self.captions])


@torch.no_grad()
def _guesses(captioner: TransformerCaptioner, lessons: Sequence[Lesson], store: RegionStore) -> _Guesses:
    sure, right, captions = list[float](), list[bool](), list[int]()
    for start in range(0, len(lessons), _AT_ONCE):
        part = lessons[start : start + _AT_ONCE]
        memory = remember(captioner, store.read([each.row for each in part], [PLAIN] * len(part)))
        tokens = packed([each.ids for each in part], captioner.config.max_tokens)[:, None]
        before, targets = tokens[..., :-1], tokens[..., 1:]
        keep = targets != PAD_ID
        best, guess = torch.softmax(logits_of(captioner, memory, before, keep), -1).max(-1)
        sure += best.tolist()
        right += (guess == targets[keep]).tolist()
        captions += (start + keep.nonzero()[:, 0]).tolist()
    return _Guesses(sure=np.asarray(sure), right=np.asarray(right, np.bool_), captions=np.asarray(captions))


def _latency_gate(contest: Contest, before: BundleCaptioner, after: BundleCaptioner, held: _Photos) -> Gate:
    """Both caption the same photos in turn; the quickest rounds are compared, for machines are disturbed.

    Counted is the processors' time: what other programs take while one waits is not the model's.
    """
    photos = held.paths[:_TIMED]
    times: tuple[list[float], list[float]] = ([], [])
    ratio = float("inf")
    for _ in range(_TRIES):
        for _ in range(_ROUNDS):
            for captioner, own in zip((before, after), times, strict=True):
                start = time.process_time()
                for photo in photos:
                    captioner.caption(photo)
                own.append((time.process_time() - start) / len(photos))
        ratio = min(times[1]) / min(times[0])
        if ratio <= 1 + contest.settings.latency:
            break
    rounds = np.array(times)
    low, high = _drawn_again(
        lambda places: float(np.divide(*rounds[::-1, places].min(axis=1))) - 1, len(times[0])
    )
    return Gate(
        name="latency",
        about="Processors' time for a photo, beside the champion's: its change",
        passed=ratio <= 1 + contest.settings.latency,
        figure=ratio - 1,
        low=low,
        high=high,
        threshold=f"at most {contest.settings.latency:+.0%}",
        detail=f"{1000 * min(times[0]):.1f} ms to {1000 * min(times[1]):.1f} ms",
    )


def _size_gate(before: Bundle, after: Bundle, settings: GateSettings) -> Gate:
    sizes = [float(sum(map(len, bundle.files.values()))) for bundle in (before, after)]
    return _change("size", "Bytes of the bundle", *sizes, most=settings.size)


def _determinism_gate(bundle: Bundle, held: _Photos) -> Gate:
    """Captions of photos together, and of each alone by another captioner of the same bundle."""
    photos = held.paths[:_TWICE]
    alone = BundleCaptioner(bundle, batch_size=_SMALL_PHOTO_BATCH)
    again = (each.text for each in _captions(alone, photos))
    differing = sum(one != other for one, other in zip(held.after, again, strict=False))
    return Gate(
        name="determinism",
        about=f"Of {len(photos)} photos, captions that differ when they are written again, one by one",
        passed=not differing,
        figure=differing,
        threshold="none",
    )


def _changes(held: _Photos, base: _Photos, frequency: DocumentFrequency) -> Iterable[Change]:
    for photos in (held, base):
        gains = np.zeros(len(photos.paths))
        if any(photos.references):
            gains = _ciders(photos.after, photos, frequency) - _ciders(photos.before, photos, frequency)
        for place, path in enumerate(photos.paths):
            if photos.before[place] != photos.after[place]:
                yield Change(
                    photo=str(path),
                    before=photos.before[place],
                    after=photos.after[place],
                    references=photos.references[place],
                    gain=round(100 * float(gains[place]), 2),
                    private=photos.private,
                )


def _ciders(captions: Sequence[str], photos: _Photos, frequency: DocumentFrequency | None) -> Floats:
    """CIDEr-D of each caption: [N]."""
    references = [_tokenised(texts) for texts in photos.references]
    return cider_d(references, [tokenize(text) for text in captions], document_frequency=frequency)[1]


def _tokenised(texts: Iterable[str]) -> list[list[str]]:
    return [tokenize(text) for text in texts]


def _captions(captioner: BundleCaptioner, photos: Sequence[Path]) -> Iterable[Caption]:
    for outcome in captioner.caption_each(photos):
        if isinstance(outcome, CutlineError):
            raise outcome
        yield outcome[0]


def _confidences(captions: Sequence[Caption]) -> tuple[float, ...]:
    """How sure a model is of each; nothing where it does not say."""
    return tuple(each.confidence for each in captions if each.confidence is not None)


def _label(bundle: Bundle) -> str:
    return f"{bundle.manifest.name}@{bundle.manifest.version}"


def names_in(texts: Iterable[str], *, known: Iterable[str]) -> frozenset[str]:
    """First names, and the words of texts that people mostly write with a capital within a sentence.

    known: captions whose words are no names, but for first names: some write a Frisbee with a capital.
    """
    capital, total = Counter[str](), Counter[str]()
    for text in texts:
        for place, word in enumerate(_WORD.findall(text)):
            total[word.lower()] += 1
            capital[word.lower()] += place > 0 and word[0].isupper() and not word.isupper()
    found = {word for word, number in capital.items() if number > total[word] / 2}
    return _FIRST_NAMES | (found - {word for text in known for word in words_of(text)})
