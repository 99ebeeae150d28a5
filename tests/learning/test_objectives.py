"""What a challenger learns, of captions, preferences and ratings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
import torch

from cutline.learning.challenger import best_of, kept_of
from cutline.learning.objectives import (
    REWARDS,
    EditsObjective,
    Lesson,
    Lessons,
    Likeness,
    Preference,
    Rated,
    Seen,
    log_probs,
    loss_of,
    packed,
    remember,
    written_by,
)
from cutline.training.config import StageConfig
from cutline.training.loop import Stepper
from cutline.training.vocabulary import END_ID, PAD_ID
from tests.learning.tiny_champion import COLUMNS, ROWS, VOCABULARY, WIDTH, tiny_captioner

LIKED, DISLIKED = (5, 6, 7), (8, 9, 10)


class Store:
    """Random regions of eight photos, and what is added to the scores of words."""

    variants = 1

    def __init__(self, bonus: Mapping[int, float] | None = None) -> None:
        torch.manual_seed(2)
        self._regions = torch.randn(8, ROWS * COLUMNS, WIDTH)
        self._bonus = torch.zeros(8, len(VOCABULARY))
        for word, value in (bonus or {}).items():
            self._bonus[:, word] = value

    def read(self, rows: Sequence[int], variants: Sequence[int]) -> Seen:
        return Seen(self._regions[list(rows)], self._bonus[list(rows)])


def lessons(weights: tuple[float, float] = (1.0, 1.0)) -> Lessons:
    """Of each photo two captions, and what people thought of two others."""
    return Lessons(
        references=tuple(
            Lesson(row=row, ids=ids, weight=weight)
            for row in range(8)
            for ids, weight in zip(((11, 12, 13), (14, 15, 16)), weights, strict=True)
        ),
        judged=(Lesson(row=0, ids=(11, 12, 13)),),
        preferences=tuple(Preference(row=row, chosen=LIKED, rejected=DISLIKED) for row in range(8)),
        rated=tuple(
            Rated(row=row, ids=ids, reward=reward)
            for row in range(8)
            for ids, reward in ((LIKED, 1.0), (DISLIKED, -1.0))
        ),
    )


def trained(
    objective_type: type[EditsObjective], given: Lessons, *, distill_weight: float = 0.0
) -> EditsObjective:
    stage = StageConfig(
        name="tiny",
        objective="rewards",
        batch_size=16,
        learning_rate=0.01,
        caption_weight=1.0,
        samples=2,
        distill_weight=distill_weight,
    )
    objective = objective_type(tiny_captioner(), given, Store(), stage, seed=0, learns="whole")
    stepper = Stepper(objective, stage, device=torch.device("cpu"))
    for epoch in range(12):
        for batch in objective.batches(epoch):
            stepper.step([batch])
    return objective


def likelihood(objective: EditsObjective, ids: Sequence[int]) -> float:
    memory = remember(objective.captioner, objective.store.read([0], [0]))
    with torch.no_grad():
        return float(log_probs(objective.captioner, memory, packed([ids], 14)).sum())


def test_a_caption_counts_as_much_as_it_is_trusted() -> None:
    objective = trained(EditsObjective, lessons((1.0, 0.1)))
    assert likelihood(objective, (11, 12, 13)) > likelihood(objective, (14, 15, 16)) + 1
    assert loss_of(objective.captioner, objective.lessons.judged, objective.store) < 1.5


def test_captions_are_scored_and_written_with_what_concepts_add_to_words() -> None:
    captioner, judged = tiny_captioner(), lessons().judged
    plain, added = Store(), Store({11: 50.0})
    memory = remember(captioner, added.read([0], [0]))
    tokens = packed([(11, 12)], 14)
    with torch.no_grad():
        bare = captioner(memory.places, tokens[:, None, :-1])[0, 0]
    bare[:, 11] += 50.0
    wanted = torch.log_softmax(bare, -1).gather(-1, tokens[0, 1:, None]).squeeze(-1)
    assert torch.allclose(log_probs(captioner, memory, tokens)[0], wanted, atol=1e-4)
    assert written_by(captioner, added.read([0], [0])) == [(11,) * 12]
    assert loss_of(captioner, judged, added) != pytest.approx(loss_of(captioner, judged, plain))


def test_people_s_captions_are_taught_with_what_concepts_add_to_words() -> None:
    given = Lessons(
        references=tuple(Lesson(row=row, ids=(11,)) for row in range(8)), judged=(Lesson(row=0, ids=(11,)),)
    )
    stage = StageConfig(name="t", objective="rewards", batch_size=8, caption_weight=1.0, samples=2)
    losses = []
    for store in (Store(), Store({11: 9.0, END_ID: 9.0})):
        objective = EditsObjective(tiny_captioner(), given, store, stage, seed=0)
        losses.append(objective.loss(next(objective.batches(0))).logs["edits"])
    assert losses[1] < losses[0] - 1


@pytest.mark.parametrize("way", list(REWARDS))
def test_what_people_liked_becomes_likelier_than_what_they_did_not(way: str) -> None:
    plain, rewarded = trained(EditsObjective, lessons()), trained(REWARDS[way], lessons())
    gaps = [likelihood(each, LIKED) - likelihood(each, DISLIKED) for each in (plain, rewarded)]
    assert gaps[1] > gaps[0] + 1


def test_the_champion_is_not_forgotten_where_it_is_the_teacher() -> None:
    given = lessons()
    said = trained(EditsObjective, given).said[0]
    champion = EditsObjective(
        tiny_captioner(), given, Store(), StageConfig(name="t", objective="captions"), seed=0
    )
    before = likelihood(champion, said)
    objective = trained(EditsObjective, given, distill_weight=20.0)
    forgetful = trained(EditsObjective, given)
    assert before - likelihood(objective, said) < (before - likelihood(forgetful, said)) / 2


def test_by_default_what_reads_the_photo_learns_and_the_language_stays() -> None:
    stage = StageConfig(name="tiny", objective="rewards", batch_size=16, learning_rate=0.01, samples=2)
    objective = EditsObjective(tiny_captioner(), lessons(), Store(), stage, seed=0)
    before = {name: value.clone() for name, value in objective.captioner.state_dict().items()}
    stepper = Stepper(objective, stage, device=torch.device("cpu"))
    stepper.step([next(objective.batches(0))])
    after = objective.captioner.state_dict()
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert {"project.weight", "encoder.0.attention.query.weight"} <= changed
    assert "decoder.0.attend_memory.value.weight" in changed
    assert not any(name.startswith(("embedding", "bias", "concepts", "norm_words")) for name in changed)
    assert not any("attend_self" in name or "feed_forward" in name for name in changed if "decoder" in name)


def test_a_caption_is_as_good_as_it_is_like_what_the_trusted_wrote() -> None:
    said = lessons((1.0, 0.1)).references
    likeness = Likeness((*said, Lesson(row=8, ids=(4, 9, 10))))
    first, second = (likeness.of(0, (*ids, END_ID, PAD_ID)) for ids in ((11, 12, 13), (14, 15, 16)))
    assert first > second > 0
    assert likeness.of(0, (11, 12, 13)) < first


def test_little_of_few_photos_may_be_chance_and_is_not_called_forgotten() -> None:
    before = np.tile([0.3, 0.9], 75)
    noise = np.random.default_rng(0).normal(0, 0.2, len(before))
    kept, at_most = kept_of(before + noise - noise.mean() - 0.012, before)
    assert kept == pytest.approx(0.98)
    assert at_most > 1
    assert kept_of(0.8 * before, before)[1] < 0.9
    assert kept_of(np.zeros(0), np.zeros(0)) == (1.0, 1.0)


def test_a_way_is_taken_where_captions_are_better_and_people_s_no_less_likely() -> None:
    edits = {"cider": 50.0, "loss": 2.07}
    assert best_of({"edits": edits, "dpo": {"cider": 70.0, "loss": 2.08}}) == "edits"
    assert best_of({"edits": edits, "dpo": {"cider": 70.0, "loss": 2.06}}) == "dpo"
    assert best_of({"edits": edits, "importance": dict(edits)}) == "edits"
