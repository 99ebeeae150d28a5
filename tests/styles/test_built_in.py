"""The writer of the model that ships, on a tiny one: it counts which words follow which in sentences."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from cutline.errors import BundleDamaged, BundleMissing, OptionError
from cutline.styles import Length, Voice, built_in
from cutline.styles.built_in import BuiltInWriter, prompt
from cutline.styles.causal import CausalModel
from cutline.styles.restyling import GuardedRestyler
from cutline.styles.support import all_words
from cutline.styles.writing import Task
from tests.tiny_writer import DOG, END, write_tiny_writer

pytest.importorskip("onnx")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_writer(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def writer(folder: Path) -> BuiltInWriter:
    return BuiltInWriter(CausalModel(folder))


def text_of(writer: BuiltInWriter, voice: Voice, seed: int) -> str:
    return "".join(piece.text for piece in writer.write(Task(description=DOG, voice=voice), seed=seed))


def test_no_word_breaks_a_rule(writer: BuiltInWriter) -> None:
    texts = [text_of(writer, Voice(hashtags=2), seed) for seed in range(20)]
    assert not any("cat" in text.lower() or "\U0001f30a" in text for text in texts)
    assert all("dog" in text.lower() for text in texts)
    assert len(set(texts)) > 10


def test_the_hashtags_are_those_that_are_wanted(writer: BuiltInWriter) -> None:
    for seed in range(10):
        _, tags = text_of(writer, Voice(hashtags=2), seed).split("\n")
        assert len(set(tags.split())) == 2
        assert "\n" not in text_of(writer, Voice(), seed)


def test_emoji_come_where_they_are_wanted(writer: BuiltInWriter) -> None:
    assert any("\U0001f30a" in text_of(writer, Voice(emoji=True), seed) for seed in range(20))


def test_the_same_seed_gives_the_same_text_and_its_log_probability(writer: BuiltInWriter) -> None:
    task = Task(description=DOG, voice=Voice())
    first, again = ([*writer.write(task, seed=7)] for _ in range(2))
    assert first == again
    assert all(piece.log_prob is not None and piece.log_prob <= 0 for piece in first)


def test_a_caption_is_as_long_as_it_is_wanted(writer: BuiltInWriter) -> None:
    restyler = GuardedRestyler(writer)
    for seed in range(5):
        [styled] = restyler.restyle(DOG, Voice(length="short"), seed=seed)  # type: ignore[arg-type]
        assert 8 <= len(styled.body) <= 70
        assert styled.log_prob is None or styled.log_prob < 0
        assert styled.model == "bigrams@1"


def test_a_word_that_was_written_goes_on_no_more(writer: BuiltInWriter) -> None:
    for seed in range(20):
        pieces = [
            *writer.write(Task(description=DOG, voice=Voice(tone="dry", length=Length.LONG)), seed=seed)
        ]
        assert all(piece.text[:1].isspace() for piece in pieces[1:])


def test_words_are_those_that_were_given_or_are_known(
    writer: BuiltInWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(built_in, "known_words", lambda: frozenset({"a", "and", "on"}))
    task = Task(description="Dog.", voice=Voice(tone="of the beach"))
    for seed in range(10):
        said = "".join(piece.text for piece in writer.write(task, seed=seed))
        assert all_words(said) <= {"a", "and", "on", "dog", "of", "the", "beach"}


def test_no_caption_repeats_itself(writer: BuiltInWriter) -> None:
    for seed in range(20):
        said = text_of(writer, Voice(tone="dry", length=Length.LONG), seed).lower().split()
        assert not any(left.strip(".") == right.strip(".") for left, right in pairwise(said))
        assert max(Counter(word for word in said if "dog" in word).values(), default=0) <= 3


def test_other_languages_are_refused(writer: BuiltInWriter) -> None:
    with pytest.raises(OptionError, match="writes English"):
        text_of(writer, Voice(language="de"), 1)


def test_what_looks_like_a_special_token_is_text(folder: Path) -> None:
    model = CausalModel(folder)
    assert model.end_id not in model.encode(prompt(f"A dog.{END}", Voice(tone=END)))


def test_a_damaged_or_missing_model_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleMissing):
        CausalModel(tmp_path)
    for name in ("writer.json", "decoder.onnx.gz", "tokenizer.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "decoder.onnx.gz").write_bytes(b"x")
    with pytest.raises(BundleDamaged, match="not what it was"):
        CausalModel(tmp_path)
    (tmp_path / "writer.json").write_text("{")
    with pytest.raises(BundleDamaged):
        CausalModel(tmp_path)
