"""Each stage's objective teaches what it says, on problems small enough to solve here."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pytest
import torch
from another_device import another_device
from tiny_system import CONCEPTS, ROWS, WIDTH, PlantedStore, tiny_corpus, tiny_lstm, tiny_system
from torch import nn

from cutline.training.config import StageConfig
from cutline.training.corpus import Corpus, concept_targets, tokenise_captions
from cutline.training.lstm_objective import LstmCaptionObjective, SampledBatch
from cutline.training.objectives import (
    CaptionObjective,
    ConceptObjective,
    RewardObjective,
    TextObjective,
    mean_average_precision,
)
from cutline.training.text import TextConfig
from cutline.training.vocabulary import END_ID, PAD_ID, START_ID, build_tokenizer

Objective = CaptionObjective | ConceptObjective | RewardObjective | TextObjective


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def tiny() -> tuple[Corpus, PlantedStore]:
    return tiny_corpus()


def options(**changes: Any) -> dict[str, Any]:
    """A stage and a seed, as every objective takes them."""
    settings: dict[str, Any] = {
        "name": "tiny",
        "objective": "captions",
        "batch_size": 8,
        "learning_rate": 5e-3,
        "encoder_learning_rate": 5e-3,
        "label_smoothing": 0.0,
        "captions_per_image": 3,
        "feature_dropout": 0.0,
    }
    seed = changes.pop("seed", 0)
    return {"stage": StageConfig(**(settings | changes)), "seed": seed}


def train(objective: Objective, epochs: int) -> list[float]:
    """Plain Adam; gives each epoch's mean loss."""
    torch.manual_seed(0)
    groups = [
        {"params": group.parameters, "lr": group.learning_rate} for group in objective.parameter_groups()
    ]
    optimiser = torch.optim.Adam(groups)
    objective.module.train()
    means = []
    for epoch in range(epochs):
        losses = []
        for batch in objective.batches(epoch):
            loss = objective.loss(batch)
            optimiser.zero_grad()
            loss.value.backward()
            optimiser.step()
            losses.append(loss.value.item())
        means.append(float(np.mean(losses)))
    objective.module.eval()
    return means


def concept_objective(tiny: tuple[Corpus, PlantedStore], **changes: Any) -> ConceptObjective:
    system = tiny_system()
    return ConceptObjective(
        system,
        *tiny,
        **options(**changes),
        teacher=copy.deepcopy(system.tail),
        classifier=nn.Linear(WIDTH, 10),
        learnt=len(CONCEPTS),
    )


def test_the_concept_head_learns_planted_concepts(tiny: tuple[Corpus, PlantedStore]) -> None:
    objective = concept_objective(tiny, distill_weight=0.1)
    objective.system.eval()
    before = objective.evaluate()
    train(objective, 15)
    after = objective.evaluate()
    assert after["loss"] < before["loss"] * 0.8
    assert after["map/photos"] > 0.8 > before["map/photos"]
    assert after["map"] == after["map/photos"]


def test_concepts_that_hardly_any_photo_shows_are_left_alone(tiny: tuple[Corpus, PlantedStore]) -> None:
    corpus, store = tiny
    rare = CONCEPTS.index("boat")
    train_items = [
        item if place < 1 else replace(item, concepts={k: v for k, v in item.concepts.items() if k != rare})
        for place, item in enumerate(corpus.train)
    ]
    objective = concept_objective((replace(corpus, train=tuple(train_items)), store))
    before = objective.system.captioner.concepts.mean.weight.detach().clone()  # type: ignore[union-attr]
    train(objective, 1)
    after = objective.system.captioner.concepts.mean.weight.detach()  # type: ignore[union-attr]
    assert torch.equal(before[rare], after[rare])
    assert not torch.equal(before[CONCEPTS.index("red")], after[CONCEPTS.index("red")])


def test_the_teacher_keeps_the_tail_from_forgetting(tiny: tuple[Corpus, PlantedStore]) -> None:
    forgotten = []
    for weight in (0.0, 1000.0):
        objective = concept_objective(tiny, distill_weight=weight)
        batch = next(objective.batches(9))
        assert objective.loss(batch).logs["forgetting"] == pytest.approx(0, abs=1e-6)
        train(objective, 3)
        forgotten.append(objective.loss(batch).logs["forgetting"])
    assert 0 < forgotten[1] < 0.3 * forgotten[0]


