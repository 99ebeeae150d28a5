"""A bundle's caption is chosen among many, by what the bundle's reranker.json weighs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tiny_bundle import Tiny, make_bundle

from cutline.captioning.bundle import RERANKER, Bundle, read_bundle, sealed
from cutline.captioning.bundle_captioner import BundleCaptioner
from cutline.captioning.options import DecodingOptions
from cutline.errors import BundleDamaged

TOWER = Tiny(text_tower=True, sharpness=0.5)
MANY = 8


def reranked(folder: Path, weights: dict[str, float], *, tiny: Tiny = TOWER, **changes: Any) -> Bundle:
    """A tiny bundle, by default with a text tower, and with a re-ranker of these weights."""
    whole = read_bundle(make_bundle(folder, tiny))
    content: dict[str, Any] = {
        "format_version": 1,
        "candidates": MANY,
        "evidence": {name: {"weight": weight, "typical": 0.0} for name, weight in weights.items()},
        "gain": 1.5,
        "photos": 100,
        "data": "made up",
    }
    return sealed(whole.manifest, {**whole.files, RERANKER: json.dumps(content | changes).encode()})


def test_the_caption_is_the_candidate_that_is_most_like_the_photo(
    tmp_path: Path, photos: list[Image.Image]
) -> None:
    captioner = BundleCaptioner(reranked(tmp_path / "tiny", {"likeness": 1.0}), threads=1)
    off = DecodingOptions(rerank=False, beam_size=MANY, diversity=0)
    plain, changed = captioner.caption(photos, n=MANY, options=off), 0
    for [chosen], candidates in zip(captioner.caption(photos), plain, strict=True):
        likes = [each.evidence.likeness for each in candidates if each.evidence]
        assert chosen.evidence is not None
        assert chosen.evidence.likeness == pytest.approx(
            max(each for each in likes if each is not None), abs=1e-5
        )
        assert chosen.text in [each.text for each in candidates]
        changed += chosen.text != candidates[0].text
    assert changed


def test_the_caption_is_the_candidate_that_names_most_of_what_the_photo_shows(
    tmp_path: Path, photos: list[Image.Image]
) -> None:
    seeing = Tiny(concepts=2, sharpness=0.5)
    captioner = BundleCaptioner(reranked(tmp_path / "tiny", {"concepts": 1.0}, tiny=seeing), threads=1)
    off = DecodingOptions(rerank=False, beam_size=MANY, diversity=0)
    plain, changed = captioner.caption(photos, n=MANY, options=off), 0
    assert [each[0].text for each in captioner.caption(photos)] == [
        captioner.caption(photo)[0][0].text for photo in photos
    ]
    for [chosen], candidates in zip(captioner.caption(photos), plain, strict=True):
        named = [each.evidence.concepts for each in candidates if each.evidence]
        assert chosen.evidence is not None
        assert chosen.evidence.concepts == pytest.approx(max(each for each in named if each), abs=1e-5)
        changed += chosen.text != candidates[0].text
    assert changed


def test_concepts_of_another_vocabulary_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleDamaged, match=r"concepts of encoder\.onnx .* is \[any, 3, "):
        BundleCaptioner(make_bundle(tmp_path / "tiny", Tiny(concepts=3)))


def test_of_several_captions_the_first_is_the_one_that_is_given_alone(
    tmp_path: Path, photos: list[Image.Image]
) -> None:
    captioner = BundleCaptioner(reranked(tmp_path / "tiny", {"tokens": 1.0}), threads=1)
    alone = [each[0].text for each in captioner.caption(photos)]
    for text, captions in zip(alone, captioner.caption(photos, n=3), strict=True):
        texts = [each.text for each in captions]
        assert texts[0] == text
        assert len(texts) == len(set(texts)) == 3
    assert alone == [captioner.caption(photo)[0][0].text for photo in photos]


def test_with_one_beam_it_stays_out_however_many_captions(tmp_path: Path, photos: list[Image.Image]) -> None:
    captioner = BundleCaptioner(reranked(tmp_path / "tiny", {"tokens": 5.0}), threads=1)
    one = DecodingOptions(beam_size=1)
    alone, several = (captioner.caption(photos, n=n, options=one) for n in (1, 3))
    assert [each[0].text for each in alone] == [each[0].text for each in several]


def test_further_captions_differ_from_the_one_that_was_chosen(
    tmp_path: Path, photos: list[Image.Image]
) -> None:
    captioner = BundleCaptioner(reranked(tmp_path / "tiny", {"tokens": 1.0}), threads=1)
    apart = DecodingOptions(diversity=50, min_length=1)
    for first, second in captioner.caption(photos, n=2, options=apart):
        assert not any(one == other for one, other in zip(first.words, second.words, strict=False))


@pytest.mark.parametrize(
    "asked", [{"rerank": False}, {"strategy": "greedy"}, {"strategy": "sample", "seed": 1}]
)
def test_it_stays_out_where_it_is_off_and_of_other_strategies(
    tmp_path: Path, photos: list[Image.Image], asked: dict[str, Any]
) -> None:
    options = DecodingOptions(**asked)
    with_it = BundleCaptioner(reranked(tmp_path / "tiny", {"tokens": 5.0}), threads=1)
    without = BundleCaptioner(make_bundle(tmp_path / "other", TOWER), threads=1)
    texts = [
        [each[0].text for each in captioner.caption(photos, options=options)]
        for captioner in (with_it, without)
    ]
    assert texts[0] == texts[1]


@pytest.mark.parametrize("change", [{"candidates": 1}, {"evidence": {"x": {"weight": 1, "typical": 0}}}])
def test_a_damaged_reranker_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(BundleDamaged, match=r"reranker\.json of"):
        BundleCaptioner(reranked(tmp_path / "tiny", {}, **change), threads=1)
