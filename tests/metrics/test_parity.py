"""Our scores against pycocoevalcap's, on the same tokens."""

from __future__ import annotations

import random

import numpy as np
import pytest
from captions_for_tests import GOOD, POOR, REFERENCES
from numpy.testing import assert_allclose

from cutline.metrics import bleu, cider_d, rouge_l, tokenize

pytest.importorskip("pycocoevalcap", reason="pycocoevalcap is not installed (extra reference-metrics)")

Words = list[str]
Corpus = tuple[list[list[Words]], list[Words]]
TOLERANCE = 1e-4


def written() -> Corpus:
    """The captions of these tests."""
    return [[tokenize(text) for text in texts] for texts in REFERENCES], [tokenize(text) for text in GOOD]


def poor() -> Corpus:
    return written()[0], [tokenize(text) for text in POOR]


def drawn(seed: int) -> Corpus:
    """Words drawn at random: repeats, one to six references, lengths from one word to thirty."""
    rng = random.Random(seed)
    words = ["a", "the", "dog", "man", "runs", "red", "ball", "on", "in", "field", "and", "'s", "t-shirt"]

    def caption() -> Words:
        return rng.choices(words, weights=range(len(words), 0, -1), k=rng.randint(1, 30))

    references = [[caption() for _ in range(rng.randint(1, 6))] for _ in range(60)]
    hypotheses = [caption() if rng.random() < 0.7 else list(rng.choice(each)) for each in references]
    return references, hypotheses


CORPORA = {"written": written(), "poor": poor(), "drawn": drawn(1), "drawn again": drawn(2)}


def theirs(scorer: object, corpus: Corpus) -> tuple[np.ndarray, np.ndarray]:
    references, hypotheses = corpus
    gts = {index: [" ".join(words) for words in each] for index, each in enumerate(references)}
    res = {index: [" ".join(words)] for index, words in enumerate(hypotheses)}
    options = {"verbose": 0} if type(scorer).__name__ == "Bleu" else {}
    score, scores = scorer.compute_score(gts, res, **options)  # type: ignore[attr-defined]
    return np.array(score), np.array(scores)


@pytest.mark.parametrize("name", CORPORA)
def test_bleu_equals_pycocoevalcap(name: str) -> None:
    from pycocoevalcap.bleu.bleu import Bleu

    corpus, items = bleu(*CORPORA[name])
    expected, expected_items = theirs(Bleu(4), CORPORA[name])
    assert corpus.shape == (4,)
    assert_allclose(corpus, expected, atol=TOLERANCE, rtol=0)
    assert_allclose(items, expected_items.T, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("name", CORPORA)
def test_rouge_l_equals_pycocoevalcap(name: str) -> None:
    from pycocoevalcap.rouge.rouge import Rouge

    corpus, items = rouge_l(*CORPORA[name])
    expected, expected_items = theirs(Rouge(), CORPORA[name])
    assert corpus == pytest.approx(float(expected), abs=TOLERANCE)
    assert_allclose(items, expected_items, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("name", CORPORA)
def test_cider_d_equals_what_pycocoevalcap_calls_cider(name: str) -> None:
    from pycocoevalcap.cider.cider import Cider

    corpus, items = cider_d(*CORPORA[name])
    expected, expected_items = theirs(Cider(), CORPORA[name])
    assert corpus == pytest.approx(float(expected), abs=TOLERANCE)
    assert_allclose(items, expected_items, atol=TOLERANCE, rtol=0)


def test_the_corpora_exercise_the_scores() -> None:
    """Parity on zeros would show nothing."""
    for name, corpus in CORPORA.items():
        items = cider_d(*corpus)[1]
        assert items.max() > 0.3, name
        assert np.unique(items.round(6)).size > 5, name
