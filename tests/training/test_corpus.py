"""Captions as ids, words and concepts; packed for a step."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_system import CONCEPTS, word_tokenizer

from cutline.training.corpus import Captions, concept_targets, pack, tokenise_captions, with_concepts
from cutline.training.vocabulary import END_ID, PAD_ID, START_ID, UNKNOWN_ID

PLACES = {word: place for place, word in enumerate(CONCEPTS)}


def tokenised(*texts: str) -> Captions | None:
    found = tokenise_captions(word_tokenizer(), texts, key="a", source="b", row=3)
    return with_concepts(found, PLACES) if found else None


def test_a_concepts_share_is_of_the_captions_that_name_it() -> None:
    captions = tokenised("a dog and a dog", "a red dog", "there is a ball", "a cat")
    assert captions is not None
    shares = {CONCEPTS[place]: share for place, share in captions.concepts.items()}
    assert shares == {"dog": 0.5, "red": 0.25, "ball": 0.25, "cat": 0.25}
    assert (captions.key, captions.source, captions.row) == ("a", "b", 3)


def test_words_are_as_scores_see_them_whatever_the_vocabulary_knows() -> None:
    captions = tokenised("a zebra")
    assert captions is not None
    assert captions.references == [["a", "zebra"]]
    assert captions.ids[0][1] == UNKNOWN_ID


def test_captions_without_words_are_left_out() -> None:
    assert tokenised("", "   ") is None
    captions = tokenised("", "a dog")
    assert captions is not None
    assert len(captions.ids) == len(captions.words) == 1
    assert captions.concepts == {PLACES["dog"]: 1.0}


def sample(*lengths: int) -> Captions:
    return Captions(
        key="k",
        source="s",
        row=0,
        words=tuple(("w",) * length for length in lengths),
        ids=tuple(tuple(range(4, 4 + length)) for length in lengths),
        concepts={},
    )


def test_packed_captions_start_end_and_are_padded() -> None:
    packed = pack(sample(2, 3, 4), count=3, length=8, rng=np.random.default_rng(0))
    assert packed.shape == (3, 8)
    for row in packed.tolist():
        end = row.index(END_ID)
        assert row[0] == START_ID
        assert row[1:end] == list(range(4, 4 + end - 1))
        assert set(row[end + 1 :]) <= {PAD_ID}
    assert sorted((packed != PAD_ID).sum(1).tolist()) == [4, 5, 6]  # each caption once


def test_a_long_caption_is_cut_and_still_ends() -> None:
    (row,) = pack(sample(30), count=1, length=6, rng=np.random.default_rng(0)).tolist()
    assert row == [START_ID, 4, 5, 6, 7, END_ID]


@pytest.mark.parametrize("count", [1, 2, 5])
def test_few_captions_are_drawn_again_and_many_not_twice(count: int) -> None:
    rng = np.random.default_rng(1)
    lengths = {(row != PAD_ID).sum() for row in pack(sample(1, 2, 3), count=count, length=9, rng=rng)}
    assert len(lengths) == min(count, 3)


def test_packing_is_the_same_for_the_same_generator_state() -> None:
    one, two = (pack(sample(1, 2, 3), count=3, length=9, rng=np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(one, two)


def test_targets_are_the_shares_in_columns() -> None:
    items = [tokenised("a dog", "a cat"), tokenised("a boat")]
    targets = concept_targets([item for item in items if item is not None], len(CONCEPTS))
    assert targets.shape == (2, len(CONCEPTS))
    assert targets[0, PLACES["dog"]] == targets[0, PLACES["cat"]] == 0.5
    assert targets[1].tolist() == [float(word == "boat") for word in CONCEPTS]
