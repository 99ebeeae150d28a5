"""Where photos and texts lie among others: bundles with a text tower, and bundles without."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tiny_bundle import LSTM, WORDS, MakeCaptioner, Tiny, make_bundle, text_tower

from cutline.captioning.bundle import Bundle, read_bundle, sealed
from cutline.captioning.bundle_captioner import BundleCaptioner
from cutline.captioning.protocol import embedder
from cutline.errors import BundleDamaged, ImageError, OptionError
from cutline.vectors import close_pairs, fused, grouped, nearest, packed, unit, unpacked

RED, GREEN = Image.new("RGB", (20, 20), "red"), Image.new("RGB", (20, 20), "lime")


@pytest.mark.parametrize("tiny", [Tiny(), Tiny(kind=LSTM), Tiny(text_tower=True)])
def test_a_caption_has_the_place_that_embedding_the_photo_gives(
    make_captioner: MakeCaptioner, photos: list[Image.Image], tiny: Tiny
) -> None:
    captioner = make_captioner(tiny)
    places = captioner.embed(photos)
    lengths = [0 if photo.getpixel((0, 0)) == (0, 0, 0) else 1 for photo in photos]  # to it, black is nothing
    assert np.linalg.norm(places, axis=1) == pytest.approx(lengths, abs=1e-5)
    for captions, place in zip(captioner.caption(photos, n=2), places, strict=True):
        for caption in captions:
            assert caption.embedding == pytest.approx(place, abs=1e-6)
    assert len(captioner.embed([])) == 0
    with pytest.raises(ImageError):
        captioner.embed([photos[0], b"no photo"])


def test_a_text_lies_where_photos_lie_that_show_it(make_captioner: MakeCaptioner) -> None:
    captioner = make_captioner(Tiny(text_tower=True))
    assert captioner.no_text_reason == ""
    likeness = captioner.embed_text(["Dog and a", "runs", "a zebra " * 40]) @ captioner.embed([RED, GREEN]).T
    assert likeness[:2] == pytest.approx(np.eye(2), abs=1e-5)
    assert len(captioner.embed_text([])) == 0
    assert embedder(captioner) is captioner


def test_a_text_of_which_no_word_is_known_lies_nowhere(make_captioner: MakeCaptioner) -> None:
    captioner = make_captioner(Tiny(text_tower=True))
    lengths = np.linalg.norm(captioner.embed_text(["zzz qqq", "zzz dog", "", "!!!"]), axis=1)
    assert lengths == pytest.approx([0, 1, 0, 0])


def test_a_bundle_without_a_text_tower_says_so(make_captioner: MakeCaptioner) -> None:
    captioner = make_captioner()
    with pytest.raises(OptionError, match=r"tiny@0\.1\.0 has no text tower"):
        captioner.embed_text(["a dog"])


@pytest.mark.parametrize("part", ["encoder", "width", "graph"])
def test_a_text_tower_that_does_not_fit_its_bundle_is_refused(tmp_path: Path, part: str) -> None:
    whole = read_bundle(make_bundle(tmp_path / "tiny", Tiny(text_tower=part != "encoder")))
    tower = {
        "encoder": text_tower(len(WORDS)),
        "width": text_tower(len(WORDS), width=4),
        "graph": whole.files["decoder.onnx"],
    }[part]
    broken: Bundle = sealed(whole.manifest, {**whole.files, "text.onnx": tower})
    with pytest.raises(BundleDamaged, match=r"text\.onnx"):
        BundleCaptioner(broken, threads=1)


def test_vectors_are_kept_and_found_again() -> None:
    rows = unit(np.random.default_rng(1).standard_normal((500, 32)).astype(np.float32))
    kept = unpacked([packed(row) for row in rows])
    assert kept == pytest.approx(rows, abs=1e-3)
    for index in (0, 77, 499):
        best = nearest(kept, rows[index], 3)
        assert best[0] == (index, pytest.approx(1, abs=1e-3))
        assert [value for _, value in best] == sorted((value for _, value in best), reverse=True)
    assert nearest(kept[:0], rows[0], 3) == []
    assert unit(np.array([[0, 0], [np.nan, 1], [3, 4]], np.float32)).tolist() == [
        [0, 0],
        [0, 0],
        [pytest.approx(0.6), pytest.approx(0.8)],
    ]


def test_what_two_rankings_have_near_their_top_comes_first() -> None:
    assert fused([["a", "b", "c"], ["b", "d"]])[0] == "b"
    assert set(fused([["a"], [], ["c"]])) == {"a", "c"}


@pytest.mark.parametrize("number", [2, 40, 3000])
def test_copies_are_found_among_many(number: int) -> None:
    rng = np.random.default_rng(number)
    rows = unit(rng.standard_normal((number, 64)).astype(np.float32) + 2)  # all have much in common
    copies = unit(rows[:20] + 0.01 * rng.standard_normal((min(number, 20), 64)).astype(np.float32))
    both = np.concatenate([rows, copies])
    assert grouped(close_pairs(both, 0.98).tolist()) == [[at, number + at] for at in range(min(number, 20))]


def test_two_that_are_alike_are_found_where_there_are_no_others() -> None:
    """A plane through the middle of two vectors parts them, however near they are."""
    two = unit(np.array([[1, 0, 0], [1, 0.01, 0]], np.float32))
    assert close_pairs(two, 0.98).tolist() == [[0, 1]]
    assert close_pairs(two[:1], 0.98).shape == close_pairs(two[:0], 0.98).shape == (0, 2)
