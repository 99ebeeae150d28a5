"""The Java programs, where they can be run; and honesty where they cannot."""

from __future__ import annotations

import numpy as np
import pytest
from captions_for_tests import GOOD, POOR, REFERENCES

from cutline.errors import MissingExtra
from cutline.metrics import meteor, tokenize
from cutline.metrics.java import (
    meteor_java,
    spice_java,
    tokenize_java,
    why_spice_unavailable,
    why_unavailable,
)

pytestmark = pytest.mark.slow

# The value of pycocoevalcap.meteor.meteor.Meteor on these captions, noted down.
PYCOCOEVALCAP_METEOR = 0.247837

REFS = [[tokenize(text) for text in texts] for texts in REFERENCES]
WORDS = [tokenize(text) for text in GOOD + POOR]

needs_java = pytest.mark.skipif(bool(why_unavailable()), reason=why_unavailable() or "Java is here")


@needs_java
def test_meteor_java_is_what_pycocoevalcap_gets_and_ours_approximates_it() -> None:
    corpus, items = meteor_java(REFS + REFS, WORDS)
    assert corpus == pytest.approx(PYCOCOEVALCAP_METEOR, abs=1e-4)
    approximate, approximate_items = meteor(REFS + REFS, WORDS)
    assert np.corrcoef(items, approximate_items)[0, 1] > 0.8
    assert approximate == pytest.approx(corpus, abs=0.06)


@needs_java
def test_an_empty_caption_scores_nothing_in_java() -> None:
    _, items = meteor_java(REFS[:2], [[], WORDS[1]])
    assert items[0] == 0
    assert items[1] > 0.1


def test_without_java_each_program_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    assert "Java" in why_unavailable()
    for run in (
        lambda: tokenize_java(["a"]),
        lambda: meteor_java(REFS, WORDS),
        lambda: spice_java(REFS, WORDS),
    ):
        with pytest.raises(MissingExtra, match="Java"):
            run()


def test_spice_is_computed_or_its_absence_explained() -> None:
    if reason := why_spice_unavailable():
        with pytest.raises(MissingExtra, match=r"\w"):
            spice_java(REFS, WORDS[:10])
        pytest.skip(f"SPICE was not run: {reason}")
    corpus, items = spice_java(REFS, WORDS[:10])
    assert 0 < corpus < 1
    assert len(items) == len(REFS)
