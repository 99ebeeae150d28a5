"""Scores of captions in a voice: is the tone recognised, is it true to the description, is it varied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from cutline.evaluation.style_rows import Row
from cutline.evaluation.tones import ToneClassifier
from cutline.metrics.diversity import distinct_n
from cutline.styles.guard import Fault, Text, check
from cutline.styles.support import all_words, function_words, objects, opening, related_words, singular, words

_LEAST_SCENES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of a row. written: the first draft, before the guard; text: what a user gets."""

    row: Row
    written: Text
    text: Text
    is_refused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """An answer, judged. families: which ones the classifier hears in the text and in the draft."""

    answer: Answer
    family: str
    written_family: str
    content: int
    supported: int
    faults: frozenset[Fault]
    written_faults: frozenset[Fault]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Shares from 0 to 1, over some captions.

    recognised, length and hashtags do not count rows of restraint, and are None where there are no others. A
    refused caption's tone is not recognised. support: of content words. faithful: of captions that name no
    thing, number or name which the description does not support. *_as_written: of drafts, before the guard.
    """

    captions: int
    recognised: float | None
    recognised_as_written: float | None
    support: float
    faithful: float
    faithful_as_written: float
    distinct_2: float
    length: float | None
    hashtags: float | None
    refused: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Openings:
    """How often captions of one tone begin alike: ``most`` of them with the same words."""

    tone: str
    captions: int
    most: int
    opening: str


class StyleJudge:
    """Judges captions by what rows to learn from teach about tones and about words."""

    def __init__(self, train: Sequence[Row]) -> None:
        voiced = [row for row in train if not row.restrained]
        self._tones = ToneClassifier([row.caption for row in voiced], [row.family for row in voiced])
        self._scenes = scene_words(train)

    def verdict(self, answer: Answer) -> Verdict:
        """Judge one answer."""
        row, said = answer.row, str(answer.text)
        content = all_words(said) - function_words()
        supported = content & (related_words(said, [row.description]) | self._scenes)
        return Verdict(
            answer=answer,
            family=self._tones.family(said),
            written_family=self._tones.family(str(answer.written)),
            content=len(content),
            supported=len(supported),
            faults=frozenset(check(answer.text, row.voice, [row.description])),
            written_faults=frozenset(check(answer.written, row.voice, [row.description])),
        )


def scene_words(train: Iterable[Row]) -> frozenset[str]:
    """Words that name no thing, and that people add to descriptions: at least two captions do so."""
    added = Counter(
        word
        for row in train
        for word in all_words(row.caption) - related_words(row.caption, [row.description])
        if singular(word) not in objects()
    )
    return frozenset(word for word, count in added.items() if count >= _LEAST_SCENES)


def scores(verdicts: Sequence[Verdict]) -> Scores:
    """The scores of some captions, at least one."""
    voiced = [each for each in verdicts if not each.answer.row.restrained]
    content = sum(each.content for each in verdicts)
    return Scores(
        captions=len(verdicts),
        recognised=_share(_is_recognised(each) for each in voiced),
        recognised_as_written=_share(each.written_family == each.answer.row.family for each in voiced),
        support=sum(each.supported for each in verdicts) / max(1, content),
        faithful=_share(Fault.UNSUPPORTED not in each.faults for each in verdicts) or 0.0,
        faithful_as_written=_share(Fault.UNSUPPORTED not in each.written_faults for each in verdicts) or 0.0,
        distinct_2=distinct_n([words(each.answer.text.body) for each in verdicts], 2),
        length=_share(each.faults.isdisjoint((Fault.TOO_LONG, Fault.TOO_SHORT)) for each in voiced),
        hashtags=_share(Fault.HASHTAGS not in each.faults for each in voiced),
        refused=_share(each.answer.is_refused for each in verdicts) or 0.0,
    )


def by_group(verdicts: Iterable[Verdict], trained_tones: Collection[str]) -> dict[str, Scores]:
    """Scores of everything, of trained and unseen tones, and of each family, tone and audience."""
    groups: dict[str, list[Verdict]] = {}
    for each in verdicts:
        voice = each.answer.row.voice
        kind = "trained" if voice.tone in trained_tones else "unseen"
        names = (
            "all",
            f"tones {kind}",
            f"family {each.answer.row.family}",
            f"audience {voice.audience}",
            f"tone {voice.tone}",
        )
        for name in names:
            groups.setdefault(name, []).append(each)
    return {name: scores(group) for name, group in sorted(groups.items())}


def confusion(verdicts: Iterable[Verdict]) -> Mapping[str, Mapping[str, int]]:
    """How many captions of a family (first) are heard as which one (second); without rows of restraint."""
    counted: dict[str, Counter[str]] = {}
    for each in verdicts:
        if not each.answer.row.restrained:
            counted.setdefault(each.answer.row.family, Counter())[each.family] += 1
    return {family: dict(sorted(counts.items())) for family, counts in sorted(counted.items())}


def openings(tone: str, bodies: Sequence[str]) -> Openings:
    """The opening that most captions of a tone have."""
    [(begins, most)] = Counter(opening(body) for body in bodies).most_common(1)
    return Openings(tone=tone, captions=len(bodies), most=most, opening=begins)


def _is_recognised(verdict: Verdict) -> bool:
    return verdict.family == verdict.answer.row.family and not verdict.answer.is_refused


def _share(answers: Iterable[bool]) -> float | None:
    given = list(answers)
    return sum(given) / len(given) if given else None