def test_text_alone_teaches_the_decoder_to_write_concepts(tiny: tuple[Corpus, PlantedStore]) -> None:
    system = tiny_system()
    recogniser = ConceptObjective(
        system,
        *tiny,
        **options(),
        teacher=copy.deepcopy(system.tail),
        classifier=nn.Linear(WIDTH, 10),
        learnt=len(CONCEPTS),
    )
    train(recogniser, 10)
    objective = TextObjective(system, *tiny, **options(encoder_learning_rate=0.0))
    before = objective.evaluate()["loss"]
    losses = train(objective, 20)
    assert losses[-1] < 0.5 * losses[0]
    assert objective.evaluate()["loss"] < 0.7 * before  # on photos that it never saw


def test_captions_are_learnt_and_scores_rise(tiny: tuple[Corpus, PlantedStore]) -> None:
    objective = CaptionObjective(tiny_system(), *tiny, **options(text_share=0.5, concept_weight=1.0))
    objective.system.eval()
    before = objective.evaluate()
    losses = train(objective, 20)
    after = objective.evaluate()
    assert losses[-1] < 0.6 * losses[0]
    assert after["loss"] < before["loss"]
    assert after["cider"] > before["cider"] + 50
    assert after["cider"] == after["cider/photos"]
    assert after["bleu4"] > before["bleu4"]


