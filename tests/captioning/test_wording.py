"""What captions say of people: nothing never said, no guesses, and a sex only where the model is sure."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_bundle import WORDS, MakeCaptioner, Tiny, make_bundle, word_tokenizer

from cutline.captioning.bundle import read_bundle, sealed
from cutline.captioning.bundle_captioner import BundleCaptioner
from cutline.captioning.options import DecodingOptions
from cutline.captioning.tokenizer import Words
from cutline.captioning.wording import without_unsure_sexes

SURE = 0.95


def said(text: str, *, male: float = 0.0, female: float = 0.0, given: int = 0) -> str:
    """A sentence of which each word has these probabilities of the sexes, as it is written."""
    words = tuple(text.split())
    sexes = np.tile(np.array([male, female], np.float32), (len(words), 1))
    spans = tuple((place, place + 1) for place in range(len(words)))
    found = without_unsure_sexes(Words(words=words, spans=spans), sexes, least=0.8, given=given)
    assert len(found.words) == len(found.spans)
    assert found.spans[-1][1] == len(words)
    assert all(one[1] == other[0] for one, other in pairwise(found.spans))
    return " ".join(found.words)


@pytest.mark.parametrize(
    ("text", "neutral"),
    [
        ("a man is riding a bike", "a person is riding a bike"),
        ("two women are talking", "two people are talking"),
        ("a young boy with his dog", "a young child with their dog"),
        ("a girl and her dog look at her", "a child and their dog look at them"),
        ("a man and a woman are sitting", "two people are sitting"),
        ("a man and woman sit", "two people sit"),
        ("men and women dance", "people dance"),
        ("boys and girls play", "children play"),
        ("a man with a boy", "a person with a child"),
        ("a dog runs with a ball in his mouth", "a dog runs with a ball in its mouth"),
        ("a player swings his bat", "a player swings their bat"),
        ("a policeman on a horse", "a police officer on a horse"),
        ("a cat sleeps", "a cat sleeps"),
    ],
)
def test_where_the_model_is_not_sure_a_person_has_no_sex(text: str, neutral: str) -> None:
    assert said(text, male=0.3, female=0.25) == neutral
    assert said(text) == text  # a model that gives no other word any probability is as sure as it can be


def test_a_sex_of_which_the_model_is_sure_is_said() -> None:
    assert said("a man with his dog", male=SURE, female=0.02) == "a man with his dog"
    assert said("a woman with her dog", male=SURE, female=0.02) == "a person with their dog"
    assert said("a woman runs", female=0.2, male=0.01) == "a woman runs"


def test_what_the_caller_wrote_stays() -> None:
    assert said("a man and a woman", male=0.3, female=0.3, given=2) == "a man and a person"


MORE = [*WORDS, "man", "asian", "black", "woman", "idiot"]


@pytest.fixture
def photos_of_all_colours() -> list[Image.Image]:
    return [Image.new("RGB", (9, 9), (red, green, 90)) for red in (0, 120, 250) for green in (0, 120, 250)]


def words_of(captioner: BundleCaptioner, photos: list[Image.Image], **options: object) -> set[str]:
    """All words that any of many captions has, of beam search and of sampling; and neighbours, joined."""
    ways = ({"diversity": 3.0}, {"strategy": "sample", "temperature": 3.0, "seed": 1})
    texts = [
        caption.words
        for way in ways
        for several in captioner.caption(photos, n=4, options=DecodingOptions(min_length=4, **way, **options))  # type: ignore[arg-type]
        for caption in several
    ]
    return {word for words in texts for word in words} | {
        f"{one} {other}" for words in texts for one, other in pairwise(words)
    }


@pytest.mark.parametrize("top", [3, 14])
def test_guesses_and_words_that_are_never_said_are_no_candidates(
    make_captioner: MakeCaptioner, photos_of_all_colours: list[Image.Image], top: int
) -> None:
    captioner = make_captioner(Tiny(tokenizer=word_tokenizer(MORE), top=top, sharpness=0.5))
    free = words_of(captioner, photos_of_all_colours, safe=False)
    safe = words_of(captioner, photos_of_all_colours)
    assert {"asian", "black"} <= free
    assert "idiot" not in free | safe
    assert "asian" not in safe
    assert "black" in safe
    assert any(each.startswith("black ") for each in safe)
    assert safe.isdisjoint({"black man", "black woman", "black person"})
    assert not free.isdisjoint({"black man", "black woman"})


def test_a_photo_s_safe_caption_does_not_depend_on_the_batch(
    make_captioner: MakeCaptioner, photos_of_all_colours: list[Image.Image]
) -> None:
    captioner = make_captioner(Tiny(tokenizer=word_tokenizer(MORE), top=9, sharpness=0.5))
    together = [each[0].text for each in captioner.caption(photos_of_all_colours)]
    assert together == [captioner.caption(each)[0][0].text for each in photos_of_all_colours]


def test_a_sex_confidence_of_1_names_no_sex_and_probabilities_stay_the_model_s(
    make_captioner: MakeCaptioner, photos_of_all_colours: list[Image.Image]
) -> None:
    captioner = make_captioner(Tiny(tokenizer=word_tokenizer(MORE), top=14, sharpness=0.5))
    plain = captioner.caption(photos_of_all_colours, options=DecodingOptions(sex_confidence=0.5))
    never = captioner.caption(photos_of_all_colours, options=DecodingOptions(sex_confidence=1))
    named = [{"man", "woman"}.intersection(each.words) for [each] in never]
    assert not any(named)
    for [one], [other] in zip(plain, never, strict=True):
        assert one.token_log_probs == other.token_log_probs
        assert other.attention is not None
        assert len(other.attention) == len(other.words)


def test_a_bundle_says_what_it_never_says(tmp_path: Path, photos: list[Image.Image]) -> None:
    whole = read_bundle(make_bundle(tmp_path / "tiny", Tiny(tokenizer=word_tokenizer(MORE))))
    text = replace(whole.manifest.text, never_said=("dog", "runs"))
    own = BundleCaptioner(sealed(replace(whole.manifest, text=text), whole.files), threads=1)
    assert {"dog", "runs"}.isdisjoint(words_of(own, photos, safe=False))
