"""From captions to tokens and back."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from tokenizers import Tokenizer

from cutline.errors import DataError
from cutline.training.text import TextConfig, normalise_caption
from cutline.training.vocabulary import (
    END_ID,
    SPECIAL_TOKENS,
    START_ID,
    UNKNOWN_ID,
    build_tokenizer,
    count_words,
    unknown_rate,
)

CAPTIONS = (
    "A black dog runs .",
    "A man 's dog , wet , runs !",
    "A man doesn't run .",
    "A dog",
)


def built(**options: Any) -> Tokenizer:
    return build_tokenizer(CAPTIONS, TextConfig(**options))


@pytest.mark.parametrize("kind", ["word", "bpe"])
def test_special_tokens_come_first(kind: str) -> None:
    tokenizer = built(tokenizer=kind)
    assert [tokenizer.id_to_token(id_) for id_ in range(4)] == ["<pad>", "<sos>", "<end>", "<unk>"]
    assert SPECIAL_TOKENS == ("<pad>", "<sos>", "<end>", "<unk>")


@pytest.mark.parametrize("kind", ["word", "bpe"])
@pytest.mark.parametrize("punctuation", ["drop", "keep"])
def test_captions_survive_encoding_and_decoding(kind: str, punctuation: Any) -> None:
    config = TextConfig(tokenizer=kind, punctuation=punctuation)  # type: ignore[arg-type]
    tokenizer = build_tokenizer(CAPTIONS, config)
    reread = Tokenizer.from_str(tokenizer.to_str())
    for caption in CAPTIONS:
        ids = reread.encode(caption).ids
        assert (ids[0], ids[-1]) == (START_ID, END_ID)
        assert reread.decode(ids) == normalise_caption(caption, config)


def test_the_file_repeats_lower_casing_and_punctuation_by_itself() -> None:
    tokenizer = Tokenizer.from_str(built().to_str())
    raw, clean = tokenizer.encode('A BLACK "dog", runs!!'), tokenizer.encode("a black dog runs")
    assert raw.ids == clean.ids


def test_possessives_and_negations_are_words_of_their_own() -> None:
    assert built().encode("a man's dog doesn't run", add_special_tokens=False).tokens == [
        "a", "man", "'s", "dog", "does", "n't", "run",
    ]  # fmt: skip


def test_rare_words_are_unknown_above_the_minimum_count() -> None:
    tokenizer = built(minimum_count=2)
    assert tokenizer.token_to_id("black") is None
    assert tokenizer.encode("black", add_special_tokens=False).ids == [UNKNOWN_ID]
    assert tokenizer.token_to_id("runs") is not None


def test_the_vocabulary_keeps_the_commonest_words_within_its_size() -> None:
    tokenizer = built(vocabulary_size=6)
    assert tokenizer.get_vocab_size() == 6
    assert {tokenizer.id_to_token(4), tokenizer.id_to_token(5)} == {"a", "dog"}


def test_bpe_spells_what_it_never_saw() -> None:
    tokenizer = built(tokenizer="bpe", vocabulary_size=60)
    tokens = tokenizer.encode("a blackdog", add_special_tokens=False)
    assert UNKNOWN_ID not in tokens.ids
    assert tokenizer.decode(tokens.ids) == "a blackdog"


def test_a_caption_cannot_smuggle_a_special_token_in() -> None:
    assert END_ID not in built().encode("a <end> dog", add_special_tokens=False).ids


def test_building_twice_gives_the_same_file() -> None:
    for kind in ("word", "bpe"):
        assert built(tokenizer=kind).to_str() == built(tokenizer=kind).to_str()


def test_captions_without_a_word_are_refused() -> None:
    with pytest.raises(DataError, match="no caption"):
        build_tokenizer([" . ", ""], TextConfig())


def test_words_are_counted_as_the_tokenizer_parts_them() -> None:
    counts = count_words(CAPTIONS, TextConfig())
    assert counts == Counter({"a": 4, "dog": 3, "man": 2, "runs": 2, "black": 1, "wet": 1, "'s": 1,
                              "does": 1, "n't": 1, "run": 1})  # fmt: skip
    assert len(counts) + 4 == built().get_vocab_size()


def test_the_unknown_rate_is_a_share_of_tokens() -> None:
    assert unknown_rate(built(), ["a purple dog runs"], TextConfig()) == pytest.approx(0.25)
    assert unknown_rate(built(), [], TextConfig()) == 0.0