@pytest.mark.parametrize("kind", ["word", "bpe"])
def test_a_caption_scores_in_full_whatever_its_tokenizer_splits(
    tiny: tuple[Corpus, PlantedStore], kind: Literal["word", "bpe"], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts of words, capitals and full stops are no other words than those of the references."""
    said = ["A dog's Frisbee, on grass.", "Two unbelievable cats aren't here!"]
    settings = TextConfig(tokenizer=kind, lowercase=False, punctuation="keep", minimum_count=1)
    tokenizer = build_tokenizer([*said, "grassy grass", "catalogue"], settings)
    one, two = (
        tokenise_captions(tokenizer, [text], key=text, source="photos", row=row)
        for row, text in enumerate(said)
    )
    assert one is not None
    assert two is not None
    corpus = replace(tiny[0], tokenizer=tokenizer, train=(one, two), dev=(one, two), texts=())
    system = tiny_system(vocabulary=tokenizer.get_vocab_size(), max_tokens=60)
    objective = RewardObjective(system, corpus, tiny[1], **options(bleu_reward=1.0))
    longest = max(len(one.ids[0]), len(two.ids[0])) + 1
    written = torch.full((2, 1, longest), PAD_ID)
    for row, item in zip(written, (one, two), strict=True):
        row[0, : len(item.ids[0]) + 1] = torch.tensor([*item.ids[0], END_ID])
    assert objective._rewards([one, two], written).min() > 8  # CIDEr-D gives 10 at most, BLEU 1
    monkeypatch.setattr(objective, "_generate", lambda memory, *, count: written)
    objective.module.eval()
    assert objective.evaluate()["bleu4"] == pytest.approx(100)


def test_rewards_rise_with_self_critical_training(tiny: tuple[Corpus, PlantedStore]) -> None:
    captions = CaptionObjective(tiny_system(), *tiny, **options(concept_weight=1.0))
    train(captions, 12)
    objective = RewardObjective(
        captions.system, *tiny, **options(learning_rate=1e-3, encoder_learning_rate=0.0, concept_weight=0.0)
    )

    def reward() -> float:
        torch.manual_seed(5)
        return float(np.mean([objective.loss(batch).logs["reward"] for batch in objective.batches(99)]))

    before = reward()
    train(objective, 8)
    assert reward() > 1.1 * before


def test_a_sample_no_better_than_its_siblings_gets_no_push(
    tiny: tuple[Corpus, PlantedStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    objective = RewardObjective(tiny_system(), *tiny, **options(concept_weight=0.0))
    monkeypatch.setattr(objective, "_rewards", lambda items, ids: torch.ones(ids.shape[:2]))
    torch.manual_seed(0)
    assert abs(objective.loss(next(objective.batches(0))).value.item()) < 1e-6


def test_captions_of_people_and_text_alone_can_be_mixed_into_the_rewards(
    tiny: tuple[Corpus, PlantedStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With rewards that teach nothing, what is mixed in is the whole loss, and is learnt."""
    changes = {"caption_weight": 0.5, "text_share": 0.5, "text_weight": 0.25, "concept_weight": 0.0}
    objective = RewardObjective(tiny_system(), *tiny, **options(**changes))
    monkeypatch.setattr(objective, "_rewards", lambda items, ids: torch.ones(ids.shape[:2]))
    loss = objective.loss(next(objective.batches(0)))
    assert loss.value.item() == pytest.approx(
        0.5 * loss.logs["captions"] + 0.25 * loss.logs["text"], abs=1e-5
    )
    before = objective.evaluate()["loss"]
    train(objective, 10)
    assert objective.evaluate()["loss"] < 0.7 * before


# Devices


@pytest.mark.parametrize("kind", ["concepts", "text", "captions", "rewards", "lstm"])
def test_an_objective_works_where_its_module_is(tiny: tuple[Corpus, PlantedStore], kind: str) -> None:
    """On a device that mixes with no other, as a GPU does not."""
    changes = {"text_share": 0.5, "concept_weight": 1.0, "caption_weight": 0.5, "distill_weight": 1.0}
    made: dict[str, Callable[[], Objective | LstmCaptionObjective]] = {
        "concepts": lambda: concept_objective(tiny, **changes),
        "text": lambda: TextObjective(tiny_system(), *tiny, **options(**changes)),
        "captions": lambda: CaptionObjective(tiny_system(), *tiny, **options(**changes)),
        "rewards": lambda: RewardObjective(tiny_system(), *tiny, **options(**changes)),
        "lstm": lambda: LstmCaptionObjective(
            CaptionObjective(tiny_lstm(), *tiny, **options()), epochs=2, scheduled_sampling=0.5
        ),
    }
    objective = made[kind]()
    with another_device() as device:
        objective.module.to(device)
        batch = next(iter(objective.batches(0)))
        if isinstance(batch, SampledBatch):
            batch = replace(batch, own_share=0.5)
        loss = objective.loss(batch)
        loss.value.backward()
        objective.module.eval()
        assert objective.evaluate()["loss"] > 0
    learning = [each for group in objective.parameter_groups() for each in group.parameters]
    assert any(each.grad is not None and each.grad.abs().sum() > 0 for each in learning)


# Batches


def keys(objective: Objective, epoch: int, **which: int) -> list[list[str]]:
    return [[item.key for item in batch.items] for batch in objective.batches(epoch, **which)]


@pytest.fixture(scope="module")
def objective(tiny: tuple[Corpus, PlantedStore]) -> CaptionObjective:
    return CaptionObjective(tiny_system(), *tiny, **options(text_share=0.5))


def test_an_epoch_shows_each_photo_once_in_an_order_of_its_own(objective: CaptionObjective) -> None:
    first, again, second = keys(objective, 0), keys(objective, 0), keys(objective, 1)
    assert first == again
    assert first != second
    shown = [key for batch in first for key in batch]
    assert sorted(shown) == sorted(item.key for item in objective.corpus.train)
    assert len(first) == objective.steps_per_epoch() == 6


def test_an_epoch_can_be_entered_at_any_step(objective: CaptionObjective) -> None:
    whole, rest = list(objective.batches(3)), list(objective.batches(3, start=4))
    assert len(rest) == 2
    for one, other in zip(whole[4:], rest, strict=True):
        assert [item.key for item in one.items] == [item.key for item in other.items]
        assert torch.equal(one.tokens, other.tokens)
        assert torch.equal(one.cached, other.cached)  # type: ignore[arg-type]
        assert one.seed == other.seed
        assert [text.key for text in one.texts] == [text.key for text in other.texts]


def test_ranks_share_each_batch_without_overlap(objective: CaptionObjective) -> None:
    alone = keys(objective, 2)
    shared = [keys(objective, 2, rank=rank, world=2) for rank in (0, 1)]
    for whole, one, two in zip(alone, *shared, strict=True):
        assert sorted(one + two) == sorted(whole)
        assert len(one) == len(two)


def test_ranks_draw_the_captions_that_one_process_would_have_drawn(
    tiny: tuple[Corpus, PlantedStore],
) -> None:
    """Else two processes would train on other captions and other views than one, and end elsewhere."""
    objective = CaptionObjective(tiny_system(), *tiny, **options(captions_per_image=7, text_share=0.5))
    alone = list(objective.batches(2))
    for rank in (0, 1):
        for whole, part in zip(alone, objective.batches(2, rank=rank, world=2), strict=True):
            assert torch.equal(part.tokens, whole.tokens[rank::2])
            assert torch.equal(part.cached, whole.cached[rank::2])  # type: ignore[arg-type, index]
            assert torch.equal(part.text_tokens, whole.text_tokens[rank::2])  # type: ignore[arg-type, index]


def test_a_source_that_is_repeated_is_shown_more_often(tiny: tuple[Corpus, PlantedStore]) -> None:
    often = CaptionObjective(tiny_system(), *tiny, **options(repeat={"photos": 3}))
    shown = [key for batch in keys(often, 0) for key in batch]
    assert len(shown) == 3 * len(tiny[0].train)
    assert set(map(shown.count, shown)) == {3}


def test_tokens_are_packed_without_columns_of_padding(objective: CaptionObjective) -> None:
    for batch in objective.batches(0):
        assert batch.tokens.shape[:2] == (8, 3)
        assert bool((batch.tokens[..., 0] == START_ID).all())
        assert bool((batch.tokens == END_ID).any(-1).all())
        assert bool((batch.tokens[..., -1] != PAD_ID).any())


def test_losses_weigh_the_tokens_that_are_written(objective: CaptionObjective) -> None:
    batch = next(objective.batches(0))
    assert objective.loss(batch).weight == float((batch.tokens[..., 1:] != PAD_ID).sum())


def test_padding_changes_no_loss(tiny: tuple[Corpus, PlantedStore]) -> None:
    plain = CaptionObjective(tiny_system(), *tiny, **options())
    plain.module.eval()
    batch = next(plain.batches(0))
    longer = replace(batch, tokens=nn.functional.pad(batch.tokens, (0, 1), value=PAD_ID))
    torch.testing.assert_close(plain.loss(batch).value, plain.loss(longer).value)


# Gradients


def test_a_frozen_tail_is_not_trained_and_gets_no_gradient(tiny: tuple[Corpus, PlantedStore]) -> None:
    frozen = CaptionObjective(tiny_system(), *tiny, **options(encoder_learning_rate=0.0))
    assert [group.name for group in frozen.parameter_groups()] == ["captioner"]
    frozen.loss(next(frozen.batches(0))).value.backward()
    assert frozen.system.tail.bias.grad is None
    learning = CaptionObjective(tiny_system(), *tiny, **options(encoder_learning_rate=1e-3))
    rates = {group.name: group.learning_rate for group in learning.parameter_groups()}
    assert rates == {"captioner": 5e-3, "encoder": 1e-3}
    learning.loss(next(learning.batches(0))).value.backward()
    assert learning.system.tail.bias.grad is not None


def test_no_parameter_is_in_two_groups_or_in_none(tiny: tuple[Corpus, PlantedStore]) -> None:
    learning = CaptionObjective(tiny_system(), *tiny, **options())
    grouped = [id(parameter) for group in learning.parameter_groups() for parameter in group.parameters]
    assert sorted(grouped) == sorted(id(parameter) for parameter in learning.module.parameters())


def test_evaluating_twice_gives_the_same(objective: CaptionObjective) -> None:
    objective.module.eval()
    assert objective.evaluate() == objective.evaluate()


def test_average_precision_by_hand() -> None:
    scores = np.array([[0.9, 0.1], [0.8, 0.9], [0.7, 0.8], [0.6, 0.2]], dtype=np.float32)
    targets = np.array([[1, 0], [0, 1], [1, 0], [1, 0]], dtype=bool)
    # The first concept is hit at ranks 1, 3 and 4; only one photo shows the second, which does not count.
    assert mean_average_precision(scores, targets, minimum=3) == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)
    assert mean_average_precision(scores, targets, minimum=5) == 0.0


def test_features_show_what_captions_name(tiny: tuple[Corpus, PlantedStore]) -> None:
    """The planted problem is what it claims to be."""
    corpus, store = tiny
    targets = concept_targets(corpus.train, len(CONCEPTS))
    assert (targets > 0).sum(1).min() >= 3
    assert store.read([0], [0]).shape[1] == ROWS
