"""What each text option does to a caption."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from cutline.errors import ConfigError, MissingExtra
from cutline.training.text import TextConfig, normalise_caption


def normalised(caption: str, **options: Any) -> str:
    return normalise_caption(caption, TextConfig(**options))


def test_captions_are_lower_cased_unless_told_otherwise() -> None:
    assert normalised("A Dog in NYC") == "a dog in nyc"
    assert normalised("A Dog in NYC", lowercase=False) == "A Dog in NYC"


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ('A dog , a cat ; (and) "birds" !', "a dog a cat and birds"),
        ("A man 's t-shirt", "a man's t-shirt"),
        ("It doesn 't , she does n't", "it doesn t she doesn't"),
        ("the boy\u2019s 2-year-old o'clock", "the boy's 2-year-old o'clock"),
        ("salt & pepper - his/her", "salt and pepper his her"),
        ("3.5 miles.", "3.5 miles"),
        ("snake_case <end> a\u200bb\tc\u00a0d", "snake case end a b c d"),
        ("caf\u00e9 \uff21", "caf\u00e9 a"),
        (" . ", ""),
    ],
)
def test_dropping_punctuation_keeps_what_belongs_to_a_word(caption: str, expected: str) -> None:
    assert normalised(caption) == expected


def test_kept_punctuation_is_joined_to_the_word_before() -> None:
    assert normalised('A dog , a "cat" ; yes !', punctuation="keep") == "a dog, a cat yes!"


def test_normalising_twice_changes_nothing() -> None:
    caption = "Two dogs , 3 cats & the man 's hat - at 7:30 ."
    for punctuation in ("drop", "keep"):
        for numbers in ("keep", "words", "drop"):
            once = normalised(caption, punctuation=punctuation, numbers=numbers)
            assert normalised(once, punctuation=punctuation, numbers=numbers) == once


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ("keep", "2 dogs 12 cats 3.5 miles 100 4-wheeler 3d"),
        ("words", "two dogs twelve cats 3.5 miles 100 4-wheeler 3d"),
        ("drop", "dogs cats miles 4-wheeler 3d"),
    ],
)
def test_numbers_are_kept_spelled_out_or_dropped(numbers: str, expected: str) -> None:
    assert normalised("2 dogs 12 cats 3.5 miles 100 4-wheeler 3D", numbers=numbers) == expected


def test_stop_words_go_and_prepositions_of_place_stay() -> None:
    assert normalised("The dog is on a couch and it isn't wet", stop_words=False) == "dog on couch wet"
    assert normalised("There , a dog .", stop_words=False, punctuation="keep") == "dog."


def test_lemmas_are_words() -> None:
    assert normalised("Children running with dogs", lemmatise=True) == "child run with dog"
    assert normalised("Dogs, running.", lemmatise=True, punctuation="keep") == "dog, run."


def test_stems_need_not_be_words() -> None:
    assert normalised("Ponies running happily", stem=True) == "poni run happili"
    assert normalised("Die laufenden Hunde", stem=True, language="de") == "die laufend hund"


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "simplemma", None)
    with pytest.raises(MissingExtra, match=r"simplemma.*cutline\[train\]"):
        normalised("Hunde", lemmatise=True, language="sv")


@pytest.mark.parametrize(
    "options",
    [
        {"punctuation": "some"},
        {"numbers": "roman"},
        {"tokenizer": "characters"},
        {"minimum_count": 0},
        {"vocabulary_size": 4},
        {"lemmatise": True, "stem": True},
        {"language": "xx"},
        {"language": "de", "stop_words": False},
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        TextConfig(**options)
