from __future__ import annotations

from pathlib import Path

import pytest
from tiny_bundle import Tiny, bpe_tokenizer, make_bundle, word_tokenizer
from tokenizers import Tokenizer as Fast

from cutline.captioning.bundle import TextStyle, read_bundle
from cutline.captioning.tokenizer import Tokenizer, Words, sentence
from cutline.errors import BundleDamaged, OptionError

SPECIAL = ["<pad>", "<sos>", "<end>", "<unk>"]


def word_level(folder: Path, words: str) -> tuple[Tokenizer, list[int]]:
    """A tokenizer that knows these words, and their ids."""
    known = [*SPECIAL, *dict.fromkeys(words.split())]
    bundle = read_bundle(make_bundle(folder, Tiny(tokenizer=word_tokenizer(known))))
    return Tokenizer(bundle), [known.index(word) for word in words.split()]


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        ("a dog runs", "A dog runs."),
        ("a dog runs .", "A dog runs."),
        ("two dogs , one brown , run !", "Two dogs, one brown, run!"),
        ("a man 's dog does n't run", "A man's dog doesn't run."),
        ("the boys ' hats", "The boys' hats."),
        ("they 're happy and i 'm not", "They're happy and I'm not."),
        ("a boy in a t - shirt", "A boy in a t-shirt."),
        ('a sign says " stop " here', 'A sign says "stop" here.'),
        ("a man ( left ) waves", "A man (left) waves."),
        ("a man eats ,", "A man eats."),
        ("it costs $ 5", "It costs $5."),
        (". a dog", ". a dog."),
    ],
)
def test_words_become_a_sentence(tmp_path: Path, tokens: str, text: str) -> None:
    tokenizer, ids = word_level(tmp_path / "bundle", tokens)
    assert tokenizer.sentence(tokenizer.words(ids).words) == text


def test_case_and_full_stop_are_the_bundles_choice() -> None:
    assert sentence(["a", "dog"], TextStyle(sentence_case=False, full_stop=False)) == "a dog"
    assert sentence(["a", "dog"], TextStyle(sentence_case=True, full_stop=False)) == "A dog"
    assert sentence(["a", "dog"], TextStyle(sentence_case=False, full_stop=True)) == "a dog."
    assert sentence([], TextStyle()) == ""


def test_each_word_knows_its_tokens(tmp_path: Path) -> None:
    tokenizer, ids = word_level(tmp_path / "bundle", "a man 's dog , wet")
    assert tokenizer.words(ids) == Words(
        words=("a", "man's", "dog,", "wet"), spans=((0, 1), (1, 3), (3, 5), (5, 6))
    )


CORPUS = [
    "a brown dog's tail wags",
    "two dogs running, fast",
    "don't stop running dog",
    "a café in the street",
] * 9


def test_pieces_of_words_are_joined_and_counted_with_their_word(tmp_path: Path) -> None:
    content = bpe_tokenizer(CORPUS, 300)
    tokenizer = Tokenizer(read_bundle(make_bundle(tmp_path / "bundle", Tiny(tokenizer=content))))
    for text in (*CORPUS[:4], "tiger strategies, ünknown"):
        ids = Fast.from_str(content).encode(text).ids
        words = tokenizer.words(ids)
        assert " ".join(words.words) == text
        assert [start for start, _ in words.spans] == [0, *(stop for _, stop in words.spans[:-1])]
        assert words.spans[-1][1] == len(ids)
    assert len(ids) > len(words.words), "the last text must be of pieces for this test to mean anything"


@pytest.mark.parametrize("text", ["A man", "a man", " a  man "])
def test_a_prefix_becomes_tokens_whatever_its_case(tmp_path: Path, text: str) -> None:
    tokenizer, ids = word_level(tmp_path / "bundle", "a man")
    assert tokenizer.prefix_ids(text) == tuple(ids)


@pytest.mark.parametrize("text", ["a zebra", "a <end>", "<pad>", "<unk> man"])
def test_a_prefix_of_words_that_the_model_does_not_know_is_refused_by_name(tmp_path: Path, text: str) -> None:
    tokenizer, _ = word_level(tmp_path / "bundle", "a man")
    strange = next(word for word in text.split() if word not in ("a", "man"))
    with pytest.raises(OptionError, match=f"'{strange[0]}"):
        tokenizer.prefix_ids(text)


def test_a_prefix_that_looks_like_a_special_token_is_text(tmp_path: Path) -> None:
    content = bpe_tokenizer(CORPUS, 300)
    tokenizer = Tokenizer(read_bundle(make_bundle(tmp_path / "bundle", Tiny(tokenizer=content))))
    ids = tokenizer.prefix_ids("a dog <end> <sos>")
    assert not set(ids) & set(range(4))
    assert tokenizer.words(ids).words == ("a", "dog", "<end>", "<sos>")


def test_a_tokenizer_that_is_not_the_models_is_refused(tmp_path: Path) -> None:
    bundle = read_bundle(make_bundle(tmp_path / "bundle"))
    other = bundle.files | {
        "tokenizer.json": word_tokenizer(["<pad>", "<sos>", "<end>", "<unk>", "a"]).encode()
    }
    with pytest.raises(BundleDamaged, match="5 tokens; the model has 9"):
        Tokenizer(type(bundle)(manifest=bundle.manifest, files=other, where="here"))
    for junk in (b"{}", b"\xff", b""):
        with pytest.raises(BundleDamaged, match="is not a valid tokenizer"):
            Tokenizer(
                type(bundle)(
                    manifest=bundle.manifest, files=bundle.files | {"tokenizer.json": junk}, where="here"
                )
            )
