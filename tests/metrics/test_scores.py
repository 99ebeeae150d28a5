"""What a user of cutline.metrics may rely on, computed by hand where that is possible."""

from __future__ import annotations

import math
import subprocess
import sys
import time

import numpy as np
import pytest
from captions_for_tests import GOOD, POOR, REFERENCES

from cutline.errors import DataError
from cutline.metrics import (
    CiderD,
    DocumentFrequency,
    SentenceBleu,
    bleu,
    cider_d,
    distinct_between,
    distinct_n,
    mean_length,
    meteor,
    repetition,
    rouge_l,
    sentence_bleu,
    tokenize,
    unique_captions,
    vocabulary_used,
    words_not_shared,
)
from cutline.metrics.meteor import stem
from cutline.metrics.report import bundle_scores

REFS = [[tokenize(text) for text in texts] for texts in REFERENCES]
GOOD_WORDS = [tokenize(text) for text in GOOD]
POOR_WORDS = [tokenize(text) for text in POOR]
CORPUS_SCORES = {
    "BLEU-4": lambda refs, hyps: float(bleu(refs, hyps)[0][3]),
    "ROUGE-L": lambda refs, hyps: rouge_l(refs, hyps)[0],
    "CIDEr-D": lambda refs, hyps: cider_d(refs, hyps)[0],
    "METEOR": lambda refs, hyps: meteor(refs, hyps)[0],
}


@pytest.mark.parametrize("name", CORPUS_SCORES)
def test_better_captions_score_higher(name: str) -> None:
    score = CORPUS_SCORES[name]
    assert score(REFS, GOOD_WORDS) > score(REFS, POOR_WORDS) > 0


@pytest.mark.parametrize("name", ["BLEU-4", "ROUGE-L", "METEOR"])
def test_a_reference_repeated_word_for_word_scores_one(name: str) -> None:
    copies = [each[0] for each in REFS]
    assert CORPUS_SCORES[name]([[copy] for copy in copies], copies) == pytest.approx(1.0)


@pytest.mark.parametrize("name", CORPUS_SCORES)
def test_empty_captions_score_nothing_and_break_nothing(name: str) -> None:
    assert CORPUS_SCORES[name](REFS, [[] for _ in REFS]) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("name", CORPUS_SCORES)
def test_mappings_are_paired_by_key_in_any_order(name: str) -> None:
    references = {str(index): each for index, each in enumerate(REFS)}
    hypotheses = {str(index): GOOD_WORDS[index] for index in reversed(range(len(REFS)))}
    assert CORPUS_SCORES[name](references, hypotheses) == CORPUS_SCORES[name](REFS, GOOD_WORDS)


def test_bleu_of_a_known_example() -> None:
    # Two of two words are right; one reference word is lacking: precision 1, brevity penalty exp(1 - 3/2).
    corpus, items = bleu([[["a", "red", "dog"]]], [["a", "dog"]])
    assert corpus[0] == pytest.approx(math.exp(-0.5), abs=1e-6)
    assert items.shape == (1, 4)


