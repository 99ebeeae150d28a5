"""What `cutline evaluate --styles` does: let writers write the held-out rows of a corpus, and judge them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import zip_longest
from typing import TypeVar

from cutline.evaluation.captions import Bar
from cutline.evaluation.style_rows import Corpus, Row
from cutline.evaluation.style_scores import (
    Answer,
    Openings,
    Scores,
    StyleJudge,
    Verdict,
    by_group,
    confusion,
    openings,
)
from cutline.styles import Voice, Writer
from cutline.styles.chat_writer import ChatWriter
from cutline.styles.guard import Text, check, parse
from cutline.styles.restyling import MAX_ANSWER_CHARS, GuardedRestyler
from cutline.styles.writing import Task

EXAMPLES = 5
CAPTIONS_OF_A_TONE = 50
PEOPLE = "people"

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a person or a model wrote for a row."""

    id: str
    description: str
    tone: str
    audience: str
    text: str
    heard_as: str
    is_refused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StyleSystem:
    """Who wrote, and what it is worth. groups: all, trained and unseen tones, families, audiences, tones."""

    name: str
    prompt: str
    groups: Mapping[str, Scores]
    confusion: Mapping[str, Mapping[str, int]]
    openings: tuple[Openings, ...] = ()
    written: tuple[Written, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StyleEvaluation:
    """Everything that an evaluation found; the people who wrote the rows are the first system."""

    corpus: str  # its hash
    rows: int
    held_out: int  # more than rows where only some were judged
    seed: int
    systems: tuple[StyleSystem, ...]
    cutline: str = field(default_factory=lambda: version("cutline"))


def evaluate_styles(
    corpus: Corpus, writers: Sequence[Writer], *, limit: int | None, tones: int, seed: int, bar: Bar
) -> StyleEvaluation:
    """Judge writers, and people, on ``limit`` held-out rows; repeated openings on that many tones.

    Language models that follow instructions are shown five rows to learn from.
    """
    judge = StyleJudge(corpus.train)
    rows = drawn(corpus.held_out, limit, seed)
    people = [Answer(row=row, written=parse(row.caption), text=parse(row.caption)) for row in rows]
    asked = list(tone_rows(corpus, tones, seed))
    systems = [_system(PEOPLE, "", corpus, [judge.verdict(each) for each in people])]
    for writer in writers:
        shown = _with_examples(writer, corpus.train, seed)
        name = f"{writer.name}@{writer.version}"
        progress = bar(name, len(rows) + sum(map(len, asked)))
        answers = []
        for row in (*rows, *(row for each in asked for row in each)):
            answers.append(answer(shown, row, seed))
            if progress is not None:
                progress.update(1)
        judged = [judge.verdict(each) for each in answers[: len(rows)]]
        found = _openings(answers[len(rows) :])
        systems.append(_system(name, shown.prompt_version, corpus, judged, found))
    return StyleEvaluation(
        corpus=corpus.hash,
        rows=len(rows),
        held_out=len(corpus.held_out),
        seed=seed,
        systems=tuple(systems),
    )


def answer(writer: Writer, row: Row, seed: int) -> Answer:
    """The first draft of a writer, and what the guard makes of it."""
    task = Task(description=row.description, voice=row.voice)
    said = ""
    with closing(writer.write(task, seed=seed)) as pieces:
        for piece in pieces:
            said += piece.text
            if len(said) > MAX_ANSWER_CHARS:
                break
    draft = parse(said)
    if not check(draft, row.voice, task.sources):
        return Answer(row=row, written=draft, text=draft)
    [styled] = GuardedRestyler(writer).restyle(row.description, row.voice, seed=seed)
    text = Text(body=styled.body, hashtags=styled.hashtags)
    return Answer(row=row, written=draft, text=text, is_refused=bool(styled.refused))


def tone_rows(corpus: Corpus, tones: int, seed: int) -> Iterator[Sequence[Row]]:
    """For each of some tones, of every family in turn, the same 50 held-out descriptions as rows."""
    chance = random.Random(seed)
    descriptions = sorted({row.description for row in corpus.held_out})
    described = drawn(descriptions, CAPTIONS_OF_A_TONE, seed)
    families: dict[str, list[str]] = {}
    for tone, family in sorted({(row.voice.tone, row.family) for row in (*corpus.train, *corpus.held_out)}):
        families.setdefault(family, []).append(tone)
    shuffled = [[(tone, family) for tone in chance.sample(own, len(own))] for family, own in families.items()]
    in_turn = [each for turn in zip_longest(*shuffled) for each in turn if each is not None]
    for tone, family in in_turn[:tones]:
        yield [
            Row(
                id="",
                family=family,
                description=description,
                voice=Voice(tone=tone),
                caption="",
                restrained=False,
            )
            for description in described
        ]


def _openings(answers: Sequence[Answer]) -> tuple[Openings, ...]:
    bodies: dict[str, list[str]] = {}
    for each in answers:
        bodies.setdefault(each.row.voice.tone, []).append(each.text.body)
    return tuple(openings(tone, own) for tone, own in bodies.items())


def _system(
    name: str, prompt: str, corpus: Corpus, verdicts: Sequence[Verdict], found: tuple[Openings, ...] = ()
) -> StyleSystem:
    return StyleSystem(
        name=name,
        prompt=prompt,
        groups=by_group(verdicts, corpus.trained_tones),
        confusion=confusion(verdicts),
        openings=found,
        written=tuple(_written(each) for each in verdicts),
    )


def _written(verdict: Verdict) -> Written:
    row = verdict.answer.row
    return Written(
        id=row.id,
        description=row.description,
        tone=row.voice.tone,
        audience=row.voice.audience,
        text=str(verdict.answer.text),
        heard_as=verdict.family,
        is_refused=verdict.answer.is_refused,
    )


def _with_examples(writer: Writer, train: Sequence[Row], seed: int) -> Writer:
    """A model that follows instructions is shown rows of different families; another one is as it is."""
    if not isinstance(writer, ChatWriter):
        return writer
    chance = random.Random(seed)
    rows = {row.family: row for row in chance.sample(train, len(train)) if not row.restrained}
    chosen = list(rows.values())[:EXAMPLES]
    return writer.with_examples(
        [(Task(description=row.description, voice=row.voice), row.caption) for row in chosen]
    )


def drawn(items: Sequence[Item], most: int | None, seed: int) -> list[Item]:
    """At most so many, at random, in their order."""
    if most is None or most >= len(items):
        return list(items)
    return [items[number] for number in sorted(random.Random(seed).sample(range(len(items)), most))]
