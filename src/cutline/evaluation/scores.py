"""Scores of the captions of one system, or of two against each other."""

from __future__ import annotations

from collections.abc import Iterator

from cutline.evaluation.captions import Written
from cutline.evaluation.selection import Selection
from cutline.metrics.judgement import Judge, Judgement, TokenizerChoice, compare
from cutline.metrics.report import Evaluation, Item
from cutline.training.datasets import TRAIN, data_hash

FEW_PHOTOS = 100


def evaluate(
    selection: Selection,
    written: Written,
    other: Written | None,
    *,
    tokenizer: TokenizerChoice,
    use_java: bool,
    samples: int,
    seed: int,
) -> Evaluation:
    """Score one system, or two against each other, on the photos of a selection."""
    judge = Judge(
        [example.captions for example in selection.chosen],
        population=[example.captions for example in selection.whole],
        tokenizer=tokenizer,
        use_java=use_java,
    )
    mine = _judged(judge, written, selection)
    theirs = _judged(judge, other, selection) if other is not None else None
    return Evaluation(
        system=written.system(),
        data=selection.data_set(),
        scores=mine.scores,
        items=tuple(_items(selection, written, mine, other, theirs)),
        other=other.system() if other is not None else None,
        other_scores=theirs.scores if theirs is not None else (),
        versus=tuple(compare(mine, theirs, samples=samples, seed=seed)) if theirs is not None else (),
        warnings=tuple(_warnings(selection, written, other)),
    )


def _judged(judge: Judge, written: Written, selection: Selection) -> Judgement:
    candidates = [written.candidates.get(example.key, ()) for example in selection.chosen]
    return judge.judge(_in_order(written, selection), candidates)


def _in_order(written: Written, selection: Selection) -> list[str]:
    return [written.captions.get(example.key, "") for example in selection.chosen]


def _items(
    selection: Selection,
    written: Written,
    judgement: Judgement,
    other: Written | None,
    other_judgement: Judgement | None,
) -> Iterator[Item]:
    for index, example in enumerate(selection.chosen):
        yield Item(
            key=example.key,
            caption=written.captions.get(example.key, ""),
            references=example.captions,
            scores={name: float(values[index]) for name, values in judgement.items.items()},
            other=other.captions.get(example.key, "") if other is not None else None,
            other_scores=(
                {name: float(values[index]) for name, values in other_judgement.items.items()}
                if other_judgement is not None
                else {}
            ),
            failure=written.failures.get(example.key, ""),
        )


def _warnings(selection: Selection, written: Written, other: Written | None) -> Iterator[str]:
    systems = [written] if other is None else [written, other]
    whole_hash = data_hash(selection.whole)
    if selection.split == TRAIN:
        yield (
            "This is a training split. A model that learned from these photos scores better on them than on "
            "new ones: do not report these figures."
        )
    for system in systems:
        if system.trained_on == whole_hash and selection.split != TRAIN:
            yield f"{system.name} was trained on exactly these photos: do not report these figures."
        if system.failures:
            yield (
                f"{system.name} has no caption for {len(system.failures):,} of {len(selection.chosen):,} "
                "photos: they count as empty captions, which score 0."
            )
    if len(selection.chosen) < FEW_PHOTOS:
        yield f"Only {len(selection.chosen)} photos: the figures may differ much on other photos."
    captions = sum(len(example.captions) for example in selection.chosen)
    if captions < 2 * len(selection.chosen):
        yield "Most photos have a single reference: scores are lower than with the usual five."