def test_rouge_l_of_a_known_example() -> None:
    # The longest common subsequence is "a dog": precision 2/2, recall 2/3, beta 1.2.
    expected = (1 + 1.44) * 1 * (2 / 3) / ((2 / 3) + 1.44 * 1)
    assert rouge_l([[["a", "red", "dog"]]], [["a", "dog"]])[0] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("references", "hypotheses", "complaint"),
    [
        ([], [], "nothing to score"),
        ([[["a"]]], [], "1 items have references, 0 have hypotheses"),
        ({"x": [["a"]]}, {"y": ["a"]}, "'x'"),
        ([[]], [["a"]], "no reference"),
        ([["a dog"]], [["a"]], "text, not tokens"),
        ([[["a"]]], ["a dog"], "not text"),
    ],
)
def test_what_cannot_be_scored_is_refused(references: object, hypotheses: object, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        cider_d(references, hypotheses)  # type: ignore[arg-type]


# CIDEr-D as a training reward


def test_single_captions_score_as_in_a_corpus() -> None:
    scorer = CiderD(REFS)
    _, items = cider_d(REFS, GOOD_WORDS)
    assert scorer.score(3, GOOD_WORDS[3]) == pytest.approx(items[3])
    assert scorer.score_many([3, 3, 0], [GOOD_WORDS[3]] * 2 + [GOOD_WORDS[0]]) == pytest.approx(
        items[[3, 3, 0]]
    )


def test_token_ids_score_as_words_do() -> None:
    ids = {word: index for index, word in enumerate({w for each in REFS for r in each for w in r})}
    numbered = [[[ids[word] for word in words] for words in each] for each in REFS]
    hypotheses = [[ids.get(word, -1) for word in words] for words in GOOD_WORDS]
    assert cider_d(numbered, hypotheses)[0] == pytest.approx(cider_d(REFS, GOOD_WORDS)[0])


def test_a_frozen_document_frequency_keeps_scores_of_a_part_on_one_scale() -> None:
    frozen = DocumentFrequency.of(REFS)
    _, whole = cider_d(REFS, GOOD_WORDS)
    _, part = cider_d(REFS[:2], GOOD_WORDS[:2], document_frequency=frozen)
    assert part == pytest.approx(whole[:2])
    assert cider_d(REFS[:1], GOOD_WORDS[:1])[0] == 0.0  # one item alone knows no rarity


def test_an_unknown_item_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        CiderD({"a": REFS[0]}).score("b", ["a"])


def test_rewards_are_fast_enough_for_training() -> None:
    scorer, smooth = CiderD(REFS), SentenceBleu(REFS)
    started = time.process_time()
    for _ in range(100):
        scorer.score_many(range(10), GOOD_WORDS)
        for index, words in enumerate(GOOD_WORDS):
            smooth.score(index, words)
    # 1,000 captions with both rewards; measured at 0.1 s, and 10 times that would still do.
    assert time.process_time() - started < 1


def test_smoothed_bleu_tells_apart_captions_without_a_matching_4_gram() -> None:
    reference = [tokenize("a brown dog leaps over a fallen log")]
    near, far = (
        sentence_bleu(reference, tokenize(text)) for text in ("a brown dog jumps", "a brown cat jumps")
    )
    assert 0 < far < near < 1
    assert sentence_bleu(reference, reference[0]) == pytest.approx(1.0)
    assert sentence_bleu(reference, ["zebra"]) == sentence_bleu(reference, []) == 0.0


# METEOR in Python


def test_meteor_matches_inflected_words_for_less_than_equal_ones() -> None:
    reference = [[tokenize("a dog jumps over logs")]]
    scores = [
        meteor(reference, [tokenize(text)])[0] for text in ("a dog jumps over logs", "a dog jumping over log")
    ]
    unrelated = meteor(reference, [tokenize("a dog near here")])[0]
    assert scores[0] > scores[1] > unrelated > 0


def test_meteor_punishes_scattered_matches() -> None:
    reference = [[tokenize("the small dog chased a big cat")]]
    ordered = meteor(reference, [tokenize("the small dog chased a cat")])[0]
    scattered = meteor(reference, [tokenize("a cat chased the small dog")])[0]
    assert ordered > scattered


def test_meteor_counts_content_above_function_words() -> None:
    reference = [[["a", "dog", "on", "the", "sofa"]]]
    assert meteor(reference, [["dog", "sofa"]])[0] > meteor(reference, [["a", "the"]])[0]


@pytest.mark.parametrize(
    "forms",
    [
        "run runs running ran",
        "ride rides riding rode",
        "carry carries carried",
        "baby babies",
        "man men",
        "box boxes",
    ],
)
def test_forms_of_one_word_share_a_stem(forms: str) -> None:
    assert len({stem(word) for word in forms.split()}) == 1


# Variety


def test_variety_of_known_captions() -> None:
    captions = [["a", "dog"], ["a", "dog"], ["a", "bike", "a", "bike"]]
    assert distinct_n(captions, 1) == pytest.approx(3 / 8)
    assert distinct_n(captions, 2) == pytest.approx(3 / 5)
    assert vocabulary_used(captions) == 3
    assert mean_length(captions) == pytest.approx(8 / 3)
    assert repetition(captions) == pytest.approx(1 / 5)  # "a bike" once more, of five pairs
    assert unique_captions(captions) == pytest.approx(2 / 3)


def test_variety_of_nothing_is_nothing() -> None:
    assert [distinct_n([], 1), repetition([[]]), mean_length([]), unique_captions([])] == [0, 0, 0, 0]


def test_the_scores_of_a_bundle_become_a_table() -> None:
    sources = {"here": {"photos": 10, "BLEU-4": 22.51}, "there": {"photos": 9, "BLEU-4": 12.0}}
    table = bundle_scores({"split": "dev", "tokenizer": "words@1", "sources": sources}).splitlines()
    assert table[0] == "| dev photos of | photos | BLEU-4 |"
    assert table[2:4] == ["| here | 10 | 22.51 |", "| there | 9 | 12 |"]
    assert "words@1" in table[-1]


def test_metrics_need_no_torch_and_no_runtime() -> None:
    code = (
        "import sys, cutline.metrics, cutline.metrics.judgement, cutline.metrics.page\n"
        "print([name for name in ('torch', 'onnxruntime', 'pycocoevalcap', 'django') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_item_scores_are_plain_arrays() -> None:
    for score in (rouge_l, cider_d, meteor):
        corpus, items = score(REFS, GOOD_WORDS)
        assert isinstance(corpus, float)
        assert items.shape == (len(REFS),)
        assert items.dtype == np.float64


def test_candidates_that_are_one_differ_in_a_word_and_a_choice_in_most() -> None:
    one = [tokenize(f"A cat is sitting on top of a {thing}.") for thing in ("toilet", "tree", "window")]
    choice = [tokenize(text) for text in ("A cat on a sofa.", "Two pets are sleeping.", "There is grey fur.")]
    # cat, sitting, top, and one of three things: of any two, three words are shared and two are not
    assert words_not_shared([one]) == pytest.approx(2 / 5)
    assert words_not_shared([choice]) == 1.0
    assert words_not_shared([one, choice, [choice[0]], []]) == pytest.approx((2 / 5 + 1) / 2)
    assert words_not_shared([[one[0]] * 3]) == words_not_shared([]) == 0.0
    assert words_not_shared([[["a"], ["the"]]]) == 0.0
    # eight pairs a caption; seven are the same in all, the last differs
    assert distinct_between([one], 2) == pytest.approx(10 / 24)
    assert distinct_between([[one[0]] * 4], 2) == pytest.approx(1 / 4)
    assert distinct_between([[one[0]]], 2) == 0.0
