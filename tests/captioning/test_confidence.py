"""How likely captions are acceptable, as a bundle with confidence.json says."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tiny_bundle import Tiny, make_bundle

from cutline.captioning.bundle import CONFIDENCE, Bundle, read_bundle, sealed
from cutline.captioning.bundle_captioner import BundleCaptioner
from cutline.captioning.certainty import sure_ones
from cutline.captioning.confidence import Confidence
from cutline.captioning.evidence import Evidence, parse_weights
from cutline.captioning.options import DecodingOptions
from cutline.captioning.protocol import Caption
from cutline.errors import BundleDamaged, CaptionUnsure

CONTENT: dict[str, Any] = {
    "format_version": 1,
    "threshold": 0.4,
    "bias": 1.5,
    "evidence": {
        "mean_log_prob": {"weight": 2.0, "typical": -1.0},
        "likeness": {"weight": 3.0, "typical": 0.25},
        "agreement": {"weight": 1.0, "typical": 0.5},
    },
    "calibration_error": 0.03,
    "photos": 1300,
    "data": "some dev photos",
}


def confident(folder: Path, tiny: Tiny | None = None) -> Bundle:
    """A tiny bundle that says how sure it is."""
    whole = read_bundle(make_bundle(folder, tiny))
    return sealed(whole.manifest, {**whole.files, CONFIDENCE: json.dumps(CONTENT).encode()})


def read(content: object) -> Confidence:
    """As a bundle reads it."""
    return parse_weights(Confidence, json.dumps(content).encode(), "confidence.json")


def test_evidence_is_weighed_and_what_is_unknown_is_taken_for_typical() -> None:
    confidence = read(CONTENT)
    known = Evidence(mean_log_prob=-1.5, tokens=9, agreement=0.5, likeness=0.25)
    assert confidence.of(known) == pytest.approx(1 / (1 + 2.718281828 ** -(1.5 - 3 + 0.75 + 0.5)))
    assert confidence.of(replace(known, agreement=None, likeness=None)) == pytest.approx(confidence.of(known))
    assert confidence.of(replace(known, mean_log_prob=-1e9)) == pytest.approx(0)


@pytest.mark.parametrize("tiny", [Tiny(), Tiny(text_tower=True)])
def test_each_caption_has_the_confidence_of_its_evidence(
    tmp_path: Path, photos: list[Image.Image], tiny: Tiny
) -> None:
    captioner = BundleCaptioner(confident(tmp_path / "tiny", tiny), threads=1)
    assert captioner.about().acceptable_cider == 0.4
    together = captioner.caption(photos, n=3)
    alone = captioner.caption(photos[0], n=3)[0]
    for caption in (caption for captions in together for caption in captions):
        assert caption.evidence is not None
        assert caption.evidence.mean_log_prob == pytest.approx(
            caption.log_prob / len(caption.token_log_probs)
        )
        assert caption.evidence.tokens == len(caption.token_log_probs) - 1
        assert (caption.evidence.likeness is not None) is tiny.text_tower
        assert caption.confidence == read(CONTENT).of(caption.evidence)
    assert [each.confidence for each in alone] == pytest.approx([each.confidence for each in together[0]])


def test_likeness_is_the_cosine_of_the_caption_and_its_photo(tmp_path: Path) -> None:
    captioner = BundleCaptioner(confident(tmp_path / "tiny", Tiny(text_tower=True)), threads=1)
    red = Image.new("RGB", (20, 20), "red")
    [[caption]] = captioner.caption(red, options=DecodingOptions(prefix="dog"))
    assert caption.evidence is not None
    assert caption.evidence.likeness == pytest.approx(1)


def test_what_was_asked_for_is_no_doubt_of_the_model(tmp_path: Path, photos: list[Image.Image]) -> None:
    captioner = BundleCaptioner(confident(tmp_path / "tiny"), threads=1)
    for [caption] in captioner.caption(photos, options=DecodingOptions(prefix="dog")):
        assert caption.evidence is not None
        written = caption.token_log_probs[1:]
        assert caption.evidence.mean_log_prob == pytest.approx(sum(written) / len(written))


def test_the_first_of_several_captions_says_whether_the_model_is_sure() -> None:
    captions = [Caption(text=str(sure), log_prob=-1.0, confidence=sure) for sure in (0.45, 0.52, 0.3)]
    assert sure_ones(captions, 0.4) == captions[:2]
    assert sure_ones(captions, None) == captions
    with pytest.raises(CaptionUnsure, match=r"0\.45, below 0\.5"):
        sure_ones(captions, 0.5)


def test_one_sentence_alone_has_nobody_to_agree_with(tmp_path: Path, photos: list[Image.Image]) -> None:
    captioner = BundleCaptioner(confident(tmp_path / "tiny"), threads=1)
    [[greedy]] = captioner.caption(photos[0], options=DecodingOptions(strategy="greedy"))
    [[beam]] = captioner.caption(photos[0])
    assert greedy.evidence is not None
    assert greedy.evidence.agreement is None
    assert greedy.confidence is not None
    assert beam.evidence is not None
    assert 0 <= (beam.evidence.agreement or 0) <= 1


def test_a_bundle_without_the_file_gives_no_confidence(bundle: Path, photos: list[Image.Image]) -> None:
    captioner = BundleCaptioner(bundle, threads=1)
    [[caption]] = captioner.caption(photos[0])
    assert (caption.confidence, captioner.about().acceptable_cider) == (None, None)


@pytest.mark.parametrize(
    "change",
    [
        {"threshold": 0},
        {"format_version": 2},
        {"evidence": {"colour": {"weight": 1, "typical": 1}}},
        {"evidence": {"tokens": {"weight": 1}}},
        {"bias": "much"},
        {"more": 1},
    ],
)
def test_a_damaged_confidence_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    whole = confident(tmp_path / "tiny")
    data = json.dumps(CONTENT | change).encode()
    for each in (data, b"\xff{"):
        with pytest.raises(BundleDamaged, match=r"confidence\.json of"):
            BundleCaptioner(sealed(whole.manifest, {**whole.files, CONFIDENCE: each}), threads=1)
