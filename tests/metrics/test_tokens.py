"""Our tokenizer against the Java one, and against what it is documented to do."""

from __future__ import annotations

import time

import pytest
from sentences_for_tests import ALL

from cutline.metrics import TOKENIZER, tokenize
from cutline.metrics.java import tokenize_java, why_unavailable

needs_java = pytest.mark.skipif(bool(why_unavailable()), reason=why_unavailable() or "Java is here")


@needs_java
def test_every_sentence_is_split_as_the_java_program_splits_it() -> None:
    texts = [text for text in ALL if text.strip()]
    differing = [
        (text, ours, theirs)
        for text, ours, theirs in zip(texts, map(tokenize, texts), tokenize_java(texts), strict=True)
        if ours != theirs
    ]
    assert len(texts) > 300
    assert differing == []


@needs_java
def test_the_java_tokenizer_keeps_captions_apart() -> None:
    assert tokenize_java(["A dog.", "", "two\nlines"]) == [["a", "dog"], [], ["two", "lines"]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A man's dog doesn't bark.", "a man 's dog does n't bark"),
        ('A "STOP" sign, near (old) T-shirts!', "a stop sign near -lrb- old -rrb- t-shirts"),
        ("You cannot.", "you can not"),
        ("", ""),
        (" . , ' \" -- ... ", ""),
        ("Wait?!", "wait ?!"),
    ],
)
def test_captions_are_split_without_java(text: str, words: str) -> None:
    assert tokenize(text) == words.split()


def test_tokens_never_hold_white_space() -> None:
    assert not [token for text in ALL for token in tokenize(text) if token.split() != [token]]


@pytest.mark.parametrize("piece", ["a", "a.", "a-", "a'", "1,", "<", "a@", "&", "a_", "\u00e9", "'s"])
def test_a_very_long_line_takes_no_unreasonable_time(piece: str) -> None:
    started = time.thread_time()
    tokenize(piece * 2_000)
    assert time.thread_time() - started < 2


def test_the_tokenizer_says_its_name_and_version() -> None:
    assert TOKENIZER == "cutline-ptb 1.0"
