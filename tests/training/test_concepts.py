"""Concepts: which words they are, where they start from, and that the head finds them."""

from __future__ import annotations

import torch
from torch import nn

from cutline.training.concepts import ConceptHead, choose_concepts, imagenet_words


def test_concepts_are_the_frequent_words_that_carry_a_picture() -> None:
    captions = [["a", "dog", "and", "a", "red", "ball"], ["the", "dog", "is", "running"], ["two", "dog", "s"]]
    chosen = choose_concepts(captions, limit=3)
    assert chosen[0] == "dog"
    assert len(chosen) == 3
    everything = choose_concepts(captions, limit=100)
    assert set(everything) == {"dog", "red", "ball", "running", "two"}


def test_concepts_that_are_as_frequent_stand_in_the_order_of_the_alphabet() -> None:
    captions = [["dog", "ball"], ["cat", "ball"]]
    for order in (captions, captions[::-1]):
        assert choose_concepts(order, limit=3) == ["ball", "cat", "dog"]


def test_every_imagenet_class_has_its_line_and_most_have_everyday_words() -> None:
    words = imagenet_words()
    assert len(words) == 1000
    assert sum(bool(line) for line in words) > 900
    assert "dog" in words[207]  # golden retriever
    assert "cat" in words[281]  # tabby


def test_concepts_that_imagenet_names_start_at_its_classes() -> None:
    torch.manual_seed(0)
    classifier, head = nn.Linear(256, 1000), ConceptHead(256, 3)
    covered = head.start_from_imagenet(classifier, ["dog", "justice", "cat"])
    assert covered == 2
    assert not head.mean.weight[1].any()
    # Features that ImageNet takes for a tabby make the cat the likeliest concept.
    tabby = classifier.weight[281] - classifier.weight.mean(0)
    logits = head(10 * tabby.expand(1, 4, 256))
    assert int(logits.argmax()) == 2


def test_untouched_concepts_start_improbable() -> None:
    head = ConceptHead(16, 2)
    head.start_from_imagenet(nn.Linear(16, 1000), ["justice", "mercy"], bias=-5.0)
    with torch.no_grad():
        assert float(torch.sigmoid(head(torch.randn(1, 4, 16))).max()) < 0.01


def test_a_concept_in_one_region_can_be_told_from_its_trace_everywhere() -> None:
    """The maximum over regions sees what the mean cannot."""
    torch.manual_seed(0)
    head = ConceptHead(4, 1)
    optimiser = torch.optim.Adam(head.parameters(), lr=0.05)
    spread = torch.zeros(2, 9, 4)
    spread[0, :, 0] = 1.0  # a little everywhere
    spread[1, 4, 0] = 9.0  # all in one place: the same mean
    target = torch.tensor([[0.0], [1.0]])
    for _ in range(200):
        optimiser.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(head(spread), target).backward()
        optimiser.step()
    assert torch.sigmoid(head(spread)).round().tolist() == target.tolist()
